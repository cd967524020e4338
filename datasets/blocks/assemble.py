"""Read the chosen variables and put them on common cells and days."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import xarray as xr

from datasets.blocks import days, grid, lambert
from datasets.blocks.choose import SPACE, Catalogue, Wanted, piece, position_problem, without_expver
from datasets.blocks.files import Part
from regimebench.dataset import DataError

FIELD_ATTRIBUTES = ("units", "long_name", "standard_name", "cell_methods")
FILE_ATTRIBUTES = ("title", "institution", "license", "references")
SOURCES_NAMED = 8
LATEST = np.datetime64("2262-01-01", "ns")  # of an empty file


@dataclass(frozen=True)
class Prepared:
    """One variable ready to be read: (time, y, x), lazy, complete days of the wanted period."""

    array: xr.DataArray
    steps_per_day: int


def prepare(
    chosen: Sequence[Wanted], held: Catalogue, params: Mapping[str, Any], notes: list[str]
) -> dict[str, Prepared]:
    """Return the chosen variables, cut and checked from coordinates alone.

    What a user should know but need not change is appended to ``notes``.

    Raises
    ------
    DataError
        If grids differ, a time occurs twice, days are incomplete or nothing is left.
    """
    ready = {}
    for choice in chosen:
        mine: list[str] = []
        ready[choice.name] = _variable(choice, held[choice.source][choice.level], params, mine)
        notes += [f"{choice.name}: {note}" for note in dict.fromkeys(mine)]
    _check_same_grid({name: item.array for name, item in ready.items()})
    return ready


def read(
    ready: Mapping[str, Prepared],
    params: Mapping[str, Any],
    notes: list[str],
) -> xr.Dataset:
    """Return the daily fields, still lazy, on the days that all variables have.

    Raises
    ------
    DataError
        If there is no such day.
    """
    rules = params["resample"]
    done: dict[str, xr.DataArray] = {}
    for name, item in ready.items():
        how = rules.get(name, "mean") if isinstance(rules, Mapping) else rules
        done[name] = days.daily(item.array, item.steps_per_day, how)
    common = reduce(np.intersect1d, [array["time"].values for array in done.values()])
    longest = max(array.sizes["time"] for array in done.values())
    if not common.size:
        raise DataError("the variables have no day in common; choose variables or files of the same period")
    if common.size < longest:
        notes.append(f"kept the {common.size} days that all variables have; one of them has {longest}")
    first = next(iter(done.values()))
    place = {key: first[key] for key in SPACE if key in first.coords}
    for array in done.values():
        array.attrs = {key: value for key, value in array.attrs.items() if key in FIELD_ATTRIBUTES}
    fields = {
        name: days.only(array, np.isin(array["time"].values, common)).drop_vars(SPACE, errors="ignore")
        for name, array in done.items()
    }
    return grid.coarsen(xr.Dataset(fields).assign_coords(place), params["coarsen"])


def _variable(choice: Wanted, parts: Sequence[Part], params: Mapping[str, Any], notes: list[str]) -> Prepared:
    pieces = {}
    for part in parts:
        where = f"{choice.name} in {part.path}"
        array = piece(part, choice)
        place = grid.window(*_positions(part), params["box"], params["size"], params["coarsen"])
        pieces[where] = days.with_time(without_expver(grid.take(array, place, str(part.path)), notes), where)
    _check_same_grid(pieces)
    array = days.in_order(_joined(list(pieces.values())), choice.name)
    if choice.name in (params["accumulated"] or ()):
        array = days.hour_before(array)
    array = days.in_period(array, params, choice.name)
    return Prepared(*days.complete(array, choice.name, notes))


def _positions(part: Part) -> tuple[np.ndarray, np.ndarray]:
    """Return latitude and longitude of a file's cells, from its projection if it does not hold them."""
    fields = part.fields
    if {"lat", "lon"} <= set(fields.variables):
        lat, lon = fields["lat"].values, fields["lon"].values
    elif (mapping := _mapping(part)) and {"y", "x"} <= set(fields.coords):
        lat, lon = lambert.positions(mapping, fields["y"].values, fields["x"].values, str(part.path))
    else:
        raise DataError(f"{part.path}: no latitude or longitude found; it has {', '.join(map(str, fields.variables))}")
    if trouble := position_problem(lat, lon):
        raise DataError(f"{part.path}: {trouble}")
    return lat, lon


def _joined(pieces: Sequence[xr.DataArray]) -> xr.DataArray:
    """Return the pieces of one variable, one after the other in time, so that they need not be sorted step by step."""
    if len(pieces) == 1:
        return pieces[0]
    place = {key: pieces[0][key] for key in SPACE if key in pieces[0].coords}
    in_time = sorted(pieces, key=lambda array: array["time"].values.min(initial=LATEST))
    aligned = [array.assign_coords(place).assign_attrs(pieces[0].attrs) for array in in_time]
    return xr.concat(aligned, "time", coords="minimal", compat="override", join="override", combine_attrs="override")


def _check_same_grid(arrays: Mapping[str, xr.DataArray]) -> None:
    """Refuse fields on different grids."""
    names = list(arrays)
    for name in names[1:]:
        for key in ("lat", "lon"):
            a, b = arrays[names[0]][key].values, arrays[name][key].values
            if a.shape != b.shape or np.abs(a - b).max() > grid.TOLERANCE:
                raise DataError(
                    f"{names[0]} and {name} lie on different grids ({key}: {_axis(a)}, and {_axis(b)}); "
                    "interpolate one of them first, or choose a box in which they agree"
                )


def _axis(values: np.ndarray) -> str:
    shape = " x ".join(map(str, values.shape))
    return f"{shape} points from {values.flat[0]:g} to {values.flat[-1]:g}" if values.size else "none"


def attributes(parts: Sequence[Part], notes: Sequence[str]) -> dict[str, str]:
    """Return what the files say about themselves, their names, and the notes."""
    names = sorted({part.path.name for part in parts})
    more = f" and {len(names) - SOURCES_NAMED} more" if len(names) > SOURCES_NAMED else ""
    found = {"source": f"local files {', '.join(names[:SOURCES_NAMED])}{more}"}
    for key in FILE_ATTRIBUTES:
        texts = dict.fromkeys(str(part.fields.attrs[key]) for part in parts if part.fields.attrs.get(key))
        if texts:
            found[key] = "; ".join(texts)
    if notes:
        found["comment"] = "; ".join(notes)
    return found


def grid_mapping(parts: Sequence[Part]) -> dict[str, Any]:
    """Return the map projection of the files as a coordinate ``crs``, empty if they have none."""
    mapping = next(filter(None, map(_mapping, parts)), None)
    return {"crs": ((), 0, mapping)} if mapping else {}


def _mapping(part: Part) -> dict[str, Any]:
    """Return the attributes of a file's grid mapping variable, empty if it has none."""
    found = (part.fields[name].attrs for name in part.fields.variables)
    return next((dict(attrs) for attrs in found if "grid_mapping_name" in attrs), {})
