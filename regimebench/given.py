"""Cubes that came in a bundle: data as they are, which nothing fetches or prepares again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from regimebench.config import Plan
from regimebench.records import glance, sha256_json, write_json
from regimebench.schema import InvalidFile

FILE = "given.json"  # beside a cube that came, and removed by the stage that makes another one


def note(plan: Plan, results: Path) -> None:
    """Write beside each cube in ``results``, which came in a bundle, the hash of the settings that it was made with."""
    for name in plan.datasets:
        if (results / name / "cube.nc").is_file():
            write_json(results / name / FILE, {"settings": _settings_hash(plan, name)})


def forget(cube: Path) -> None:
    """Say that a cube is made here."""
    cube.with_name(FILE).unlink(missing_ok=True)


def cubes(plan: Plan) -> frozenset[str]:
    """Return the data sets whose cube, and truth where it is planted, came in a bundle.

    Raises
    ------
    InvalidFile
        If the configuration asks for other data than came under a name: they would pass for what it asks for.
    """
    found = frozenset(name for name in plan.datasets if _is_there(plan, name))
    noted = {name: glance(plan.results / name / FILE).get("settings") for name in sorted(found)}
    other = [name for name, settings in noted.items() if settings != _settings_hash(plan, name)]
    if other:
        raise InvalidFile(
            str(plan.results),
            [
                f"datasets.{name}: its cube came in a bundle, made with other settings than the configuration gives; "
                f"delete {plan.results / name / 'cube.nc'} to have the data fetched and prepared anew, or restore the "
                "settings"
                for name in other
            ],
        )
    return found


def _is_there(plan: Plan, name: str) -> bool:
    folder = plan.results / name
    return all(path.is_file() for path in (folder / FILE, folder / "cube.nc", *plan.truth_files(name)))


def _settings_hash(plan: Plan, name: str) -> str:
    """Return the hash of all settings that a cube depends on, those of the data set that it is made of included."""
    chain: list[dict[str, Any]] = []
    while (entry := plan.datasets[name]).of is not None:
        chain.append(entry.derivation())
        name = entry.of
    chain.append({key: value for key, value in entry.settings().items() if key != "title"})
    return sha256_json(json.loads(json.dumps(chain, default=str)))
