"""Where the scores of one method lie: the interquartile mean and its interval."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.stats import t

__all__ = ["interquartile_mean", "iqm_interval", "iqm_of"]

CUT = 0.25
RESAMPLES = 1_000
SEED = 0


def interquartile_mean(values: np.ndarray) -> float:
    """Return the mean without the lowest and the highest quarter of the runs (rounded down)."""
    return float(iqm_of(values)) if len(values) else float("nan")


def iqm_of(values: np.ndarray) -> np.ndarray:
    """Return the interquartile mean along the last axis."""
    n = values.shape[-1]
    cut = int(CUT * n)
    return np.sort(values, axis=-1)[..., cut : n - cut].mean(axis=-1)


def iqm_interval(values: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Return the interval of the interquartile mean, by a bootstrap over runs.

    The bootstrap gives the standard error, sqrt(n / (n - 1)) widens it by what a bootstrap of n runs is too narrow, and
    Student's t with n - 1 degrees gives the quantile: percentiles of the bootstrap itself, which are usual for this
    mean, cover too little below 12 runs (docs/statistics-validity.md). NaN for fewer than two runs.
    """
    n = len(values)
    if n < 2:
        return float("nan"), float("nan")
    error = iqm_of(values[_draws(n)]).std(ddof=1) * np.sqrt(n / (n - 1))
    half = float(t.ppf((1 + level) / 2, n - 1) * error)
    middle = interquartile_mean(values)
    return middle - half, middle + half


@lru_cache(maxsize=64)
def _draws(n: int) -> np.ndarray:
    """Return the same resamples of ``n`` runs for all rows, shape (RESAMPLES, n)."""
    return np.random.default_rng(SEED).integers(0, n, (RESAMPLES, n))
