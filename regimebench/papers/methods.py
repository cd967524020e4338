"""The printed table that describes methods, from the plugins' metadata and the records' cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from regimebench.papers.grid import Block, Entry, Grid, Line, Section
from regimebench.papers.layouts import MethodsLayout
from regimebench.papers.verdict import SYMBOLS
from regimebench.results import Results

__all__ = ["build_methods"]

ADDED = ("Fidelity", "runs", "seconds", "parameters")
INPUTS = {"table": "2D (days, values)", "cube": "4D (days, rows, columns, variables)"}
NONE = "none"  # pre-training of a method that has none
MISSING = SYMBOLS["no data"]
LEGEND = [
    "Printed: as in the paper. Ours: what each plugin declares (method.yaml): input, technology, what is learnt before "
    "any cluster is known; port: follows official code, described: the paper's text, reconstructed: less than that.",
]


def build_methods(
    layout: MethodsLayout, rows: Sequence[Mapping[str, Any]], results: Results | None
) -> tuple[Grid, pd.DataFrame]:
    """Return the grid and its numbers.

    Parameters
    ----------
    layout : MethodsLayout
        As printed.
    rows : sequence of mapping
        Settings of our rows, with ``input``, ``technology`` and ``pretraining``.
    results : Results or None
        Of the data set whose cost is shown.
    """
    shown = [row for row in rows if row["kind"] != "twin"]
    standing = {key: [row for row in shown if row["published"] == key] for key in layout.titles}
    others = [row for row in shown if row["published"] not in layout.titles]
    sections = [Section("", [_block(layout, key, standing[key], results) for key in layout.titles])]
    if others:
        sections.append(Section("Methods of this suite that the table does not have", [_others(others, results)]))
    grid = Grid(
        id=layout.id,
        title=f"{layout.source}, from the plugins",
        caption=f"“{layout.caption}”",
        corner="Method",
        header=[*layout.columns.values(), *ADDED],
        sections=sections,
        legend=LEGEND,
        notes=_notes(results),
        words=True,
    )
    return grid, pd.DataFrame(_numbers(layout, standing, others, results))


def _block(layout: MethodsLayout, key: str, standing: Sequence[Mapping[str, Any]], results: Results | None) -> Block:
    printed = [Entry(layout.rows[key][column]) for column in layout.columns]
    lines = [Line("printed", "printed", [*printed, *[Entry("")] * len(ADDED)])]
    lines += [_line(row, results) for row in standing]
    if not standing:
        lines.append(Line("ours", "ours", [Entry(MISSING, title="no row of this run stands for it")] * _width(layout)))
    return Block(layout.titles[key], lines)


def _width(layout: MethodsLayout) -> int:
    return len(layout.columns) + len(ADDED)


def _others(rows: Sequence[Mapping[str, Any]], results: Results | None) -> Block:
    return Block("", [_line(row, results) for row in rows])


def _line(row: Mapping[str, Any], results: Results | None) -> Line:
    learnt = "not required" if row["pretraining"] == NONE else row["pretraining"]
    texts = [INPUTS[row["input"]], row["technology"], learnt, row["fidelity"], *_cost(row["address"], results)]
    return Line("ours", row["address"], [Entry(text) for text in texts])


def _cost(address: str, results: Results | None) -> list[str]:
    if results is None or address not in results.addresses:
        return [MISSING] * 3
    seconds, parameters = _medians(address, results)
    return [
        results.status(address),
        f"{seconds:.3g}" if np.isfinite(seconds) else MISSING,
        f"{parameters:,.0f}" if np.isfinite(parameters) else MISSING,
    ]


def _medians(address: str, results: Results) -> tuple[float, float]:
    """Return median seconds and parameters of the ok runs, NaN without any."""
    runs = results.ok[results.ok["address"] == address]
    return float(runs["seconds"].median()), float(runs["n_parameters"].median())


def _numbers(
    layout: MethodsLayout,
    standing: Mapping[str, Sequence[Mapping[str, Any]]],
    others: Sequence[Mapping[str, Any]],
    results: Results | None,
) -> list[dict[str, Any]]:
    found = []
    for key, row in [(key, row) for key, rows in standing.items() for row in rows] + [(None, row) for row in others]:
        printed = {f"printed_{column}": layout.rows[key][column] if key else "" for column in layout.columns}
        own = {name: row[name] for name in ("input", "technology", "pretraining", "fidelity")}
        seconds, parameters = _medians(row["address"], results) if results else (np.nan, np.nan)
        status = results.status(row["address"]) if results else ""
        cost = {"runs": status, "seconds": seconds, "n_parameters": parameters}
        found.append({"row": key or "", "address": row["address"], **printed, **own, **cost})
    return found


def _notes(results: Results | None) -> list[str]:
    if results is None:
        return ["Cost: no data set of this run has records."]
    settings = results.settings
    smoke = " Smoke budget: training is cut short." if settings["budget"] != "full" else ""
    return [f"Cost: medians over the ok runs on {settings['title']}.{smoke}"]
