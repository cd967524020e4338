"""Exact null distributions of rank statistics, ties included, by counting all rearrangements (no sampling)."""

from __future__ import annotations

from functools import lru_cache
from math import comb

import numpy as np
from scipy.special import bdtr
from scipy.stats import mannwhitneyu, rankdata

__all__ = ["rank_sum_p", "rank_sum_ps", "sign_p", "signed_rank_p", "smallest_rank_sum_p", "smallest_sign_p"]

MAX_EXACT = 60  # pooled runs up to which rearrangements are counted; beyond, the normal approximation is as good
ROUNDING = 1e-9


def rank_sum_p(a: np.ndarray, b: np.ndarray) -> float:
    """Return the two-sided p of the Mann-Whitney test of two samples, see :func:`rank_sum_ps`."""
    return float(rank_sum_ps(np.concatenate([a, b])[None], len(a))[0])


def rank_sum_ps(pooled: np.ndarray, n: int) -> np.ndarray:
    """Return two-sided p values of many Mann-Whitney tests.

    Counts the rearrangements of the pooled midranks (Streitberg & Roehmel 1986, shift algorithm) whose rank sum lies
    at least as far from its mean; beyond 60 pooled runs by the normal approximation with correction for ties.

    Parameters
    ----------
    pooled : ndarray, shape (P, n + m)
        Scores of two samples side by side, one test per row; ``-inf`` (a failed run) is a value like any other.
    n : int
        Size of the first sample.

    Returns
    -------
    ndarray, shape (P,)
    """
    doubled = _doubled_ranks(pooled)
    if pooled.shape[1] > MAX_EXACT:
        return mannwhitneyu(doubled[:, :n], doubled[:, n:], axis=1, method="asymptotic").pvalue
    patterns, which = np.unique(np.sort(doubled, axis=1), axis=0, return_inverse=True)
    sums, p = doubled[:, :n].sum(axis=1), np.empty(len(pooled))
    for number, pattern in enumerate(patterns):
        here = which.ravel() == number
        p[here] = _rank_sum_tails(tuple(pattern.tolist()), n)[sums[here]]
    return p


def signed_rank_p(differences: np.ndarray) -> float:
    """Return the two-sided p of Wilcoxon's signed-rank test of paired differences, zeros left out.

    Counts all signs of the midranks, so it is exact with ties; ``inf`` (one of the pair failed) has the largest rank.
    """
    moved = differences[differences != 0]
    if not moved.size:
        return 1.0
    doubled = _doubled_ranks(np.abs(moved))
    return float(_signed_tails(tuple(np.sort(doubled).tolist()))[doubled[moved > 0].sum()])


def sign_p(above: int, below: int) -> float:
    """Return the two-sided p of the sign test: runs above and below a constant, those equal to it left out."""
    return min(1.0, 2 * float(bdtr(min(above, below), above + below, 0.5)))


def smallest_rank_sum_p(n: int, m: int) -> float:
    """Return the smallest two-sided p that samples of ``n`` and ``m`` runs without ties can reach."""
    return min(1.0, 2 / comb(n + m, n))


def smallest_sign_p(n: int) -> float:
    """Return the smallest two-sided p of ``n`` signs, which is that of the signed-rank test, too."""
    return min(1.0, 2.0 ** (1 - n))


def _doubled_ranks(values: np.ndarray) -> np.ndarray:
    """Return twice the midranks along the last axis, which are whole numbers."""
    return np.rint(2 * rankdata(values, axis=-1)).astype(int)


@lru_cache(maxsize=512)
def _rank_sum_tails(doubled: tuple[int, ...], n: int) -> np.ndarray:
    """Return the two-sided p of each sum of ``n`` of the ranks, drawn without replacement."""
    total = sum(doubled)
    ways = np.zeros((n + 1, total + 1))
    ways[0, 0] = 1
    for rank in doubled:
        ways[1:, rank:] += ways[:-1, : total + 1 - rank]
    return _tails(ways[n])


@lru_cache(maxsize=512)
def _signed_tails(doubled: tuple[int, ...]) -> np.ndarray:
    """Return the two-sided p of each sum of the ranks with positive sign."""
    ways = np.zeros(sum(doubled) + 1)
    ways[0] = 1
    for rank in doubled:
        ways[rank:] += ways[: len(ways) - rank].copy()
    return _tails(ways)


def _tails(ways: np.ndarray) -> np.ndarray:
    """Return, for each sum, the probability of one at least as far from the mean."""
    probabilities, sums = ways / ways.sum(), np.arange(len(ways))
    distance = np.abs(sums - probabilities @ sums)
    order = np.argsort(-distance, kind="stable")
    cumulated = np.cumsum(probabilities[order])
    last = np.searchsorted(-distance[order], -distance + ROUNDING, side="right") - 1
    return np.minimum(1.0, cumulated[last])
