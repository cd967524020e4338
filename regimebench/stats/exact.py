"""Exact null distributions of rank statistics, ties included, by counting all rearrangements (no sampling)."""

from __future__ import annotations

from functools import lru_cache
from math import comb

import numpy as np
from scipy.stats import binomtest, mannwhitneyu, rankdata

__all__ = ["rank_sum_p", "sign_p", "signed_rank_p", "smallest_rank_sum_p", "smallest_sign_p"]

MAX_EXACT = 60  # pooled runs up to which rearrangements are counted; beyond, the normal approximation is as good
ROUNDING = 1e-9


def rank_sum_p(a: np.ndarray, b: np.ndarray) -> float:
    """Return the two-sided p of the Mann-Whitney test.

    Counts the rearrangements of the pooled midranks (Streitberg & Roehmel 1986, shift algorithm) whose rank sum lies
    at least as far from its mean; beyond 60 pooled runs by the normal approximation with correction for ties.

    Parameters
    ----------
    a, b : ndarray, shapes (n,) and (m,)
        Scores; ``-inf`` (a failed run) is a value like any other.
    """
    n, pooled = len(a), len(a) + len(b)
    doubled = _doubled_ranks(np.concatenate([a, b]))
    if pooled > MAX_EXACT:
        return float(mannwhitneyu(doubled[:n], doubled[n:], method="asymptotic").pvalue)
    return _tail(_rank_sums(tuple(np.sort(doubled).tolist()), n), float(doubled[:n].sum()))


def signed_rank_p(differences: np.ndarray) -> float:
    """Return the two-sided p of Wilcoxon's signed-rank test of paired differences, zeros left out.

    Counts all signs of the midranks, so it is exact with ties; ``inf`` (one of the pair failed) has the largest rank.
    """
    moved = differences[differences != 0]
    if not moved.size:
        return 1.0
    doubled = _doubled_ranks(np.abs(moved))
    return _tail(_signed_sums(tuple(np.sort(doubled).tolist())), float(doubled[moved > 0].sum()))


def sign_p(above: int, below: int) -> float:
    """Return the two-sided p of the sign test: runs above and below a constant, those equal to it left out."""
    return float(binomtest(above, above + below).pvalue) if above + below else 1.0


def smallest_rank_sum_p(n: int, m: int) -> float:
    """Return the smallest two-sided p that samples of ``n`` and ``m`` runs without ties can reach."""
    return min(1.0, 2 / comb(n + m, n))


def smallest_sign_p(n: int) -> float:
    """Return the smallest two-sided p of ``n`` signs, which is that of the signed-rank test, too."""
    return min(1.0, 2.0 ** (1 - n))


def _doubled_ranks(values: np.ndarray) -> np.ndarray:
    """Return twice the midranks, which are whole numbers."""
    return np.rint(2 * rankdata(values)).astype(int)


def _tail(probabilities: np.ndarray, statistic: float) -> float:
    """Return the probability of a sum at least as far from the mean as ``statistic``."""
    sums = np.arange(len(probabilities))
    middle = probabilities @ sums
    return min(1.0, float(probabilities[np.abs(sums - middle) >= abs(statistic - middle) - ROUNDING].sum()))


@lru_cache(maxsize=4096)
def _rank_sums(doubled: tuple[int, ...], n: int) -> np.ndarray:
    """Return the probability of each sum of ``n`` of the ranks, drawn without replacement."""
    total = sum(doubled)
    ways = np.zeros((n + 1, total + 1))
    ways[0, 0] = 1
    for rank in doubled:
        ways[1:, rank:] += ways[:-1, : total + 1 - rank]
    return ways[n] / ways[n].sum()


@lru_cache(maxsize=4096)
def _signed_sums(doubled: tuple[int, ...]) -> np.ndarray:
    """Return the probability of each sum of the ranks with positive sign."""
    ways = np.zeros(sum(doubled) + 1)
    ways[0] = 1
    for rank in doubled:
        ways[rank:] += ways[: len(ways) - rank].copy()
    return ways / ways.sum()
