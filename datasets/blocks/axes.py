"""Compare the times and the axes of a file with the expected ones, one sentence for each difference."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

__all__ = ["axis_problems", "time_problems"]

TOLERANCE = 1e-3  # degrees; coordinates in single precision, or packed by the service, are not exact
SHOWN = 3  # times named in a sentence


def time_problems(stamps: np.ndarray, expected: np.ndarray | None = None) -> Iterator[str]:
    """Yield what is wrong with number and order of times: gaps, duplicates, a step back, times nobody asked for.

    Parameters
    ----------
    stamps : ndarray of datetime64, shape (time,)
        As they stand in the file.
    expected : ndarray of datetime64, optional
        Compared at its own resolution; without it, only order and duplicates are judged.
    """
    found = stamps if expected is None else stamps.astype(expected.dtype)
    noun = "hours" if found.dtype == np.dtype("datetime64[h]") else "days"
    distinct, counts = np.unique(found, return_counts=True)
    if (counts > 1).any():
        yield f"{_some(distinct[counts > 1], noun)} more than once; each must be there once"
    if (np.diff(found) < np.timedelta64(0)).any():
        place = int(np.argmax(np.diff(found) < np.timedelta64(0)))
        yield f"{found[place + 1]} follows {found[place]}; time must increase"
    if expected is None:
        return
    absent, strange = np.setdiff1d(expected, distinct), np.setdiff1d(distinct, expected)
    span = f"{expected.size} {noun} from {expected[0]} to {expected[-1]} were asked for" if expected.size else "none"
    if absent.size:
        yield f"{_some(absent, noun)} not there; {span}, {found.size} came"
    if strange.size:
        yield f"{_some(strange, noun)} there although nobody asked for it; {span}"


def _some(times: np.ndarray, noun: str) -> str:
    """Return ``2021-01-03 is`` or ``4 days (2021-01-03, ...) are``."""
    if times.size == 1:
        return f"{times[0]} is"
    more = ", ..." if times.size > SHOWN else ""
    return f"{times.size} {noun} ({', '.join(map(str, times[:SHOWN]))}{more}) are"


def axis_problems(found: np.ndarray, expected: np.ndarray, name: str) -> Iterator[str]:
    """Yield how an axis (or a (y, x) grid) of latitudes or longitudes differs from the expected one.

    Direction and convention of longitude do not count on a one-dimensional axis.
    """
    text = f"{name} has {_axis(found)}; {_axis(expected)} were asked for"
    if found.shape != expected.shape:
        yield text
        return
    a, b = found.astype(np.float64), expected.astype(np.float64)
    if name == "longitude":
        # Distance to the expected west edge, so that neither 0 nor 180 degrees is a seam.
        west = b.min()
        a, b = (np.mod(axis - west + TOLERANCE, 360.0) for axis in (a, b))
    if a.ndim == 1:
        a, b = np.sort(a), np.sort(b)
    if not np.all(np.abs(a - b) <= TOLERANCE):
        yield text


def _axis(values: np.ndarray) -> str:
    if values.size == 0:
        return "no points"
    shape = " x ".join(map(str, values.shape))
    step = f" in steps of {abs(values[1] - values[0]):.4g}" if values.ndim == 1 and values.size > 1 else ""
    return f"{shape} points from {values.flat[0]:.6g} to {values.flat[-1]:.6g}{step}"
