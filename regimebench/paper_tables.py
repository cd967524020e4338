"""The papers' tables, regenerated: one per printed table, over all its data sets, in four formats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from regimebench.papers.build import build
from regimebench.papers.compare import compare, read_ours
from regimebench.papers.layouts import MethodsLayout, read_layouts
from regimebench.papers.methods import build_methods
from regimebench.papers.render import as_csv, write_grid
from regimebench.results import Results

__all__ = ["paper_tables"]


def paper_tables(settings: dict[str, Any], tables: Path) -> None:
    """Write ``paper.<table id>.{md,tex,html,csv}`` for every printed table.

    Parameters
    ----------
    settings : dict
        From :func:`regimebench.jobs.paper_settings`: the results folder, the budget, the rows, and all data sets.
    tables : Path
        Folder to write into.
    """
    ours = read_ours(settings)
    for layout in read_layouts():
        if isinstance(layout, MethodsLayout):
            standing = ours.get(layout.dataset)
            results = standing.results if standing else _first(settings)
            grid, data = build_methods(layout, settings["rows"], results)
        else:
            records = compare(layout, ours)
            grid, data = build(layout, records, ours), as_csv(records)
        write_grid(grid, data, tables / f"paper.{layout.id}")


def _first(settings: dict[str, Any]) -> Results:
    """Return the results of the first data set, whose cost is shown where none stands for the papers'."""
    first, folder = settings["datasets"][0], Path(settings["results"])
    shared = {"rows": settings["rows"], "budget": settings["budget"]}
    return Results.read(first | shared, *(folder / first["dataset"] / name for name in ("scores.csv", "runs.csv")))
