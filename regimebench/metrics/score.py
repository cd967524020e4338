"""Score many partitions of one data set in one pass over its distances."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from regimebench.metrics import compactness, separation
from regimebench.metrics.definitions import metrics_of
from regimebench.metrics.distances import Points
from regimebench.metrics.partitions import Stack, canonical, chunks
from regimebench.metrics.silhouette import Silhouette

__all__ = ["score_partitions"]


def score_partitions(
    X: np.ndarray,
    partitions: np.ndarray,
    protocols: Sequence[str] = ("paper", "standard"),
    mask_columns: np.ndarray | None = None,
) -> pd.DataFrame:
    """Score every partition of the days of ``X`` with every metric of the protocols.

    Parameters
    ----------
    X : ndarray of float32, shape (n, p)
        The scaled input, one row per day; finite.
    partitions : ndarray of int, shape (P, n)
        One partition per row. Labels may be any integers; empty clusters do not count.
    protocols : sequence of str
        Of ``paper`` and ``standard``.
    mask_columns : ndarray of bool, shape (p,), optional
        True for columns that hold data, False for padding; all by default. Used by ``variance_unpadded`` alone: no
        other metric but ``variance`` notices constant columns.

    Returns
    -------
    pandas.DataFrame
        Columns ``partition`` (row of ``partitions``), ``protocol``, ``metric``, ``value``; in the order of
        ``partitions``, then of the metric table. NaN where a metric is undefined (see ``docs/metrics.md``).

    Raises
    ------
    ValueError
        If the shapes do not fit, X is not finite, labels are not integers or a protocol cannot be scored from X.
    """
    metrics = [metric for protocol in protocols for metric in metrics_of(protocol)]
    if "truth" in protocols:
        raise ValueError("protocol truth compares with planted labels; use score_against_truth")
    X, partitions, mask = np.asarray(X), np.asarray(partitions), _as_mask(mask_columns, X)
    _check(X, partitions)
    if not len(partitions):
        return pd.DataFrame({"partition": [], "protocol": [], "metric": [], "value": []})
    distinct, which = np.unique(canonical(partitions), axis=0, return_inverse=True)
    quantities = _score_distinct(X, distinct, mask)
    values = np.stack([quantities[metric.quantity] for metric in metrics], axis=1)[which.ravel()]
    return pd.DataFrame(
        {
            "partition": np.repeat(np.arange(len(partitions)), len(metrics)),
            "protocol": [metric.protocol for metric in metrics] * len(partitions),
            "metric": [metric.key for metric in metrics] * len(partitions),
            "value": values.ravel(),
        }
    )


def _as_mask(mask_columns: np.ndarray | None, X: np.ndarray) -> np.ndarray | None:
    if mask_columns is None:
        return None
    mask = np.asarray(mask_columns)
    if mask.shape != X.shape[1:] or mask.dtype != bool:
        raise ValueError(f"mask_columns is {mask.dtype} {mask.shape}; one bool per column is required: {X.shape[1:]}")
    return None if mask.all() else mask


def _check(X: np.ndarray, partitions: np.ndarray) -> None:
    if X.ndim != 2 or 0 in X.shape:
        raise ValueError(f"X has shape {X.shape}; a table of days by columns with at least one of each is required")
    if partitions.ndim != 2 or partitions.shape[1] != len(X):
        raise ValueError(f"partitions have shape {partitions.shape}; (number of partitions, {len(X)} days) is required")
    if partitions.dtype.kind not in "iu":
        raise ValueError(f"labels have type {partitions.dtype}; an integer type is required")
    finite = np.isfinite(X.sum(axis=1, dtype=np.float64))
    if not finite.all():
        raise ValueError(f"day {int(np.argmin(finite))} of X holds NaN or infinity; fill or mask the data first")


def _score_distinct(X: np.ndarray, labels: np.ndarray, mask: np.ndarray | None) -> dict[str, np.ndarray]:
    """Return every quantity of canonical, distinct partitions (P, n), each of shape (P,)."""
    points = Points(X)
    pooled = compactness.PooledVariance(X)
    unpadded = pooled if mask is None else compactness.PooledVariance(X, mask)
    parts = []
    for chunk in chunks(labels):
        stack = Stack(labels[chunk])
        part = _one_pass(points, stack)
        part["pooled_variance"] = pooled.value(stack)
        part["pooled_variance_unpadded"] = unpadded.value(stack)
        parts.append(part)
    return {quantity: np.concatenate([part[quantity] for part in parts]) for quantity in parts[0]}


def _one_pass(points: Points, stack: Stack) -> dict[str, np.ndarray]:
    """Return what the distances of all days to all days determine, from one pass over their blocks."""
    euclidean, cosine = Silhouette(stack), Silhouette(stack)
    centroids = compactness.Centroids(points, stack)
    linkage = separation.Linkage(stack)
    for block in points.blocks():
        euclidean.add(block.euclidean, block.rows)
        cosine.add(block.cosine, block.rows)
        centroids.add(block.gram, block.rows)
        linkage.add(block.euclidean, block.rows)
    squared = centroids.squared_to_own()
    return {
        "silhouette_euclidean": euclidean.value(),
        "silhouette_cosine": cosine.value(),
        "davies_bouldin": separation.davies_bouldin(squared, centroids, stack),
        "calinski_harabasz": compactness.calinski_harabasz(squared, points, stack),
        "rmse": compactness.rmse(squared),
        "mean_variance": compactness.mean_variance(squared, stack),
        **linkage.values(),
    }
