"""Empirical orthogonal functions, then k-means on the leading principal components: the field's classic."""

from __future__ import annotations

import numpy as np
from sklearn.cluster import KMeans

from regimebench.method import Cube, Fit, Method


class Plugin(Method):
    """k-means on the principal components that hold a given fraction of the variance."""

    def fit(self, cube: Cube) -> Fit:
        """Cluster the days of ``cube``."""
        anomalies = cube.table - cube.table.mean(axis=0, dtype=np.float64)
        if self.params["area_weighting"]:
            anomalies *= area_weights(cube).ravel()
        pcs, explained = principal_components(anomalies, self.params["variance_fraction"])
        found = KMeans(self.n_clusters, n_init=self.params["n_init"], random_state=self.seed).fit(pcs)
        return Fit(
            labels=found.labels_,
            embedding=pcs,
            epochs=found.n_iter_,
            stop_reason="iteration limit reached" if found.n_iter_ == found.max_iter else "assignments stable",
            history={"explained_variance": explained, "inertia": [found.inertia_]},
        )


def principal_components(anomalies: np.ndarray, variance_fraction: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the leading principal components by an exact singular value decomposition.

    Parameters
    ----------
    anomalies : ndarray, shape (n_days, d)
        Columns with mean 0.
    variance_fraction : float
        Keep the fewest components that hold at least this fraction of the variance, in (0, 1].

    Returns
    -------
    pcs : ndarray, shape (n_days, r)
        Components in the units of the anomalies (not standardised).
    explained : ndarray, shape (r,)
        Fraction of the variance of each; data that do not vary have one component, 0 on every day.

    Raises
    ------
    ValueError
        If the fraction is outside (0, 1].
    """
    if not 0 < variance_fraction <= 1:
        raise ValueError(f"variance_fraction is {variance_fraction}; allowed are values above 0, up to 1")
    left, singular, _ = np.linalg.svd(anomalies, full_matrices=False)
    total = np.square(singular).sum()
    if total == 0:
        return np.zeros((len(anomalies), 1)), np.zeros(1)
    explained = np.square(singular) / total
    kept = min(int(np.searchsorted(np.cumsum(explained), variance_fraction)) + 1, singular.size)
    return left[:, :kept] * singular[:kept], explained[:kept]


def area_weights(cube: Cube) -> np.ndarray:
    """Return the square root of the cosine of latitude, shape (y, x, variable), so that variance counts by area.

    Raises
    ------
    ValueError
        If the grid is not regular in latitude and longitude.
    """
    if np.ndim(cube.lat) != 1:
        raise ValueError(
            "area_weighting is on, but the latitudes are two-dimensional: on a projected grid the cosine of latitude "
            "is not the area of a cell; switch area_weighting off"
        )
    weight = np.sqrt(np.cos(np.deg2rad(cube.lat)).clip(0))
    return np.broadcast_to(weight[:, None, None], cube.values.shape[1:])
