"""What the Climate Data Store answers to requests for daily means of CARRA, on a grid of a few cells."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import eccodes
import numpy as np

Answer = tuple[bytes, str, str]
PAGE = b"<!DOCTYPE html><html><head><title>Scheduled maintenance</title></head></html>"
MISSING = 9999.0

# Discipline, category and number of the parameter; level; mean and daily spread of the values.
FIELDS = {
    "2m_temperature": ((0, 0, 0), ("heightAboveGround", 2), 265.0, 8.0),
    "surface_pressure": ((0, 3, 0), ("surface", 0), 98_000.0, 900.0),
    "10m_wind_speed": ((0, 2, 1), ("heightAboveGround", 10), 9.0, 1.5),
    "2m_relative_humidity": ((0, 1, 1), ("heightAboveGround", 2), 70.0, 6.0),
    "total_cloud_cover": ((0, 6, 1), ("entireAtmosphere", 0), 50.0, 9.0),
    "10m_u_component_of_wind": ((0, 2, 2), ("heightAboveGround", 10), 5.0, 2.0),
    "10m_v_component_of_wind": ((0, 2, 3), ("heightAboveGround", 10), -2.0, 2.0),
    "sea_surface_temperature": ((10, 3, 0), ("surface", 0), 277.0, 1.0),
    "total_precipitation": ((0, 1, 52), ("surface", 0), 3.0, 0.5),
}


WEST = {
    "gridType": "lambert", "DxInMetres": 2500, "DyInMetres": 2500, "LaDInDegrees": 72.0, "Latin1InDegrees": 72.0,
    "Latin2InDegrees": 72.0, "LoVInDegrees": 324.0, "jScansPositively": 1, "uvRelativeToGrid": 1,
}  # fmt: skip
FAULTS = (
    "", "missing day", "day twice", "wrong variable", "another variable too", "lat-lon", "two grids", "swapped",
    "oblate", "gap", "zeros", "too warm", "page", "netcdf", "truncated",
)  # fmt: skip


@dataclass(frozen=True)
class Carra:
    """The service's answers: ``Carra()(collection, request)``.

    Parameters
    ----------
    nx, ny : int
        Cells along a parallel and along a meridian.
    encoding : {"instant", "mean"}
        Fields stamped at the start of their day, or means over the 24 hours that end at midnight.
    fault : str
        What is wrong with every answer, of :data:`FAULTS`; ``gap`` leaves cells without values, ``swapped`` has as many
        columns as there should be rows.
    place : mapping
        GRIB keys that differ from those of CARRA's west domain.
    """

    nx: int = 40
    ny: int = 36
    encoding: str = "instant"
    fault: str = ""
    place: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        assert self.fault in FAULTS

    def __call__(self, collection: str, request: Mapping[str, Any]) -> Answer:
        """Return the bytes, their media type and the suffix of the file."""
        if self.fault == "page":
            return PAGE, "text/html", ".grib"
        if self.fault == "netcdf":
            return b"\x89HDF\r\n\x1a\n" + bytes(64), "application/netcdf", ".nc"
        messages = list(self._messages(request))
        if self.fault == "missing day":
            del messages[9]
        if self.fault == "day twice":
            messages.insert(3, messages[7])
        body = b"".join(messages)
        return body[: -len(messages[-1]) // 2] if self.fault == "truncated" else body, "application/x-grib", ".grib"

    def _messages(self, request: Mapping[str, Any]) -> Iterator[bytes]:
        """Yield a message for each day and variable, the variables of a day side by side."""
        names = list(request["variable"])
        if self.fault in ("wrong variable", "another variable too"):
            names = [*names[: self.fault == "another variable too"], "surface_pressure"]
        for day in request["day"]:
            date = np.datetime64(f"{request['year'][0]}-{request['month'][0]}-{day}", "D")
            moved = {"LoVInDegrees": 325.0} if self.fault == "two grids" and day == "05" else {}
            for name in names:
                yield _message({**self._grid(), **moved, **_what(name, self.encoding, date)}, self.values(name, date))

    def values(self, name: str, date: np.datetime64) -> np.ndarray:
        """Return the field of a day, shape (ny, nx), in the order of the message: a wave that travels, and weather."""
        _, _, mean, spread = FIELDS[name]
        number = int(date.astype(int))
        rng = np.random.default_rng([number, len(name)])
        y, x = np.mgrid[: self.ny, : self.nx]
        wave = np.sin(2 * np.pi * (x / self.nx + y / (2 * self.ny) - number / 11)) + rng.standard_normal()
        values = mean + spread * wave / 2
        if self.fault == "too warm" and number % 5 == 0:
            values[3, 4] = 990.0
        if self.fault == "gap" or name == "sea_surface_temperature":
            values[:6, :7] = np.nan
        return np.zeros_like(values) if self.fault == "zeros" else values

    def _grid(self) -> dict[str, Any]:
        nx, ny = (self.ny, self.nx) if self.fault == "swapped" else (self.nx, self.ny)
        first = {"latitudeOfFirstGridPointInDegrees": 55.81, "longitudeOfFirstGridPointInDegrees": 302.903}
        if self.fault == "lat-lon":
            last = {"latitudeOfLastGridPointInDegrees": 57.0, "longitudeOfLastGridPointInDegrees": 304.0}
            steps = {"iDirectionIncrementInDegrees": 0.03, "jDirectionIncrementInDegrees": 0.03}
            return {"gridType": "regular_ll", "Ni": nx, "Nj": ny, **first, **last, **steps, "jScansPositively": 1}
        shape = 5 if self.fault == "oblate" else 6
        return {**WEST, "shapeOfTheEarth": shape, "Nx": nx, "Ny": ny, **first, **self.place}


def prepared(service: Carra, parts: Iterable[Any]) -> Callable[[str, Mapping[str, Any]], Answer]:
    """Return a function that answers the requests of parts at once, because servers of tests are not waited for."""
    made = {json.dumps(part.request): service(part.source, part.request) for part in parts}
    return lambda collection, request: made[json.dumps(request)]


def _what(name: str, encoding: str, date: np.datetime64) -> dict[str, Any]:
    """Return the keys that say which variable and day a message holds."""
    (discipline, category, number), (level_type, level), _, _ = FIELDS[name]
    total = name == "total_precipitation"
    interval = total or encoding == "mean"
    keys = {"tablesVersion": 28, "discipline": discipline, "productDefinitionTemplateNumber": 8 if interval else 0}
    keys |= {"parameterCategory": category, "parameterNumber": number, "typeOfLevel": level_type, "level": level}
    keys |= {"dataDate": int(str(date).replace("-", "")), "dataTime": 0}
    return keys | ({"typeOfStatisticalProcessing": int(total), "stepRange": "0-24"} if interval else {})


def _message(keys: Mapping[str, Any], values: np.ndarray) -> bytes:
    handle = eccodes.codes_grib_new_from_samples("GRIB2")
    try:
        for key, value in keys.items():
            eccodes.codes_set(handle, key, value)
        missing = np.isnan(values)
        if missing.any():
            eccodes.codes_set(handle, "bitmapPresent", 1)
            eccodes.codes_set(handle, "missingValue", MISSING)
        eccodes.codes_set(handle, "bitsPerValue", 24)
        eccodes.codes_set_values(handle, np.where(missing, MISSING, values).ravel())
        return eccodes.codes_get_message(handle)
    finally:
        eccodes.codes_release(handle)
