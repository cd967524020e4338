"""How many clusters? Inertia, silhouette and gap statistic over k, and the knee of a curve; every rule stated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

from regimebench.metrics import score_partitions

__all__ = ["Curves", "gap_choice", "knee", "knees", "scan"]


@dataclass(frozen=True)
class Curves:
    """What k-means gives for each k.

    Parameters
    ----------
    k : ndarray of int, shape (m,)
        From 1 on.
    inertia : ndarray, shape (m,)
        Sum of squared distances to the cluster means, the best of several starts.
    silhouette, silhouette_cosine : ndarray, shape (m,)
        Of the same partitions; NaN for k = 1.
    reference : ndarray, shape (B, m)
        Inertia of k-means on data without clusters: uniform in the box of the principal components.
    """

    k: np.ndarray
    inertia: np.ndarray
    silhouette: np.ndarray
    silhouette_cosine: np.ndarray
    reference: np.ndarray

    @property
    def gap(self) -> np.ndarray:
        """Mean log inertia of the reference less that of the data (Tibshirani, Walther & Hastie 2001), shape (m,)."""
        return np.log(self.reference).mean(axis=0) - np.log(self.inertia)

    @property
    def gap_error(self) -> np.ndarray:
        """The s of the same paper: standard deviation over the references, with its simulation error, shape (m,)."""
        return np.log(self.reference).std(axis=0) * np.sqrt(1 + 1 / len(self.reference))


def scan(X: np.ndarray, k_max: int, n_references: int, n_init: int, seed: int = 0) -> Curves:
    """Cluster the days for k = 1 to ``k_max``.

    Parameters
    ----------
    X : ndarray of float32, shape (n, p)
        One row per day. k-means runs on its principal components, all of them, where distances are the same.
    k_max : int
        Cut to the number of days less one.
    n_references : int
        Data sets without clusters, of the same size and extent along each principal component.
    n_init : int
        Starts of each k-means, for data and references alike.
    seed : int
        Of everything random.
    """
    scores = PCA(svd_solver="full").fit_transform(X.astype(np.float64))
    ks = np.arange(1, min(k_max, len(X) - 1) + 1)
    fits = [KMeans(int(k), n_init=n_init, random_state=seed).fit(scores) for k in ks]
    found = score_partitions(X, np.stack([fit.labels_ for fit in fits]), ("standard",))
    metrics = found.pivot(index="partition", columns="metric", values="value")
    rng = np.random.default_rng(seed)
    low, high = scores.min(axis=0), scores.max(axis=0)
    reference = [
        [KMeans(int(k), n_init=n_init, random_state=seed).fit(box).inertia_ for k in ks]
        for box in (rng.uniform(low, high, size=scores.shape) for _ in range(n_references))
    ]
    return Curves(
        k=ks,
        inertia=np.array([fit.inertia_ for fit in fits]),
        silhouette=metrics["silhouette"].to_numpy(),
        silhouette_cosine=metrics["silhouette_cosine"].to_numpy(),
        reference=np.array(reference),
    )


def knee(k: Sequence[int], values: Sequence[float]) -> int:
    """Return where a falling curve bends most: the k furthest below the chord between its ends.

    Both axes are scaled to 0 to 1 first, as in Satopaa, Albrecht, Irwin & Raghavan (2011). The knee therefore depends
    on the range of k. Every falling convex curve has one, with or without clusters.

    Raises
    ------
    ValueError
        With fewer than three points, or a curve that does not fall.
    """
    x, y = np.asarray(k, dtype=float), np.asarray(values, dtype=float)
    if len(x) < 3 or not y[0] > y[-1]:
        raise ValueError("a knee needs at least three points of a curve that falls")
    x, y = (x - x[0]) / (x[-1] - x[0]), (y - y[-1]) / (y[0] - y[-1])
    return int(k[int(np.argmax(1 - x - y))])


def knees(curves: Curves, ranges: Sequence[tuple[int, int]]) -> dict[tuple[int, int], int]:
    """Return the knee of the inertia for each range of k that the curves cover."""
    found = {}
    for first, last in ranges:
        inside = (curves.k >= first) & (curves.k <= last)
        if curves.k[-1] >= last and inside.sum() >= 3:
            found[first, last] = knee(curves.k[inside], curves.inertia[inside])
    return found


def gap_choice(curves: Curves) -> int | None:
    """Return the smallest k with gap(k) >= gap(k + 1) - s(k + 1), None where the gap grows to the last k."""
    gap, error = curves.gap, curves.gap_error
    chosen = np.flatnonzero(gap[:-1] >= gap[1:] - error[1:])
    return int(curves.k[chosen[0]]) if chosen.size else None
