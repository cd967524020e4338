"""Transition and persistence of regimes: which cluster follows which, and how long a spell lasts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Transitions", "transitions"]

DAY = np.timedelta64(1, "D")


@dataclass(frozen=True)
class Transitions:
    """Pairs of consecutive days, by the clusters of both.

    Parameters
    ----------
    counts : ndarray of int, shape (k, k)
        Pairs of a day in cluster i (row) and the next day in cluster j (column).
    sizes : ndarray of int, shape (k,)
        Days per cluster.
    """

    counts: np.ndarray
    sizes: np.ndarray

    @property
    def probabilities(self) -> np.ndarray:
        """Share of each cluster's next days, shape (k, k); NaN for a cluster that no day follows."""
        following = self.counts.sum(axis=1, keepdims=True)
        return np.divide(self.counts, following, out=np.full(self.counts.shape, np.nan), where=following > 0)

    @property
    def expected(self) -> np.ndarray:
        """Expected ``counts`` of these labels in random order: m n_i (n_j - [i = j]) / n (n - 1), m pairs of n days."""
        n, pairs = self.sizes.sum(), self.counts.sum()
        return pairs * (np.outer(self.sizes, self.sizes) - np.diag(self.sizes)) / max(1, n * (n - 1))

    @property
    def spell(self) -> np.ndarray:
        """Mean length of spells in days, shape (k,), those cut by a gap or an end of the data included."""
        return self._length(np.diag(self.counts))

    @property
    def random_spell(self) -> np.ndarray:
        """Days of a cluster over its expected number of spells in random order, shape (k,)."""
        return self._length(np.diag(self.expected))

    @property
    def stays(self) -> tuple[float, float]:
        """Share of pairs that stay in their cluster, and its expectation in random order."""
        pairs = self.counts.sum()
        return tuple(float(np.trace(each) / pairs) if pairs else float("nan") for each in (self.counts, self.expected))

    def _length(self, inside: np.ndarray) -> np.ndarray:
        spells = self.sizes - inside  # each spell begins with a day whose predecessor is not in the cluster
        return np.divide(self.sizes, spells, out=np.full(len(spells), np.nan), where=spells > 0)


def transitions(labels: np.ndarray, time: np.ndarray, n_clusters: int) -> Transitions:
    """Count transitions between consecutive days; days on both sides of a gap are no pair.

    Parameters
    ----------
    labels : ndarray of int, shape (n_days,)
        In 0 .. ``n_clusters`` - 1.
    time : ndarray of datetime64, shape (n_days,)
        Strictly increasing.
    n_clusters : int
    """
    consecutive = np.diff(time.astype("datetime64[D]")) == DAY
    counts = np.zeros((n_clusters, n_clusters), dtype=int)
    np.add.at(counts, (labels[:-1][consecutive], labels[1:][consecutive]), 1)
    return Transitions(counts, np.bincount(labels, minlength=n_clusters))
