"""Many partitions of the same days, stacked so that one matrix product serves all of them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

__all__ = ["Stack", "canonical", "chunks"]

ONE_HOT_ENTRIES = 2**27
"""Entries of the stacked one-hot matrix (1 GiB); more partitions are scored in several passes."""


def canonical(partitions: np.ndarray) -> np.ndarray:
    """Rename the clusters of each partition 0, 1, ... in the order in which they first appear.

    Parameters
    ----------
    partitions : ndarray of int, shape (P, n)
        Any integers.

    Returns
    -------
    ndarray of int64, shape (P, n)
        Equal rows are equal partitions, whatever their clusters were called.
    """
    renamed = np.empty(partitions.shape, dtype=np.int64)
    for row, labels in zip(renamed, partitions, strict=True):
        _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
        row[:] = np.argsort(np.argsort(first))[inverse]
    return renamed


class Stack:
    """Canonical partitions side by side: cluster ``c`` of partition ``p`` is column ``starts[p] + c``.

    Parameters
    ----------
    labels : ndarray of int64, shape (P, n)
        Canonical labels, see :func:`canonical`.

    Attributes
    ----------
    n_clusters : ndarray of int64, shape (P,)
        Non-empty clusters of each partition.
    starts : ndarray of int64, shape (P,)
        First column of each partition.
    columns : ndarray of int64, shape (n, P)
        Column of each day's cluster.
    sizes : ndarray of int64, shape (K,)
        Days per column, K clusters in all.
    one_hot : ndarray of float64, shape (n, K)
        1 where the day is in the cluster.
    """

    def __init__(self, labels: np.ndarray) -> None:
        self.labels = labels
        self.n_partitions, self.n_days = labels.shape
        self.n_clusters = labels.max(axis=1) + 1
        self.starts = np.concatenate(([0], np.cumsum(self.n_clusters)[:-1]))
        self.columns = np.ascontiguousarray((labels + self.starts[:, None]).T)
        self.sizes = np.bincount(self.columns.ravel(), minlength=int(self.n_clusters.sum()))
        self.one_hot = np.zeros((self.n_days, self.sizes.size))
        np.put_along_axis(self.one_hot, self.columns, 1.0, axis=1)

    def span(self, partition: int) -> slice:
        """Return the columns of one partition."""
        start = int(self.starts[partition])
        return slice(start, start + int(self.n_clusters[partition]))

    def starts_within(self, partition: int) -> np.ndarray:
        """Return where each cluster of one partition begins among its days sorted by cluster, shape (k,)."""
        return np.concatenate(([0], np.cumsum(self.sizes[self.span(partition)])[:-1]))

    def pick_own(self, per_cluster: np.ndarray, rows: slice) -> np.ndarray:
        """Return, of values (b, K) for the days ``rows``, those of each day's own clusters, shape (b, P)."""
        return np.take_along_axis(per_cluster, self.columns[rows], axis=1)

    def sum_clusters(self, per_day: np.ndarray) -> np.ndarray:
        """Sum values (n, P), one per day and partition, or (n,), over the days of each cluster; shape (K,)."""
        weights = np.broadcast_to(per_day.reshape(self.n_days, -1), self.columns.shape)
        return np.bincount(self.columns.ravel(), weights=weights.ravel(), minlength=self.sizes.size)

    def sum_partitions(self, per_cluster: np.ndarray) -> np.ndarray:
        """Sum values (K,) over the clusters of each partition, shape (P,)."""
        return np.add.reduceat(per_cluster, self.starts)


def chunks(labels: np.ndarray) -> Iterator[slice]:
    """Yield runs of canonical partitions (P, n) whose stacked one-hot matrix fits the work space, at least one each."""
    limit = max(1, ONE_HOT_ENTRIES // labels.shape[1])
    start, clusters = 0, 0
    for stop, count in enumerate(labels.max(axis=1) + 1):
        if clusters and clusters + count > limit:
            yield slice(start, stop)
            start, clusters = stop, 0
        clusters += count
    yield slice(start, len(labels))
