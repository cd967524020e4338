"""The four mechanisms that make a day belong to a regime.

Each family first draws its fixed patterns, then the fields of a given sequence of regimes. All fields are
dimensionless, with a root mean square near 1, and have no mean field except where the family says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from datasets.synthetic.fields import mix, red_series, smooth_patterns
from datasets.synthetic.spells import runs

__all__ = ["FAMILIES", "Dynamics", "Subspaces", "Waves"]

PATTERN_WIDTH = 4 / 41
"""Gaussian filter of the patterns: 4 cells on a grid of 41 x 41, the same share of any other grid."""

SUBSPACE_DIMENSION = 4


@dataclass(frozen=True)
class Subspaces:
    """Each regime varies in a subspace of its own; with ``offset`` it also has a mean field of its own.

    Parameters
    ----------
    means : ndarray, shape (k, lat, lon, variable)
        Mean field of each regime, zero in the ``subspaces`` family.
    modes : ndarray, shape (k, 4, lat, lon, variable)
        Patterns that span each regime's subspace.
    """

    means: np.ndarray
    modes: np.ndarray
    long_spells: ClassVar[bool] = False

    @classmethod
    def draw(cls, rng: np.random.Generator, k: int, shape: tuple[int, int, int], offset: float) -> Subspaces:
        """Draw means with root mean square ``offset`` and modes whose sum has root mean square 1."""
        modes = smooth_patterns(rng, (k, SUBSPACE_DIMENSION), shape, PATTERN_WIDTH) / np.sqrt(SUBSPACE_DIMENSION)
        return cls(offset * smooth_patterns(rng, (k,), shape, PATTERN_WIDTH), modes)

    def fields(self, rng: np.random.Generator, labels: np.ndarray) -> np.ndarray:
        """Return fields (time, lat, lon, variable) for the regimes of the days."""
        out = np.empty((labels.size, *self.means.shape[1:]))
        for spell in runs(labels):
            regime = labels[spell.start]
            amplitudes = red_series(rng, spell.stop - spell.start, SUBSPACE_DIMENSION)
            out[spell] = self.means[regime] + mix(amplitudes, self.modes[regime])
        return out


@dataclass(frozen=True)
class Waves:
    """Each regime is a travelling wave; its phase on a given day is arbitrary.

    Parameters
    ----------
    vectors : ndarray of int, shape (k, 2)
        Waves per grid, southward and eastward.
    coupling : ndarray of complex, shape (k, variable)
        Amplitude and lag of each variable.
    frequency : ndarray, shape (k,)
        Phase by which the wave travels in a day, radians.
    shape : tuple of int
        (lat, lon, variable).
    """

    vectors: np.ndarray
    coupling: np.ndarray
    frequency: np.ndarray
    shape: tuple[int, int, int]
    long_spells: ClassVar[bool] = False

    @classmethod
    def draw(cls, rng: np.random.Generator, k: int, shape: tuple[int, int, int], offset: float) -> Waves:
        """Draw wave vectors, couplings and speeds; ``offset`` has no meaning here."""
        longest = low_wave_vectors(shape)
        vectors = longest[rng.permutation(np.arange(k) % len(longest))]
        amplitude = rng.uniform(0.5, 1.5, (k, shape[2]))
        amplitude /= np.sqrt((amplitude**2).mean(axis=1, keepdims=True))
        lag = rng.uniform(0, 2 * np.pi, (k, shape[2]))
        return cls(vectors, amplitude * np.exp(1j * lag), rng.uniform(0.2, 1.0, k), shape)

    def fields(self, rng: np.random.Generator, labels: np.ndarray) -> np.ndarray:
        """Return fields (time, lat, lon, variable) for the regimes of the days."""
        height, width, _ = self.shape
        y, x = np.arange(height)[:, None] / height, np.arange(width) / width
        out = np.empty((labels.size, *self.shape))
        for spell in runs(labels):
            regime = labels[spell.start]
            days = np.arange(spell.stop - spell.start)
            south, east = self.vectors[regime]
            phase = rng.uniform(0, 2 * np.pi) + self.frequency[regime] * days
            strength = np.exp(0.3 * red_series(rng, days.size, 1)[:, 0])
            carrier = np.exp(2j * np.pi * (south * y + east * x))[None, :, :, None]
            day = (strength * np.exp(-1j * phase))[:, None, None, None]
            out[spell] = np.sqrt(2) * (day * carrier * self.coupling[regime]).real
        return out


def low_wave_vectors(shape: tuple[int, int, int], highest: int = 2) -> np.ndarray:
    """Return the wave vectors of one half-plane up to ``highest`` waves per side, longest wave first, shape (m, 2)."""
    south, east = (min(highest, (side - 1) // 2) for side in shape[:2])
    vectors = [(a, b) for a in range(south + 1) for b in range(-east, east + 1) if a > 0 or b > 0]
    return np.array(sorted(vectors, key=lambda v: (v[0] ** 2 + v[1] ** 2, v)))


@dataclass(frozen=True)
class Dynamics:
    """Each regime moves the same state in its own way; the state's distribution is the same in all of them.

    The state is a complex AR(1) process in each of three planes of patterns, z' = multiplier * z + innovation, with
    the innovation's variance set so that z always has variance 1.

    Parameters
    ----------
    modes : ndarray, shape (6, lat, lon, variable)
        Patterns; plane p is spanned by modes 2p and 2p + 1.
    multipliers : ndarray of complex, shape (k, 3)
        One-day propagator of each regime in each plane: near 1 persists, 0 is white, a complex one rotates.
    """

    modes: np.ndarray
    multipliers: np.ndarray
    long_spells: ClassVar[bool] = True
    planes: ClassVar[int] = 3

    @classmethod
    def draw(cls, rng: np.random.Generator, k: int, shape: tuple[int, int, int], offset: float) -> Dynamics:
        """Draw modes and give every plane the same k ways to move, in another order; ``offset`` has no meaning here."""
        modes = smooth_patterns(rng, (2 * cls.planes,), shape, PATTERN_WIDTH) / np.sqrt(2 * cls.planes)
        turning = 0.95 * np.exp(2j * np.pi * np.arange(k - 1) / max(k - 1, 1))
        ways = np.concatenate([turning, [0]])
        return cls(modes, np.stack([rng.permutation(ways) for _ in range(cls.planes)], axis=1))

    def fields(self, rng: np.random.Generator, labels: np.ndarray) -> np.ndarray:
        """Return fields (time, lat, lon, variable) for the regimes of the days."""
        white = rng.standard_normal((labels.size, self.planes, 2)) @ np.array([1, 1j])
        state = np.empty_like(white)
        state[0] = white[0]
        for day in range(1, labels.size):
            multiplier = self.multipliers[labels[day]]
            state[day] = multiplier * state[day - 1] + np.sqrt(1 - np.abs(multiplier) ** 2) * white[day]
        return mix(np.stack([state.real, state.imag], axis=-1).reshape(labels.size, -1), self.modes)


FAMILIES = {"centroids": Subspaces, "subspaces": Subspaces, "waves": Waves, "dynamics": Dynamics}
"""What each family is made of; ``centroids`` is ``subspaces`` with mean fields."""
