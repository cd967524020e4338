"""What the Climate Data Store answers to requests for ERA5: the same layout, made-up weather, and known faults."""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

HOURLY = "reanalysis-era5-single-levels"
DAILY = "derived-era5-single-levels-daily-statistics"

# Name in requests: name in files, GRIB short name and number, unit, name for humans, kind, mean, annual, daily and
# synoptic amplitude.
CATALOGUE: dict[str, tuple[str, str, int, str, str, str, float, float, float, float]] = {
    "surface_pressure": ("sp", "sp", 134, "Pa", "Surface pressure", "instant", 1.015e5, 300, 80, 1200),
    "sea_surface_temperature": ("sst", "sst", 34, "K", "Sea surface temperature", "instant", 291, 3, 0, 0.4),
    "10m_u_component_of_wind": ("u10", "10u", 165, "m s**-1", "10 metre U wind component", "instant", 2, 1, 0.3, 6),
    "10m_v_component_of_wind": ("v10", "10v", 166, "m s**-1", "10 metre V wind component", "instant", 1, 1, 0.3, 5),
    "surface_sensible_heat_flux": (
        *("sshf", "sshf", 146, "J m**-2", "Surface sensible heat flux", "accum", -4e4, 2e4, 2e4, 5e4),
    ),
    "surface_latent_heat_flux": (
        *("slhf", "slhf", 147, "J m**-2", "Surface latent heat flux", "accum", -3.5e5, 1e5, 9e4, 2e5),
    ),
    "2m_temperature": ("t2m", "2t", 167, "K", "2 metre temperature", "instant", 290, 4, 1, 2),
    "total_precipitation": ("tp", "tp", 228, "m", "Total precipitation", "accum", 2e-4, 1e-4, 5e-5, 3e-4),
}
GLOBAL_ATTRIBUTES = {
    "GRIB_centre": "ecmf",
    "GRIB_centreDescription": "European Centre for Medium-Range Weather Forecasts",
    "GRIB_subCentre": np.int64(0),
    "Conventions": "CF-1.7",
    "institution": "European Centre for Medium-Range Weather Forecasts",
    "history": "2026-01-05T10:00 GRIB to CDM+CF via cfgrib-0.9.15.0/ecCodes-2.41.0",
}
MISSING = -9.0e33

Answer = tuple[bytes, str, str]


def answer(collection: str, request: Mapping[str, Any], fault: str = "") -> Answer:
    """Return bytes, media type and suffix of the answer to a request, spoilt by ``fault`` (see :data:`FAULTS`)."""
    if fault == "html":
        return b"<!DOCTYPE html><html><title>502 Bad Gateway</title></html>", "text/html", ".nc"
    files = _daily_files(request) if collection == DAILY else _hourly_files(request)
    spoil = FAULTS[fault]
    contents = {name: _netcdf(*spoil(fields)) for name, fields in files.items()}
    if len(contents) == 1:
        return next(iter(contents.values())), "application/netcdf", ".nc"
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        for name, content in contents.items():
            packed.writestr(name, content)
    # The service hides archives under .nc where the target's name says so; the caller chooses the name.
    return archive.getvalue(), "application/zip", ".zip"


def prepared(requests: Iterable[tuple[str, Mapping[str, Any]]]) -> Callable[[str, Mapping[str, Any]], Answer]:
    """Return a function that answers these requests, made here and now: NetCDF's library is not for several threads."""
    made = {_key(*request): answer(*request) for request in requests}
    return lambda collection, request: made[_key(collection, request)]


def _key(collection: str, request: Mapping[str, Any]) -> str:
    return json.dumps([collection, request], sort_keys=True)


