"""The official way from SENet's coefficients to labels: a sparse graph of nearest rows of C, cut by eigenvectors."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array
from sklearn.neighbors import kneighbors_graph

from methods.blocks.components import unit_rows
from methods.blocks.kmeans_cut import kmeans_cut


def neighbour_labels(C: np.ndarray, k: int, seed: int, neighbours: int, n_vectors: int, non_zeros: int) -> np.ndarray:
    """Return labels as the official code finds them.

    Of each row of C the ``non_zeros`` largest entries are kept, the row is scaled to length 1, the graph joins each day
    with those of the nearest rows (symmetrised), and its normalised cut takes ``n_vectors`` eigenvectors.

    Parameters
    ----------
    C : ndarray of float, shape (n_days, n_days)
        Coefficients.
    k, seed : int
        As in the method contract.
    neighbours, n_vectors, non_zeros : int
        Constants of the official code; never more than there are days.
    """
    rows = csr_array(unit_rows(largest(C, non_zeros)))
    graph = kneighbors_graph(rows, min(neighbours, len(C) - 1), mode="connectivity", include_self=False)
    return kmeans_cut(((graph + graph.T) / 2).toarray(), k, seed, n_vectors)


def largest(C: np.ndarray, count: int) -> np.ndarray:
    """Keep the ``count`` largest entries of each row by size."""
    if count >= C.shape[1]:
        return C
    least = np.partition(np.abs(C), -count, axis=1)[:, -count, None]
    return np.where(np.abs(C) >= least, C, 0)
