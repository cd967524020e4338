"""Across data sets: only what their number allows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from regimebench.stats.exact import signed_rank_p, smallest_sign_p
from regimebench.stats.location import interquartile_mean
from regimebench.stats.pairwise import ALPHA, holm
from regimebench.stats.practical import ROPE, signed_rank_posterior

__all__ = ["Across", "across", "iqm_over_data_sets", "limits", "nemenyi_difference"]

RESAMPLES = 2_000
SEED = 0
MIN_SETS = 6  # data sets from which the signed-rank test of one pair can reach 5 %


@dataclass(frozen=True)
class Across:
    """Rows over several data sets.

    Parameters
    ----------
    medians : DataFrame
        Rows by data sets: median score of the runs that have one.
    ranks : DataFrame
        The same: rank of the row, 1 the best, failures as worst.
    summary : DataFrame
        Per row ``iqm``, ``iqm_low``, ``iqm_high`` of the scores normalised per data set, ``mean_rank``, ``first``: on
        how many data sets the row has the best median.
    pairs : DataFrame
        Signed-rank tests and Bayesian comparison of all pairs over data sets; without rows below six data sets.
    sentence : str
        What this number of data sets allows.
    """

    medians: pd.DataFrame
    ranks: pd.DataFrame
    summary: pd.DataFrame
    pairs: pd.DataFrame
    sentence: str


def nemenyi_difference(rows: int, sets: int) -> float:
    """Return the critical difference of mean ranks of Nemenyi's test at 5 % (Demsar 2006)."""
    from scipy.stats import studentized_range

    q = studentized_range.ppf(1 - ALPHA, rows, np.inf) / np.sqrt(2)
    return float(q * np.sqrt(rows * (rows + 1) / (6 * sets)))


def limits(rows: int, sets: int) -> str:
    """Return, as sentences, what so many data sets can show about so many rows."""
    if sets < 2:
        return "One data set: nothing can be said across data sets."
    floor, pairs = smallest_sign_p(sets), rows * (rows - 1) // 2
    text = f"{sets} data sets: the smallest two-sided p of a signed-rank test of two rows is {floor:.3g}"
    text += f", and Holm-corrected over {pairs} pairs {min(1.0, floor * pairs):.3g}" if pairs > 1 else ""
    if rows > 2:
        text += (
            f"; in a Nemenyi diagram of {rows} rows mean ranks would have to differ by "
            f"{nemenyi_difference(rows, sets):.1f} of at most {rows - 1}"
        )
    if floor > ALPHA:
        return text + (
            ". No difference across data sets can be significant, so none is tested; the numbers describe these data "
            "sets, and pooling their seeds would be pseudo-replication."
        )
    if floor * pairs > ALPHA:
        return text + ". Single pairs can be told apart, but not after correction for all pairs."
    return text + "."


def iqm_over_data_sets(scores: Sequence[np.ndarray]) -> tuple[float, float, float]:
    """Return the interquartile mean over runs and data sets with its 95 % interval.

    Stratified bootstrap (Agarwal et al. 2021): runs are drawn within each data set, so that the interval is about
    seeds on these data sets, not about others. Deviations are widened by sqrt(n / (n - 1)), n the runs of a data set,
    by which a bootstrap of few runs is too narrow.

    Parameters
    ----------
    scores : sequence of ndarray
        Normalised scores of one row, one array per data set; arrays of one run (deterministic rows) do not vary.
    """
    rng = np.random.default_rng(SEED)
    middle = interquartile_mean(np.concatenate(scores))
    drawn = np.concatenate([_widened(rng, each) for each in scores], axis=1)
    cut = int(0.25 * drawn.shape[1])
    means = np.sort(drawn, axis=1)[:, cut : drawn.shape[1] - cut].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return middle, float(low), float(high)


def _widened(rng: np.random.Generator, runs: np.ndarray) -> np.ndarray:
    """Return RESAMPLES bootstrap samples of the runs of one data set."""
    drawn = rng.choice(runs, (RESAMPLES, len(runs)))
    if len(runs) < 2:
        return drawn
    centre = runs.mean()
    means = drawn.mean(axis=1, keepdims=True) - centre
    return drawn + means * (np.sqrt(len(runs) / (len(runs) - 1)) - 1)


def across(
    scores: dict[str, dict[str, np.ndarray]], bounds: dict[str, tuple[float, float]], key: str = "standard.silhouette"
) -> Across:
    """Return what may be said about rows over data sets.

    Parameters
    ----------
    scores : dict of data set to dict of address to ndarray
        Scores of all runs that were tried, higher is better, ``-inf`` for failed ones.
    bounds : dict of data set to (float, float)
        Scores that become 0 and 1 when data sets are pooled: the median of random labels and of the best control.
    key : str
        The metric, whose region of practical equivalence is used.
    """
    sets = list(scores)
    rows = [address for address in next(iter(scores.values()), {}) if all(address in each for each in scores.values())]
    centre = pd.DataFrame({s: {a: _lower_median(scores[s][a]) for a in rows} for s in sets}).reindex(rows)
    ranks = centre.rank(ascending=False, method="min")
    finite = centre.where(np.isfinite(centre))
    summary = pd.DataFrame([_row(a, scores, bounds) for a in rows], index=pd.Index(rows, name="address"))
    summary["mean_rank"], summary["first"] = ranks.mean(axis=1), (ranks == 1).sum(axis=1)
    return Across(finite, ranks, summary, _pairs(centre, key), limits(len(rows), len(sets)))


def _lower_median(runs: np.ndarray) -> float:
    return float(np.quantile(runs, 0.5, method="lower")) if runs.size else -np.inf


def _row(address: str, scores: dict[str, dict[str, np.ndarray]], bounds: dict[str, tuple[float, float]]) -> dict:
    parts = []
    for name, each in scores.items():
        runs, (low, high) = each[address], bounds[name]
        runs = runs[np.isfinite(runs)]
        if runs.size and high > low:
            parts.append((runs - low) / (high - low))
    middle, low, high = iqm_over_data_sets(parts) if len(parts) == len(scores) else (np.nan,) * 3
    return {"iqm": middle, "iqm_low": low, "iqm_high": high}


def _pairs(centre: pd.DataFrame, key: str) -> pd.DataFrame:
    columns = ["a", "b", "p", "p_holm", "p_better", "p_equivalent", "p_worse"]
    if centre.shape[1] < MIN_SETS:
        return pd.DataFrame(columns=columns)
    found = []
    for i, a in enumerate(centre.index):
        for b in centre.index[i + 1 :]:
            x, y = centre.loc[a].to_numpy(), centre.loc[b].to_numpy()
            differences = np.subtract(x, y, out=np.zeros_like(x), where=x != y)
            posterior = signed_rank_posterior(np.clip(differences, -1e9, 1e9), ROPE[key], 5_000)
            found.append((a, b, signed_rank_p(differences), np.nan, *posterior))
    table = pd.DataFrame(found, columns=columns)
    table["p_holm"] = holm(table["p"])
    return table