def weather(variable: str, stamps: np.ndarray, lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
    """Return one variable at hourly stamps, shape (time, lat, lon), float32; NaN over land for sst."""
    name, *_, mean, annual, daily, synoptic = CATALOGUE[variable]
    hours = stamps.astype("datetime64[h]").astype(np.int64).astype(np.float64)[:, None, None]
    north, east = lat[None, :, None], lon[None, None, :]
    phase = sum(map(ord, name))
    values = (
        mean
        + annual * np.cos(2 * np.pi * (hours / 8766 - 0.6))
        + daily * np.cos(2 * np.pi * (hours - 14) / 24)
        + synoptic * np.sin(2 * np.pi * (hours / 103 + east / 20) + phase) * np.cos(hours / 31 + north / 3)
    )
    if name == "tp":
        values = np.maximum(values, 0)
    if name == "sst":
        land = (np.rint(north * 4) + 2 * np.rint(east * 4)) % 7 == 0
        values = np.where(land, np.nan, values)
    return values.astype(np.float32)


def stamps_of(request: Mapping[str, Any]) -> np.ndarray:
    """Return the hours (or days, without ``time``) of a request; days that do not exist are dropped."""
    days = []
    for year in request["year"]:
        for month in request["month"]:
            first = np.datetime64(f"{year}-{month}", "M")
            count = int(((first + 1).astype("datetime64[D]") - first.astype("datetime64[D]")).astype(int))
            days += [first.astype("datetime64[D]") + int(day) - 1 for day in request["day"] if int(day) <= count]
    if "time" not in request:
        return np.array(days)
    return np.array([day.astype("datetime64[h]") + int(time[:2]) for day in days for time in request["time"]])


def axes_of(request: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Return latitudes, descending, and longitudes of a request."""
    north, west, south, east = request["area"]
    return np.arange(north, south - 0.01, -0.25), np.arange(west, east + 0.01, 0.25)


def _hourly_files(request: Mapping[str, Any]) -> dict[str, xr.Dataset]:
    stamps, (lat, lon) = stamps_of(request), axes_of(request)
    files = {}
    for kind in ("instant", "accum"):
        chosen = [name for name in request["variable"] if CATALOGUE[name][5] == kind]
        if chosen:
            fields = {name: weather(name, stamps, lat, lon) for name in chosen}
            files[f"data_stream-oper_stepType-{kind}.nc"] = _dataset(fields, stamps, lat, lon)
    return files


def _daily_files(request: Mapping[str, Any]) -> dict[str, xr.Dataset]:
    days, (lat, lon) = stamps_of(request), axes_of(request)
    hours = (days.astype("datetime64[h]")[:, None] + np.arange(24)).ravel()
    files = {}
    for number, name in enumerate(request["variable"]):
        # The service shifts sums over the past hour before it groups them by day.
        late = 1 if CATALOGUE[name][5] == "accum" else 0
        values = weather(name, hours + late, lat, lon).reshape(days.size, 24, lat.size, lon.size).mean(axis=1)
        fields = _dataset({name: values}, days, lat, lon).drop_vars("expver")
        fields.attrs["history"] += "\nearthkit.transforms.aggregate.temporal.daily_reduce(how=mean)"
        tag = "stream-oper" if number % 2 else "0"
        files[f"{name}_{tag}_daily-mean.nc"] = fields
    return files


def _dataset(fields: Mapping[str, np.ndarray], stamps: np.ndarray, lat: np.ndarray, lon: np.ndarray) -> xr.Dataset:
    coords = {
        "number": ((), np.int64(0), {"long_name": "ensemble member numerical id", "standard_name": "realization"}),
        "valid_time": ("valid_time", stamps.astype("datetime64[ns]"), {"long_name": "time", "standard_name": "time"}),
        "latitude": ("latitude", lat, {"units": "degrees_north", "standard_name": "latitude"}),
        "longitude": ("longitude", lon, {"units": "degrees_east", "standard_name": "longitude"}),
        "expver": ("valid_time", np.full(stamps.size, "0001")),
    }
    arrays = {}
    for variable, values in fields.items():
        name, short, number, unit, long_name, kind, *_ = CATALOGUE[variable]
        attrs = {
            "GRIB_paramId": np.int64(number),
            "GRIB_dataType": "an" if kind == "instant" else "fc",
            "GRIB_typeOfLevel": "surface",
            "GRIB_stepType": kind,
            "GRIB_gridType": "regular_ll",
            "GRIB_Nx": np.int64(lon.size),
            "GRIB_Ny": np.int64(lat.size),
            "GRIB_missingValue": 3.4028234663852886e38,
            "GRIB_shortName": short,
            "long_name": long_name,
            "units": unit,
            "standard_name": "unknown",
        }
        arrays[name] = (("valid_time", "latitude", "longitude"), values, attrs)
    dataset = xr.Dataset(arrays, coords, dict(GLOBAL_ATTRIBUTES))
    hourly = stamps.dtype == np.dtype("datetime64[h]")
    units = "seconds since 1970-01-01" if hourly else f"days since {stamps[0]}"
    dataset["valid_time"].encoding = {"units": units, "dtype": "int64", "calendar": "proleptic_gregorian"}
    return dataset


Encoding = dict[str, dict[str, Any]]


def _netcdf(fields: xr.Dataset, encoding: Encoding) -> bytes:
    usual = {"zlib": True, "complevel": 1, "shuffle": True, "_FillValue": np.float32(np.nan)}
    chosen = {str(name): encoding.get(str(name), usual) for name in fields.data_vars}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.nc"
        fields.to_netcdf(path, engine="netcdf4", encoding=chosen)
        return path.read_bytes()


def _change(name: str, edit: Callable[[np.ndarray], None]) -> Callable[[xr.Dataset], tuple[xr.Dataset, Encoding]]:
    """Return a fault that changes the values of one variable in place."""

    def spoil(fields: xr.Dataset) -> tuple[xr.Dataset, Encoding]:
        if name in fields:
            edit(fields[name].values)
        return fields, {}

    return spoil


def _whole(edit: Callable[[xr.Dataset], xr.Dataset]) -> Callable[[xr.Dataset], tuple[xr.Dataset, Encoding]]:
    """Return a fault that changes a file."""

    def spoil(fields: xr.Dataset) -> tuple[xr.Dataset, Encoding]:
        clock = dict(fields["valid_time"].encoding)
        changed = edit(fields)
        if "valid_time" in changed:
            changed["valid_time"].encoding = clock
        return changed, {}

    return spoil


def _put(index: Any, value: float) -> Callable[[np.ndarray], None]:
    return lambda values: values.__setitem__(index, value)


def _steps(fields: xr.Dataset) -> int:
    """Return the steps in a day."""
    first, second = fields["valid_time"].values[:2]
    return int(np.timedelta64(1, "D") / (second - first))


def _without_tenth(fields: xr.Dataset) -> xr.Dataset:
    step = _steps(fields)
    return fields.drop_isel(valid_time=range(9 * step, 10 * step))


def _tenth_twice(fields: xr.Dataset) -> xr.Dataset:
    step, order = _steps(fields), list(range(fields.sizes["valid_time"]))
    return fields.isel(valid_time=[*order[: 10 * step], *order[9 * step :]])


def _celsius(fields: xr.Dataset) -> xr.Dataset:
    if "t2m" in fields:
        fields["t2m"] = (fields["t2m"] - 273.15).assign_attrs({**fields["t2m"].attrs, "units": "degC"})
    return fields


def _preliminary(fields: xr.Dataset) -> xr.Dataset:
    if "expver" in fields:
        fields["expver"].values[-48:] = "0005"
    return fields


def _older_layout(fields: xr.Dataset) -> xr.Dataset:
    """Return the layout before September 2024: ``time``; in hourly files final beside preliminary data."""
    final = fields.drop_vars(["expver", "number"], errors="ignore").rename(valid_time="time")
    if "expver" not in fields:
        return final
    late = np.arange(final.sizes["time"]) >= final.sizes["time"] - 48
    where = xr.DataArray(late, dims="time")
    return xr.concat([final.where(~where), final.where(where)], xr.Variable("expver", [1, 5])).transpose("time", ...)


def _packed(fields: xr.Dataset) -> tuple[xr.Dataset, Encoding]:
    encoding = {}
    for name, array in fields.data_vars.items():
        low, high = float(array.min()), float(array.max())
        scale = (high - low) / 65000
        middle = (high + low) / 2
        encoding[str(name)] = {"dtype": "int16", "scale_factor": scale, "add_offset": middle, "_FillValue": -32767}
    return fields, encoding


def _missing_value(fields: xr.Dataset) -> tuple[xr.Dataset, Encoding]:
    for name in fields.data_vars:
        fields[name] = (
            fields[name]
            .fillna(np.float32(MISSING))
            .assign_attrs({**fields[name].attrs, "missing_value": np.float32(MISSING)})
        )
    return fields, {str(name): {"_FillValue": None} for name in fields.data_vars}


def _short_names(fields: xr.Dataset) -> xr.Dataset:
    return fields.rename({name: fields[name].attrs["GRIB_shortName"] for name in fields.data_vars})


def _without(names: Sequence[str]) -> Callable[[xr.Dataset], xr.Dataset]:
    return lambda fields: fields.drop_vars(names, errors="ignore")


# What can be read all the same, and what must be refused.
HARMLESS = {
    "": lambda fields: (fields, {}),
    "preliminary": _whole(_preliminary),
    "older layout": _whole(_older_layout),
    "packed": _packed,
    "missing_value": _missing_value,
    "latitude up": _whole(lambda fields: fields.isel(latitude=slice(None, None, -1))),
    "longitude 0-360": _whole(lambda fields: fields.assign_coords(longitude=fields["longitude"] % 360)),
    "short names": _whole(_short_names),
    "single precision axes": _whole(
        lambda fields: fields.assign_coords({key: fields[key].astype("f4") for key in ("latitude", "longitude")})
    ),
}
REFUSED = {
    "zeros": _change("sshf", _put(..., 0)),
    "zero day": _change("t2m", _put(slice(9, 10), 0)),
    "missing day": _whole(_without_tenth),
    "duplicate day": _whole(_tenth_twice),
    "wrong grid": _whole(lambda fields: fields.assign_coords(latitude=fields["latitude"] + 0.125)),
    "smaller grid": _whole(lambda fields: fields.isel(longitude=slice(1, None))),
    "celsius": _whole(_celsius),
    "missing cell": _change("t2m", _put((9, 0, 0), np.nan)),
    "changing mask": _change("sst", _put((9, 0, 0), np.nan)),
    "outside": _change("u10", _put((9, 0, 0), 1e4)),
    "infinite": _change("u10", _put((9, 0, 0), np.inf)),
    "constant": _change("sp", _put(..., 101_325.0)),
    "missing variable": _whole(_without(["v10"])),
}
FAULTS = {**HARMLESS, **REFUSED}
