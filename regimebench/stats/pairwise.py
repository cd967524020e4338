"""All pairs of rows on one data set and metric, seeds as replicates: tests, Holm's correction and effect sizes."""

from __future__ import annotations

import numpy as np
import pandas as pd

from regimebench.stats.effect import superiority, superiority_interval, wilson
from regimebench.stats.exact import rank_sum_ps, sign_p, signed_rank_p, smallest_rank_sum_p, smallest_sign_p
from regimebench.stats.samples import Samples

__all__ = ["ALPHA", "MIN_RUNS", "compare"]

ALPHA = 0.05
MIN_RUNS = 2
COLUMNS = (
    "a",
    "b",
    "test",
    "n_a",
    "n_b",
    "p",
    "p_holm",
    "p_holm_ok",
    "smallest_p",
    "superiority",
    "low",
    "high",
    "cliffs_delta",
    "differ",
)


def compare(samples: Samples) -> pd.DataFrame:
    """Compare all pairs of rows.

    Which test a pair gets (``test``): ``mann-whitney`` where both draw seeds of their own; ``signed-rank`` where seeds
    are paired; ``sign`` of the seeds of one against the constant score of a deterministic other; ``none`` where both
    are deterministic, which differ if their scores do, or where one has a single run.

    Returns
    -------
    DataFrame
        One row per pair, ``a`` before ``b`` in the order of the table: ``p``, ``p_holm`` (over all pairs of this
        metric), ``p_holm_ok`` (failed runs left out, for comparison), ``smallest_p`` (the smallest ``p_holm`` that
        samples of these sizes could reach), ``superiority`` (probability that a run of ``a`` scores better than one of
        ``b``, ties half) with its 95 % interval ``low``, ``high``; ``cliffs_delta`` (2 superiority - 1); ``differ``.
    """
    i, j = np.triu_indices(len(samples.addresses), 1)
    kinds = np.array([_kind(samples, *pair) for pair in zip(i, j, strict=True)], dtype=object)
    tried, names = samples.tried, np.array(samples.addresses, dtype=object)
    pairs = pd.DataFrame({"a": names[i], "b": names[j], "test": kinds, "n_a": tried[i], "n_b": tried[j]})
    pairs["p"] = _tests(samples, i, j, kinds)
    pairs["p_holm"] = _holm(pairs["p"])
    some = np.isneginf(samples.scores).any(axis=1)
    again = some[i] | some[j]
    without = pairs["p"].to_numpy(copy=True)
    without[again] = _tests(samples.only_ok(), i[again], j[again], kinds[again])
    pairs["p_holm_ok"] = _holm(without)
    floors = [_floor(samples, *each) for each in zip(i, j, kinds, strict=True)]
    pairs["smallest_p"] = np.minimum(1.0, np.array(floors, dtype=float) * pairs["p"].notna().sum())
    pairs["superiority"], pairs["low"], pairs["high"] = _effects(samples, i, j, kinds)
    pairs["cliffs_delta"] = 2 * pairs["superiority"] - 1
    certain = samples.deterministic[i] & samples.deterministic[j] & (np.abs(pairs["cliffs_delta"]) == 1)
    pairs["differ"] = (pairs["p_holm"] <= ALPHA) | certain
    return pairs[list(COLUMNS)]


def _kind(samples: Samples, i: int, j: int) -> str:
    """Return the test of a pair (see :func:`compare`)."""
    fixed, tried = samples.deterministic[[i, j]], samples.tried[[i, j]]
    if fixed.all() or not tried.all():
        return "none"
    if fixed.any():
        return "sign" if tried[~fixed][0] >= MIN_RUNS else "none"
    paired = samples.pairing[i] is not None and samples.pairing[i] == samples.pairing[j]
    if paired and len(_differences(samples, i, j)) >= MIN_RUNS:
        return "signed-rank"
    return "mann-whitney" if tried.min() >= MIN_RUNS else "none"


