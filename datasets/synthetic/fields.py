"""Random fields and red noise: what the planted regimes are made of."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

__all__ = ["mix", "red_noise", "red_series", "seasonal_cycle", "smooth_patterns", "unit_rms"]

PERSISTENCE = 0.6
"""Lag-1 autocorrelation of amplitudes inside a spell and of the noise."""

WARMEST_DAY = 227
"""Day of the year on which the seasonal cycle peaks: mid-August, as the sea surface of the northern Atlantic."""


def unit_rms(patterns: np.ndarray) -> np.ndarray:
    """Scale patterns (..., lat, lon, variable) to root mean square 1 over the grid, each variable on its own."""
    return patterns / np.sqrt((patterns**2).mean(axis=(-3, -2), keepdims=True))


def smooth_patterns(
    rng: np.random.Generator, count: tuple[int, ...], shape: tuple[int, int, int], width: float
) -> np.ndarray:
    """Draw patterns with unit root mean square: white noise behind a Gaussian filter.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of the white noise.
    count : tuple of int
        Leading axes of the result.
    shape : tuple of int
        (lat, lon, variable); variables are independent of each other.
    width : float
        Standard deviation of the filter, as a share of the shorter side of the grid.

    Returns
    -------
    ndarray, shape (*count, lat, lon, variable)
    """
    white = rng.standard_normal((*count, *shape))
    return unit_rms(gaussian_filter(white, width * min(shape[:2]), axes=(-3, -2)))


def red_series(rng: np.random.Generator, n_days: int, count: int, persistence: float = PERSISTENCE) -> np.ndarray:
    """Draw stationary AR(1) series with variance 1, shape (n_days, count)."""
    return _redden(rng.standard_normal((n_days, count)), persistence)


def _redden(white: np.ndarray, persistence: float) -> np.ndarray:
    """Turn white noise along the first axis into stationary AR(1) noise of the same variance."""
    from scipy.signal import lfilter  # a second to load, which every start of the workflow would pay

    innovation = np.sqrt(1 - persistence**2)
    white[0] /= innovation
    return lfilter([white.dtype.type(innovation)], np.array([1, -persistence], dtype=white.dtype), white, axis=0)


def red_noise(rng: np.random.Generator, n_days: int, shape: tuple[int, int, int], width: float) -> np.ndarray:
    """Draw noise with unit variance that is smooth in space and AR(1) in time.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of the white noise.
    n_days : int
        Length of the first axis.
    shape : tuple of int
        (lat, lon, variable).
    width : float
        Standard deviation of the spatial filter, as a share of the shorter side of the grid.

    Returns
    -------
    ndarray of float32, shape (n_days, lat, lon, variable)
    """
    white = rng.standard_normal((n_days, *shape), dtype=np.float32)
    smooth = gaussian_filter(white, width * min(shape[:2]), axes=(1, 2))
    return _redden(smooth / smooth.std(dtype=np.float64).astype(np.float32), PERSISTENCE)


def seasonal_cycle(days: np.ndarray) -> np.ndarray:
    """Return the annual cosine, shape (time,), 1 on ``WARMEST_DAY``; ``days`` are datetime64[D]."""
    day_of_year = (days - days.astype("datetime64[Y]")).astype(int) + 1
    return np.cos(2 * np.pi * (day_of_year - WARMEST_DAY) / 365.25)


def mix(amplitudes: np.ndarray, modes: np.ndarray) -> np.ndarray:
    """Sum modes (m, lat, lon, variable) with amplitudes (time, m): fields (time, lat, lon, variable), float32.

    Spelt as a loop because a matrix product may differ in its last bits from one machine or thread count to the next.
    """
    total = np.zeros((amplitudes.shape[0], *modes.shape[1:]), dtype=np.float32)
    for amplitude, mode in zip(amplitudes.T.astype(np.float32), modes.astype(np.float32), strict=True):
        total += amplitude[:, None, None, None] * mode
    return total
