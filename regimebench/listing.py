"""The lists of plugins that the command line and the README show."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from regimebench import registry


def method_rows() -> list[tuple[str, str, str, str]]:
    """Return one row per address: address, title, what it is, summary."""
    specs = map(registry.method, registry.addresses())
    return [(spec.address, spec.title, _nature(spec), spec.summary) for spec in specs]


def _nature(spec: registry.MethodSpec) -> str:
    """Return kind, framework and fidelity, and whether the framework is missing."""
    kind = f"twin of {spec.twin_of}" if spec.twin_of else spec.kind
    framework = spec.framework + (" (not installed)" if spec.lacks() else "")
    return f"({kind}, {framework}, {spec.fidelity})"


def dataset_rows() -> list[tuple[str, str, str]]:
    """Return one row per data set plugin: id, kind, summary."""
    specs = [registry.dataset(name) for name in registry.folders("datasets")]
    return [(spec.id, spec.kind, spec.meta["summary"]) for spec in specs]


def show() -> None:
    """Print both lists."""
    console = Console(highlight=False)
    methods, datasets = method_rows(), dataset_rows()
    console.print(Text(f"Methods ({len(methods)})", "bold"))
    for address, title, nature, summary in methods:
        _entry(console, address, f"  {title} ", nature, summary)
    console.print(Text(f"\nData sets ({len(datasets)})", "bold"))
    for name, kind, summary in datasets:
        _entry(console, name, "  ", f"({kind})", summary)


def _entry(console: Console, name: str, title: str, kind: str, summary: str) -> None:
    console.print(Text.assemble("  ", (name, "bold"), title, (kind, "dim"), f"\n      {summary}"), soft_wrap=True)
