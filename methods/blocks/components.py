"""Days as seen by methods that look for subspaces: from the mean day, on principal axes, perhaps of equal length.

Subspaces contain the origin, and what makes a day belong to one is its direction. Fields scaled to [0, 1] are all near
the mean day and point nearly the same way, so the origin is put there. A rotation changes no distance and no angle.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh


@dataclass(frozen=True)
class Components:
    """Leading principal components of days.

    Parameters
    ----------
    scores : ndarray of float64, shape (n_days, r)
        The days in the basis ``axes``, by falling variance.
    axes : ndarray of float64, shape (r, d)
        Orthonormal rows, but for rows of zeros where the days span no more directions.
    mean : ndarray of float64, shape (d,)
        The mean day.
    """

    scores: np.ndarray
    axes: np.ndarray
    mean: np.ndarray


def components(table: np.ndarray, count: int | None = None, centred: bool = True) -> Components:
    """Return the ``count`` leading components of the days, or all; never more than days or columns.

    Without ``centred`` the days are seen from zero, and ``mean`` is zero.

    They come from the smaller of the two matrices of products, days by days or columns by columns, so nothing is larger
    than the table.
    """
    mean = table.mean(axis=0, dtype=np.float64) * centred
    x = table - mean
    n, d = x.shape
    r = min(n, d) if count is None else min(n, d, count)
    wanted = [min(n, d) - r, min(n, d) - 1]
    if n <= d:
        squares, left = eigh(x @ x.T, subset_by_index=wanted)
        lengths = np.sqrt(np.maximum(squares, 0))
        real = lengths > lengths.max(initial=0) * np.sqrt(np.finfo(float).eps)
        axes = (left / np.where(real, lengths, np.inf)).T @ x
    else:
        _, right = eigh(x.T @ x, subset_by_index=wanted)
        axes = right.T
    axes = axes[::-1]
    return Components(x @ axes.T, axes, mean)


def unit_rows(x: np.ndarray) -> np.ndarray:
    """Scale each day to length 1; a day of zeros stays as it is."""
    length = np.linalg.norm(x, axis=1, keepdims=True)
    return x / np.where(length > 0, length, 1)
