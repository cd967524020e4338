"""Which variables: resolve the configuration against what the files hold, and join the pieces of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from datasets.blocks.files import NAMES, Part, fields_of, levels
from regimebench.dataset import DataError

Catalogue = dict[str, dict[float | None, list[Part]]]
SPACE = ("lat", "lon", "y", "x")
FILES_NAMED = 3


@dataclass(frozen=True)
class Wanted:
    """One variable of the cube: its name in the files, its level, its name in the cube."""

    source: str
    level: float | None
    name: str


def catalogue(parts: Sequence[Part]) -> Catalogue:
    """Return variable -> level (None without levels) -> the parts that hold it."""
    found: Catalogue = {}
    for part in parts:
        for name, array in fields_of(part):
            for level in levels(array):
                found.setdefault(name, {}).setdefault(level, []).append(part)
    return found


def wanted(variables: Any, held: Catalogue) -> tuple[list[Wanted], list[str]]:
    """Return the variables to take, in the order of the configuration, and what is wrong, one sentence each.

    Parameters
    ----------
    variables : None, str, sequence of str, or mapping of str to mapping
        All; names; or names with ``level`` (a number or several) and ``rename``.
    held : Catalogue
        What the files hold.
    """
    if variables is None:
        variables = list(held)
    if isinstance(variables, str):
        variables = [variables]
    if not isinstance(variables, Mapping):
        variables = dict.fromkeys(variables)
    chosen: list[Wanted] = []
    problems: list[str] = []
    for name, options in variables.items():
        if name not in held:
            problems.append(f"variables: no file holds {name!r}; they hold {', '.join(sorted(held)) or 'no fields'}")
            continue
        more, trouble = _levels(name, options or {}, held[name])
        chosen += more
        problems += trouble
    names = [choice.name for choice in chosen]
    twice = sorted({name for name in names if names.count(name) > 1})
    problems += [
        f"variables: two of them would be called {name!r}; give one another name with rename" for name in twice
    ]
    return chosen, problems


def _levels(name: str, options: Any, held: dict[float | None, list[Part]]) -> tuple[list[Wanted], list[str]]:
    """Return one variable at the wanted levels."""
    if not isinstance(options, Mapping) or set(options) - {"level", "rename"}:
        return [], [
            f"variables.{name} is {options!r}; allowed are level and rename, as in {{level: 500, rename: z500}}"
        ]
    label, level = options.get("rename", name), options.get("level")
    pressure = sorted(value for value in held if value is not None)
    shown = ", ".join(f"{value:g}" for value in pressure) or "none"
    if level is None:
        if None not in held and len(pressure) > 1:
            return [], [
                f"variables: {name!r} has the levels {shown}; name one, as in {name}: {{level: {pressure[-1]:g}}}"
            ]
        return [Wanted(name, None if None in held else pressure[0], label)], []
    several = isinstance(level, Sequence) and not isinstance(level, str)
    asked = list(level) if several else [level]
    missing = [value for value in asked if value not in pressure]
    if missing:
        return [], [f"variables: {name!r} has no level {missing[0]}; its levels are {shown}"]
    return [Wanted(name, float(value), f"{label}{value:g}" if several else label) for value in asked], []


def nothing_held(parts: Sequence[Part]) -> str:
    """Return the sentence for files without any field that changes in time, which says what they hold instead."""
    text = "files: none of them holds a field that changes in time over latitude and longitude"
    return "; ".join([text, *(f"{part.path} {_instead(part)}" for part in parts[:FILES_NAMED])])


def _instead(part: Part) -> str:
    static = [
        f"{name!r} ({' x '.join(str(size) for size in array.shape)})"
        for name, array in part.fields.data_vars.items()
        if array.ndim >= 2
    ]
    text = f"holds {', '.join(static)} without a time" if static else "holds no field"
    if {"lat", "lon"} <= set(part.fields.variables):
        trouble = position_problem(part.fields["lat"].values, part.fields["lon"].values)
        text += f", and {trouble}" if trouble else ""
    return text


def position_problem(lat: np.ndarray, lon: np.ndarray) -> str:
    """Return what is wrong with positions in degrees, empty if nothing."""
    for name, values, limit in (("latitude", lat, 90.0), ("longitude", lon, 720.0)):
        wrong = ~(np.abs(values) <= limit + 1e-3)  # also true for NaN
        if wrong.any():
            return (
                f"its {name} is {values[wrong][0]:g} in {wrong.sum()} of {wrong.size} places, a fill value and no "
                "position; write the coordinates into the file"
            )
    return ""


def piece(part: Part, choice: Wanted) -> xr.DataArray:
    """Return one variable at one level of one file, still lazy.

    Raises
    ------
    DataError
        If dimensions are left over that nobody selected.
    """
    array = part.fields[choice.source]
    if "level" in array.dims:
        array = array.isel(level=levels(array).index(choice.level))
    known = {*SPACE, "expver", *(dim for key in NAMES["time"] if key in array.coords for dim in array[key].dims)}
    for dim in array.dims:
        if dim not in known:
            values = ", ".join(map(str, array[dim].values[:12]))
            raise DataError(
                f"{part.path}: {choice.source!r} has a further dimension {dim!r} with the values {values}; "
                f"choose one with select, as in select: {{{dim}: {array[dim].values[0]}}}"
            )
    return array


def without_expver(array: xr.DataArray, notes: list[str]) -> xr.DataArray:
    """Return final ERA5 where there is some, and the preliminary ERA5T (experiment version 5) elsewhere.

    What was found is appended to ``notes``.
    """
    if "expver" not in array.coords:
        return array
    versions = np.char.lstrip(array["expver"].values.astype(str), "0")
    if "expver" in array.dims:
        order = np.argsort(versions)
        first, *others = (array.isel(expver=int(index), drop=True) for index in order)
        for other in others:
            first = first.combine_first(other)
        notes.append(f"experiment versions {', '.join(sorted(versions))} of ERA5 combined, final ERA5 first")
        return first.assign_attrs(array.attrs)
    preliminary = int(np.sum(versions == "5"))
    if preliminary:
        notes.append(f"{preliminary} of {versions.size} steps are preliminary (ERA5T)")
    return array.drop_vars("expver")
