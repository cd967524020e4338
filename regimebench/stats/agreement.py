"""Agreement of partitions: the adjusted Rand index of all pairs of runs at once, and stability over seeds."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy.stats import t

from regimebench.metrics.external import adjusted_rand, pairs_within

__all__ = ["AGREEMENT_COLUMNS", "agreement", "ari_matrix", "stability_interval"]

AGREEMENT_COLUMNS = ("a", "b", "pairs", "mean", "p5", "low", "high")
BLOCK = 256  # partitions whose contingency tables are held at once
SHIFT = 0.05  # agreement by chance scatters about 0, so that the scale begins below it
TOTAL = 1e-6


def ari_matrix(labels: np.ndarray) -> np.ndarray:
    """Return the adjusted Rand index (Hubert & Arabie 1985) of all pairs of partitions.

    Parameters
    ----------
    labels : ndarray of int, shape (P, n)
        One partition of n days per row, labels from 0.

    Returns
    -------
    ndarray of float64, shape (P, P)
        1 where both partitions are trivial in the same way (one cluster, or a cluster per day).
    """
    P, n = labels.shape
    k = int(labels.max(initial=0)) + 1
    coded = (labels[:, None, :] == np.arange(k)[:, None]).astype(np.float32).reshape(P * k, n)
    sizes = coded.sum(axis=1, dtype=np.float64).reshape(P, k)
    within = pairs_within(sizes).sum(axis=1)
    together = np.empty((P, P))
    for rows in _blocks(P):
        for columns in _blocks(P):
            counts = coded[rows.start * k : rows.stop * k] @ coded[columns.start * k : columns.stop * k].T
            shape = rows.stop - rows.start, k, columns.stop - columns.start, k
            together[rows, columns] = pairs_within(counts.astype(np.float64)).reshape(shape).sum(axis=(1, 3))
    return adjusted_rand(together, within[:, None], within, n)


def _blocks(size: int) -> Iterator[slice]:
    return (slice(start, min(size, start + BLOCK)) for start in range(0, size, BLOCK))


def stability_interval(matrix: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Return the interval of the mean agreement of two seeds, by leaving out one seed after the other.

    Pairs share seeds and are not independent, so seeds are left out and not pairs (jackknife, Student's t with S - 1
    degrees, on a logarithmic scale that ends at 1; a bootstrap over seeds covers less, docs/statistics-validity.md).
    Where all seeds agree entirely, the lower end is what could still hide: seeds that differ may have a share q with
    (1 - q)^S = 0.025, and two seeds are equal with probability (1 - q)^2.

    Parameters
    ----------
    matrix : ndarray, shape (S, S)
        Agreement of all pairs of seeds; the diagonal is not looked at. NaN for fewer than three seeds.
    """
    size = len(matrix)
    if size < 3:
        return float("nan"), float("nan")
    off = matrix - np.diag(np.diag(matrix))
    middle = off.sum() / (size * (size - 1))
    if middle > 1 - TOTAL:
        return ((1 - level) / 2) ** (2 / size), 1.0
    without = _scale((off.sum() - 2 * off.sum(axis=1)) / ((size - 1) * (size - 2)))
    error = np.sqrt((size - 1) / size * np.square(without - without.mean()).sum())
    ends = _scale(middle) + np.array([-1, 1]) * t.ppf((1 + level) / 2, size - 1) * error
    low, high = (np.exp(ends) - SHIFT) / (1 + np.exp(ends))
    return float(low), float(high)


def _scale(index: np.ndarray | float) -> np.ndarray:
    """Return log((index + SHIFT) / (1 - index)): agreement by chance is near 0, and 1 is the largest."""
    kept = np.clip(index, -SHIFT + TOTAL, 1 - TOTAL)
    return np.log((kept + SHIFT) / (1 - kept))


def agreement(labels: dict[tuple[str, int], np.ndarray]) -> pd.DataFrame:
    """Return the agreement of the runs of each row among themselves (``a`` = ``b``) and with those of each other row.

    Parameters
    ----------
    labels : dict of (address, seed) to ndarray, shape (n,)
        Partitions of the same days.

    Returns
    -------
    DataFrame
        Number of ``pairs`` of runs, their ``mean`` adjusted Rand index and its 5th percentile ``p5``; for a row with
        itself the interval ``low``, ``high`` of the mean.
    """
    names = np.array([address for address, _ in labels], dtype=object)
    if not len(names):
        return pd.DataFrame(columns=list(AGREEMENT_COLUMNS))
    matrix = ari_matrix(np.array(list(labels.values())))
    places = {address: np.flatnonzero(names == address) for address in dict.fromkeys(names)}
    rows = []
    for number, (a, i) in enumerate(places.items()):
        for b, j in list(places.items())[number:]:
            block = matrix[np.ix_(i, j)]
            low, high = stability_interval(block) if a == b else (np.nan, np.nan)
            values = block[np.triu_indices(len(i), 1)] if a == b else block.ravel()
            mean, p5 = (values.mean(), np.quantile(values, 0.05)) if values.size else (np.nan, np.nan)
            rows.append((a, b, values.size, mean, p5, low, high))
    return pd.DataFrame(rows, columns=list(AGREEMENT_COLUMNS))
