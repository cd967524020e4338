"""Normalised cut by k-means on eigenvectors (Ng, Jordan and Weiss, NeurIPS 2001): the label step of some methods.

Methods whose source leaves a self-expression matrix share :mod:`methods.blocks.spectral` instead.
"""

from __future__ import annotations

import numpy as np
from sklearn.cluster import KMeans

from methods.blocks.components import unit_rows
from methods.blocks.spectral import leading
from methods.blocks.streams import sub_seed


def kmeans_cut(affinity: np.ndarray, k: int, seed: int, n_vectors: int | None = None, n_init: int = 20) -> np.ndarray:
    """Return labels by k-means on the rows, of length 1, of the leading eigenvectors of the normalised graph.

    Parameters
    ----------
    affinity : ndarray of float, shape (n_days, n_days)
        Symmetric, from 0. A day without edges has a row of zeros.
    k, seed : int
        As in the method contract.
    n_vectors : int, optional
        Eigenvectors, ``k`` if not given; at most one less than there are days.
    n_init : int
        Starts of k-means, of which the best by inertia is kept.
    """
    A = np.asarray(affinity, dtype=np.float64)
    degree = A.sum(axis=1)
    root = 1 / np.sqrt(np.where(degree > 0, degree, 1))
    _, vectors = leading(A * root * root[:, None], min(n_vectors or k, len(A) - 1))
    found = KMeans(k, n_init=n_init, random_state=sub_seed(seed, "kmeans cut"))
    return found.fit_predict(unit_rows(vectors))
