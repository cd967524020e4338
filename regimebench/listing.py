"""The lists of plugins that the command line and the README show."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from regimebench import registry

METHOD_COLUMNS = ("address", "title", "kind", "framework", "fidelity", "summary")


def method_rows() -> list[tuple[str, ...]]:
    """Return one row per address: address, title, kind, framework, fidelity, summary."""
    return [tuple(str(getattr(registry.method(address), key)) for key in METHOD_COLUMNS) for address in registry.addresses()]


def dataset_rows() -> list[tuple[str, str, str]]:
    """Return one row per data set plugin: id, kind, summary."""
    specs = [registry.dataset(name) for name in registry.folders("datasets")]
    return [(spec.id, spec.kind, spec.meta["summary"]) for spec in specs]


def show() -> None:
    """Print both lists."""
    console = Console()
    for title, columns, rows in (
        ("Methods", METHOD_COLUMNS, method_rows()),
        ("Data sets", ("plugin", "kind", "summary"), dataset_rows()),
    ):
        table = Table(title=f"{title} ({len(rows)})", title_justify="left")
        for column in columns:
            table.add_column(column, no_wrap=column in ("address", "plugin"))
        for row in rows:
            table.add_row(*row)
        console.print(table)
