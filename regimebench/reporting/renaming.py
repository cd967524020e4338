"""Labels renamed so that rows look alike."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment

__all__ = ["by_size", "matched"]


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