def _differences(samples: Samples, i: int, j: int) -> np.ndarray:
    """Return a - b of the seeds that both rows tried; two failures are equal."""
    a, b = samples.scores[i], samples.scores[j]
    both = ~np.isnan(a) & ~np.isnan(b)
    a, b = a[both], b[both]
    return np.subtract(a, b, out=np.zeros_like(a), where=a != b)


def _runs(samples: Samples, row: int) -> np.ndarray:
    scores = samples.scores[row]
    return scores[~np.isnan(scores)]


def _signs(samples: Samples, i: int, j: int) -> tuple[int, int, int]:
    """Return how many runs of the stochastic row lie above the deterministic one and below it, as seen from ``i``."""
    fixed, other = (i, j) if samples.deterministic[i] else (j, i)
    constant, scores = _runs(samples, fixed), _runs(samples, other)
    if not constant.size or not scores.size:
        return 0, 0, 0
    above, below = int((scores > constant[0]).sum()), int((scores < constant[0]).sum())
    return (*((above, below) if other == i else (below, above)), len(scores))


def _tests(samples: Samples, i: np.ndarray, j: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """Return the raw p values; NaN where nothing is tested."""
    p = np.array([_paired_or_sign(samples, *each) for each in zip(i, j, kinds, strict=True)], dtype=float)
    runs = [_runs(samples, row) for row in range(len(samples.addresses))]
    sizes = np.array(list(map(len, runs)))
    ranked = (kinds == "mann-whitney") & (np.minimum(sizes[i], sizes[j]) >= MIN_RUNS)
    for n, m in {*zip(sizes[i][ranked], sizes[j][ranked], strict=True)}:
        here = np.flatnonzero(ranked & (sizes[i] == n) & (sizes[j] == m))
        pooled = [np.concatenate([runs[i[pair]], runs[j[pair]]]) for pair in here]
        p[here] = rank_sum_ps(np.array(pooled), int(n))
    return p


def _paired_or_sign(samples: Samples, i: int, j: int, kind: str) -> float:
    if kind == "signed-rank":
        differences = _differences(samples, i, j)
        return signed_rank_p(differences) if len(differences) >= MIN_RUNS else np.nan
    if kind == "sign":
        above, below, n = _signs(samples, i, j)
        return sign_p(above, below) if n >= MIN_RUNS else np.nan
    return np.nan


def _floor(samples: Samples, i: int, j: int, kind: str) -> float:
    n, m = samples.tried[[i, j]]
    if kind == "mann-whitney":
        return smallest_rank_sum_p(int(n), int(m))
    if kind == "signed-rank":
        return smallest_sign_p(len(_differences(samples, i, j)))
    return smallest_sign_p(int(max(n, m))) if kind == "sign" else np.nan


def _holm(p: np.ndarray | pd.Series) -> np.ndarray:
    """Return Holm's adjusted p; pairs that are not tested do not count."""
    p = np.asarray(p, dtype=float)
    adjusted, tested = np.full(len(p), np.nan), np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)))
    return adjusted


def _effects(
    samples: Samples, i: np.ndarray, j: np.ndarray, kinds: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the probability of superiority of each pair and its interval."""
    share, variance = np.full(len(i), np.nan), np.zeros(len(i))
    tried = samples.tried
    for row in range(len(tried) - 1):
        here = (i == row) & (tried[i] > 0) & (tried[j] > 0)
        if here.any():
            share[here], variance[here] = superiority(samples.scores[row], samples.scores[j[here]])
    low, high = np.full((2, len(i)), np.nan)
    ranks = kinds == "mann-whitney"
    n, m = tried[i], tried[j]
    low[ranks], high[ranks] = superiority_interval(share[ranks], variance[ranks], n[ranks], m[ranks])
    sizes = np.maximum(n, m).astype(float)
    for pair in np.flatnonzero(kinds == "signed-rank"):
        differences = _differences(samples, i[pair], j[pair])
        share[pair], sizes[pair] = (np.sign(differences).mean() + 1) / 2, len(differences)
    counted = (kinds == "signed-rank") | (kinds == "sign")
    low[counted], high[counted] = wilson(share[counted], sizes[counted])
    return share, low, high
