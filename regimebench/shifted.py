"""A null model for every run: its own labels, shifted in time, keep sizes and persistence and lose the weather."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from regimebench.metrics import find

__all__ = ["SHIFTED_COLUMNS", "score_shifted", "shifts_of"]

SHIFTED_COLUMNS = ("address", "seed", "protocol", "metric", "mean", "p95")
TOGETHER = 2_000  # partitions scored in one pass


def shifts_of(n_days: int, count: int) -> np.ndarray:
    """Return ``count`` evenly spread shifts by 1 to ``n_days`` - 1 days, all of them if there are fewer.

    Small shifts belong to them as they do to the circular shift test: labels that persist longer than the shift score
    nearly as before, so that the null model is strict for labels that merely change slowly.
    """
    count = min(count, n_days - 1)
    return np.unique(np.rint(np.arange(1, count + 1) * n_days / (count + 1)).astype(int))


def score_shifted(
    score: Callable[[np.ndarray], pd.DataFrame], labels: dict[tuple[str, int], np.ndarray], count: int
) -> pd.DataFrame:
    """Return what the labels of each run score against days that they do not belong to.

    Parameters
    ----------
    score : callable
        From partitions (P, n) to the table of :func:`regimebench.metrics.score_partitions`.
    labels : dict of (address, seed) to ndarray, shape (n,)
        Labels of each run.
    count : int
        Number of circular shifts; 0 gives a table without rows.

    Returns
    -------
    DataFrame
        Columns :data:`SHIFTED_COLUMNS`: mean over the shifts, and the score that 5 % of the shifts exceed (metrics that
        should be low: fall below).
    """
    if not count or not labels:
        return pd.DataFrame(columns=list(SHIFTED_COLUMNS))
    keys, n_days = list(labels), len(next(iter(labels.values())))
    shifts = shifts_of(n_days, count)
    size, parts = max(1, TOGETHER // len(shifts)), []
    for start in range(0, len(keys), size):
        chunk = keys[start : start + size]
        stack = np.array([np.roll(labels[key], shift) for key in chunk for shift in shifts])
        table = score(stack)
        table["run"] = start + table["partition"] // len(shifts)
        parts.append(table)
    scores = pd.concat(parts)
    order = scores.drop_duplicates(["protocol", "metric"])[["protocol", "metric"]].itertuples(index=False, name=None)
    rows = {}
    for protocol, metric in order:
        chosen = scores[(scores["protocol"] == protocol) & (scores["metric"] == metric)].groupby("run")["value"]
        tail = 0.95 if find(protocol, metric).better == "higher" else 0.05
        for run, (mean, p95) in enumerate(zip(chosen.mean(), chosen.quantile(tail), strict=True)):
            rows[run, protocol, metric] = mean, p95
    order = sorted(rows, key=lambda key: key[0])
    return pd.DataFrame([(*keys[run], p, m, *rows[run, p, m]) for run, p, m in order], columns=list(SHIFTED_COLUMNS))
