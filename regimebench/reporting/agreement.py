"""Agreement of partitions: adjusted Rand index of all pairs at once, and labels renamed so that rows look alike."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy.optimize import linear_sum_assignment

__all__ = ["by_size", "matched", "pairwise_ari", "row_agreement"]

BLOCK_VALUES = 20_000_000  # numbers of a contingency block held at a time


def pairwise_ari(partitions: np.ndarray) -> np.ndarray:
    """Return the adjusted Rand index (Hubert & Arabie 1985) of every pair of partitions.

    Parameters
    ----------
    partitions : ndarray of int, shape (m, n_days)
        Labels from 0.

    Returns
    -------
    ndarray, shape (m, m)
        1 where two partitions are the same, also where both are one single cluster.
    """
    m, n = partitions.shape
    if m == 0:
        return np.empty((0, 0))
    k = int(partitions.max()) + 1
    members = (partitions[:, None, :] == np.arange(k)[:, None]).astype(np.float32)  # (m, k, n)
    sizes = members.sum(axis=2, dtype=np.float64)
    alone = (sizes * (sizes - 1) / 2).sum(axis=1)  # pairs of days that are together in one partition
    flat, both = members.reshape(m * k, n), np.empty((m, m))
    step = max(1, BLOCK_VALUES // (m * k * k))
    for start in range(0, m, step):
        table = flat[start * k : (start + step) * k] @ flat.T  # exact: counts below 2^24
        squares = np.square(table, dtype=np.float64).reshape(-1, k, m, k).sum(axis=(1, 3))
        both[start : start + step] = (squares - n) / 2
    every = n * (n - 1) / 2
    chance = np.outer(alone, alone) / every
    most = (alone[:, None] + alone) / 2
    same = most == chance
    return np.where(same, 1.0, (both - chance) / np.where(same, 1, most - chance))


def row_agreement(runs: dict[str, np.ndarray]) -> tuple[list[str], np.ndarray]:
    """Return rows and the mean adjusted Rand index between their runs; on the diagonal, between different runs of one.

    Parameters
    ----------
    runs : dict of str to ndarray of int, shape (runs, n_days)
        Labels of each row's runs.

    Returns
    -------
    names : list of str
    means : ndarray, shape (rows, rows)
        NaN on the diagonal for a row of one run.
    """
    names = [name for name, labels in runs.items() if len(labels)]
    ari = pairwise_ari(np.concatenate([runs[name] for name in names])) if names else np.empty((0, 0))
    ends = np.cumsum([0, *(len(runs[name]) for name in names)])
    slices = [slice(start, end) for start, end in pairwise(ends)]
    means = np.array([[ari[a, b].mean() for b in slices] for a in slices])
    for i, own in enumerate(slices):
        size = own.stop - own.start
        means[i, i] = (ari[own, own].sum() - size) / (size * (size - 1)) if size > 1 else np.nan
    return names, means


def by_size(labels: np.ndarray) -> np.ndarray:
    """Return labels renamed 0, 1, ... from the largest cluster to the smallest."""
    names, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
    rank = np.empty(len(names), dtype=int)
    rank[np.argsort(-counts, kind="stable")] = np.arange(len(names))
    return rank[inverse]


def matched(labels: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return labels renamed so that as many days as possible agree with ``reference``."""
    own = by_size(labels)
    size = max(own.max(), reference.max()) + 1
    overlap = np.zeros((size, size), dtype=int)
    np.add.at(overlap, (own, reference), 1)
    _, names = linear_sum_assignment(-overlap)
    return names[own]
