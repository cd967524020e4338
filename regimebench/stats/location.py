"""Where the scores of one method lie: median, quartiles and interquartile mean with its interval."""

from __future__ import annotations

import numpy as np
from scipy.stats import t

__all__ = ["interquartile_mean", "iqm_interval"]

CUT = 0.25


def interquartile_mean(values: np.ndarray) -> float:
    """Return the mean without the lowest and the highest quarter of the runs (rounded down)."""
    cut = int(CUT * len(values))
    return float(np.sort(values)[cut : len(values) - cut].mean()) if len(values) else float("nan")


def iqm_interval(values: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Return the interval of the interquartile mean (Tukey & McLaughlin 1963: Winsorised variance, Student's t).

    The percentile bootstrap, which is usual for this mean, covers too little at 20 runs and fewer
    (docs/statistics-validity.md). NaN for fewer than two runs.
    """
    n = len(values)
    if n < 2:
        return float("nan"), float("nan")
    cut = int(CUT * n)
    ordered = np.sort(values)
    winsorised = np.clip(ordered, ordered[cut], ordered[n - 1 - cut])
    inner = n - 2 * cut
    error = np.sqrt(np.square(winsorised - winsorised.mean()).sum() / (inner * (inner - 1)))
    half = float(t.ppf((1 + level) / 2, inner - 1) * error)
    middle = interquartile_mean(values)
    return middle - half, middle + half
