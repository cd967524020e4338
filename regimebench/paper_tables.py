"""The papers' tables, regenerated: one per printed table, over all its data sets, in four formats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from regimebench.papers.build import build
from regimebench.papers.compare import compare, read_ours, read_results
from regimebench.papers.layouts import MethodsLayout, read_layouts
from regimebench.papers.methods import build_methods
from regimebench.papers.render import as_csv, write_grid

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
            results = standing.results if standing else read_results(settings, settings["datasets"][0])
            grid, data = build_methods(layout, settings["rows"], results)
        else:
            records = compare(layout, ours)
            grid, data = build(layout, records, ours), as_csv(records)
        write_grid(grid, data, tables / f"paper.{layout.id}")
