"""The GRIB messages of one month of CARRA: which days and variables they hold, on which grid; values day by day.

Messages are read one by one through cfgrib's stream: no index file is left behind, few fields are in memory, and a
message that occurs twice is seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from datasets.blocks.files import kind
from datasets.blocks.lambert import Lambert
from regimebench.dataset import DataError

if TYPE_CHECKING:
    import xarray as xr

# What places the cells; every message must agree in all of it.
PLACE = (
    "gridType", "Nx", "Ny", "DxInMetres", "DyInMetres", "Latin1InDegrees", "Latin2InDegrees", "LaDInDegrees",
    "LoVInDegrees", "latitudeOfFirstGridPointInDegrees", "longitudeOfFirstGridPointInDegrees", "radius",
    "iScansNegatively", "jScansPositively", "jPointsAreConsecutive", "alternativeRowScanning",
)  # fmt: skip
FRACTIONS = ("(0 - 1)", "Proportion")


@dataclass(frozen=True)
class Header:
    """What one message says of itself; its values are read later, from ``offset`` on."""

    offset: Any
    name: str
    about: dict[str, str]
    day: np.datetime64
    place: tuple[Any, ...]
    along_grid: bool


@dataclass(frozen=True)
class Grid:
    """The cells of a message: ``x`` and ``y`` ascending, in metres on the map."""

    projection: Lambert
    x: np.ndarray
    y: np.ndarray
    flipped: tuple[bool, bool]  # whether y and x run the other way in the message


def headers(path: Path, where: str) -> list[Header]:
    """Return the headers of all messages, in the order of the file.

    Raises
    ------
    DataError
        If the file is not GRIB or is damaged.
    """
    import cfgrib
    import eccodes

    found = kind(path)
    if found != "grib":
        raise DataError(f"{where}: the service sent a file of kind {found} where GRIB was asked for")
    try:
        return [_header(offset, message) for offset, message in cfgrib.FileStream(str(path), errors="raise").items()]
    except (eccodes.CodesInternalError, EOFError, KeyError, ValueError) as error:
        raise DataError(f"{where}: the GRIB file is damaged ({type(error).__name__}: {error})") from error


def _header(offset: Any, message: Any) -> Header:
    place = tuple(message.message_get(key, default=None) for key in PLACE)
    along_grid = bool(message.message_get("uvRelativeToGrid", default=1))
    units = message["units"].replace("**", "")  # as CF writes powers
    about = {"units": "1" if units in FRACTIONS else units, "long_name": message["name"]}
    return Header(offset, message["shortName"], about, _day(message), place, along_grid)


def _day(message: Any) -> np.datetime64:
    """Return the day of a message: that of the middle of its interval, whose end is midnight of the next day."""
    start = datetime.strptime(f"{message['dataDate']:08d}{message['dataTime']:04d}", "%Y%m%d%H%M")
    message["stepUnits"] = "h"
    middle = (message["startStep:int"] + message["endStep:int"]) / 2
    return np.datetime64(start + timedelta(hours=middle), "D")


def grid(found: Sequence[Header], where: str) -> Grid:
    """Return the grid that all messages share, its numbers read from the messages.

    Raises
    ------
    DataError
        If they differ, or are not on a Lambert grid of a spherical earth.
    """
    first = _common_place(found, where)
    if first["gridType"] != "lambert":
        raise DataError(
            f"{where}: the fields are on a {first['gridType']} grid where CARRA's own Lambert grid is expected; "
            "the request names no area and no grid, so the service has changed"
        )
    if first["radius"] is None or first["jPointsAreConsecutive"] or first["alternativeRowScanning"]:
        raise DataError(
            f"{where}: an earth that is no sphere, or cells that are not stored row by row, are not understood"
        )
    projection = Lambert(
        (first["Latin1InDegrees"], first["Latin2InDegrees"]), first["LaDInDegrees"], first["LoVInDegrees"],
        float(first["radius"]),
    )  # fmt: skip
    x0, y0 = projection.forward(first["latitudeOfFirstGridPointInDegrees"], first["longitudeOfFirstGridPointInDegrees"])
    flipped = (not first["jScansPositively"], bool(first["iScansNegatively"]))
    y, x = (
        np.sort(start + (-step if back else step) * np.arange(count))
        for start, step, count, back in zip(
            (y0, x0), (first["DyInMetres"], first["DxInMetres"]), (first["Ny"], first["Nx"]), flipped, strict=True
        )
    )
    return Grid(projection, x, y, flipped)


def _common_place(found: Sequence[Header], where: str) -> dict[str, Any]:
    """Return the keys that place the cells, the same in all messages."""
    first = found[0]
    for header in found:
        for key, one, other in zip(PLACE, first.place, header.place, strict=True):
            if one != other:
                raise DataError(
                    f"{where}: {header.name} of {header.day} lies on another grid than {first.name} of {first.day} "
                    f"({key} is {other} and {one})"
                )
    return dict(zip(PLACE, first.place, strict=True))


class _Fields:
    """The days of one variable as an array (time, y, x) that decodes a message when it is asked for."""

    dtype = np.dtype(np.float32)
    ndim = 3

    def __init__(self, path: Path, offsets: Sequence[Any], place: Grid) -> None:
        self.path, self.offsets, self.place = path, offsets, place
        self.shape = (len(offsets), place.y.size, place.x.size)

    def __getitem__(self, index: tuple[slice, slice, slice]) -> np.ndarray:
        chosen = self.offsets[index[0]]
        values = np.empty((len(chosen), *self.shape[1:]), dtype=self.dtype)
        for number, offset in enumerate(chosen):
            values[number] = self._read(offset)
        return values[(slice(None), *index[1:])]

    def _read(self, offset: Any) -> np.ndarray:
        import cfgrib
        import eccodes

        try:
            message = cfgrib.FileStream(str(self.path), errors="raise")[offset]
            values = message["values"].reshape(self.shape[1:])
        except (eccodes.CodesInternalError, EOFError, ValueError) as error:
            raise DataError(f"{self.path} is damaged ({type(error).__name__}: {error})") from error
        if message["bitmapPresent"]:
            values[values == message["missingValue"]] = np.nan
        return values[tuple(slice(None, None, -1 if back else 1) for back in self.place.flipped)]


def fields(path: Path, found: Sequence[Header], place: Grid) -> xr.DataArray:
    """Return the messages of one variable as a lazy array (time, y, x), a day per chunk, in order of time."""
    import dask.array as da
    import xarray as xr

    ordered = sorted(found, key=lambda header: header.day)
    values = da.from_array(
        _Fields(path, [header.offset for header in ordered], place), chunks=(1, -1, -1), lock=True, name=False
    )
    time = np.array([header.day for header in ordered], dtype="datetime64[ns]")
    coords = {"time": time, "y": place.y, "x": place.x}
    return xr.DataArray(values, coords, ("time", "y", "x"), attrs=ordered[0].about)
