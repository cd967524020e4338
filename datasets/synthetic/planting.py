"""Put a planted data set together: regimes, signal, seasonal cycle, noise and land mask."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.ndimage import gaussian_filter

from datasets.synthetic.families import FAMILIES, PATTERN_WIDTH, Dynamics, Subspaces, Waves
from datasets.synthetic.fields import SEASONAL_AMPLITUDE, mix, red_noise, seasonal_cycle, smooth_patterns
from datasets.synthetic.spells import order_days, sizes

__all__ = ["Planting"]

NOISE_WIDTH = 1 / 41
"""Gaussian filter of the noise: 1 cell on a grid of 41 x 41."""


@dataclass(frozen=True)
class Planting:
    """One planted data set, dimensionless.

    The seed is split into one stream per ingredient, so that, for example, another noise level leaves the regimes'
    patterns and the order of the days as they are.

    Parameters
    ----------
    family : str
        Key of ``FAMILIES``.
    days : ndarray of datetime64[D]
        Time axis.
    shape : tuple of int
        (lat, lon, variable).
    n_clusters : int
        Number of regimes.
    proportions : tuple of float
        Relative regime sizes.
    noise : float
        Standard deviation of the noise; the signal's is 1.
    offset : float
        Root mean square of the regimes' mean fields, ``centroids`` only.
    land_fraction : float
        Share of the grid cells that are land.
    seed : int
        The only source of randomness.
    """

    family: str
    days: np.ndarray
    shape: tuple[int, int, int]
    n_clusters: int
    proportions: tuple[float, ...]
    noise: float
    offset: float
    land_fraction: float
    seed: int

    def _stream(self, ingredient: int) -> np.random.Generator:
        """Return the random stream of one ingredient."""
        return np.random.default_rng([self.seed, ingredient])

    @cached_property
    def mechanism(self) -> Subspaces | Waves | Dynamics:
        """What makes the regimes: the patterns and parameters that oracles may be told."""
        offset = self.offset if self.family == "centroids" else 0.0
        return FAMILIES[self.family].draw(self._stream(0), self.n_clusters, self.shape, offset)

    @cached_property
    def labels(self) -> np.ndarray:
        """Regime of each day, int64, shape (time,)."""
        regime_sizes = sizes(self.days.size, self.n_clusters, self.proportions)
        return order_days(self._stream(1), regime_sizes, long=self.mechanism.long_spells)

    @cached_property
    def seasonal_pattern(self) -> np.ndarray:
        """The one pattern that follows the sun, shape (lat, lon, variable)."""
        return SEASONAL_AMPLITUDE * smooth_patterns(self._stream(2), (), self.shape, PATTERN_WIDTH)

    def anomalies(self) -> np.ndarray:
        """Return the fields, float32, shape (time, lat, lon, variable)."""
        signal = self.mechanism.fields(self._stream(3), self.labels)
        season = mix(seasonal_cycle(self.days)[:, None], self.seasonal_pattern[None])
        return (signal + season + self.noise * red_noise(self._stream(4), self.days.size, self.shape, NOISE_WIDTH)).astype(
            np.float32
        )

    def land(self) -> np.ndarray:
        """Return the land mask, bool, shape (lat, lon): one island around the peak of a smooth random relief."""
        cells = round(self.land_fraction * self.shape[0] * self.shape[1])
        if self.land_fraction > 0:
            cells = max(cells, 1)
        height, width = self.shape[:2]
        relief = gaussian_filter(self._stream(5).standard_normal((height, width)), PATTERN_WIDTH * min(height, width))
        peak = np.unravel_index(relief.argmax(), relief.shape)
        land = np.zeros((height, width), dtype=bool)
        land[peak] = cells > 0
        return land
