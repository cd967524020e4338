"""Agreement with planted labels."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from sklearn.metrics.cluster import contingency_matrix

__all__ = ["matched_accuracy", "score_against_truth"]


def matched_accuracy(truth: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of days labelled right under the best one-to-one matching of clusters to regimes.

    Parameters
    ----------
    truth, labels : ndarray of int, shape (n,)
        Names do not matter; a cluster left without a regime, or a regime without a cluster, has all its days wrong.
    """
    table = contingency_matrix(truth, labels)
    return float(table[linear_sum_assignment(table, maximize=True)].sum() / len(truth))


def score_against_truth(truth: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Return ``ari``, ``nmi`` (arithmetic mean of the entropies) and ``accuracy`` of one partition.

    Parameters
    ----------
    truth, labels : ndarray of int, shape (n,)
        One label per day.

    Raises
    ------
    ValueError
        If the lengths differ.
    """
    if len(truth) != len(labels):
        raise ValueError(f"the truth has {len(truth)} days and the partition {len(labels)}; they must be the same days")
    return {
        "ari": float(adjusted_rand_score(truth, labels)),
        "nmi": float(normalized_mutual_info_score(truth, labels)),
        "accuracy": matched_accuracy(truth, labels),
    }
