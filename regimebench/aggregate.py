"""Stage 5, aggregate: from scores of single runs to the tables of one data set, one set per protocol."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from regimebench.metrics import find, metrics_of
from regimebench.records import status_summary
from regimebench.schema import load_yaml
from regimebench.stats import against_best, smallest_p
from regimebench.tables import Cell, Table, best_in_column, write

PRINTED = Path(__file__).resolve().parents[1] / "published" / "tables.yaml"
HEADLINE = "silhouette"
# The papers print one variance: of the zero-padded array for some rows, of the data columns alone for others.
PRINTED_AS = {"variance_unpadded": "variance"}
PADDING_NOTE = (
    "The printed variances are of zero-padded arrays in some rows (near 0.10 on ERA5) and of unpadded ones in others "
    "(near 0.045), so each is set beside both of ours."
)
REFERENCES = {"(truth)": "planted truth", "(oracle)": "oracle"}
ALPHA = 0.05
ARROW = {True: "↑", False: "↓"}


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
        Folder to write ``<dataset>.<protocol>.{md,tex,csv}`` into.
    """
    for protocol, (made, data) in _build(settings, scores, runs, printed).items():
        write(made, data, tables / f"{settings['dataset']}.{protocol}")


def tables_of(settings: dict[str, Any], folder: Path) -> list[Table]:
    """Return the same tables for the report, from the data set's results folder."""
    built = _build(settings, folder / "scores.csv", folder / "runs.csv", PRINTED)
    return [table for made, _ in built.values() for table in made]


def _build(
    settings: dict[str, Any], scores: Path, runs: Path, printed: Path
) -> dict[str, tuple[list[Table], pd.DataFrame]]:
    """Return protocol -> (tables, unrounded numbers)."""
    values, records = pd.read_csv(scores), pd.read_csv(runs)
    published = [entry for entry in load_yaml(printed) if entry["dataset"] == settings["published"]]
    built = {
        "standard": standard_tables(settings, values, records),
        "paper": paper_tables(settings, values, records, published),
    }
    if (values["protocol"] == "truth").any():
        built["truth"] = truth_tables(settings, values, records)
    return built


def wide(values: pd.DataFrame, protocol: str) -> pd.DataFrame:
    """Return one row per (address, seed) and one column per metric of ``protocol``."""
    chosen = values[values["protocol"] == protocol]
    return chosen.pivot(index=["address", "seed"], columns="metric", values="value")


def best_runs(values: pd.DataFrame) -> pd.DataFrame:
    """Return, per address, the run with the highest cosine silhouette, as the DSC paper selects (section 5.4)."""
    paper = wide(values, "paper")
    ranked = paper.dropna(subset=HEADLINE).sort_values(HEADLINE, ascending=False, kind="stable")
    return ranked.reset_index("seed").groupby(level="address", sort=False).first()


def paper_tables(
    settings: dict[str, Any], values: pd.DataFrame, records: pd.DataFrame, published: list[dict[str, Any]]
) -> tuple[list[Table], pd.DataFrame]:
    """Return the paper-protocol table, one comparison per printed table, and their numbers."""
    best = best_runs(values)
    columns = _keys("paper")
    rows, data = [], []
    order = [row["address"] for row in settings["rows"]]
    marks = _best_marks(best.loc[[a for a in order if a in best.index]], "paper", columns)
    for row in settings["rows"]:
        numbers = best.loc[row["address"]] if row["address"] in best.index else pd.Series(dtype=float)
        summary = _status(records, row)
        cells = [
            _number(numbers.get(m), "paper", m, bool(marks.get(m, pd.Series()).get(row["address"], False)))
            for m in columns
        ]
        rows.append([Cell(row["address"]), Cell(summary), *cells])
        entry = {"address": row["address"], "runs": summary, "best_seed": numbers.get("seed")}
        data.append(entry | {metric: numbers.get(metric) for metric in columns} | _printed(row, numbers, published))
    rows += [_reference(values, reference, "paper", columns, filler=1) for reference in _references(values)]
    table = Table(
        title=f"{settings['title']}: paper protocol",
        caption=f"Best of the seeds by cosine silhouette, k = {settings['n_clusters']}; the metrics as the authors' "
        "published code computes them." + _budget(settings),
        header=["method", "runs", *(_heading("paper", metric) for metric in columns)],
        rows=rows,
        notes=[
            *_legend(settings, values),
            "One run out of many is not evidence of a difference: see the standard protocol.",
        ],
    )
    return [table, *(_comparison(settings, entry, best) for entry in published)], pd.DataFrame(data)


def _printed(row: dict[str, Any], ours: pd.Series, published: list[dict[str, Any]]) -> dict[str, float]:
    """Return printed values and differences of one row, keyed ``<table>:<metric>[:difference]``."""
    found = {}
    for entry in published:
        for metric, value in (entry["rows"].get(row["published"]) or {}).items():
            found[f"{entry['id']}:{metric}"] = value
            found[f"{entry['id']}:{metric}:difference"] = ours.get(metric, np.nan) - value
    return found


