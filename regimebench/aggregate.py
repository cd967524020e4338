"""Stage 5, aggregate: from scores of single runs to the tables of one data set, one set per protocol."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from regimebench import notes
from regimebench.diagnostics import grouped
from regimebench.evidence.published import Published
from regimebench.formats import heading, number, p_value
from regimebench.metrics import find, metrics_of
from regimebench.results import HEADLINE, REFERENCES, Results, best_of, keys, wide
from regimebench.schema import load_yaml
from regimebench.shifted import SHIFTED_COLUMNS
from regimebench.stats.agreement import AGREEMENT_COLUMNS
from regimebench.stats.study import Study, kept, study
from regimebench.stats.tables import statistics_tables
from regimebench.tables import Cell, Table, write

PRINTED = Path(__file__).resolve().parents[1] / "published" / "tables.yaml"
# The papers print one variance: of the zero-padded array for some rows, of the grid alone for others.
PRINTED_AS = {"variance_unpadded": "variance"}
COSTS = ("seconds", "peak_rss_mib", "n_parameters")
COST_TITLES = ("seconds", "MiB", "parameters")

Built = tuple[list[Table], pd.DataFrame]


def aggregate(
    settings: dict[str, Any],
    scores: Path,
    runs: Path,
    printed: Path,
    tables: Path,
    agreement: Path | None = None,
    shifted: Path | None = None,
) -> None:
    """Write the paper, standard, statistics, (planted data) truth and diagnostics tables of one data set.

    Parameters
    ----------
    settings : dict
        Data set name, title, number of clusters, budget, and the rows in the order to print them.
    scores, runs : Path
        CSV files of the evaluate stage.
    printed : Path
        YAML file with the numbers printed in the papers.
    tables : Path
        Folder to write ``<dataset>.<protocol>.{md,tex,csv}`` and ``<dataset>.statistics.json`` into. A truth table of
        an earlier run is removed if the data are not planted.
    agreement, shifted : Path, optional
        Further CSV files of the evaluate stage; without them the tables of stability and of shifted labels are missing.
    """
    for old in tables.glob(f"{settings['dataset']}.truth.*"):
        old.unlink()
    results = Results.read(settings, scores, runs)
    statistics = tables / f"{settings['dataset']}.statistics.json"
    study(results).write(statistics)
    found = Study.read(statistics)  # rounded as all that read it later see it
    for protocol, (made, data) in _build(results, found, printed, agreement, shifted).items():
        write(made, data, tables / f"{settings['dataset']}.{protocol}")


def tables_of(settings: dict[str, Any], folder: Path) -> list[Table]:
    """Return the same tables from the data set's results folder."""
    results = Results.read(settings, folder / "scores.csv", folder / "runs.csv")
    return all_tables(results, kept(results, folder.parent / "tables"), folder)


def all_tables(results: Results, found: Study, folder: Path) -> list[Table]:
    """Return the same tables for the report, which has the study of the results in that folder."""
    built = _build(results, found, PRINTED, folder / "agreement.csv", folder / "shifted.csv")
    return [table for made, _ in built.values() for table in made]


def _build(
    results: Results, found: Study, printed: Path, agreement: Path | None, shifted: Path | None
) -> dict[str, Built]:
    """Return protocol -> (tables, unrounded numbers)."""
    settings = results.settings
    published = [entry for entry in load_yaml(printed) if entry["dataset"] == settings["published"]]
    built = {"standard": standard_tables(results, found), "paper": paper_tables(results, published)}
    further = _table(agreement, AGREEMENT_COLUMNS), _table(shifted, SHIFTED_COLUMNS)
    built["statistics"] = statistics_tables(results, found, *further)
    if results.references:
        built["truth"] = truth_tables(results)
    built["diagnostics"] = diagnostics_tables(results)
    choice = notes.choice(settings)
    return {
        protocol: ([replace(table, notes=[*table.notes, *choice]) for table in made], data)
        for protocol, (made, data) in built.items()
    }


def _table(path: Path | None, columns: tuple[str, ...]) -> pd.DataFrame:
    """Return a CSV file of the evaluate stage, without rows where there is none."""
    return pd.read_csv(path) if path and path.is_file() else pd.DataFrame(columns=list(columns))


