"""Stage 5, aggregate: from scores of single runs to the tables of one data set, one set per protocol."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from regimebench import notes
from regimebench.metrics import find, metrics_of
from regimebench.records import status_summary
from regimebench.schema import load_yaml
from regimebench.stats import against_reference
from regimebench.tables import Cell, Table, best_in_column, write

PRINTED = Path(__file__).resolve().parents[1] / "published" / "tables.yaml"
HEADLINE = "silhouette"
REFERENCES = {"(truth)": "(planted truth)", "(oracle)": "(oracle)"}
# The papers print one variance: of the zero-padded array for some rows, of the grid alone for others.
PRINTED_AS = {"variance_unpadded": "variance"}
QUARTILES = {"median": 0.5, "q1": 0.25, "q3": 0.75}
COSTS = ("seconds", "peak_rss_mib", "n_parameters")
OK_SHARE = 0.5  # a row is marked best only if at least so many of its runs are ok

Built = tuple[list[Table], pd.DataFrame]


def aggregate(settings: dict[str, Any], scores: Path, runs: Path, printed: Path, tables: Path) -> None:
    """Write the paper, standard and (planted data) truth tables of one data set.

    Parameters
    ----------
    settings : dict
        Data set name, title, number of clusters, budget, and the rows in the order to print them.
    scores, runs : Path
        CSV files of the evaluate stage.
    printed : Path
        YAML file with the numbers printed in the papers.
    tables : Path
        Folder to write ``<dataset>.<protocol>.{md,tex,csv}`` into. A truth table of an earlier run is removed if the
        data are not planted.
    """
    for old in tables.glob(f"{settings['dataset']}.truth.*"):
        old.unlink()
    for protocol, (made, data) in _build(settings, scores, runs, printed).items():
        write(made, data, tables / f"{settings['dataset']}.{protocol}")


def tables_of(settings: dict[str, Any], folder: Path) -> list[Table]:
    """Return the same tables for the report, from the data set's results folder."""
    built = _build(settings, folder / "scores.csv", folder / "runs.csv", PRINTED)
    return [table for made, _ in built.values() for table in made]


def _build(settings: dict[str, Any], scores: Path, runs: Path, printed: Path) -> dict[str, Built]:
    """Return protocol -> (tables, unrounded numbers)."""
    results = Results(settings, pd.read_csv(scores), pd.read_csv(runs))
    published = [entry for entry in load_yaml(printed) if entry["dataset"] == settings["published"]]
    built = {"standard": standard_tables(results), "paper": paper_tables(results, published)}
    if results.references:
        built["truth"] = truth_tables(results)
    return built


@dataclass(frozen=True)
class Results:
    """Scores and records of one data set.

    Only runs that are ``ok`` have a say in medians, tests, marks and costs; the others are counted in the column runs.
    """

    settings: dict[str, Any]
    values: pd.DataFrame
    records: pd.DataFrame

    @property
    def rows(self) -> list[dict[str, Any]]:
        """What the tables show, in their order."""
        return self.settings["rows"]

    @cached_property
    def addresses(self) -> list[str]:
        """The rows' addresses."""
        return [row["address"] for row in self.rows]

    def name(self, address: str) -> Cell:
        """Return the first cell of a row: the address, with a dagger where the method had to be reconstructed."""
        (row,) = (row for row in self.rows if row["address"] == address)
        return Cell(address + (" †" if row["fidelity"] == "reconstructed" else ""))

    @cached_property
    def references(self) -> list[str]:
        """Rows that are no runs: the planted truth and its oracle."""
        return [name for name in REFERENCES if (self.values["address"] == name).any()]

    @cached_property
    def ok(self) -> pd.DataFrame:
        """Records of the runs that are ok."""
        return self.records[self.records["status"] == "ok"]

    def scores(self, protocol: str) -> pd.DataFrame:
        """Return one row per ok run, indexed by (address, seed), and one column per metric."""
        table = _wide(self.values, protocol)
        return table[table.index.isin(pd.MultiIndex.from_frame(self.ok[["address", "seed"]]))]

    def status(self, address: str) -> str:
        """Return how many runs are ok, and why the others are not."""
        return status_summary(self.records[self.records["address"] == address].to_dict("records"))

    def clusters(self, address: str) -> float:
        """Return the median number of clusters found in ok runs."""
        return float(self.ok.loc[self.ok["address"] == address, "clusters_found"].median())

    @cached_property
    def few_clusters(self) -> list[str]:
        """Rows that usually find fewer clusters than asked: their scores are not comparable."""
        return [address for address in self.addresses if self.clusters(address) < self.settings["n_clusters"]]

    @cached_property
    def unreliable(self) -> list[str]:
        """Rows most of whose runs are not ok."""
        counts = {a: (self.records.loc[self.records["address"] == a, "status"] == "ok").mean() for a in self.addresses}
        return [address for address, share in counts.items() if not share >= OK_SHARE]

    def marks(self, protocol: str, table: pd.DataFrame) -> dict[str, pd.Series]:
        """Return, per metric, which rows of ``table`` are the best among those that may be marked."""
        barred = [*self.few_clusters, *self.unreliable]
        allowed = table.drop(index=barred).reindex(table.index)
        return {metric: best_in_column(allowed[metric], _rises(protocol, metric)) for metric in table.columns}

    def summary(self, protocol: str) -> dict[str, pd.DataFrame]:
        """Return median and quartiles over ok runs: one frame each, rows by address, columns by metric."""
        grouped = self.scores(protocol)[_keys(protocol)].groupby(level="address")
        return {part: grouped.quantile(q).reindex(self.addresses) for part, q in QUARTILES.items()}

    def tests(self, protocol: str, metric: str) -> tuple[str | None, dict[str, float]]:
        """Return the reference row and Holm-adjusted p values."""
        column = self.scores(protocol)[metric].dropna()
        samples = {a: column[column.index.get_level_values("address") == a].to_numpy() for a in self.addresses}
        return against_reference(samples, _rises(protocol, metric))