def _comparison(settings: dict[str, Any], entry: dict[str, Any], best: pd.DataFrame) -> Table:
    printed_metrics = {metric for row in entry["rows"].values() for metric in row}
    metrics = [m.key for m in metrics_of("paper") if PRINTED_AS.get(m.key, m.key) in printed_metrics]
    rows = []
    for row in settings["rows"]:
        printed = entry["rows"].get(row["published"])
        if printed is None:
            continue
        cells = [Cell(row["address"])]
        for metric in metrics:
            ours = best.loc[row["address"], metric] if row["address"] in best.index else np.nan
            value = printed.get(PRINTED_AS.get(metric, metric), np.nan)
            shown = f"{ours - value:+.4f}" if np.isfinite(ours - value) else "–"
            cells.append(Cell(f"{_text(ours, 'paper', metric)} / {value:g} / {shown}"))
        rows.append(cells)
    return Table(
        title=f"{settings['title']}: ours beside {entry['source']}",
        caption=f"Each cell: ours / printed / difference. Printed protocol: {entry['protocol']}.",
        header=["method", *(_heading("paper", metric) for metric in metrics)],
        rows=rows,
        notes=[PADDING_NOTE] if "variance" in metrics else [],
    )


def standard_tables(
    settings: dict[str, Any], values: pd.DataFrame, records: pd.DataFrame
) -> tuple[list[Table], pd.DataFrame]:
    """Return the standard-protocol table and its numbers: median and quartiles over all seeds, tests, cost."""
    columns = _keys("standard")
    summary = _summaries(settings, wide(values, "standard"), columns)
    medians = pd.DataFrame({m: summary[(m, "median")] for m in columns})
    marks = _best_marks(medians, "standard", columns)
    best, p = _tests(settings, values, "standard", HEADLINE)
    rows, data = [], []
    for row in settings["rows"]:
        address = row["address"]
        runs = records[records["address"] == address]
        cost = runs[["seconds", "peak_rss_mib", "n_parameters"]].median()
        cells = [_spread(summary.loc[address], m, "standard", bool(marks[m][address])) for m in columns]
        shown = "best" if address == best else "–" if np.isnan(p[address]) else f"{p[address]:.3f}"
        rows.append([Cell(address), Cell(_status(records, row)), *cells, Cell(shown), *map(Cell, _cost(cost))])
        data.append(
            {"address": address, "runs": _status(records, row)}
            | {f"{m}_{part}": summary.loc[address, (m, part)] for m in columns for part in ("median", "q1", "q3")}
            | {"p_holm": p[address], **cost.to_dict()}
        )
    rows += [_reference(values, name, "standard", columns, filler=1, after=4) for name in _references(values)]
    table = Table(
        title=f"{settings['title']}: standard protocol",
        caption=f"Median over all seeds, quartiles in brackets, k = {settings['n_clusters']}." + _budget(settings),
        header=["method", "runs", *(_heading("standard", m) for m in columns), "p", "seconds", "MiB", "parameters"],
        rows=rows,
        notes=[*_legend(settings, values), _test_note(settings, p)],
    )
    return [table], pd.DataFrame(data)


def truth_tables(
    settings: dict[str, Any], values: pd.DataFrame, records: pd.DataFrame
) -> tuple[list[Table], pd.DataFrame]:
    """Return the agreement with planted labels and its numbers."""
    columns = _keys("truth")
    summary = _summaries(settings, wide(values, "truth"), columns)
    marks = _best_marks(pd.DataFrame({m: summary[(m, "median")] for m in columns}), "truth", columns)
    rows, data = [], []
    for row in settings["rows"]:
        address = row["address"]
        cells = [_spread(summary.loc[address], m, "truth", bool(marks[m][address])) for m in columns]
        rows.append([Cell(address), Cell(_status(records, row)), *cells])
        parts = {f"{m}_{part}": summary.loc[address, (m, part)] for m in columns for part in ("median", "q1", "q3")}
        data.append({"address": address, **parts})
    rows += [_reference(values, name, "truth", columns, filler=1) for name in _references(values) if name != "(truth)"]
    table = Table(
        title=f"{settings['title']}: agreement with the planted regimes",
        caption="Median over all seeds, quartiles in brackets. No method sees the planted labels." + _budget(settings),
        header=["method", "runs", *(_heading("truth", metric) for metric in columns)],
        rows=rows,
        notes=_legend(settings, values),
    )
    return [table], pd.DataFrame(data)


