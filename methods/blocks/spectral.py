"""One way from a self-expression matrix C to labels, for every method that has one.

The published codes threshold C, project it on its leading singular vectors and take powers of what results before they
cut the graph, with constants for each data set. On one and the same C these constants decide between recovery and noise
(``docs/post-processing.md``), and without labels none can be chosen. So all methods here share one preset,
:data:`DEFAULT`: the constants that the authors of DSC-Net give for the data whose images (48 x 42), layers (three) and
code (1,080) are nearest to fields of 41 x 41 cells. Beside it stands the plain cut of abs(C), which has no constants.

Everything is a function of C, k and the seed, and every finite C has labels: columns of zeros, fewer days than the
rank, C = 0, graphs in pieces and fewer days than clusters included.

Source: DSC-Net, Ji et al., NeurIPS 2017, official code (``thrC`` and ``post_proC``); formulas only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh
from scipy.sparse.linalg import ArpackError, eigsh

from methods.blocks.streams import sub_seed

DEFAULT = "eyaleb"
DENSE_DAYS = 800  # up to so many, all eigenvectors are computed, which is as fast as a few and never fails
WEAK_EDGE = 1e-10  # between all days, as a share of their mean edge: eigenvectors of a graph in pieces are not unique
LOOKS = 100  # at most so many rotations; it settles after some ten


@dataclass(frozen=True)
class Preset:
    """Constants of the post-processing.

    Parameters
    ----------
    rho : callable or float
        Share of each column's L1 norm that is kept, perhaps by the number of clusters; all of it from 1.
    d : int
        Dimensions per cluster: the rank is ``d k + 1``, at most one less than there are days.
    alpha : float
        Power of the affinity.
    negatives : str
        ``clip`` sets negative affinities to 0 (DSC-Net), ``abs`` keeps their size (DASC).
    diagonal : bool
        Set the diagonal of the symmetrised C to 1.
    """

    rho: Callable[[int], float] | float
    d: int
    alpha: float
    negatives: str = "clip"
    diagonal: bool = False

    def share(self, k: int) -> float:
        """Return ``rho`` for ``k`` clusters."""
        return self.rho(k) if callable(self.rho) else self.rho


PRESETS: dict[str, Preset] = {
    # The official code is Python 2, where (k - 1) / 10 is a whole number: 0.4 up to ten clusters. Python 3 makes it
    # 0.34 for seven.
    "eyaleb": Preset(lambda k: max(0.4 - 0.1 * ((k - 1) // 10), 0.1), 10, 3.5),
    "eyaleb_python3": Preset(lambda k: max(0.4 - 0.1 * (k - 1) / 10, 0.1), 10, 3.5),
    "orl": Preset(0.2, 3, 1),
    "coil20": Preset(0.04, 12, 8, diagonal=True),
    "coil100": Preset(0.04, 12, 8),
    "dasc_eyaleb": Preset(0.1, 10, 3.5, negatives="abs"),
    "dasc_orl": Preset(0.2, 3, 2, negatives="abs"),
    "dasc_coil20": Preset(0.04, 12, 8, negatives="abs"),
}
"""Constants of the official codes of DSC-Net and DASC, by data set."""


def labelings(C: np.ndarray, table: np.ndarray, k: int, seed: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return the labels of a self-expressive method, and those that show where they come from.

    Parameters
    ----------
    C : ndarray of float, shape (n_days, n_days)
        Row i holds the coefficients of day i.
    table : ndarray of float, shape (n_days, d)
        The days themselves.
    k, seed : int
        As in the method contract.

    Returns
    -------
    labels : ndarray of int, shape (n_days,)
        By the shared post-processing.
    others : dict
        ``plain_cut`` without post-processing, and ``raw_data``: the same post-processing of least squares on ``table``.
    """
    raw = spectral_labels(raw_least_squares(table), k, seed)
    return spectral_labels(C, k, seed), {"plain_cut": cut(plain_affinity(C), k, seed), "raw_data": raw}


def spectral_labels(C: np.ndarray, k: int, seed: int, preset: str = DEFAULT) -> np.ndarray:
    """Return the labels of C by the constants of a preset, shape (n_days,)."""
    return cut(affinity(C, k, PRESETS[preset]), k, seed)


def affinity(C: np.ndarray, k: int, preset: Preset) -> np.ndarray:
    """Return the affinity of each pair of days, from 0 to 1: angles between days in the leading part of C.

    The singular vectors of a symmetric matrix are its eigenvectors, the singular values the sizes of its eigenvalues.
    """
    C = threshold(_finite(C), preset.share(k))
    C = (C + C.T) / 2
    if preset.diagonal:
        np.fill_diagonal(C, 1)
    rank = min(preset.d * k + 1, len(C) - 1)
    values, vectors = leading(C, rank, by_size=True)
    U = _unit(vectors * np.sqrt(np.abs(values)), axis=1)
    A = U @ U.T
    A = np.abs(A) if preset.negatives == "abs" else np.maximum(A, 0)
    A **= preset.alpha
    A /= A.max() or 1
    return (A + A.T) / 2


