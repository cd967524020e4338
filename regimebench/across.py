"""Tables over several data sets: what their number allows, and scores as an excess over days without structure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from regimebench import notes
from regimebench.formats import heading, number, p_value
from regimebench.metrics import find
from regimebench.results import HEADLINE, Results, keys
from regimebench.stats.across import Across, across
from regimebench.stats.effect import superiority, superiority_interval
from regimebench.stats.exact import rank_sum_p
from regimebench.stats.pairwise import ALPHA, MIN_RUNS, holm
from regimebench.stats.samples import Samples, samples
from regimebench.tables import Cell, Table, write

__all__ = ["over_data_sets", "tables_over"]

CHANGES = {
    "phase_randomised": "a surrogate with the same spectra and covariances and no regimes",
    "deseasonalised": "the same days without their mean annual cycle",
}


def over_data_sets(settings: dict[str, Any], tables: Path) -> None:
    """Write ``across.{md,tex,csv}``.

    Parameters
    ----------
    settings : dict
        What the report needs to know: the results folder, what all data sets share and the settings of each.
    tables : Path
        Folder to write into.
    """
    made, data = tables_over(settings)
    write(made, data, tables / "across")


def tables_over(settings: dict[str, Any]) -> tuple[list[Table], pd.DataFrame]:
    """Return the same tables for the report, and their numbers."""
    folder = Path(settings["results"])
    shared = {key: settings[key] for key in ("rows", "budget")}
    found = {
        each["dataset"]: Results.read(
            {**shared, **each}, *(folder / each["dataset"] / file for file in ("scores.csv", "runs.csv"))
        )
        for each in settings["datasets"]
    }
    real = {name: results for name, results in found.items() if not results.settings["of"]}
    made, data = _real(real)
    for results in found.values():
        if results.settings["of"]:
            table, numbers = _excess(found[results.settings["of"]], results)
            made.append(table)
            data.append(numbers)
    return made, pd.concat(data, ignore_index=True)


def _headline(results: Results) -> Samples:
    return samples(results, "standard", [HEADLINE])[0]


def _runs(found: Samples) -> dict[str, np.ndarray]:
    return {address: row[~np.isnan(row)] for address, row in zip(found.addresses, found.scores, strict=True)}


def _bounds(results: Results) -> tuple[float, float]:
    """Return the lowest and the highest median score of the controls, which pooled scores are measured by."""
    controls = [row["address"] for row in results.rows if row["kind"] == "control"]
    medians = results.summary("standard")["median"][HEADLINE].reindex(controls).dropna()
    return (float(medians.min()), float(medians.max())) if len(medians) else (0.0, 0.0)


def _real(results: dict[str, Results]) -> tuple[list[Table], list[pd.DataFrame]]:
    """Return the table of all rows over data sets that are made of no other."""
    scores = {name: _runs(_headline(each)) for name, each in results.items()}
    found = across(scores, {name: _bounds(each) for name, each in results.items()})
    rows = [[_name(results, str(address)), *map(Cell, _cells(found, str(address)))] for address in found.summary.index]
    table = Table(
        title=f"All data sets: {find('standard', HEADLINE).title}",
        caption="Median over the runs that have a score, in brackets the rank, failed runs last; mean rank; how often "
        "first; interquartile mean over data sets and seeds of scores scaled per data set (0: lowest "
        "median of a control, 1: "
        "highest), with 95 % interval over seeds (stratified bootstrap).",
        header=["method", *found.medians.columns, "mean rank", "first", "scaled IQM"],
        rows=rows,
        notes=[found.sentence, notes.DATA_SETS],
    )
    data = found.medians.add_prefix("median:").join(found.ranks.add_prefix("rank:")).join(found.summary)
    made = [table, *_tested(found)]
    return made, [data.rename_axis("address").reset_index().assign(table="all data sets")]


def _name(results: dict[str, Results], address: str) -> Cell:
    return next(iter(results.values())).name(address)


def _cells(found: Across, address: str) -> list[str]:
    medians = [
        f"{number(found.medians.at[address, name], 'standard', HEADLINE)} ({found.ranks.at[address, name]:.0f})"
        for name in found.medians
    ]
    row = found.summary.loc[address]
    scaled = f"{row['iqm']:.2f} [{row['iqm_low']:.2f}, {row['iqm_high']:.2f}]" if np.isfinite(row["iqm"]) else "–"
    return [*medians, f"{row['mean_rank']:.1f}", str(int(row["first"])), scaled]


def _tested(found: Across) -> list[Table]:
    """Return the pairs that are told apart over data sets, where there are enough of these."""
    if not len(found.pairs):
        return []
    told = found.pairs[found.pairs["p_holm"] <= ALPHA]
    rows = [
        [
            *map(Cell, (row["a"], row["b"], p_value(row["p_holm"]))),
            Cell(f"{row['p_better']:.2f} / {row['p_equivalent']:.2f} / {row['p_worse']:.2f}"),
        ]
        for row in told.to_dict("records")
    ]
    return [
        Table(
            title="All data sets: pairs told apart",
            caption=f"Wilcoxon's signed-rank test of median scores over data sets, Holm-corrected over "
            f"{len(found.pairs)} "
            "pairs; the Bayesian signed-rank test: better, practically equivalent, worse.",
            header=["a", "b", "p", "practically"],
            rows=rows,
            notes=[] if rows else ["No pair is told apart."],
        )
    ]


def _excess(real: Results, changed: Results) -> tuple[Table, pd.DataFrame]:
    """Return how much better each row scores on the real days than on the changed ones."""
    metrics, data = keys("standard"), []
    for metric in metrics:
        a, b = samples(real, "standard", [metric])[0], samples(changed, "standard", [metric])[0]
        data.append(_compared(a, b).assign(metric=metric))
    numbers = pd.concat(data, ignore_index=True)
    numbers["p_holm"] = numbers.groupby("metric")["p"].transform(lambda p: holm(p))
    rows = []
    for address in dict.fromkeys(numbers["address"]):
        own = numbers[numbers["address"] == address].set_index("metric")
        rows.append([real.name(address), *(Cell(_shown(own.loc[metric], metric)) for metric in metrics)])
    what = CHANGES[changed.settings["change"]]
    table = Table(
        title=f"{real.settings['title']}: scores as an excess over {changed.settings['title']}",
        caption=f"Beside the real days stand {what}. Median score on the real days less that on the others; "
        f"in brackets "
        "the probability that a run on the real days scores better; * where it is told apart from 0.5 (Mann-Whitney, "
        "Holm-corrected over the rows).",
        header=["method", *(heading("standard", metric) for metric in metrics)],
        rows=rows,
        notes=[notes.SCALES, notes.ONE_SURROGATE, notes.FAILURES],
    )
    return table, numbers.assign(table=changed.settings["dataset"])


def _compared(a: Samples, b: Samples) -> pd.DataFrame:
    real, other, rows = _runs(a), _runs(b), []
    for address in (address for address in a.addresses if address in other):
        x, y = real[address], other[address]
        if not x.size or not y.size:
            continue
        share, variance = superiority(x, y[None])
        low = high = p = np.nan
        if min(len(x), len(y)) >= MIN_RUNS:
            sizes = np.array([len(x)]), np.array([len(y)])
            low, high = (end[0] for end in superiority_interval(share, variance, *sizes))
            p = rank_sum_p(x, y)
        medians = [a.sign * _median(each[np.isfinite(each)]) for each in (x, y)]
        rows.append((address, *medians, medians[0] - medians[1], share[0], low, high, p))
    names = ["address", "real", "changed", "excess", "superiority", "low", "high", "p"]
    return pd.DataFrame(rows, columns=names)


def _median(runs: np.ndarray) -> float:
    return float(np.median(runs)) if runs.size else float("nan")


def _shown(row: pd.Series, metric: str) -> str:
    if not np.isfinite(row["excess"]):
        return "–"
    star = "*" if row["p_holm"] <= ALPHA else ""
    sign = "+" if row["excess"] > 0 else ""
    return f"{sign}{number(row['excess'], 'standard', metric)} ({row['superiority']:.2f}){star}"
