"""The lists of plugins that the command line and the README show."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from regimebench import registry

METHOD_COLUMNS = ("address", "title", "kind", "framework", "fidelity", "summary")


def method_rows() -> list[tuple[str, ...]]:
    """Return one row per address: address, title, kind, framework, fidelity, summary."""
    return [
        tuple(str(getattr(registry.method(address), key)) for key in METHOD_COLUMNS) for address in registry.addresses()
    ]


def dataset_rows() -> list[tuple[str, str, str]]:
    """Return one row per data set plugin: id, kind, summary."""
    specs = [registry.dataset(name) for name in registry.folders("datasets")]
    return [(spec.id, spec.kind, spec.meta["summary"]) for spec in specs]


def show() -> None:
    """Print both lists."""
    console = Console(highlight=False)
    methods, datasets = method_rows(), dataset_rows()
    console.print(Text(f"Methods ({len(methods)})", "bold"))
    for address, title, kind, framework, fidelity, summary in methods:
        twin_of = registry.method(address).twin_of
        kind = f"twin of {twin_of}" if twin_of else kind
        _entry(console, address, f"  {title} ", f"({kind}, {framework}, {fidelity})", summary)
    console.print(Text(f"\nData sets ({len(datasets)})", "bold"))
    for name, kind, summary in datasets:
        _entry(console, name, "  ", f"({kind})", summary)


def _entry(console: Console, name: str, title: str, kind: str, summary: str) -> None:
    console.print(Text.assemble("  ", (name, "bold"), title, (kind, "dim"), f"\n      {summary}"), soft_wrap=True)
