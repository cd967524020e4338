"""A planted data set: regimes, signal, seasonal cycle, noise and land mask, all dimensionless."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from datasets.synthetic.families import FAMILIES, PATTERN_WIDTH, Dynamics, Subspaces, Waves
from datasets.synthetic.fields import mix, red_noise, seasonal_cycle, smooth_patterns, unit_rms
from datasets.synthetic.spells import order_days, sizes

__all__ = ["Planting"]

NOISE_WIDTH = 1 / 41
"""Gaussian filter of the noise: 1 cell on a grid of 41 x 41."""

SEASONAL_AMPLITUDE = 0.7
"""Amplitude of the seasonal cycle; the signal of the subspaces has root mean square 1."""


@dataclass(frozen=True)
class Planting:
    """One planted data set, dimensionless.

    The seed is split into one stream per ingredient, so that, for example, another noise level leaves the regimes'
    patterns and the order of the days as they are.

    Parameters
    ----------
    family : str
        Key of ``FAMILIES``.
    days : ndarray of datetime64[D], shape (time,)
        Time axis.
    shape : tuple of int
        (lat, lon, variable).
    n_clusters : int
        Number of regimes.
    proportions : tuple of float
        Relative regime sizes.
    noise : float
        Standard deviation of the noise.
    offset : float
        Root mean square of the regimes' mean fields in units of the fields within a regime; ``centroids`` only.
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
        """What makes the regimes: the patterns and parameters that an oracle may be told."""
        within = np.hypot(1, self.noise)
        offset = self.offset * within if self.family == "centroids" else 0.0
        return FAMILIES[self.family].draw(self._stream(0), self.n_clusters, self.shape, offset)

    @cached_property
    def labels(self) -> np.ndarray:
        """Regime of each day, int64, shape (time,)."""
        regime_sizes = sizes(self.days.size, self.n_clusters, self.proportions)
        return order_days(self._stream(1), regime_sizes, long=self.mechanism.long_spells)

    @cached_property
    def seasonal_pattern(self) -> np.ndarray:
        """The one pattern that follows the seasons, shape (lat, lon, variable): of one sign nearly everywhere."""
        relief = smooth_patterns(self._stream(2), (), self.shape, PATTERN_WIDTH)
        return SEASONAL_AMPLITUDE * unit_rms(1 + relief / 2)

    @property
    def rms(self) -> float:
        """Expected root mean square of the anomalies."""
        return float(np.sqrt(self.mechanism.rms**2 + SEASONAL_AMPLITUDE**2 / 2 + self.noise**2))

    def anomalies(self) -> np.ndarray:
        """Return the fields, float32, shape (time, lat, lon, variable)."""
        fields = red_noise(self._stream(3), self.days.size, self.shape, NOISE_WIDTH)
        fields *= np.float32(self.noise)
        fields += mix(seasonal_cycle(self.days)[:, None], self.seasonal_pattern[None])
        fields += self.mechanism.fields(self._stream(4), self.labels)
        return fields

    def land(self) -> np.ndarray:
        """Return the land mask, bool, shape (lat, lon): one round island of at least one cell, unless there is none."""
        height, width = self.shape[:2]
        land = np.zeros(height * width, dtype=bool)
        if self.land_fraction > 0:
            cells = max(1, round(self.land_fraction * land.size))
            middle = self._stream(5).uniform(0.3, 0.7, 2) * (height, width)
            y, x = np.indices((height, width)).reshape(2, -1)
            distance = np.hypot(y - middle[0], x - middle[1])
            land[np.argsort(distance, kind="stable")[:cells]] = True
        return land.reshape(height, width)
