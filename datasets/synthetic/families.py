"""The four mechanisms that make a day belong to a regime.

Each family first draws its fixed patterns, then the fields of a given sequence of regimes. All fields are
dimensionless; they have no mean field except in the ``centroids`` family.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from datasets.synthetic.fields import mix, red_series, smooth_patterns
from datasets.synthetic.spells import runs

__all__ = ["FAMILIES", "PATTERN_WIDTH", "Dynamics", "Subspaces", "Waves", "low_wave_numbers"]

PATTERN_WIDTH = 4 / 41
"""Gaussian filter of the patterns: 4 cells on a grid of 41 x 41, the same share of any other grid."""


@dataclass(frozen=True)
class Subspaces:
    """Each regime varies in a subspace of its own; with ``offset`` it also has a mean field of its own.

    Parameters
    ----------
    means : ndarray, shape (k, lat, lon, variable)
        Mean field of each regime, zero in the ``subspaces`` family. Some regimes stand out more than others: the
        root mean squares are spread evenly over ``prominence`` times ``offset``.
    modes : ndarray, shape (k, 4, lat, lon, variable)
        Patterns that span each regime's subspace.
    rms : float
        Expected root mean square of the fields.
    """

    means: np.ndarray
    modes: np.ndarray
    rms: float
    dimension: ClassVar[int] = 4
    prominence: ClassVar[tuple[float, float]] = (0.5, 1.65)
    long_spells: ClassVar[bool] = False

    @classmethod
    def draw(cls, rng: np.random.Generator, k: int, shape: tuple[int, int, int], offset: float) -> Subspaces:
        """Draw means of root mean square about ``offset`` and modes that add up to root mean square 1."""
        modes = smooth_patterns(rng, (k, cls.dimension), shape, PATTERN_WIDTH) / np.sqrt(cls.dimension)
        strength = offset * rng.permutation(np.linspace(*cls.prominence, k))
        means = strength[:, None, None, None] * smooth_patterns(rng, (k,), shape, PATTERN_WIDTH)
        return cls(means, modes, float(np.hypot(1, offset)))

    def fields(self, rng: np.random.Generator, labels: np.ndarray) -> np.ndarray:
        """Return fields (time, lat, lon, variable), float32, for the regimes of the days."""
        out = np.empty((labels.size, *self.means.shape[1:]), dtype=np.float32)
        for spell in runs(labels):
            regime = labels[spell.start]
            amplitudes = red_series(rng, spell.stop - spell.start, self.dimension)
            out[spell] = self.means[regime] + mix(amplitudes, self.modes[regime])
        return out


@dataclass(frozen=True)
class Waves:
    """Each regime is a travelling wave; its phase is arbitrary, so that no place is typical of it.

    From spell to spell the wave vector and the variables' lags vary a little about those of the regime.

    Parameters
    ----------
    vectors : ndarray of int, shape (k, 2)
        Waves per grid, southward and eastward.
    coupling : ndarray of complex, shape (k, variable)
        Amplitude and lag of each variable.
    frequency : ndarray, shape (k,)
        Phase by which the wave travels in a day, radians, either way.
    shape : tuple of int
        (lat, lon, variable).
    """

    vectors: np.ndarray
    coupling: np.ndarray
    frequency: np.ndarray
    shape: tuple[int, int, int]
    long_spells: ClassVar[bool] = False
    rms: ClassVar[float] = 2.0
    vector_spread: ClassVar[float] = 0.25
    lag_spread: ClassVar[float] = 0.9

    @classmethod
    def draw(cls, rng: np.random.Generator, k: int, shape: tuple[int, int, int], offset: float) -> Waves:
        """Draw wave vectors, couplings and speeds; ``offset`` has no meaning here."""
        south, east = low_wave_numbers(shape)
        low = np.array([(a, b) for a in south for b in east if a > 0 or b > 0])
        vectors = low[rng.permutation(np.arange(k) % len(low))]
        amplitude = rng.uniform(0.5, 1.5, (k, shape[2]))
        amplitude *= cls.rms / np.sqrt((amplitude**2).mean(axis=1, keepdims=True))
        lag = rng.uniform(0, 2 * np.pi, (k, shape[2]))
        frequency = rng.uniform(0, 0.3, k) * rng.choice([-1, 1], k)
        return cls(vectors, amplitude * np.exp(1j * lag), frequency, shape)

    def fields(self, rng: np.random.Generator, labels: np.ndarray) -> np.ndarray:
        """Return fields (time, lat, lon, variable), float32, for the regimes of the days."""
        height, width, variables = self.shape
        y, x = np.linspace(-0.5, 0.5, height)[:, None], np.linspace(-0.5, 0.5, width)
        out = np.empty((labels.size, *self.shape), dtype=np.float32)
        for spell in runs(labels):
            regime = labels[spell.start]
            south, east = self.vectors[regime] + self.vector_spread * rng.standard_normal(2)
            lag = self.lag_spread * rng.standard_normal(variables)
            phase = rng.uniform(0, 2 * np.pi) + self.frequency[regime] * np.arange(spell.stop - spell.start)
            carrier = np.exp(2j * np.pi * (south * y + east * x))[:, :, None] * self.coupling[regime] * np.exp(1j * lag)
            out[spell] = np.sqrt(2) * (np.exp(-1j * phase)[:, None, None, None] * carrier).real
        return out


def low_wave_numbers(shape: tuple[int, ...], highest: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Return the wave numbers up to ``highest`` that the grid resolves: southward (0 and up), eastward (both signs)."""
    south, east = (min(highest, (side - 1) // 2) for side in shape[:2])
    return np.arange(south + 1), np.arange(-east, east + 1)


@dataclass(frozen=True)
class Dynamics:
    """Each regime moves the same state in its own way; where the state is says nothing about the regime.

    The state is a complex AR(1) process in each of three planes of patterns, z' = multiplier * z + innovation, with
    the innovation's variance set so that z has the same variance in every regime.

    Parameters
    ----------
    modes : ndarray, shape (6, lat, lon, variable)
        Patterns; plane p is spanned by modes 2p and 2p + 1.
    multipliers : ndarray of complex, shape (k, 3)
        One-day propagator of each regime in each plane: 0 is white, near 1 persists, a complex one rotates.
    """

    modes: np.ndarray
    multipliers: np.ndarray
    long_spells: ClassVar[bool] = True
    rms: ClassVar[float] = 1.0
    planes: ClassVar[int] = 3
    memory: ClassVar[float] = 0.9

    @classmethod
    def draw(cls, rng: np.random.Generator, k: int, shape: tuple[int, int, int], offset: float) -> Dynamics:
        """Draw modes and give every plane the same k ways to move, in another order; ``offset`` has no meaning here."""
        modes = smooth_patterns(rng, (2 * cls.planes,), shape, PATTERN_WIDTH) / np.sqrt(2 * cls.planes)
        turning = cls.memory * np.exp(2j * np.pi * np.arange(k - 1) / (k - 1))
        ways = np.concatenate([turning, [0]])
        return cls(modes, np.stack([rng.permutation(ways) for _ in range(cls.planes)], axis=1))

    def fields(self, rng: np.random.Generator, labels: np.ndarray) -> np.ndarray:
        """Return fields (time, lat, lon, variable), float32, for the regimes of the days."""
        parts = rng.standard_normal((2, labels.size, self.planes))
        innovation = parts[0] + 1j * parts[1]
        state = innovation.copy()
        for day in range(1, labels.size):
            multiplier = self.multipliers[labels[day]]
            state[day] = multiplier * state[day - 1] + np.sqrt(1 - np.abs(multiplier) ** 2) * innovation[day]
        return mix(np.stack([state.real, state.imag], axis=-1).reshape(labels.size, -1), self.modes)


FAMILIES: dict[str, type[Subspaces] | type[Waves] | type[Dynamics]] = {
    "centroids": Subspaces,
    "subspaces": Subspaces,
    "waves": Waves,
    "dynamics": Dynamics,
}
"""What each family is made of; ``centroids`` is ``subspaces`` with mean fields."""