def _wide(values: pd.DataFrame, protocol: str) -> pd.DataFrame:
    chosen = values[values["protocol"] == protocol]
    table = chosen.pivot(index=["address", "seed"], columns="metric", values="value")
    return table.reindex(columns=[metric.key for metric in metrics_of(protocol)]).astype(float)


def best_runs(values: pd.DataFrame) -> pd.DataFrame:
    """Return, per address, the run with the highest cosine silhouette, as the DSC paper selects (section 5.4)."""
    return _best(_wide(values, "paper"))


def _best(paper: pd.DataFrame) -> pd.DataFrame:
    ranked = paper.dropna(subset=HEADLINE).sort_values(HEADLINE, ascending=False, kind="stable").reset_index("seed")
    return ranked[~ranked.index.duplicated()]


def paper_tables(results: Results, published: list[dict[str, Any]]) -> Built:
    """Return the paper-protocol table, one comparison per printed table, and their numbers."""
    columns = _keys("paper")
    best = _best(results.scores("paper")).reindex(results.addresses)
    marks = results.marks("paper", best[columns])
    rows, data = [], []
    for row in results.rows:
        address = row["address"]
        cells = [Cell(_text(best.at[address, m], "paper", m), bool(marks[m][address])) for m in columns]
        rows.append([results.name(address), Cell(results.status(address)), *cells])
        numbers = {"address": address, "runs": results.status(address), **best.loc[address].to_dict()}
        data.append(numbers | _differences(row, best.loc[address], published))
    comparable = [entry for entry in published if entry["n_clusters"] == results.settings["n_clusters"]]
    table = Table(
        title=f"{results.settings['title']}: paper protocol",
        caption=f"Best of the seeds by cosine silhouette, k = {results.settings['n_clusters']}; the metrics as the "
        "authors' published code computes them." + notes.budget(results.settings),
        header=["method", "runs", *(_heading("paper", metric) for metric in columns)],
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
    rows = []
    for row in results.rows:
        printed = entry["rows"].get(row["published"])
        if printed is None:
            continue
        cells = [results.name(row["address"])]
        for metric in metrics:
            ours, value = best.at[row["address"], metric], printed.get(PRINTED_AS.get(metric, metric), np.nan)
            shown = f"{ours - value:+.4f}" if np.isfinite(ours - value) else "–"
            cells.append(Cell(f"{_text(ours, 'paper', metric)} / {value:g} / {shown}"))
        rows.append(cells)
    return Table(
        title=f"{results.settings['title']}: ours beside {entry['source']}",
        caption=f"Each cell: ours / printed / difference. Printed protocol: {entry['protocol']}."
        + notes.budget(results.settings),
        header=["method", *(_heading("paper", metric) for metric in metrics)],
        rows=rows,
        notes=[notes.PADDING] if "variance" in metrics else [],
    )


def standard_tables(results: Results) -> Built:
    """Return the standard-protocol table and its numbers: median and quartiles over ok runs, tests, cost."""
    summary, (reference, p) = results.summary("standard"), results.tests("standard", HEADLINE)
    marks = results.marks("standard", summary["median"])
    costs = results.ok.groupby("address")[list(COSTS)].median().reindex(results.addresses)
    rows, data = [], []
    for address in results.addresses:
        shown = "ref." if address == reference else _p(p[address])
        cost = costs.loc[address]
        cells = _spread_cells(summary, marks, "standard", address)
        head = [results.name(address), Cell(results.status(address))]
        rows.append([*head, *cells, Cell(shown), *map(Cell, _cost(cost))])
        data.append(_numbers(results, summary, address) | {"p_holm": p[address], **cost.to_dict()})
    table = Table(
        title=f"{results.settings['title']}: standard protocol",
        caption=f"{notes.MEDIANS} k = {results.settings['n_clusters']}." + notes.budget(results.settings),
        header=["method", "runs", *map(_standard_heading, _keys("standard")), "p", "seconds", "MiB", "parameters"],
        rows=rows + _reference_rows(results, "standard", after=4),
        notes=[*notes.legend(results), notes.test(find("standard", HEADLINE).title, results, reference, p)],
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
    table = Table(
        title=f"{results.settings['title']}: agreement with the planted regimes",
        caption=f"{notes.MEDIANS} No method sees the planted labels." + notes.budget(results.settings),
        header=["method", "runs", *(_heading("truth", metric) for metric in _keys("truth"))],
        rows=rows + _reference_rows(results, "truth", leave_out="(truth)"),
        notes=notes.legend(results),
    )
    return [table], pd.DataFrame([_numbers(results, summary, address) for address in results.addresses])


def _numbers(results: Results, summary: dict[str, pd.DataFrame], address: str) -> dict[str, Any]:
    parts = {f"{m}_{part}": frame.at[address, m] for part, frame in summary.items() for m in frame.columns}
    found = {"runs": results.status(address), "clusters_found_median": results.clusters(address)}
    return {"address": address, **found, **dict(sorted(parts.items()))}


def _spread_cells(
    summary: dict[str, pd.DataFrame], marks: dict[str, pd.Series], protocol: str, address: str
) -> list[Cell]:
    cells = []
    for metric in _keys(protocol):
        middle, low, high = (summary[part].at[address, metric] for part in ("median", "q1", "q3"))
        text = _text(middle, protocol, metric)
        if high > low:
            text += f" [{_text(low, protocol, metric)}, {_text(high, protocol, metric)}]"
        cells.append(Cell(text, bool(marks[metric][address])))
    return cells


def _reference_rows(results: Results, protocol: str, after: int = 0, leave_out: str = "") -> list[list[Cell]]:
    table = _wide(results.values, protocol).reset_index("seed", drop=True)
    names = [name for name in results.references if name != leave_out]
    return [
        [Cell(REFERENCES[name]), Cell(""), *(Cell(_text(table.at[name, m], protocol, m)) for m in _keys(protocol))]
        + [Cell("")] * after
        for name in names
    ]


def _keys(protocol: str) -> list[str]:
    """Return the headline metrics of a protocol, in table order."""
    return [metric.key for metric in metrics_of(protocol) if not metric.extra]


def _rises(protocol: str, metric: str) -> bool:
    return find(protocol, metric).better == "higher"


def _heading(protocol: str, metric: str) -> str:
    return f"{find(protocol, metric).short} {'↑' if _rises(protocol, metric) else '↓'}"


def _standard_heading(metric: str) -> str:
    return _heading("standard", metric)


def _text(value: float, protocol: str, metric: str) -> str:
    if not np.isfinite(value):
        return "–"
    digits = 4 if protocol == "paper" or metric == "variance" else 3
    return f"{value:.{digits}f}"


def _p(value: float) -> str:
    return "–" if np.isnan(value) else "<0.001" if value < 0.001 else f"{value:.3f}"


def _cost(cost: pd.Series) -> list[str]:
    forms = {"seconds": "{:.2f}", "peak_rss_mib": "{:.0f}", "n_parameters": "{:,.0f}"}
    return [form.format(cost[key]) if np.isfinite(cost[key]) else "–" for key, form in forms.items()]