def paper_tables(results: Results, published: list[dict[str, Any]]) -> Built:
    """Return the paper-protocol table, one comparison per printed table, and their numbers."""
    columns = keys("paper")
    best = best_of(results.scores("paper")).reindex(results.addresses)
    marks = results.marks("paper", best[columns])
    rows, data = [], []
    for row in results.rows:
        address = row["address"]
        cells = [Cell(number(best.at[address, m], "paper", m), bool(marks[m][address])) for m in columns]
        rows.append([results.name(address), Cell(results.status(address)), *cells])
        numbers = {"address": address, "runs": results.status(address), **best.loc[address].to_dict()}
        data.append(numbers | _differences(row, best.loc[address], published))
    keys_here = {row["published"] for row in results.rows}
    comparable = [
        entry
        for entry in published
        if entry["n_clusters"] == results.settings["n_clusters"] and keys_here & entry["rows"].keys()
    ]
    table = results.table(
        about="paper protocol",
        caption=f"Best of the seeds by cosine silhouette, k = {results.settings['n_clusters']}; the metrics as the "
        "authors' published code computes them.",
        header=["method", "runs", *(heading("paper", metric) for metric in columns)],
        rows=rows + _reference_rows(results, "paper"),
        notes=[*notes.legend(results), notes.ONE_RUN, *notes.left_out(results.settings, published)],
    )
    return [table, *(_comparison(results, entry, best) for entry in comparable)], pd.DataFrame(data)


def _differences(row: dict[str, Any], ours: pd.Series, published: list[dict[str, Any]]) -> dict[str, float]:
    """Return printed values and differences of one row, keyed ``<table>:<metric>[:difference]``."""
    found = {}
    for entry in published:
        for metric, value in (entry["rows"].get(row["published"]) or {}).items():
            found[f"{entry['id']}:{metric}"] = value
            found[f"{entry['id']}:{metric}:difference"] = ours[metric] - value
    return found


def _comparison(results: Results, entry: dict[str, Any], best: pd.DataFrame) -> Table:
    printed_metrics = {metric for row in entry["rows"].values() for metric in row}
    metrics = [m.key for m in metrics_of("paper") if PRINTED_AS.get(m.key, m.key) in printed_metrics]
    rows, about = [], Published(entry["dataset"])
    compared = [row["published"] for row in results.rows if row["published"] in entry["rows"]]
    for row in results.rows:
        printed = entry["rows"].get(row["published"])
        if printed is None:
            continue
        cells = [results.name(row["address"])]
        for metric in metrics:
            ours, value = best.at[row["address"], metric], printed.get(PRINTED_AS.get(metric, metric), np.nan)
            shown = f"{ours - value:+.4f}" if np.isfinite(ours - value) else "–"
            cells.append(Cell(f"{number(ours, 'paper', metric)} / {value:g} / {shown}"))
        rows.append(cells)
    return results.table(
        about=f"ours beside {entry['source']}",
        caption=f"Each cell: ours / printed / difference. Printed protocol: {entry['protocol']}.",
        header=["method", *(heading("paper", metric) for metric in metrics)],
        rows=rows,
        notes=([notes.PADDING] if "variance" in metrics else []) + notes.unlike(entry["source"], compared, about),
    )


def standard_tables(results: Results, found: Study) -> Built:
    """Return the standard-protocol table and its numbers: median and quartiles over ok runs, tests, cost."""
    summary, headline = results.summary("standard"), found.metric("standard", HEADLINE)
    reference, p = headline.against_best(results.addresses)
    marks = results.marks("standard", summary["median"])
    costs = results.ok.groupby("address")[list(COSTS)].median().reindex(results.addresses)
    rows, data = [], []
    for address in results.addresses:
        shown = "ref." if address == reference else p_value(p[address])
        cost = costs.loc[address]
        cells = _spread_cells(summary, marks, "standard", address)
        head = [results.name(address), Cell(results.status(address))]
        marks_shown = _marks(results, address)
        rows.append([*head, *cells, Cell(marks_shown), Cell(shown), *map(Cell, _cost(cost))])
        numbers = _numbers(results, summary, address) | {"marks": marks_shown}
        data.append(numbers | {"p_holm": p[address], **cost.to_dict()})
    table = results.table(
        about="standard protocol",
        caption=f"{notes.MEDIANS} k = {results.settings['n_clusters']}.",
        header=[
            "method",
            "runs",
            *(heading("standard", metric) for metric in keys("standard")),
            "marks",
            "p",
            *COST_TITLES,
        ],
        rows=rows + _reference_rows(results, "standard", after=5),
        notes=[
            *notes.legend(results),
            *notes.marks(results),
            notes.test(find("standard", HEADLINE).title, headline, reference, bool(results.twins)),
        ],
    )
    return [table], pd.DataFrame(data)