def threshold(C: np.ndarray, rho: float) -> np.ndarray:
    """Keep the largest entries of each column, the fewest whose sizes add up to more than ``rho`` of all; signs stay.

    Columns, as in the official code, although it is rows that hold the coefficients of a day. Entries of equal size are
    kept or dropped together.
    """
    if rho >= 1:
        return np.array(C, dtype=np.float64)
    columns = np.asarray(C, dtype=np.float64).T
    sizes = np.sort(np.abs(columns), axis=1)[:, ::-1]
    sums = np.cumsum(sizes, axis=1)
    last = (sums <= rho * sums[:, -1:]).sum(axis=1).clip(max=len(columns) - 1)  # a column of zeros never exceeds
    return np.where(np.abs(columns) >= sizes[np.arange(len(sizes)), last, None], columns, 0).T


def plain_affinity(C: np.ndarray) -> np.ndarray:
    """Return abs(C), symmetrised, with a diagonal of 0."""
    A = np.abs(_finite(C))
    A = (A + A.T) / 2
    np.fill_diagonal(A, 0)
    return A


def cut(affinity: np.ndarray, k: int, seed: int) -> np.ndarray:
    """Return the normalised cut of a graph in at most ``k`` parts.

    Eigenvectors of the normalised Laplacian, discretised by rotation: what scikit-learn's ``SpectralClustering`` does
    with ``assign_labels="discretize"``, which fails on days without any edge.

    Parameters
    ----------
    affinity : ndarray of float, shape (n_days, n_days)
        Symmetric, from 0; the diagonal is left out.
    k, seed : int
        As in the method contract.

    Returns
    -------
    ndarray of int, shape (n_days,)
        All 0 if no two days are related; each day on its own if there are no more days than clusters.
    """
    A = np.array(affinity, dtype=np.float64)
    n = len(A)
    np.fill_diagonal(A, 0)
    total = A.sum()
    if total == 0:
        return np.zeros(n, dtype=np.int64)
    if n <= k:
        return np.arange(n)
    A += WEAK_EDGE * total / n**2
    root = 1 / np.sqrt(A.sum(axis=1))
    A *= root
    A *= root[:, None]
    _, vectors = leading(A, k)
    return discretise(vectors * root[:, None], np.random.default_rng(sub_seed(seed, "cut")))


def discretise(vectors: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the partition nearest to a rotation of eigenvectors (Yu and Shi, ICCV 2003).

    Parameters
    ----------
    vectors : ndarray of float, shape (n_days, k)
        Eigenvectors as columns.
    rng : numpy.random.Generator
        Draws the first of the days, nearly at right angles to each other, that make up the first rotation.
    """
    n, k = vectors.shape
    V = _unit(_unit(vectors, axis=0), axis=1)
    rotation = np.empty((k, k))
    rotation[:, 0] = V[rng.integers(n)]
    overlap = np.zeros(n)
    for j in range(1, k):
        overlap += np.abs(V @ rotation[:, j - 1])
        rotation[:, j] = V[overlap.argmin()]
    last = np.inf
    for _ in range(LOOKS):
        labels = (V @ rotation).argmax(axis=1)
        U, S, W = np.linalg.svd(np.eye(k)[labels].T @ V)
        if abs(S.sum() - last) < np.finfo(float).eps * n:
            break
        last = S.sum()
        rotation = W.T @ U.T
    return labels


def leading(A: np.ndarray, count: int, by_size: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Return the ``count`` largest eigenvalues, perhaps by size, and eigenvectors of a symmetric matrix."""
    n = len(A)
    if n > DENSE_DAYS and count < n // 8:
        rng = np.random.default_rng(0)  # the vector it starts from, and those it may need on the way
        try:
            return eigsh(A, count, which="LM" if by_size else "LA", v0=rng.standard_normal(n), rng=rng)
        except ArpackError:  # such as C = 0, where no direction leads
            pass
    values, vectors = eigh(A)
    last = np.argsort(np.abs(values) if by_size else values, kind="stable")[n - count :]
    return values[last], vectors[:, last]


def raw_least_squares(x: np.ndarray, ridge: float = 1e-3, centred: bool = False) -> np.ndarray:
    """Return the C that least squares give for the data themselves.

    Parameters
    ----------
    x : ndarray of float, shape (n_days, d)
        Days as rows.
    ridge : float
        Weight of ||C||^2 beside ||x - C x||^2, as a share of the largest squared singular value of ``x``. The oracle
        of the planted subspaces has the same.
    centred : bool
        Take the mean day off first.

    Returns
    -------
    ndarray of float, shape (n_days, n_days)
        The projection on the singular vectors of ``x``, each shrunk by s^2 / (s^2 + weight).
    """
    x = np.asarray(x, dtype=np.float64)
    if centred:
        x = x - x.mean(axis=0)
    if x.shape[0] <= x.shape[1]:
        squares, U = eigh(x @ x.T)
    else:
        squares, V = eigh(x.T @ x)
        U = _unit(x @ V, axis=0)
    squares = np.maximum(squares, 0)
    weight = ridge * squares.max() or 1.0
    return (U * (squares / (squares + weight))) @ U.T


def _unit(x: np.ndarray, axis: int) -> np.ndarray:
    """Scale vectors along an axis to length 1; zeros stay."""
    length = np.linalg.norm(x, axis=axis, keepdims=True)
    return x / np.where(length > 0, length, 1)


def _finite(C: np.ndarray) -> np.ndarray:
    """Return C in double precision.

    Raises
    ------
    ValueError
        If an entry is NaN or infinite.
    """
    C = np.asarray(C, dtype=np.float64)
    if not np.isfinite(C).all():
        day = int(np.flatnonzero(~np.isfinite(C).all(axis=1))[0])
        raise ValueError(f"row {day} of the self-expression matrix holds NaN or infinity; check the training")
    return C
