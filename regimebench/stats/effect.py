"""Probability of superiority: how often a run of one method scores better than a run of another, with intervals."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.stats import norm, t

__all__ = ["FEW", "superiority", "superiority_interval", "wilson"]

FEW = 5  # runs below which the quantile of Student's t replaces that of the normal distribution
BISECTIONS = 40


def superiority(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return P(a > b) + P(a = b) / 2 of one sample against many, and the variance of that estimate.

    Parameters
    ----------
    a : ndarray, shape (N,)
        Scores of one method, higher is better, NaN where there was no run.
    b : ndarray, shape (J, M)
        The same of the others.

    Returns
    -------
    share, variance : ndarray, shape (J,)
        The variance is that of placements (Brunner & Munzel 2000): of how many of the others' runs each run beats.
    """
    a = a[~np.isnan(a)]
    there = ~np.isnan(b)
    n, m = len(a), there.sum(axis=1)
    wins = (a[None, :, None] > b[:, None, :]) + 0.5 * (a[None, :, None] == b[:, None, :])
    of_a, of_b = wins.sum(axis=2) / m[:, None], wins.sum(axis=1) / n
    share = of_a.mean(axis=1)
    spread_a = of_a.var(axis=1, ddof=1) if n > 1 else np.zeros(len(b))
    deviations = np.where(there, of_b - share[:, None], 0.0)
    spread_b = (deviations**2).sum(axis=1) / np.maximum(m - 1, 1)
    return share, spread_a / n + spread_b / m


def superiority_interval(
    share: np.ndarray, variance: np.ndarray, n: np.ndarray, m: np.ndarray, level: float = 0.95
) -> tuple[np.ndarray, np.ndarray]:
    """Return the interval of values of the true share from which the estimate is not too far.

    A score interval: the variance is that at the value asked about, so the interval has a width also where the
    estimate is 0 or 1, and stays within [0, 1]. The variance is Newcombe's (2006, method 5) or the one estimated from
    placements, scaled to that value, whichever is larger: the first alone is too small for methods of unequal spread.

    Parameters
    ----------
    share, variance : ndarray, shape (J,)
        What :func:`superiority` returns.
    n, m : ndarray of int, shape (J,)
        Sizes of both samples. Below five runs Student's quantile is used, and the interval is conservative.
    """
    few = np.minimum(n, m) < FEW
    middle = (1 + level) / 2
    quantile = np.where(few, t.ppf(middle, np.maximum(n + m - 2, 1)), norm.ppf(middle))
    inner = share * (1 - share)
    estimated = np.divide(variance, inner, out=np.zeros_like(share), where=inner > 0)
    half = (n + m) / 2 - 1

    def relative(x: np.ndarray) -> np.ndarray:
        return np.maximum(estimated, (1 + half * ((1 - x) / (2 - x) + x / (1 + x))) / (n * m))

    return _solve(share, quantile, relative)


def wilson(share: np.ndarray, n: np.ndarray, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Return Wilson's score interval of a share of ``n`` runs, ties counted half; also Newcombe's for one constant."""
    share, n = np.asarray(share, dtype=float), np.asarray(n, dtype=float)
    return _solve(share, np.full_like(share, norm.ppf((1 + level) / 2)), lambda x: 1 / n)


def _solve(
    share: np.ndarray, quantile: np.ndarray, relative: Callable[[np.ndarray], np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the smallest and largest x with (share - x)^2 <= quantile^2 relative(x) x (1 - x)."""
    ends = []
    for bound in (0.0, 1.0):
        far, near = np.full_like(share, bound), share.astype(float)
        for _ in range(BISECTIONS):
            x = (far + near) / 2
            inside = np.abs(share - x) <= quantile * np.sqrt(relative(x) * x * (1 - x))
            far, near = np.where(inside, far, x), np.where(inside, x, near)
        ends.append(near)
    return ends[0], ends[1]
