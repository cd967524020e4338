"""Agreement of many partitions with the planted labels, all from one product of indicator matrices."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.special import xlogy

from regimebench.metrics.partitions import Stack, canonical, chunks

__all__ = ["adjusted_rand", "pairs_within", "score_against_truth"]


def pairs_within(days: np.ndarray) -> np.ndarray:
    """Return how many pairs so many days make."""
    return days * (days - 1.0) / 2


def adjusted_rand(together: np.ndarray, first: np.ndarray, second: np.ndarray, n_days: int) -> np.ndarray:
    """Return the adjusted Rand index (Hubert & Arabie 1985) from counts of pairs of days.

    Parameters
    ----------
    together : ndarray
        Pairs that are in one cluster in both partitions.
    first, second : ndarray
        Pairs that are in one cluster in the one and in the other, of shapes that broadcast to that of ``together``.
    n_days : int

    Returns
    -------
    ndarray
        1 where both partitions are trivial in the same way (one cluster, or a cluster per day).
    """
    chance, most = first * second / max(pairs_within(n_days), 1), (first + second) / 2
    return np.divide(together - chance, most - chance, out=np.ones_like(together), where=most != chance)


def score_against_truth(truth: np.ndarray, partitions: np.ndarray) -> dict[str, np.ndarray]:
    """Return ``ari``, ``nmi`` (arithmetic mean of the entropies) and ``accuracy`` of partitions.

    Parameters
    ----------
    truth : ndarray of int, shape (n,)
        One label per day.
    partitions : ndarray of int, shape (P, n)
        One partition per row. Names of clusters do not matter.

    Returns
    -------
    dict of str to ndarray, shape (P,)
        The adjusted Rand index (Hubert & Arabie 1985); the mutual information over the mean of the two entropies; and
        the share of days labelled right under the best one-to-one matching, in which a cluster left without a regime,
        or a regime without a cluster, has all its days wrong. Two trivial partitions agree entirely.

    Raises
    ------
    ValueError
        If the days differ.
    """
    if partitions.ndim != 2 or partitions.shape[1:] != truth.shape:
        raise ValueError(
            f"the truth has shape {truth.shape} and the partitions {partitions.shape}; they must be of the same days"
        )
    if not len(partitions):
        return {name: np.zeros(0) for name in ("ari", "nmi", "accuracy")}
    distinct, which = np.unique(canonical(partitions), axis=0, return_inverse=True)
    regimes = Stack(canonical(truth[None]))
    parts = [_agreement(regimes, Stack(distinct[chunk])) for chunk in chunks(distinct)]
    return {name: np.concatenate([part[name] for part in parts])[which.ravel()] for name in parts[0]}


def _agreement(regimes: Stack, stack: Stack) -> dict[str, np.ndarray]:
    """Return the agreement of each partition of a stack with one partition; ``table`` (r, K) counts days of both."""
    table = regimes.one_hot.T @ stack.one_hot
    return {
        "ari": _adjusted_rand(table, regimes, stack),
        "nmi": _mutual_information(table, regimes, stack),
        "accuracy": _matched(table, stack),
    }


def _adjusted_rand(table: np.ndarray, regimes: Stack, stack: Stack) -> np.ndarray:
    together = stack.sum_partitions(pairs_within(table).sum(axis=0))
    true, found = pairs_within(regimes.sizes).sum(), stack.sum_partitions(pairs_within(stack.sizes))
    return adjusted_rand(together, true, found, stack.n_days)


def _mutual_information(table: np.ndarray, regimes: Stack, stack: Stack) -> np.ndarray:
    true, found = _entropy(regimes.sizes, regimes), _entropy(stack.sizes, stack)
    both = stack.sum_partitions(-xlogy(table / stack.n_days, table / stack.n_days).sum(axis=0))
    mean = (true + found) / 2
    return np.divide(true + found - both, mean, out=np.ones(stack.n_partitions), where=mean > 0).clip(0, 1)


def _entropy(sizes: np.ndarray, stack: Stack) -> np.ndarray:
    return stack.sum_partitions(-xlogy(sizes / stack.n_days, sizes / stack.n_days))


def _matched(table: np.ndarray, stack: Stack) -> np.ndarray:
    tables = (table[:, stack.span(partition)] for partition in range(stack.n_partitions))
    return np.array([each[linear_sum_assignment(each, maximize=True)].sum() for each in tables]) / stack.n_days
