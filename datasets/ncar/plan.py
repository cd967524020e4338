"""Which files are fetched, what they are called here, and what each must hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from datasets.blocks.fetched import first_and_last
from datasets.ncar.variables import VARIABLES

if TYPE_CHECKING:
    from datasets.blocks.parts import Part

PROVIDER = "NOAA PSL"
# The folders of both layouts of the server, the newer one first.
LAYOUTS = ("ncep.reanalysis/Dailies", "ncep.reanalysis.dailyavgs")


def levels_of(params: Mapping[str, Any]) -> dict[str, list[int | None]]:
    """Return the files' names in the order of ``variables``, each with its levels in hPa (``[None]``: it has none)."""
    variables = params["variables"]
    if not isinstance(variables, Mapping):
        return {name: [None] for name in variables}
    wanted = {name: (options or {}).get("level") for name, options in variables.items()}
    return {name: list(level) if isinstance(level, Sequence) else [level] for name, level in wanted.items()}


def names_of(name: str, levels: Sequence[int | None]) -> list[str]:
    """Return what the fields of one file are called here: ``air`` of ``air.sig995``, ``hgt500`` of ``hgt``."""
    short = name.partition(".")[0]
    return [short if level is None else f"{short}{level:g}" for level in levels]


def plan(params: Mapping[str, Any]) -> list[tuple[str, Part]]:
    """Return the files' names and parts, one for each variable and year."""
    first, last = first_and_last(params["year"])
    base = params["base_url"].rstrip("/")
    return [(name, _part(base, name, year)) for name in levels_of(params) for year in range(first, last + 1)]


def asked(part: Part) -> tuple[str, int]:
    """Return the name of the file and the year that a part asks for."""
    name, _, year = part.stem.rpartition(".")
    return name, int(year)


def days_of(year: int) -> np.ndarray:
    """Return all days of a year."""
    return np.arange(f"{year}-01-01", f"{year + 1}-01-01", dtype="datetime64[D]")


def _part(base: str, name: str, year: int) -> Part:
    from datasets.blocks.parts import Part

    file = f"{VARIABLES[name].group}/{name}.{year}.nc"
    return Part(
        f"{name}.{year}", ".nc", PROVIDER, {"file": file}, tuple(f"{base}/{layout}/{file}" for layout in LAYOUTS)
    )
