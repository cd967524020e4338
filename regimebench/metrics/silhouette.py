"""Silhouette (Rousseeuw 1987): how much nearer a day is to its own cluster than to the next one."""

from __future__ import annotations

import numpy as np

from regimebench.metrics.partitions import Stack

__all__ = ["Silhouette"]


class Silhouette:
    """Mean silhouette of every partition, summed up over blocks of days.

    Parameters
    ----------
    stack : Stack
        The partitions.
    """

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self._total = np.zeros(stack.n_partitions)

    def add(self, distances: np.ndarray, rows: slice) -> None:
        """Take in the distances (b, n) of the days ``rows`` to all days.

        A day alone in its cluster, and a day at distance 0 from both clusters, has silhouette 0 (as in scikit-learn).
        """
        stack = self.stack
        own_size = stack.sizes[stack.columns[rows]]
        mean = distances @ stack.one_hot
        within = stack.pick_own(mean, rows) / np.maximum(own_size - 1, 1)
        mean /= stack.sizes
        np.put_along_axis(mean, stack.columns[rows], np.inf, axis=1)
        nearest = np.minimum.reduceat(mean, stack.starts, axis=1)
        larger = np.maximum(within, nearest)
        defined = (own_size > 1) & (larger > 0) & (stack.n_clusters > 1)
        values = np.divide(nearest - within, larger, out=np.zeros_like(within), where=defined)
        self._total += values.sum(axis=0)

    def value(self) -> np.ndarray:
        """Return the mean over days, shape (P,); NaN unless there are 2 to n - 1 clusters."""
        k = self.stack.n_clusters
        return np.where((k > 1) & (k < self.stack.n_days), self._total / self.stack.n_days, np.nan)
