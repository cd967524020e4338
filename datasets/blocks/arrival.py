"""Checks on what a service sent: its days, grid, units and values, one sentence for each fault.

Services have been seen to answer with zeros for what they could not read, with a day less than asked for, with another
grid, and with an error page under the name of a data file. What passes here may be kept as a part of the data set.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from datasets.blocks.axes import axis_problems, time_problems
from datasets.blocks.files import NAMES

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Range", "arrival_problems"]

BLOCK_VALUES = 2**20  # values looked at together; decoding and the checks hold some twenty bytes for each

# Spellings of a unit by the services we know; the first is the one for sentences.
KELVIN = ("K", "degK", "deg K", "kelvin", "Kelvin")
PASCAL = ("Pa", "Pascals", "Pascal", "pascal", "pascals")
METRES_PER_SECOND = ("m s-1", "m s**-1", "m/s", "m s^-1")
JOULES_PER_SQUARE_METRE = ("J m-2", "J m**-2", "J/m^2", "J/m2", "J m^-2")
FRACTION = ("1", "(0 - 1)", "0-1", "dimensionless", "fraction", "proportion")
CELSIUS = ("degC", "deg C", "°C", "C", "Celsius", "celsius", "degrees_celsius", "degrees Celsius")
ZERO_CELSIUS = 273.15


@dataclass(frozen=True)
class Range:
    """What a variable may hold.

    Parameters
    ----------
    low, high : float
        Edges of the physically possible values in the first of ``units``, both allowed.
    units : tuple of str
        Accepted unit texts, the usual one first.
    missing : bool
        Whether cells may be missing, always the same ones (sea surface temperature over land).
    vanishes : bool
        Whether a whole field may be exactly 0 (rain on a dry day, radiation at night).
    """

    low: float
    high: float
    units: tuple[str, ...]
    missing: bool = False
    vanishes: bool = False


def arrival_problems(
    fields: xr.Dataset,
    where: str,
    *,
    ranges: Mapping[str, Range],
    days: np.ndarray | None = None,
    lat: np.ndarray | None = None,
    lon: np.ndarray | None = None,
) -> list[str]:
    """Return what is wrong with fields that a service sent, one sentence each; empty if they can be used.

    Values are read in blocks, so that lazily opened fields need far less memory than one variable.

    Parameters
    ----------
    fields : xarray.Dataset
        Decoded fields with time (``time`` or ``valid_time``) and two dimensions of space.
    where : str
        File or part, for the sentences.
    ranges : mapping of str to Range
        The variables that must be there and what they may hold. Others are not looked at.
    days : ndarray of datetime64, optional
        The expected times, increasing; their resolution decides what is compared: ``datetime64[D]`` for one field a
        day at whatever hour, ``datetime64[h]`` for hourly fields.
    lat, lon : ndarray, optional
        The expected axes in degrees, or both (y, x). The file's may run the other way, and its longitudes from 0 to
        360; single precision is close enough.

    Returns
    -------
    list of str
        Sentences with the file, the variable, the day, what was found and what is allowed.
    """
    missing = [name for name in ranges if name not in fields.variables]
    held = ", ".join(map(str, fields.data_vars)) or "nothing"
    problems = [f"{where}: the variable {name!r} is not there; the file holds {held}" for name in missing]
    clock = next((key for key in NAMES["time"] if key in fields.variables), None)
    if clock is None:
        return [*problems, f"{where}: there is no time; the file holds {', '.join(map(str, fields.variables))}"]
    stamps = np.atleast_1d(fields[clock].values)
    if stamps.dtype.kind != "M":
        return [*problems, f"{where}: time has type {stamps.dtype}; dates of the standard calendar are needed"]
    problems += [f"{where}: {text}" for text in time_problems(stamps, days)]
    problems += [f"{where}: {text}" for text in _grid_problems(fields, lat, lon)]
    labels = stamps.astype("datetime64[D]" if days is None else days.dtype)
    for name in (name for name in ranges if name not in missing):
        problems += [f"{where}: {text}" for text in _variable_problems(fields[name], ranges[name], labels)]
    return problems


def _grid_problems(fields: xr.Dataset, lat: np.ndarray | None, lon: np.ndarray | None) -> Iterator[str]:
    for name, expected in (("lat", lat), ("lon", lon)):
        if expected is None:
            continue
        key = next((key for key in NAMES[name] if key in fields.variables), None)
        if key is None:
            yield f"there is no {NAMES[name][1]}; the file holds {', '.join(map(str, fields.variables))}"
        else:
            yield from axis_problems(np.atleast_1d(fields[key].values), np.asarray(expected), NAMES[name][1])


@dataclass(frozen=True)
class _Scan:
    """One variable read once, block by block.

    Parameters
    ----------
    low, high : ndarray, shape (time,)
        Edges of the finite values of each step; infinite where there are none.
    zero : ndarray of bool, shape (time,)
        Steps that are 0 wherever they have values.
    infinite : ndarray of int, shape (time,)
        Number of infinite values.
    missing : ndarray of int, shape (cells,)
        Steps at which each cell is NaN.
    first_missing : ndarray of int, shape (cells,)
        The first of them.
    shape : tuple of int
        Shape of a field.
    constant : bool
        Whether all steps are the same.
    """

    low: np.ndarray
    high: np.ndarray
    zero: np.ndarray
    infinite: np.ndarray
    missing: np.ndarray
    first_missing: np.ndarray
    shape: tuple[int, ...]
    constant: bool


def _scan(array: xr.DataArray, clock: str) -> _Scan:
    steps = array.sizes[clock]
    shape = tuple(size for dim, size in array.sizes.items() if dim != clock)
    cells = int(np.prod(shape))
    low, high = np.full(steps, np.inf), np.full(steps, -np.inf)
    zero, infinite = np.zeros(steps, dtype=bool), np.zeros(steps, dtype=np.int64)
    missing, first_missing = np.zeros(cells, dtype=np.int64), np.full(cells, steps, dtype=np.int64)
    first_field, constant = None, True
    count = max(1, BLOCK_VALUES // max(1, cells))
    for start in range(0, steps, count):
        # The block is cut before it is transposed: transposing a lazily opened array would read all of it.
        block = array.isel({clock: slice(start, start + count)}).transpose(clock, ...).values.reshape(-1, cells)
        here = slice(start, start + block.shape[0])
        finite, nan = np.isfinite(block), np.isnan(block)
        low[here] = np.min(block, axis=1, where=finite, initial=np.inf)
        high[here] = np.max(block, axis=1, where=finite, initial=-np.inf)
        zero[here] = (low[here] == 0) & (high[here] == 0)
        infinite[here] = (~finite & ~nan).sum(axis=1)
        missing += nan.sum(axis=0)
        first = np.where(nan.any(axis=0), start + np.argmax(nan, axis=0), steps)
        np.minimum(first_missing, first, out=first_missing)
        first_field = block[0].copy() if first_field is None else first_field
        constant = constant and bool(np.all((block == first_field) | (nan & np.isnan(first_field))))
    return _Scan(low, high, zero, infinite, missing, first_missing, shape, constant)


def _variable_problems(array: xr.DataArray, allowed: Range, labels: np.ndarray) -> Iterator[str]:
    """Yield what is wrong with one variable: unit, dimensions, values."""
    name, unit = str(array.name), str(array.attrs.get("units", "")).strip()
    if unit not in allowed.units:
        kelvin = allowed.units[0] == "K" and unit in CELSIUS
        found = f"is in {unit if not kelvin else 'degC'}" if unit else "has no unit"
        yield f"{name} {found} where {allowed.units[0]} is expected"
    clock = next((key for key in NAMES["time"] if key in array.coords), None)
    dims = array[clock].dims if clock else ()
    if clock is None or len(dims) > 1:
        yield f"{name} has the dimensions {tuple(array.dims)}; one of time and two of space are needed"
        return
    array = array if dims else array.expand_dims(clock)
    try:
        scan = _scan(array, dims[0] if dims else clock)
    except (OSError, RuntimeError) as error:  # of the HDF5 library, for damaged chunks
        yield f"{name} cannot be read ({error})"
        return
    if unit in allowed.units or not unit:
        yield from _range_problems(name, scan, allowed, labels)
    yield from _missing_problems(name, scan, allowed, labels)
    yield from _dead_problems(name, scan, allowed, labels)


def _range_problems(name: str, scan: _Scan, allowed: Range, labels: np.ndarray) -> Iterator[str]:
    if scan.infinite.any():
        yield f"{name} has {scan.infinite.sum()} infinite values, the first on {labels[np.argmax(scan.infinite > 0)]}"
    # Fields of zeros have a sentence of their own.
    judged = np.isfinite(scan.low) & ~(scan.zero & (not allowed.vanishes))
    outside = judged & ((scan.low < allowed.low) | (scan.high > allowed.high))
    if not outside.any():
        return
    step = int(np.argmax(outside))
    value = scan.low[step] if scan.low[step] < allowed.low else scan.high[step]
    unit = allowed.units[0]
    low, high = scan.low[judged].min(), scan.high[judged].max()
    inside = allowed.low <= low + ZERO_CELSIUS and high + ZERO_CELSIUS <= allowed.high
    hint = "; the values look like degC" if unit == "K" and inside else ""
    yield (
        f"{name} has the value {value:.6g} on {labels[step]}, outside the possible {allowed.low:g} to {allowed.high:g} "
        f"{unit} (at {outside.sum()} of {labels.size} times){hint}"
    )


def _missing_problems(name: str, scan: _Scan, allowed: Range, labels: np.ndarray) -> Iterator[str]:
    some, steps = scan.missing > 0, labels.size
    if not some.any():
        return
    if (scan.missing == steps).all():
        yield f"{name} has no value at all"
        return
    wrong = some & (scan.missing < steps) if allowed.missing else some
    if not wrong.any():
        return
    cell = int(np.argmin(np.where(wrong, scan.first_missing, steps)))
    place = ", ".join(map(str, np.unravel_index(cell, scan.shape)))
    text = (
        f"{name} misses values in {wrong.sum()} of {some.size} cells, the first on {labels[scan.first_missing[cell]]}"
    )
    rule = "only cells that are missing at all times are allowed" if allowed.missing else "none may be missing"
    yield f"{text} in cell ({place}); {rule}"


def _dead_problems(name: str, scan: _Scan, allowed: Range, labels: np.ndarray) -> Iterator[str]:
    """Yield fields of zeros, which services send for what they could not read, and fields that never change."""
    if scan.zero.all():
        if not allowed.vanishes:
            yield f"{name} is 0 in every cell at every time; the service failed to read it"
    elif scan.zero.any() and not allowed.vanishes:
        times = f"{scan.zero.sum()} of {labels.size} times, the first {labels[np.argmax(scan.zero)]}"
        yield f"{name} is 0 in every cell at {times}; the service failed to read it there"
    elif scan.constant and labels.size > 1 and np.isfinite(scan.low).any():
        yield f"{name} is the same field at all {labels.size} times"
