"""Fragments of HTML without style: tables that any page can hold."""

from __future__ import annotations

from functools import cache
from typing import Any

from jinja2 import Environment, FileSystemLoader, select_autoescape

from regimebench.sources import ROOT
from regimebench.tables import Table

__all__ = ["fragment", "table_fragment"]

TEMPLATES = ROOT / "workflow" / "report"


def fragment(template: str, **values: Any) -> str:
    """Return a template of ``workflow/report`` with its values, everything in them escaped."""
    return _environment().get_template(template).render(**values)


def table_fragment(table: Table) -> str:
    """Return one table as a ``section`` with caption, notes, and the scope of every heading."""
    return fragment("table.html.j2", table=table)


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=select_autoescape(), trim_blocks=True, lstrip_blocks=True
    )
