"""Pairwise tests between methods on one data set, seeds as replicates."""

from __future__ import annotations

from collections.abc import Mapping
from math import comb

import numpy as np
from scipy.stats import mannwhitneyu
from statsmodels.stats.multitest import multipletests

MIN_RUNS = 2


def against_best(scores: Mapping[str, np.ndarray], higher_is_better: bool) -> tuple[str | None, dict[str, float]]:
    """Compare every method with the one of best median: two-sided Mann-Whitney tests, Holm-corrected.

    Seeds of different methods are not paired, so the test is the unpaired one. It says something about training noise
    on this data set, and nothing about other data sets.

    Parameters
    ----------
    scores : mapping of str to ndarray, shape (runs,)
        Finite scores of each method.
    higher_is_better : bool
        Direction of the score.

    Returns
    -------
    best : str or None
        The method of best median; None when no method has a score.
    p : dict of str to float
        Holm-adjusted p value of each method against the best; NaN for the best itself and wherever one side has
        fewer than two runs (deterministic methods), which no test can compare.
    """
    medians = {name: float(np.median(values)) for name, values in scores.items() if len(values)}
    if not medians:
        return None, dict.fromkeys(scores, np.nan)
    best = (max if higher_is_better else min)(medians, key=medians.__getitem__)
    testable = [
        name for name, values in scores.items() if name != best and min(len(values), len(scores[best])) >= MIN_RUNS
    ]
    p = dict.fromkeys(scores, np.nan)
    if testable:
        raw = [mannwhitneyu(scores[name], scores[best], alternative="two-sided").pvalue for name in testable]
        p |= dict(zip(testable, map(float, multipletests(raw, method="holm")[1]), strict=True))
    return best, p


def smallest_p(runs: int, comparisons: int) -> float:
    """Return the smallest Holm-adjusted p value that a comparison can reach with ``runs`` seeds on each side.

    The exact two-sided Mann-Whitney p is at least 2 / C(2n, n); Holm multiplies the smallest by the number of
    comparisons.
    """
    return min(1.0, 2 / comb(2 * runs, runs) * max(1, comparisons))
