"""Cubes that came in a bundle: data as they are, which nothing fetches or prepares again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from regimebench.config import Plan
from regimebench.records import glance, sha256_json, write_json
from regimebench.schema import InvalidFile

FILE = "given.json"


def note(plan: Plan, results: Path, contents: Mapping[str, str]) -> None:
    """Write in ``results`` which cubes are there, each with the hash of its content and of the settings that made it.

    Parameters
    ----------
    plan : Plan
        What the bundle's configuration asks for.
    results : Path
        The folder that the bundle is unpacked into.
    contents : mapping
        SHA-256 of each data set's content.
    """
    there = [name for name in plan.datasets if name in contents and (results / name / "cube.nc").is_file()]
    about = {name: {"content": contents[name], "settings": _settings_hash(plan, name)} for name in there}
    write_json(results / FILE, about)


def cubes(plan: Plan) -> frozenset[str]:
    """Return the data sets whose cube, and truth where it is planted, are those that came in a bundle.

    Raises
    ------
    InvalidFile
        If the configuration asks for other data than came under a name: they would pass for what it asks for.
    """
    noted = glance(plan.results / FILE)
    found = frozenset(name for name in plan.datasets if name in noted and _is_there(plan, name, noted[name]["content"]))
    other = [name for name in sorted(found) if noted[name]["settings"] != _settings_hash(plan, name)]
    if other:
        raise InvalidFile(
            str(plan.results / FILE),
            [
                f"datasets.{name}: its cube came in a bundle, made with other settings than the configuration gives; "
                f"delete {plan.results / name / 'cube.nc'} to have the data fetched and prepared anew, or restore the "
                "settings"
                for name in other
            ],
        )
    return found


def _is_there(plan: Plan, name: str, content: str) -> bool:
    from regimebench.cube import stored_hash  # imported here: most results folders are not from a bundle

    return stored_hash(plan.results / name / "cube.nc") == content and all(
        path.is_file() for path in plan.truth_files(name)
    )


def _settings_hash(plan: Plan, name: str) -> str:
    """Return the hash of all settings that a cube depends on, those of the data set that it is made of included."""
    chain: list[dict[str, Any]] = []
    while (entry := plan.datasets[name]).of is not None:
        chain.append(entry.derivation())
        name = entry.of
    chain.append({key: value for key, value in entry.settings().items() if key != "title"})
    return sha256_json(json.loads(json.dumps(chain, default=str)))
