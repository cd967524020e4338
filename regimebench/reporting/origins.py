"""Provenance and failures: which code, data, libraries and machines made the runs, and what became of the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from regimebench.reporting.material import Material
from regimebench.tables import Cell, Table

__all__ = ["code", "data", "failures", "machines"]

SHORT = 12


def data(material: Material) -> Table:
    """Return what the cube says about itself."""
    skip = {"projection", "long_names", "cell_methods", "Conventions"}
    attrs = material.cube.attrs if material.cube else {}
    rows = [[Cell(_plain(name)), Cell(_value(value))] for name, value in attrs.items() if name not in skip]
    return Table(f"{material.settings['title']}: the data", ["attribute of the cube", "value"], rows)


def machines(material: Material) -> Table:
    """Return on what the runs were made: each distinct value with the number of runs that have it."""
    records = material.records
    rows: list[list[Cell]] = []
    for name, found in (
        ("suite, git commit", Counter(map(_commit, records))),
        ("device", Counter(f"{record['device']}, {record['threads']} threads" for record in records)),
        ("machine", Counter(_value(record["machine"]) for record in records)),
        ("data, SHA-256 of the cube's content", Counter(str(record["hashes"]["data"]) for record in records)),
        ("record schema", Counter(str(record["schema_version"]) for record in records)),
        ("started, day (UTC)", Counter(str(record["started"])[:10] for record in records)),
        *_versions(records),
    ):
        rows += [[Cell(name), Cell(value), Cell(str(n))] for value, n in found.most_common()]
    return Table(f"{material.settings['title']}: what made the runs", ["what", "value", "runs"], rows)


def code(material: Material) -> Table:
    """Return, per row, the hashes of its code and configuration, and every parameter with its value."""
    rows = []
    for address in material.results.addresses:
        groups: dict[tuple[str, ...], int] = {}
        for record in (each for each in material.records if each["address"] == address):
            hashes = record["hashes"]
            key = (_short(hashes["plugin"]), _short(hashes["config"]), _parameters(record["parameters"]))
            groups[key] = groups.get(key, 0) + 1
        rows += [
            [Cell(address), Cell(str(n)), Cell(plugin), Cell(config), Cell(parameters)]
            for (plugin, config, parameters), n in groups.items()
        ]
    title = f"{material.settings['title']}: code and parameters of each row"
    return Table(
        title, ["method", "runs", "code", "configuration", "parameters"], rows, "First digits of SHA-256 hashes."
    )


def failures(material: Material) -> Table:
    """Return the runs that are not ok, those of one row with one message together."""
    groups: dict[tuple[str, str, str], list[int]] = {}
    for record in material.records:
        if record["status"] != "ok":
            key = record["address"], record["status"], record["message"]
            groups.setdefault(key, []).append(record["seed"])
    rows = [
        [Cell(address), Cell(status), Cell(spans(seeds)), Cell(message or "no message")]
        for (address, status, message), seeds in groups.items()
    ]
    title = f"{material.settings['title']}: runs that are not ok"
    return Table(title, ["method", "status", "seeds", "message"], rows, f"Of {len(material.records)} runs.")


def spans(numbers: Iterable[int]) -> str:
    """Return whole numbers in short: 0-3, 7."""
    found: list[list[int]] = []
    for number in sorted(numbers):
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}\u2013{b}" for a, b in found)


def _versions(records: Iterable[Mapping[str, Any]]) -> list[tuple[str, Counter[str]]]:
    counts: dict[str, Counter[str]] = {}
    for record in records:
        for name, version in (record["versions"] or {}).items():
            counts.setdefault(name, Counter())[version] += 1
    return [(f"version of {name}", counts[name]) for name in sorted(counts, key=lambda name: (name != "python", name))]


def _commit(record: Mapping[str, Any]) -> str:
    git = record["git"]
    if not git:
        return "none known"
    return git["commit"][:SHORT] + (" with uncommitted changes" if git["dirty"] else "")


def _parameters(parameters: Mapping[str, Any] | None) -> str:
    return ", ".join(f"{name} = {_value(value)}" for name, value in (parameters or {}).items()) or "none"


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{_plain(name)} {_value(each)}" for name, each in value.items() if each is not None)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    return f"{value:g}" if isinstance(value, float) else "none" if value is None else str(value)


def _plain(name: str) -> str:
    return name.replace("_", " ")


def _short(digest: str | None) -> str:
    return digest[:SHORT] if digest else "–"
