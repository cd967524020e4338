"""From the steps of the files to days: choose the period, check that days are complete, reduce."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from datasets.blocks.files import NAMES
from regimebench.dataset import DataError

REDUCERS = {"mean": np.mean, "sum": np.sum, "min": np.min, "max": np.max}
CELL_METHODS = {"mean": "time: mean", "sum": "time: sum", "min": "time: minimum", "max": "time: maximum"}
BLOCK_VALUES = 2**22  # values reduced at a time, 32 MiB in double precision


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


def hour_before(array: xr.DataArray) -> xr.DataArray:
    """Return the array with its stamps an hour earlier.

    ERA5 stamps an accumulated field at the end of its hour: what fell in the last hour of a day is stamped 00:00 of the
    next (ECMWF, ERA5 data documentation). A stamp an hour earlier lies in the day that the hour belongs to.
    """
    return array.assign_coords(time=array["time"].values - np.timedelta64(1, "h"))


def only(array: xr.DataArray, keep: np.ndarray) -> xr.DataArray:
    """Return the steps where ``keep`` is True; a run without a break is cut out, so that no other step is read."""
    chosen = np.flatnonzero(keep)
    if chosen.size == keep.size:
        return array
    if chosen.size and chosen[-1] - chosen[0] + 1 == chosen.size:
        return array.isel(time=slice(int(chosen[0]), int(chosen[-1]) + 1))
    return array.isel(time=chosen)


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
    return only(array, keep)


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
    return only(array, np.isin(steps, days[~odd])), usual


def daily(array: xr.DataArray, usual: int, how: str) -> xr.DataArray:
    """Reduce a (time, y, x) array of complete days, still lazy, block by block; daily data pass unchanged.

    Parameters
    ----------
    array : DataArray
        Time increasing.
    usual : int
        Steps in every day.
    how : {"mean", "sum", "min", "max"}
        A missing step makes the day missing.
    """
    cells = max(1, int(np.prod(array.shape[1:])))
    if not array.chunks:
        array = array.chunk({"time": usual * max(1, BLOCK_VALUES // (usual * cells))})
    blocks = array.data.rechunk({0: _whole_days(array.chunks[0], usual)})
    data = blocks.map_blocks(
        _reduced,
        usual,
        REDUCERS[how],
        dtype=np.float32,
        chunks=(tuple(steps // usual for steps in blocks.chunks[0]), *blocks.chunks[1:]),
        meta=np.empty((0, 0, 0), dtype=np.float32),
    )
    attrs: dict[str, Any] = dict(array.attrs)
    if usual > 1:
        attrs["cell_methods"] = CELL_METHODS[how]
    days = array["time"].values[::usual].astype("datetime64[D]").astype("datetime64[ns]")
    coords = {key: array[key] for key in array.coords if key != "time"}
    return xr.DataArray(data, coords={**coords, "time": days}, dims=array.dims, attrs=attrs)


def _whole_days(blocks: Sequence[int], usual: int) -> tuple[int, ...]:
    """Return the sizes of blocks with their borders moved back to the beginning of a day."""
    ends = np.unique(np.cumsum(blocks) // usual * usual)
    return tuple(int(size) for size in np.diff(np.r_[0, ends[ends > 0]]))


def _reduced(block: np.ndarray, usual: int, reducer: Callable[..., np.ndarray]) -> np.ndarray:
    """Return the days of a block of steps; a missing step makes the day missing."""
    steps = block.astype(np.float64).reshape(-1, usual, *block.shape[1:])
    return reducer(steps, axis=1).astype(np.float32)


def _usual(counts: np.ndarray) -> int:
    """Return the most frequent number of steps in a day (the larger of two equally frequent ones)."""
    numbers, frequency = np.unique(counts, return_counts=True)
    return int(numbers[frequency == frequency.max()].max())
