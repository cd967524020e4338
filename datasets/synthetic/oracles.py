"""What can be found by a solver that is told the mechanism, but no label."""

from __future__ import annotations

import numpy as np
from scipy.linalg import eigh
from sklearn.cluster import KMeans

from datasets.synthetic.families import low_wave_numbers
from datasets.synthetic.fields import seasonal_cycle
from datasets.synthetic.planting import Planting
from datasets.synthetic.switching import switching_autoregression

__all__ = ["LARGEST_AFFINITY", "ORACLES", "scaled_table"]

RIDGE = 1e-3
"""Ridge of the self-expression, as a share of the top squared singular value."""

LARGEST_AFFINITY = 5000
"""Days beyond which no (time, time) matrix is formed."""


def scaled_table(fields: np.ndarray) -> np.ndarray:
    """Scale fields (time, lat, lon, variable) to [0, 1] per column, 0 where missing: the table that methods see."""
    table = fields.reshape(len(fields), -1).astype(np.float64)
    lowest = table.min(axis=0)
    extent = table.max(axis=0) - lowest
    return np.nan_to_num((table - lowest) / np.where(extent > 0, extent, 1))


def _kmeans(points: np.ndarray, k: int, seed: int) -> np.ndarray:
    """Best of 20 starts of k-means."""
    return KMeans(k, n_init=20, random_state=seed).fit_predict(points)


def normalised_cut(affinity: np.ndarray, k: int, seed: int) -> np.ndarray:
    """Cut a graph in k parts (Ng, Jordan and Weiss 2001): k-means on the unit rows of the top k eigenvectors."""
    inverse_root = 1 / np.sqrt(np.maximum(affinity.sum(axis=1), np.finfo(float).tiny))
    n = len(affinity)
    _, vectors = eigh(inverse_root[:, None] * affinity * inverse_root, subset_by_index=(n - k, n - 1))
    return _kmeans(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12), k, seed)


def nearest_mean(planting: Planting, fields: np.ndarray) -> np.ndarray:
    """Assign each day to the nearest mean field; told the mean fields and the seasonal pattern."""
    season = seasonal_cycle(planting.days)[:, None, None, None] * planting.seasonal_pattern
    days = np.nan_to_num(fields - season).reshape(len(fields), -1)
    seen = ~np.isnan(fields[0])
    means = (planting.mechanism.means * seen).reshape(planting.n_clusters, -1)
    return ((means**2).sum(axis=1) - 2 * days @ means.T).argmin(axis=1)


def self_expression(planting: Planting, fields: np.ndarray) -> np.ndarray | None:
    """Cluster days by which days they are sums of; told that regimes are subspaces, and the ridge.

    Least-squares self-expression of the scaled table X, C = (X X' + ridge)^-1 X X' (Lu et al. 2012, "Robust and
    efficient subspace segmentation via least squares regression"), then a normalised cut of abs(C).

    Returns
    -------
    ndarray of int, shape (time,), or None
        None beyond ``LARGEST_AFFINITY`` days.
    """
    if len(fields) > LARGEST_AFFINITY:
        return None
    X = scaled_table(fields)
    gram = X @ X.T
    top = eigh(gram, eigvals_only=True, subset_by_index=(len(X) - 1, len(X) - 1))[0]
    C = np.abs(np.linalg.solve(gram + RIDGE * top * np.eye(len(X)), gram))
    return normalised_cut((C + C.T) / 2, planting.n_clusters, planting.seed)


def wave_magnitudes(planting: Planting, fields: np.ndarray) -> np.ndarray:
    """Cluster days by the magnitudes of their low spatial Fourier modes; told that regimes are long waves."""
    south, east = low_wave_numbers(planting.shape)
    cube = np.nan_to_num(fields - fields.mean(axis=0))
    modes = np.fft.fft2(cube, axes=(1, 2))[:, south][:, :, east]
    return _kmeans(np.abs(modes).reshape(len(fields), -1), planting.n_clusters, planting.seed)


def switching_dynamics(planting: Planting, fields: np.ndarray) -> np.ndarray:
    """Fit a switching autoregression to the state; told the modes, the seasonal pattern and how long spells last."""
    patterns = np.concatenate([planting.mechanism.modes, planting.seasonal_pattern[None]])
    seen = ~np.isnan(fields[0])
    amplitudes = np.linalg.lstsq(patterns[:, seen].T, fields[:, seen].T.astype(np.float64), rcond=None)[0]
    state = amplitudes[0:-1:2] + 1j * amplitudes[1:-1:2]
    return switching_autoregression(state.T, planting.n_clusters, planting.seed)


ORACLES = {
    "centroids": nearest_mean,
    "subspaces": self_expression,
    "waves": wave_magnitudes,
    "dynamics": switching_dynamics,
}
"""The solver of each family: ``solve(planting, anomalies)`` returns labels, shape (time,), or None."""
