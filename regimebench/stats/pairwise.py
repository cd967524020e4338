"""Pairwise tests between methods on one data set, seeds as replicates."""

from __future__ import annotations

from collections.abc import Mapping
from math import comb

import numpy as np
from scipy.stats import PermutationMethod, mannwhitneyu
from statsmodels.stats.multitest import multipletests

MIN_RUNS = 2
MAX_ENUMERATED = 20_000  # rearrangements of two samples that are counted one by one


def against_reference(scores: Mapping[str, np.ndarray], higher_is_better: bool) -> tuple[str | None, dict[str, float]]:
    """Compare every method with the one of best median: two-sided Mann-Whitney tests, Holm-corrected.

    Seeds of different methods are not paired, so the test is the unpaired one. It says something about training noise
    on this data set, and nothing about other data sets. The reference is chosen from the same scores, which no
    correction here accounts for: read a p near the threshold as weaker than it looks.

    Parameters
    ----------
    scores : mapping of str to ndarray, shape (runs,)
        Finite scores of each method.
    higher_is_better : bool
        Direction of the score.

    Returns
    -------
    reference : str or None
        The method of best median among those with at least two runs; None when there is none.
    p : dict of str to float
        Holm-adjusted p value of each method against the reference; NaN for the reference itself and for methods with
        fewer than two runs (deterministic ones), which no test can compare.
    """
    medians = {name: float(np.median(values)) for name, values in scores.items() if len(values) >= MIN_RUNS}
    p = dict.fromkeys(scores, np.nan)
    if not medians:
        return None, p
    reference = (max if higher_is_better else min)(medians, key=medians.__getitem__)
    others = [name for name in medians if name != reference]
    if others:
        raw = [mann_whitney(scores[name], scores[reference]) for name in others]
        p |= dict(zip(others, map(float, multipletests(raw, method="holm")[1]), strict=True))
    return reference, p


def mann_whitney(a: np.ndarray, b: np.ndarray) -> float:
    """Return the two-sided p value of the Mann-Whitney test; exact for small samples, also with ties.

    Seeds that make no difference give tied scores. The normal approximation is then far too small for few seeds, so
    all rearrangements are counted while that is possible, and no p falls below the smallest an exact test can give.
    """
    ties = len(np.unique([*a, *b])) < len(a) + len(b)
    method: object = "asymptotic" if ties else "exact"
    if ties and comb(len(a) + len(b), len(a)) <= MAX_ENUMERATED:
        method = PermutationMethod(n_resamples=np.inf)
    return max(float(mannwhitneyu(a, b, alternative="two-sided", method=method).pvalue), smallest_p(len(a), len(b)))


def smallest_p(n: int, m: int, comparisons: int = 1) -> float:
    """Return the smallest p value that samples of ``n`` and ``m`` runs can reach, Holm-adjusted for ``comparisons``.

    The exact two-sided Mann-Whitney p is at least 2 / C(n + m, n); Holm multiplies the smallest by the number of
    comparisons.
    """
    return min(1.0, 2 / comb(n + m, n) * max(1, comparisons))
