"""From the steps of the files to days: choose the period, check that days are complete, reduce."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from datasets.blocks.files import NAMES
from regimebench.dataset import DataError

REDUCERS = {"mean": np.mean, "sum": np.sum, "min": np.min, "max": np.max}
CELL_METHODS = {"mean": "time: mean", "sum": "time: sum", "min": "time: minimum", "max": "time: maximum"}
BLOCK_VALUES = 2**24  # values read at a time, 128 MiB in double precision


def with_time(array: xr.DataArray, where: str) -> xr.DataArray:
    """Return the array with one dimension ``time`` of valid times, first of all dimensions.

    Forecast files in GRIB have an initial time and a step; the valid time of both is what counts.
    """
    key = next(name for name in NAMES["time"] if name in array.coords)
    stamps = array[key]
    if stamps.dtype.kind != "M":
        calendar = getattr(stamps.values.reshape(-1)[0], "calendar", None)
        found = f"the calendar {calendar}" if calendar else f"type {stamps.dtype}"
        raise DataError(f"{where}: its time has {found}; dates of the standard calendar are needed")
    steps = stamps.dims
    values = stamps.values.reshape(-1)
    if len(steps) == 0:
        array = array.expand_dims("steps")
    elif len(steps) == 1:
        array = array.rename({steps[0]: "steps"}) if steps[0] != "steps" else array
    else:
        array = array.stack(steps=steps, create_index=False)
    drop = [name for name, coord in array.coords.items() if "steps" in coord.dims or coord.ndim == 0]
    array = array.drop_vars(drop).rename(steps="time").assign_coords(time=values.astype("datetime64[ns]"))
    array = array.transpose("time", ...)
    if len(steps) > 1:
        array = array.isel(time=np.asarray(array.notnull().any(array.dims[1:])))
    return array


def in_order(array: xr.DataArray, where: str) -> xr.DataArray:
    """Return the array with its time increasing; a step that occurs twice is refused."""
    time = array["time"].values
    order = np.argsort(time, kind="stable")
    twice = np.flatnonzero(np.diff(time[order]) == np.timedelta64(0))
    if twice.size:
        first = time[order][twice[0]].astype("datetime64[m]")
        raise DataError(
            f"{where}: {twice.size} times occur more than once, the first {first}; let every time be in one file only"
        )
    return array if np.array_equal(order, np.arange(order.size)) else array.isel(time=order)


def in_period(array: xr.DataArray, params: Mapping[str, Any], where: str) -> xr.DataArray:
    """Return the steps of the days that ``year``, ``start``, ``end`` and ``months`` allow, all edges included."""
    year, start, end, months = (params[key] for key in ("year", "start", "end", "months"))
    days = array["time"].values.astype("datetime64[D]")
    keep = np.ones(days.size, dtype=bool)
    if year is not None:
        first, last = (year, year) if isinstance(year, int) else year
        years = days.astype("datetime64[Y]").astype(int) + 1970
        keep &= (years >= first) & (years <= last)
    if start is not None:
        keep &= days >= np.datetime64(str(start), "D")
    if end is not None:
        keep &= days <= np.datetime64(str(end), "D")
    if months is not None:
        keep &= np.isin(days.astype("datetime64[M]").astype(int) % 12 + 1, list(months))
    if not keep.any():
        raise DataError(f"{where}: the wanted period has no data; there are days from {days.min()} to {days.max()}")
    return array if keep.all() else array.isel(time=keep)


def complete(array: xr.DataArray, where: str, notes: list[str]) -> tuple[xr.DataArray, int]:
    """Return the steps of complete days and how many make a day; no field is read.

    A day holds the stamps from 00:00 to 23:59. Days with fewer steps than usual are left out, with a note, at the ends
    of the record (and beside a gap of days), and refused inside it.
    """
    steps = array["time"].values.astype("datetime64[D]")
    days, counts = np.unique(steps, return_counts=True)
    usual = _usual(counts)
    before = np.r_[True, np.diff(days).astype(int) > 1]
    ends = before | np.r_[before[1:], True]
    odd = counts != usual
    inside = odd & ~(ends & (counts < usual))
    if inside.any():
        day = np.argmax(inside)
        raise DataError(
            f"{where}: {days[day]} has {counts[day]} steps where days usually have {usual} ({inside.sum()} such days); "
            "complete the files or choose a period without these days"
        )
    if not odd.any():
        return array, usual
    notes.append(f"incomplete days at the ends left out: {', '.join(map(str, days[odd]))}")
    return array.isel(time=np.isin(steps, days[~odd])), usual


def daily(array: xr.DataArray, usual: int, how: str) -> xr.DataArray:
    """Reduce a (time, y, x) array of complete days, in blocks, and load it; daily data pass unchanged.

    Parameters
    ----------
    array : DataArray
        Time increasing.
    usual : int
        Steps in every day.
    how : {"mean", "sum", "min", "max"}
        A missing step makes the day missing.
    """
    days = array["time"].values[::usual].astype("datetime64[D]")
    shape = array.shape[1:]
    values = np.empty((days.size, *shape), dtype=np.float32)
    block = max(1, BLOCK_VALUES // (usual * max(1, int(np.prod(shape)))))
    for first in range(0, days.size, block):
        last = min(first + block, days.size)
        part = array.isel(time=slice(first * usual, last * usual)).values.astype(np.float64)
        values[first:last] = REDUCERS[how](part.reshape(last - first, usual, *shape), axis=1)
    attrs: dict[str, Any] = dict(array.attrs)
    if usual > 1:
        attrs["cell_methods"] = CELL_METHODS[how]
    coords = {key: array[key] for key in array.coords if key != "time"}
    return xr.DataArray(values, coords={**coords, "time": days.astype("datetime64[ns]")}, dims=array.dims, attrs=attrs)


def _usual(counts: np.ndarray) -> int:
    """Return the most frequent number of steps in a day (the larger of two equally frequent ones)."""
    numbers, frequency = np.unique(counts, return_counts=True)
    return int(numbers[frequency == frequency.max()].max())