def _summaries(settings: dict[str, Any], runs: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    grouped = runs.reindex(columns=columns).groupby(level="address")
    parts = {"median": grouped.median(), "q1": grouped.quantile(0.25), "q3": grouped.quantile(0.75)}
    table = pd.concat({part: frame for part, frame in parts.items()}, axis=1).swaplevel(axis=1)
    return table.reindex([row["address"] for row in settings["rows"]])


def _tests(
    settings: dict[str, Any], values: pd.DataFrame, protocol: str, metric: str
) -> tuple[str | None, dict[str, float]]:
    runs = wide(values, protocol)[metric].dropna()
    present = set(runs.index.get_level_values("address"))
    scores = {
        a: runs.loc[a].to_numpy() if a in present else np.array([]) for a in (r["address"] for r in settings["rows"])
    }
    return against_best(scores, _rises(protocol, metric))


def _test_note(settings: dict[str, Any], p: dict[str, float]) -> str:
    compared = sum(np.isfinite(value) for value in p.values())
    seeds = max(row["seeds"] for row in settings["rows"])
    floor = smallest_p(seeds, compared)
    note = (
        f"p: Mann-Whitney test of the {find('standard', HEADLINE).title} against the row marked best, Holm-corrected "
        f"over {compared} comparisons; – where a side has fewer than two runs."
    )
    if floor > ALPHA:
        note += f" With {seeds} seeds no p below {floor:.2f} can be reached: no difference can be significant here."
    return note


def _status(records: pd.DataFrame, row: dict[str, Any]) -> str:
    return status_summary(records[records["address"] == row["address"]].to_dict("records"))


def _best_marks(medians: pd.DataFrame, protocol: str, columns: Iterable[str]) -> dict[str, pd.Series]:
    return {m: best_in_column(medians[m], _rises(protocol, m)) for m in columns if m in medians}


def _references(values: pd.DataFrame) -> list[str]:
    return [name for name in REFERENCES if (values["address"] == name).any()]


def _reference(
    values: pd.DataFrame, name: str, protocol: str, columns: list[str], filler: int, after: int = 0
) -> list[Cell]:
    chosen = values[(values["address"] == name) & (values["protocol"] == protocol)].set_index("metric")["value"]
    cells = [_number(chosen.get(metric), protocol, metric) for metric in columns]
    return [Cell(f"({REFERENCES[name]})"), *[Cell("")] * filler, *cells, *[Cell("")] * after]


def _legend(settings: dict[str, Any], values: pd.DataFrame) -> list[str]:
    notes = []
    controls = [row["address"] for row in settings["rows"] if row["kind"] == "control"]
    if controls:
        notes.append(f"Controls, which a method has to beat: {', '.join(controls)}.")
    fixed = [row["address"] for row in settings["rows"] if row["deterministic"]]
    if fixed:
        notes.append(f"Deterministic, so one run: {', '.join(fixed)}.")
    if _references(values):
        notes.append("In brackets: what the planted labels themselves score, and a solver that is told the mechanism.")
    rebuilt = [row["address"] for row in settings["rows"] if row["fidelity"] == "reconstructed"]
    if rebuilt:
        notes.append(f"† reconstructed from partial information: {', '.join(rebuilt)}.")
    return notes


def _budget(settings: dict[str, Any]) -> str:
    if settings["budget"] == "full":
        return ""
    return " Smoke budget: iterative methods are cut short, so their rows show that they run, not what they can do."


def _keys(protocol: str) -> list[str]:
    """Return the headline metrics of a protocol, in table order."""
    return [metric.key for metric in metrics_of(protocol) if not metric.extra]


def _rises(protocol: str, metric: str) -> bool:
    return find(protocol, metric).better == "higher"


def _heading(protocol: str, metric: str) -> str:
    return f"{find(protocol, metric).short} {ARROW[_rises(protocol, metric)]}"


def _text(value: Any, protocol: str, metric: str) -> str:
    if value is None or not np.isfinite(value):
        return "–"
    digits = 4 if protocol == "paper" or metric == "variance" else 3
    return f"{value:.{digits}f}"


def _number(value: Any, protocol: str, metric: str, best: bool = False) -> Cell:
    return Cell(_text(value, protocol, metric), best)


def _spread(summary: pd.Series, metric: str, protocol: str, best: bool) -> Cell:
    middle, low, high = (summary[(metric, part)] for part in ("median", "q1", "q3"))
    text = _text(middle, protocol, metric)
    if np.isfinite(middle) and high > low:
        text += f" [{_text(low, protocol, metric)}, {_text(high, protocol, metric)}]"
    return Cell(text, best)


def _cost(cost: pd.Series) -> tuple[str, str, str]:
    seconds, memory, parameters = cost["seconds"], cost["peak_rss_mib"], cost["n_parameters"]
    return (
        f"{seconds:.2f}" if np.isfinite(seconds) else "–",
        f"{memory:.0f}" if np.isfinite(memory) else "–",
        f"{parameters:,.0f}" if np.isfinite(parameters) else "–",
    )
