"""Daily fields in physical units, as a data set returns them: their layout and the checks they must pass."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from regimebench.dataset import DataError

__all__ = ["Layout", "check_values", "layout", "refuse"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Layout:
    """Where and when the fields are.

    Parameters
    ----------
    dims : tuple of str
        ``("time", "lat", "lon")`` or ``("time", "y", "x")``.
    variables : tuple of str
        Names, in the order of the data set.
    days : ndarray of datetime64[D], shape (time,)
        Strictly increasing.
    lat, lon : ndarray of float64
        Degrees; one-dimensional on a regular grid, else (y, x).
    projection : dict or None
        ``{"grid_mapping": attributes, "y": ..., "x": ...}`` where the data set has one.
    """

    dims: tuple[str, str, str]
    variables: tuple[str, ...]
    days: np.ndarray
    lat: np.ndarray
    lon: np.ndarray
    projection: dict[str, Any] | None


def refuse(name: str, problems: list[str]) -> None:
    """Raise one error that lists every problem, if there is one."""
    if problems:
        raise DataError(f"data set {name!r}: " + "\n".join(problems))


def layout(fields: xr.Dataset, name: str) -> Layout:
    """Return the layout of ``fields``.

    Raises
    ------
    DataError
        With every problem of dimensions, days and coordinates.
    """
    variables = tuple(str(key) for key, array in fields.data_vars.items() if "grid_mapping_name" not in array.attrs)
    regular = "lat" in fields.dims
    dims = ("time", "lat", "lon") if regular else ("time", "y", "x")
    problems = [
        f"variable {key!r} has dimensions {tuple(fields[key].dims)}; {dims} are needed"
        for key in variables
        if set(fields[key].dims) != set(dims)
    ]
    if not variables:
        problems.append("there are no variables")
    missing = [key for key in ("time", "lat", "lon") if key not in fields.coords]
    problems += [f"the coordinate {key!r} is missing" for key in missing]
    refuse(name, problems)
    days = fields["time"].values
    lat, lon = (fields[key].values.astype(np.float64) for key in ("lat", "lon"))
    refuse(name, [*_day_problems(days), *_place_problems(lat, lon, dims)])
    days = days.astype("datetime64[D]")
    return Layout(dims, variables, days, lat, lon, _projection(fields))


def _day_problems(time: np.ndarray) -> Iterator[str]:
    if time.dtype.kind != "M":
        yield f"time has type {time.dtype}; dates of the standard calendar are needed"
        return
    if time.size < 2:
        yield f"there are {time.size} days; at least 2 are needed to compare days"
        return
    steps = np.diff(time.astype("datetime64[D]")).astype(int)
    for where, sentence in ((steps == 0, "occurs more than once"), (steps < 0, "follows a later day")):
        if where.any():
            day = time[1:][np.argmax(where)].astype("datetime64[D]")
            count = f" ({where.sum()} such days)" if where.sum() > 1 else ""
            yield f"the day {day} {sentence}{count}; every day must occur once, in order of time"


def _place_problems(lat: np.ndarray, lon: np.ndarray, dims: tuple[str, ...]) -> Iterator[str]:
    for key, values in (("lat", lat), ("lon", lon)):
        if not np.isfinite(values).all():
            yield f"{key} contains missing values; the position of every cell is needed"
        elif values.ndim == 1 and dims[1] == "y":
            yield f"{key} has one dimension; on a (y, x) grid it must have both"
        elif values.ndim == 1 and values.size > 1 and not (np.all(np.diff(values) > 0) or np.all(np.diff(values) < 0)):
            yield f"{key} is neither increasing nor decreasing"
    if np.nanmax(np.abs(lat), initial=0) > 90.0 + 1e-6:
        yield f"lat reaches {lat.flat[np.nanargmax(np.abs(lat))]:g}; latitudes lie between -90 and 90"


def _projection(fields: xr.Dataset) -> dict[str, Any] | None:
    mappings = [fields[key] for key in fields.variables if "grid_mapping_name" in fields[key].attrs]
    if not mappings or not {"y", "x"} <= set(fields.coords):
        return None
    return {"grid_mapping": dict(mappings[0].attrs), "y": fields["y"].values, "x": fields["x"].values}


def check_values(values: np.ndarray, variable: str, days: np.ndarray) -> list[str]:
    """Return what is wrong with the values of one variable, one sentence each.

    Parameters
    ----------
    values : ndarray of float, shape (time, y, x)
        Physical units, NaN where missing.
    variable : str
        Name, for the sentences.
    days : ndarray of datetime64[D], shape (time,)
        Days, for the sentences.
    """
    infinite = np.isinf(values)
    if infinite.any():
        day = days[np.argmax(infinite.any(axis=(1, 2)))]
        return [f"variable {variable!r} has {infinite.sum()} infinite values, the first on {day}; use NaN for missing"]
    del infinite  # these arrays are large: forty years of days
    missing = np.isnan(values)
    if missing.all():
        return [f"variable {variable!r} has no values at all; leave it out or check its file"]
    if not np.any(values, where=~missing):
        return [f"variable {variable!r} is 0 in every cell on every day; its file seems to be damaged"]
    known = ~missing.any(axis=0)
    if known.any() and (values.max(axis=0) - values.min(axis=0))[known].max() == 0:
        return [f"variable {variable!r} has the same field every day, so it cannot tell days apart; leave it out"]
    return _zero_days(values, missing, variable, days)


def _zero_days(values: np.ndarray, missing: np.ndarray, variable: str, days: np.ndarray) -> list[str]:
    """Return a sentence if days are exactly zero everywhere although the variable is otherwise never zero.

    Servers have been seen to fill failed reads with zeros. Rain or radiation is zero on a dry or dark day; pressure,
    temperature and wind are not.
    """
    zero = values == 0
    some = zero.any(axis=(1, 2))
    zero |= missing
    empty = some & zero.all(axis=(1, 2))
    if not empty.any() or empty.all():
        return []
    low = np.nanmin(np.fmin.reduce(values, axis=(1, 2))[~empty])
    high = np.nanmax(np.fmax.reduce(values, axis=(1, 2))[~empty])
    text = f"variable {variable!r} is 0 in every cell on {empty.sum()} days, the first {days[np.argmax(empty)]}"
    can_vanish = -1e-6 * high <= low <= 0.1 * high
    if can_vanish or some[~empty].any():
        log.warning("%s", text)
        return []
    return [f"{text}, and on no other day in any cell; the files seem to be damaged there"]
