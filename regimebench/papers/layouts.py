"""How the papers' tables are printed: rows, columns and headings in their order, with the numbers as texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regimebench.evidence.published import FOLDER, Printed, Published
from regimebench.schema import load_yaml

__all__ = ["METHODS", "Layout", "Listed", "MethodsLayout", "Part", "read_layouts"]

METHODS = "methods"  # kind of the table that describes methods; all others hold results


@dataclass(frozen=True)
class Part:
    """The numbers of one data set in a printed table.

    Parameters
    ----------
    table : str
        Id in ``tables.yaml``.
    dataset : str
        Published data set.
    title : str or None
        Heading of the part, if the table has several.
    n_clusters : int
        The k it was printed for.
    protocol : str
        What the paper says about the choice of runs.
    numbers : mapping of (row, metric) to Printed
    emphasis : mapping of (row, metric) to str
        ``bold`` or ``italic``.
    """

    table: str
    dataset: str
    title: str | None
    n_clusters: int
    protocol: str
    numbers: Mapping[tuple[str, str], Printed]
    emphasis: Mapping[tuple[str, str], str]


@dataclass(frozen=True)
class Listed:
    """Methods that a paper says it compares with: name in the text -> row."""

    place: str
    methods: Mapping[str, str]


@dataclass(frozen=True)
class Layout:
    """A printed table of results.

    Parameters
    ----------
    across : str
        What its columns are: ``metrics`` or ``methods``.
    best_of : int or None
        How many runs each printed row was chosen from by silhouette; None where the paper does not say.
    proposed : str
        Row of the method that the paper proposes.
    methods, metrics : mapping of str to str
        Row or metric key -> heading, in printed order.
    groups : sequence of (title, span)
        Headings above columns.
    """

    id: str
    source: str
    caption: str
    across: str
    best_of: int | None
    proposed: str
    methods: Mapping[str, str]
    metrics: Mapping[str, str]
    groups: Sequence[tuple[str, int]]
    parts: Sequence[Part]
    listed: Listed | None


@dataclass(frozen=True)
class MethodsLayout:
    """A printed table that describes methods: row -> column -> text, headings apart."""

    id: str
    source: str
    caption: str
    dataset: str
    columns: Mapping[str, str]
    titles: Mapping[str, str]
    rows: Mapping[str, Mapping[str, str]]


def read_layouts(folder: Path = FOLDER) -> list[Layout | MethodsLayout]:
    """Return every printed table, in the order of ``layouts.yaml``."""
    tables = {table["id"]: table for table in Published("", folder).all_tables}
    return [
        _methods(entry) if entry["kind"] == METHODS else _results(entry, tables)
        for entry in load_yaml(folder / "layouts.yaml")
    ]


def _results(entry: dict[str, Any], tables: dict[str, dict[str, Any]]) -> Layout:
    listed = entry.get("listed")
    return Layout(
        id=entry["id"],
        source=entry["source"],
        caption=entry["caption"],
        across=entry["across"],
        best_of=entry["best_of"],
        proposed=entry["proposed"],
        methods=entry["methods"],
        metrics=entry["metrics"],
        groups=[(group["title"], group["span"]) for group in entry.get("groups", [])],
        parts=[_part(part, tables[part["table"]]) for part in entry["parts"]],
        listed=Listed(**listed) if listed else None,
    )


def _part(part: dict[str, Any], table: dict[str, Any]) -> Part:
    return Part(
        table=part["table"],
        dataset=table["dataset"],
        title=part["title"],
        n_clusters=int(table["n_clusters"]),
        protocol=table["protocol"],
        numbers={(row, metric): Printed(text) for row, each in table["rows"].items() for metric, text in each.items()},
        emphasis={(row, metric): face for face in ("bold", "italic") for row, metric in part.get(face, [])},
    )


def _methods(entry: dict[str, Any]) -> MethodsLayout:
    return MethodsLayout(
        id=entry["id"],
        source=entry["source"],
        caption=entry["caption"],
        dataset=entry["dataset"],
        columns=entry["columns"],
        titles={row: cells["title"] for row, cells in entry["rows"].items()},
        rows={row: {key: cells[key] for key in entry["columns"]} for row, cells in entry["rows"].items()},
    )
