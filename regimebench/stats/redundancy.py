"""What the metrics have to do with each other, and, on planted data, with the truth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import kendalltau

__all__ = ["Oriented", "identity_error", "redundancy", "truth_ranking"]

MIN_ROWS = 3


class Oriented:
    """Scores of runs with a score, higher is better.

    Parameters
    ----------
    table : DataFrame
        Indexed by (address, seed), one column per metric; runs without all scores are left out.
    rises : dict of str to bool
        Direction of each metric.
    """

    def __init__(self, table: pd.DataFrame, rises: dict[str, bool]) -> None:
        whole = table[list(rises)].dropna()
        self.runs = whole * np.where(list(rises.values()), 1.0, -1.0)
        self.medians = self.runs.groupby(level="address", sort=False).median()


def redundancy(scores: Oriented) -> dict[str, Any]:
    """Return rank correlations among metrics over all runs and over the rows' medians.

    Returns
    -------
    dict
        ``runs``, ``rows``: how many; ``over_runs``, ``over_rows``: metric -> metric -> Spearman's correlation of the
        scores, each turned so that higher is better; ``effective``: how many independent metrics the correlations over
        runs amount to, (sum of eigenvalues)^2 / sum of their squares.
    """
    over_runs, over_rows = _spearman(scores.runs), _spearman(scores.medians)
    values = np.linalg.eigvalsh(over_runs.to_numpy()) if over_runs.notna().all(axis=None) else np.array([np.nan])
    return {
        "runs": len(scores.runs),
        "rows": len(scores.medians),
        "over_runs": over_runs.to_dict(),
        "over_rows": over_rows.to_dict(),
        "effective": float(values.sum() ** 2 / (values**2).sum()),
    }


def _spearman(table: pd.DataFrame) -> pd.DataFrame:
    """Return Spearman's correlations, NaN for fewer than three rows and for constant columns."""
    if len(table) < MIN_ROWS:
        return pd.DataFrame(np.nan, index=table.columns, columns=table.columns)
    return table.rank().corr()


def identity_error(table: pd.DataFrame, k: pd.Series) -> float:
    """Return how far RMSE and CH are from being one number.

    RMSE^2 (1 + CH (k - 1) / (n - k)) is the total inertia per day of the data, whatever the partition, so for
    partitions into the same number of clusters k the inverse of RMSE^2 is a straight line in CH.

    Parameters
    ----------
    table : DataFrame
        Columns ``rmse`` and ``calinski_harabasz``, one row per run.
    k : Series
        Clusters found by the same runs.

    Returns
    -------
    float
        The largest relative distance from the line of its k; NaN if no three different partitions have the same k.
    """
    worst = float("nan")
    for _, same in table.groupby(k):
        x, y = same["calinski_harabasz"].to_numpy(), same["rmse"].to_numpy() ** -2.0
        if len(np.unique(x)) >= MIN_ROWS:
            line = np.polyval(np.polyfit(x, y, 1), x)
            worst = float(np.fmax(worst, np.abs(line / y - 1).max()))
    return worst


def truth_ranking(scores: Oriented, truth: pd.Series, resamples: int = 1_000, seed: int = 0) -> pd.DataFrame:
    """Return how each internal metric ranks rows, and runs of one row, as agreement with the truth does.

    Parameters
    ----------
    scores : Oriented
        Internal metrics.
    truth : Series
        Agreement with the truth of each run, by (address, seed).
    resamples, seed : int
        Of the bootstrap over rows.

    Returns
    -------
    DataFrame
        One row per metric: ``tau`` (Kendall's, between the rows' medians) with its interval ``low``, ``high`` over rows
        drawn with replacement; ``within``, the mean over rows of Spearman's correlation between their runs; ``first``,
        the row that the metric ranks first, with its median agreement ``agreement``; ``best``, the largest median.
    """
    truth = truth.reindex(scores.runs.index).dropna()
    runs = scores.runs.loc[truth.index]
    rows, medians = scores.medians, truth.groupby(level="address").median()
    rows, medians = rows.loc[rows.index.isin(medians.index)], medians.reindex(rows.index).dropna()
    draws = np.random.default_rng(seed).integers(0, max(1, len(rows)), (resamples, len(rows)))
    found, within = [], _within(runs, truth)
    for metric in runs:
        column = rows[metric].to_numpy()
        tau, low, high = _tau_interval(column, medians.to_numpy(), draws)
        first = rows[metric].idxmax() if len(rows) else ""
        found.append(
            {
                "metric": metric,
                "rows": len(rows),
                "tau": tau,
                "low": low,
                "high": high,
                "within": float(within[metric]),
                "first": first,
                "agreement": float(medians.get(first, np.nan)),
                "best": float(medians.max()) if len(medians) else np.nan,
            }
        )
    return pd.DataFrame(found)


def _tau_interval(a: np.ndarray, b: np.ndarray, draws: np.ndarray) -> tuple[float, float, float]:
    """Return Kendall's tau-b and its interval from rows drawn with replacement; a row makes no pair with itself."""
    if len(a) < MIN_ROWS:
        return float("nan"), float("nan"), float("nan")
    signs = np.sign(np.subtract.outer(a, a)), np.sign(np.subtract.outer(b, b))
    counts = np.apply_along_axis(np.bincount, 1, draws, minlength=len(a)).astype(float)
    concordant, of_a, of_b = (
        np.einsum("ri,ij,rj->r", counts, each, counts, optimize=True)
        for each in (signs[0] * signs[1], signs[0] ** 2, signs[1] ** 2)
    )
    usable = (of_a > 0) & (of_b > 0)
    drawn = concordant[usable] / np.sqrt(of_a[usable] * of_b[usable])
    low, high = np.quantile(drawn, [0.025, 0.975]) if drawn.size else (np.nan, np.nan)
    return float(kendalltau(a, b).statistic), float(low), float(high)


def _within(runs: pd.DataFrame, truth: pd.Series) -> pd.Series:
    """Return the mean over rows of the rank correlation of their runs; rows whose runs do not vary say nothing."""

    def centred(table: pd.DataFrame) -> pd.DataFrame:
        groups = table.groupby(level="address")
        ranks = groups.rank()
        return ranks - ranks.groupby(level="address").transform("mean")

    a, b = centred(runs), centred(truth.to_frame("truth"))["truth"]
    sums = a.mul(b, axis=0), a**2, b**2
    products, squares, own = (each.groupby(level="address").sum() for each in sums)
    sizes = truth.groupby(level="address").size()
    usable = (squares.gt(0)).mul(own.gt(0) & sizes.ge(MIN_ROWS), axis=0)
    correlations = products / np.sqrt(squares.mul(own, axis=0).where(usable))
    return correlations.mean()
