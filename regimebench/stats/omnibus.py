"""Whether there is any difference between the rows at all."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import kruskal, rankdata

from regimebench.stats.pairwise import MIN_RUNS
from regimebench.stats.samples import Samples

__all__ = ["omnibus"]

ENOUGH = 6  # runs of each row from which the chi-squared distribution is good enough
PERMUTATIONS = 9_999
SEED = 0


def omnibus(samples: Samples) -> dict[str, Any]:
    """Return the Kruskal-Wallis test of all rows with two runs or more that are not deterministic.

    Failed runs rank last. With few runs the null distribution is that of 9,999 permutations instead of chi-squared.

    Returns
    -------
    dict
        ``test``, ``statistic`` (H, corrected for ties), ``p``, ``rows``; NaN if fewer than two rows can be compared.
    """
    groups = [scores[~np.isnan(scores)] for scores in samples.scores[~samples.deterministic]]
    groups = [scores for scores in groups if len(scores) >= MIN_RUNS]
    found = {"test": "kruskal-wallis", "statistic": np.nan, "p": np.nan, "rows": len(groups)}
    if len(groups) < 2:
        return found
    ranks = rankdata(np.concatenate(groups))
    if len(np.unique(ranks)) == 1:
        return found | {"statistic": 0.0, "p": 1.0}
    sizes = np.array([len(scores) for scores in groups])
    statistic, p = kruskal(*np.split(ranks, np.cumsum(sizes)[:-1]))
    if sizes.min() < ENOUGH:
        p = _permuted(ranks, sizes)
    return found | {"statistic": float(statistic), "p": float(p)}


def _permuted(ranks: np.ndarray, sizes: np.ndarray) -> float:
    """Return the share of permutations, the observed one included, whose groups differ as much."""
    rng, edges = np.random.default_rng(SEED), np.concatenate([[0], np.cumsum(sizes)[:-1]])

    def between(drawn: np.ndarray) -> np.ndarray:
        return (np.add.reduceat(drawn, edges, axis=-1) ** 2 / sizes).sum(axis=-1)

    observed, count = between(ranks), 1
    block = max(1, 1_000_000 // len(ranks))
    for start in range(0, PERMUTATIONS, block):
        drawn = rng.permuted(np.tile(ranks, (min(block, PERMUTATIONS - start), 1)), axis=1)
        count += int((between(drawn) >= observed * (1 - 1e-12)).sum())
    return count / (PERMUTATIONS + 1)
