"""The shared pass over blocks of days: inner products, Euclidean and cosine distances, each computed once.

Nothing of size n x n is ever held, and X is turned to float64 in pieces, so memory stays near that of X itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

__all__ = ["ROUNDING", "Block", "Points"]

BLOCK_ENTRIES = 2**22
"""Entries of one float64 work array (32 MiB)."""

ROUNDING = 1e-13
"""Squared distances below this share of the largest squared norm are rounding and count as 0: duplicated days."""


@dataclass(frozen=True)
class Block:
    """Some days against all days.

    Parameters
    ----------
    rows : slice
        The days of the block.
    gram : ndarray of float64, shape (b, n)
        Inner products after the mean day is subtracted.
    euclidean, cosine : ndarray of float64, shape (b, n)
        Distances; exactly 0 from a day to itself.
    """

    rows: slice
    gram: np.ndarray
    euclidean: np.ndarray
    cosine: np.ndarray


class Points:
    """Days as points, with what every block needs computed once.

    Parameters
    ----------
    X : ndarray of float, shape (n, p)
        One row per day.

    Attributes
    ----------
    norms : ndarray of float64, shape (n,)
        Squared distance of each day to the mean day; the sum is the total inertia.
    """

    def __init__(self, X: np.ndarray) -> None:
        self.X = X
        self.n_days, self.n_columns = X.shape
        self.mean = X.mean(axis=0, dtype=np.float64)
        self.norms = np.zeros(self.n_days)
        self._along_mean = np.zeros(self.n_days)
        squared_lengths = np.zeros(self.n_days)
        for columns in self._column_chunks():
            centred = X[:, columns] - self.mean[columns]
            self.norms += np.einsum("ij,ij->i", centred, centred)
            self._along_mean += centred @ self.mean[columns]
            squared_lengths += np.einsum("ij,ij->i", X[:, columns], X[:, columns], dtype=np.float64)
        lengths = np.sqrt(squared_lengths)
        self._inverse_lengths = np.divide(1.0, lengths, out=np.zeros(self.n_days), where=lengths > 0)
        self.tolerance = ROUNDING * self.norms.max(initial=0.0)

    def _column_chunks(self) -> Iterator[slice]:
        step = max(1, 2 * BLOCK_ENTRIES // self.n_days)
        for start in range(0, self.n_columns, step):
            yield slice(start, min(start + step, self.n_columns))

    def blocks(self) -> Iterator[Block]:
        """Yield all days against all days, a block of rows at a time."""
        step = max(1, BLOCK_ENTRIES // self.n_days)
        for start in range(0, self.n_days, step):
            rows = slice(start, min(start + step, self.n_days))
            gram = np.zeros((rows.stop - rows.start, self.n_days))
            for columns in self._column_chunks():
                centred = self.X[:, columns] - self.mean[columns]
                gram += centred[rows] @ centred.T
            yield Block(rows, gram, self._euclidean(gram, rows), self._cosine(gram, rows))

    def _euclidean(self, gram: np.ndarray, rows: slice) -> np.ndarray:
        squared = gram * -2.0
        squared += self.norms[rows, None]
        squared += self.norms
        squared[squared <= self.tolerance] = 0.0
        _zero_own(squared, rows)
        return np.sqrt(squared, out=squared)

    def _cosine(self, gram: np.ndarray, rows: slice) -> np.ndarray:
        # x.y = (x-m).(y-m) + (x-m).m + (y-m).m + m.m, so one matrix product serves both distances. A zero day keeps
        # inverse length 0 and is at distance 1 from every other, as in scikit-learn.
        similarity = gram + self._along_mean[rows, None]
        similarity += self._along_mean + self.mean @ self.mean
        similarity *= self._inverse_lengths[rows, None]
        similarity *= self._inverse_lengths
        distance = np.subtract(1.0, similarity, out=similarity)
        distance[distance <= ROUNDING] = 0.0
        np.minimum(distance, 2.0, out=distance)
        _zero_own(distance, rows)
        return distance


def _zero_own(distances: np.ndarray, rows: slice) -> None:
    """Set the distance of each day of the block to itself to 0."""
    line = np.arange(rows.stop - rows.start)
    distances[line, rows.start + line] = 0.0
