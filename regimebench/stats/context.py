"""Tables that say what a score is worth: stability, metrics that repeat each other, the truth, and null models."""

from __future__ import annotations

import numpy as np
import pandas as pd

from regimebench.formats import heading, number
from regimebench.results import Results, keys, rises
from regimebench.stats.study import Study
from regimebench.tables import Cell, Table

__all__ = ["context_tables"]


def context_tables(results: Results, study: Study, agreement: pd.DataFrame, shifted: pd.DataFrame) -> list[Table]:
    """Return the tables; those without content are left out.

    Parameters
    ----------
    agreement, shifted : DataFrame
        What evaluate wrote: ``agreement.csv`` and ``shifted.csv``.
    """
    made = [_stability(results, agreement), _redundancy(results, study, "standard")]
    made += [_truth(results, study, protocol) for protocol in study.truth_ranking]
    made.append(_excess(results, shifted))
    return [table for table in made if table.rows]


def _stability(results: Results, agreement: pd.DataFrame) -> Table:
    own = agreement[agreement["a"] == agreement["b"]].set_index("a")
    rows = []
    for address in results.addresses:
        if address in own.index and own.at[address, "pairs"] > 0:
            mean, p5, low, high = own.loc[address, ["mean", "p5", "low", "high"]].astype(float)
            interval = f" [{low:.2f}, {high:.2f}]" if np.isfinite(low) else ""
            cells = [str(int(own.at[address, "pairs"])), f"{mean:.2f}{interval}", f"{p5:.2f}"]
            rows.append([results.name(address), *map(Cell, cells)])
    return results.table(
        about="stability over seeds",
        caption="Adjusted Rand index of pairs of runs of the same row that are ok: mean with 95 % interval over seeds, "
        "and 5th percentile. A stable row need not be right: a collapsed or calendar-driven one is stable, too.",
        header=["method", "pairs", "mean ARI", "5th percentile"],
        rows=rows,
    )


def _redundancy(results: Results, study: Study, protocol: str) -> Table:
    found, metrics = study.redundancy[protocol], keys(protocol)
    runs, medians = found["over_runs"], found["over_rows"]
    rows = []
    if found["runs"] and np.isfinite(found["effective"]):
        for a in metrics:
            cells = [Cell("1" if a == b else f"{_n(runs[a][b])} ({_n(medians[a][b])})") for b in metrics]
            rows.append([Cell(heading(protocol, a)), *cells])
    text = (
        "RMSE and CH are one: over partitions with the same k, 1 / RMSE^2 is a straight line in CH, here to a relative "
        f"{found['identity_error']:.0e}."
    )
    return results.table(
        about="what the metrics have in common",
        caption=f"Spearman's correlation over {found['runs']} runs, in brackets over the medians of "
        f"{found['rows']} rows, each metric turned so that higher is better.",
        header=["metric", *(heading(protocol, metric) for metric in metrics)],
        rows=rows,
        notes=[f"The six amount to {found['effective']:.1f} independent metrics."]
        + ([text] if np.isfinite(found["identity_error"]) else []),
    )


def _n(value: float) -> str:
    return f"{value:+.2f}" if np.isfinite(value) else "–"


def _truth(results: Results, study: Study, protocol: str) -> Table:
    rows = []
    for row in study.truth_ranking[protocol].to_dict("records"):
        interval = f" [{row['low']:+.2f}, {row['high']:+.2f}]" if np.isfinite(row["low"]) else ""
        cells = [f"{_n(row['tau'])}{interval}", _n(row["within"]), row["first"], f"{row['agreement']:.3f}"]
        rows.append([Cell(heading(protocol, row["metric"])), *map(Cell, [*cells, f"{row['best']:.3f}"])])
    return results.table(
        about=f"which metric ranks as the truth does, {protocol} protocol",
        caption="Kendall's tau between the rows' median score and median adjusted Rand index against the planted "
        "labels, with 95 % interval over rows; mean over rows of Spearman's correlation between their runs; the row "
        "that the metric ranks first with its index, beside the largest.",
        header=["metric", "tau over rows", "within rows", "ranked first", "its ARI", "best ARI"],
        rows=rows,
    )


def _excess(results: Results, shifted: pd.DataFrame) -> Table:
    """Return the medians of the scores less what the same labels score against shifted days."""
    metrics, rows = keys("standard"), []
    if len(shifted):
        chosen = shifted[shifted["protocol"] == "standard"].set_index(["address", "seed"])
        scores = results.scores("standard")
        for address in results.addresses:
            if address in chosen.index.get_level_values("address"):
                cells = [_over(scores, chosen[chosen["metric"] == metric], address, metric) for metric in metrics]
                rows.append([results.name(address), *map(Cell, cells)])
    return results.table(
        about="scores as an excess over shifted labels",
        caption="Median over runs of the score less the mean score of the same labels shifted circularly in time, "
        "which keep sizes and persistence and lose the days; in brackets the share of runs beyond 95 % of the shifts.",
        header=["method", *(heading("standard", metric) for metric in metrics)],
        rows=rows,
        notes=[
            "Labels of long persistence hardly change when they are shifted by a few days: the comparison is strict."
        ],
    )


def _over(scores: pd.DataFrame, chosen: pd.DataFrame, address: str, metric: str) -> str:
    joined = chosen.loc[[address]].join(scores[[metric]]).dropna(subset=[metric, "mean"])
    if not len(joined):
        return "–"
    sign = 1 if rises("standard", metric) else -1
    beyond = (sign * (joined[metric] - joined["p95"]) > 0).mean()
    excess = float((joined[metric] - joined["mean"]).median())
    return f"{'+' if excess > 0 else ''}{number(excess, 'standard', metric)} ({beyond:.2f})"
