"""How far apart clusters are: Davies-Bouldin and the inter-cluster distance in its three readings."""

from __future__ import annotations

import numpy as np

from regimebench.metrics.compactness import Centroids
from regimebench.metrics.partitions import Stack

__all__ = ["Linkage", "davies_bouldin"]

TILE_COLUMNS = 2048


def davies_bouldin(squared: np.ndarray, centroids: Centroids, stack: Stack) -> np.ndarray:
    """Return the Davies-Bouldin index (Davies & Bouldin 1979) of every partition.

    Parameters
    ----------
    squared : ndarray of float64, shape (n, P)
        Squared distances to the own cluster mean.
    centroids : Centroids
        Distances between cluster means.
    stack : Stack
        The partitions.

    Returns
    -------
    ndarray of float64, shape (P,)
        NaN unless there are 2 to n - 1 clusters. As in scikit-learn it is 0 where all clusters are points or all
        cluster means coincide, and two clusters with the same mean are not compared.
    """
    spread = stack.sum_clusters(np.sqrt(squared)) / stack.sizes
    values = np.full(stack.n_partitions, np.nan)
    for partition in np.flatnonzero((stack.n_clusters > 1) & (stack.n_clusters < stack.n_days)):
        own = spread[stack.span(partition)]
        between = centroids.distances(partition)
        if np.allclose(own, 0.0) or np.allclose(between, 0.0):
            values[partition] = 0.0
            continue
        between[between == 0.0] = np.inf
        values[partition] = ((own[:, None] + own) / between).max(axis=1).mean()
    return values


class Linkage:
    """Nearest distance between, and largest distance within clusters, gathered over blocks of days.

    Parameters
    ----------
    stack : Stack
        The partitions.
    """

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self._members = [np.argsort(labels, kind="stable") for labels in stack.labels]
        self._nearest = [np.full((k, k), np.inf) for k in stack.n_clusters]
        self._widest = np.zeros(stack.sizes.size)

    def add(self, distances: np.ndarray, rows: slice) -> None:
        """Take in the Euclidean distances (b, n) of the days ``rows`` to all days.

        Rounding to float32 keeps the order of distances, so it moves a minimum by 6e-8 of its value at most.
        """
        later = distances[:, rows.start :].astype(np.float32)  # earlier pairs were seen in an earlier block
        near, far = np.full(self.stack.n_days, np.inf, np.float32), np.zeros(self.stack.n_days, np.float32)
        for partition, days in enumerate(self._members):
            span = self.stack.span(partition)
            first = self.stack.starts_within(partition)
            for cluster, members in enumerate(np.split(days, first[1:])):
                low, high = np.searchsorted(members, (rows.start, rows.stop))
                if low == high:
                    continue
                _column_extremes(later, members[low:high] - rows.start, near[rows.start :], far[rows.start :])
                nearest = self._nearest[partition][cluster]
                np.minimum(nearest, np.minimum.reduceat(near[days], first), out=nearest)
                column = span.start + cluster
                self._widest[column] = max(self._widest[column], far[members].max())

    def matrices(self) -> list[np.ndarray]:
        """Return, per partition, the (k, k) nearest distances with the largest distance within on the diagonal."""
        result = []
        for partition, nearest in enumerate(self._nearest):
            matrix = np.minimum(nearest, nearest.T)
            np.fill_diagonal(matrix, self._widest[self.stack.span(partition)])
            result.append(matrix)
        return result

    def values(self) -> dict[str, np.ndarray]:
        """Return the inter-cluster distance in three readings, each of shape (P,), NaN for a single cluster.

        Returns
        -------
        dict of str to ndarray
            ``linkage_row_minimum`` and ``linkage_row_mean``: mean over clusters of the minimum, or mean, of the row of
            :meth:`matrices` (authors' published notebooks); a cluster of one day has 0 on its diagonal.
            ``linkage_pair_mean``: mean over pairs of clusters of the nearest distance (DSC paper, Eq. 9).
        """
        names = ("linkage_row_minimum", "linkage_row_mean", "linkage_pair_mean")
        result = {name: np.full(self.stack.n_partitions, np.nan) for name in names}
        for partition, matrix in enumerate(self.matrices()):
            k = len(matrix)
            if k == 1:
                continue
            result["linkage_row_minimum"][partition] = matrix.min(axis=1).mean()
            result["linkage_row_mean"][partition] = matrix.mean()
            result["linkage_pair_mean"][partition] = matrix[np.triu_indices(k, 1)].mean()
        return result


def _column_extremes(table: np.ndarray, rows: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:
    """Write the least and largest over ``rows`` of each column into ``low`` and ``high``, in tiles that stay cached."""
    for start in range(0, table.shape[1], TILE_COLUMNS):
        columns = slice(start, start + TILE_COLUMNS)
        tile = table[rows, columns]
        tile.min(axis=0, out=low[columns])
        tile.max(axis=0, out=high[columns])
