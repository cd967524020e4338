"""How tight clusters are: RMSE and variance about the cluster means, Calinski-Harabasz, and the audit they allow."""

from __future__ import annotations

import math

import numpy as np

from regimebench.metrics.distances import BLOCK_ENTRIES, Points
from regimebench.metrics.partitions import Stack

__all__ = [
    "Centroids",
    "PooledVariance",
    "calinski_harabasz",
    "implied_ch",
    "implied_inertia",
    "mean_variance",
    "rmse",
]


class Centroids:
    """Distances to and between cluster means, from inner products alone, summed up over blocks of days.

    With h the 0/1 vector of a cluster, G the inner products of the centred days and m the cluster mean,
    ``x . m = (G h) / size`` and ``m . m' = h' G h' / (size size')``: no cluster mean is ever formed.

    Parameters
    ----------
    points : Points
        The days.
    stack : Stack
        The partitions.
    """

    def __init__(self, points: Points, stack: Stack) -> None:
        self.points = points
        self.stack = stack
        self._own = np.empty((stack.n_days, stack.n_partitions))
        self._between = [np.zeros((k, k)) for k in stack.n_clusters]

    def add(self, gram: np.ndarray, rows: slice) -> None:
        """Take in the inner products (b, n) of the centred days ``rows`` with all days."""
        sums = gram @ self.stack.one_hot
        self._own[rows] = self.stack.pick_own(sums, rows)
        for partition, total in enumerate(self._between):
            span = self.stack.span(partition)
            total += self.stack.one_hot[rows, span].T @ sums[:, span]

    def squared_to_own(self) -> np.ndarray:
        """Return the squared distance of each day to its cluster mean, shape (n, P)."""
        stack = self.stack
        norm = np.concatenate([np.diag(total) for total in self._between]) / stack.sizes**2
        squared = norm[stack.columns] - 2.0 * self._own / stack.sizes[stack.columns]
        squared += self.points.norms[:, None]
        squared[squared <= self.points.tolerance] = 0.0
        return squared

    def distances(self, partition: int) -> np.ndarray:
        """Return the distances between the cluster means of one partition, shape (k, k)."""
        sizes = self.stack.sizes[self.stack.span(partition)]
        inner = self._between[partition] / np.outer(sizes, sizes)
        squared = np.diag(inner)[:, None] + np.diag(inner) - inner - inner.T
        squared[squared <= self.points.tolerance] = 0.0
        return np.sqrt(squared)


def rmse(squared: np.ndarray) -> np.ndarray:
    """Return the root mean squared distance of a day to its cluster mean (DSC paper, Eq. 11).

    Parameters
    ----------
    squared : ndarray of float64, shape (n, P)
        Squared distances to the own cluster mean.

    Returns
    -------
    ndarray of float64, shape (P,)
        In units of X. It is the root of the k-means inertia per day, not a reconstruction error.
    """
    return np.sqrt(squared.mean(axis=0))


def mean_variance(squared: np.ndarray, stack: Stack) -> np.ndarray:
    """Return the mean over clusters of the mean squared distance to the cluster mean (DSC paper, Eq. 10), (P,)."""
    return stack.sum_partitions(stack.sum_clusters(squared) / stack.sizes) / stack.n_clusters


def calinski_harabasz(squared: np.ndarray, points: Points, stack: Stack) -> np.ndarray:
    """Return the Calinski-Harabasz index (P,): dispersion between clusters over dispersion within, per freedom.

    NaN unless there are 2 to n - 1 clusters; 1 where every day equals its cluster mean (as in scikit-learn).
    """
    n, k = stack.n_days, stack.n_clusters
    within = squared.sum(axis=0)
    between = points.norms.sum() - within
    value = np.ones(stack.n_partitions)
    np.divide(between * (n - k), within * (k - 1), out=value, where=(within > 0) & (k > 1))
    return np.where((k > 1) & (k < n), value, np.nan)


class PooledVariance:
    """Variance of all entries of a cluster's rows about their one scalar mean (authors' published notebooks).

    It mixes the spread between columns with that between days and, alone among the metrics, changes when constant
    columns such as zero padding are added.

    Parameters
    ----------
    X : ndarray of float, shape (n, p)
        One row per day.
    columns : ndarray of bool, shape (p,), optional
        Columns to use; all by default.
    """

    def __init__(self, X: np.ndarray, columns: np.ndarray | None = None) -> None:
        width = X.shape[1] if columns is None else int(columns.sum())
        mean = X.mean(axis=0, dtype=np.float64)
        centre = (mean if columns is None else mean[columns]).mean() if width else 0.0
        self.n_columns = width
        self._sum = np.empty(len(X))
        self._squares = np.empty(len(X))
        step = max(1, BLOCK_ENTRIES // X.shape[1])
        for start in range(0, len(X), step):
            rows = slice(start, start + step)
            entries = (X[rows] if columns is None else X[rows][:, columns]) - np.float64(centre)
            self._sum[rows] = entries.sum(axis=1)
            self._squares[rows] = np.einsum("ij,ij->i", entries, entries)

    def value(self, stack: Stack) -> np.ndarray:
        """Return the variance weighted by cluster size, shape (P,); NaN where there is no column."""
        if not self.n_columns:
            return np.full(stack.n_partitions, np.nan)
        entries = stack.sizes * self.n_columns
        mean = stack.sum_clusters(self._sum) / entries
        variance = np.maximum(stack.sum_clusters(self._squares) / entries - mean**2, 0.0)
        return stack.sum_partitions(variance * stack.sizes) / stack.n_days


def implied_inertia(rmse: float, ch: float, n: int, k: int) -> float:
    """Return the total inertia per day that a printed RMSE and Calinski-Harabasz index imply.

    With W the inertia within clusters and T the total, ``rmse^2 = W/n`` and ``ch = ((T-W)/(k-1)) / (W/(n-k))``, so
    ``T/n = rmse^2 (1 + ch (k-1)/(n-k))``. T belongs to the data alone: rows of one table that disagree on it were
    not computed from one partition, or not from the same data.

    Parameters
    ----------
    rmse : float
        Root mean squared distance to the cluster mean, in units of X.
    ch : float
        Calinski-Harabasz index.
    n, k : int
        Days and non-empty clusters, ``1 <= k < n``.

    Returns
    -------
    float
        Mean squared distance of a day to the mean day, in squared units of X.

    Raises
    ------
    ValueError
        If k is not between 1 and n - 1, or a value is not a number.
    """
    if not 1 <= k < n:
        raise ValueError(f"{k} clusters of {n} days imply no inertia; the number of clusters must be 1 to {n - 1}")
    if math.isnan(rmse) or (math.isnan(ch) and k > 1):
        raise ValueError(f"rmse is {rmse} and calinski_harabasz is {ch}; both must be numbers")
    return rmse**2 * (1.0 + (ch * (k - 1) / (n - k) if k > 1 else 0.0))


def implied_ch(rmse: float, inertia: float, n: int, k: int) -> float:
    """Return the Calinski-Harabasz index that belongs to an RMSE: :func:`implied_inertia` solved for it.

    Parameters
    ----------
    rmse : float
        Root mean squared distance to the cluster mean, in units of X, above 0.
    inertia : float
        Mean squared distance of a day to the mean day.
    n, k : int
        Days and non-empty clusters, ``2 <= k < n``.
    """
    return (inertia / rmse**2 - 1) * (n - k) / (k - 1)
