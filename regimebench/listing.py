"""The lists of plugins that the command line and the README show."""

from __future__ import annotations

from rich.console import Console

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
    console.print(f"[bold]Methods ({len(methods)})[/]")
    for address, title, kind, framework, fidelity, summary in methods:
        console.print(f"  [bold]{address}[/]  {title} [dim]({kind}, {framework}, {fidelity})[/]")
        console.print(f"      {summary}", soft_wrap=True)
    console.print(f"\n[bold]Data sets ({len(datasets)})[/]")
    for name, kind, summary in datasets:
        console.print(f"  [bold]{name}[/]  [dim]({kind})[/]\n      {summary}", soft_wrap=True)