def truth_tables(results: Results) -> Built:
    """Return the agreement with planted labels and its numbers."""
    summary = results.summary("truth")
    marks = results.marks("truth", summary["median"])
    rows = [
        [results.name(address), Cell(results.status(address)), *_spread_cells(summary, marks, "truth", address)]
        for address in results.addresses
    ]
    table = results.table(
        about="agreement with the planted regimes",
        caption=f"{notes.MEDIANS} No method sees the planted labels.",
        header=["method", "runs", *(heading("truth", metric) for metric in keys("truth"))],
        rows=rows + _reference_rows(results, "truth", leave_out="(truth)"),
        notes=notes.legend(results),
    )
    return [table], pd.DataFrame([_numbers(results, summary, address) for address in results.addresses])


def diagnostics_tables(results: Results) -> Built:
    """Return what embeddings, self-expression and labels say about the health of the fits, and the numbers."""
    medians = results.diagnostics.groupby(level="address").median().reindex(results.addresses)
    medians = medians.dropna(axis="columns", how="all")
    tables = []
    for group, names in grouped(medians.columns).items():
        shown = results.addresses if group == "labels" else medians.index[medians[names].notna().any(axis="columns")]
        if len(shown):
            tables.append(_diagnostics_table(results, group, medians.loc[list(shown), names]))
    head = {
        "runs": [results.status(address) for address in medians.index],
        "marks": [_marks(results, address) for address in medians.index],
    }
    return tables, pd.concat([pd.DataFrame(head, index=medians.index), medians], axis=1).reset_index()


def _diagnostics_table(results: Results, group: str, medians: pd.DataFrame) -> Table:
    """Return one group; the first, which has all rows, explains them."""
    rows = [
        [results.name(address), Cell(results.status(address)), Cell(_marks(results, address))]
        + [Cell(f"{value:.3g}" if np.isfinite(value) else "–") for value in medians.loc[address]]
        for address in medians.index
    ]
    return results.table(
        about=f"diagnostics, {group}",
        caption=notes.HEALTH,
        header=["method", "runs", "marks", *medians.columns],
        rows=rows,
        notes=[*notes.legend(results), *notes.marks(results)] if group == "labels" else [],
    )


def _marks(results: Results, address: str) -> str:
    return " ".join(alarm.mark for alarm in results.alarms[address])


def _numbers(results: Results, summary: dict[str, pd.DataFrame], address: str) -> dict[str, Any]:
    parts = {f"{m}_{part}": frame.at[address, m] for part, frame in summary.items() for m in frame.columns}
    found = {"runs": results.status(address), "clusters_found_median": results.clusters(address)}
    return {"address": address, **found, **dict(sorted(parts.items()))}


def _spread_cells(
    summary: dict[str, pd.DataFrame], marks: dict[str, pd.Series], protocol: str, address: str
) -> list[Cell]:
    cells = []
    for metric in keys(protocol):
        middle, low, high = (summary[part].at[address, metric] for part in ("median", "q1", "q3"))
        text = number(middle, protocol, metric)
        if high > low:
            text += f" [{number(low, protocol, metric)}, {number(high, protocol, metric)}]"
        cells.append(Cell(text, bool(marks[metric][address])))
    return cells


def _reference_rows(results: Results, protocol: str, after: int = 0, leave_out: str = "") -> list[list[Cell]]:
    table = wide(results.values, protocol).reset_index("seed", drop=True)
    names = [name for name in results.references if name != leave_out]
    return [
        [Cell(REFERENCES[name]), Cell(""), *(Cell(number(table.at[name, m], protocol, m)) for m in keys(protocol))]
        + [Cell("")] * after
        for name in names
    ]


def _cost(cost: pd.Series) -> list[str]:
    forms = {"seconds": "{:.2f}", "peak_rss_mib": "{:.0f}", "n_parameters": "{:,.0f}"}
    return [form.format(cost[key]) if np.isfinite(cost[key]) else "–" for key, form in forms.items()]
