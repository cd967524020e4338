"""The user's files: which ones match, what kind they are, and how each is opened without reading its fields."""

from __future__ import annotations

import glob
import os
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasets.blocks.archives import MAGIC as ZIP_MAGIC
from regimebench.dataset import DataError

if TYPE_CHECKING:
    import xarray as xr

ZARR_METADATA = (".zmetadata", "zarr.json", ".zgroup", ".zattrs")
MAGIC = {b"\x89HDF": "netcdf", b"CDF\x01": "netcdf", b"CDF\x02": "netcdf", b"CDF\x05": "netcdf", b"GRIB": "grib"}
VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")

# Names that tools and centres give to the same coordinate; the first column is ours.
NAMES = {
    "lat": ("lat", "latitude", "nav_lat", "XLAT"),
    "lon": ("lon", "longitude", "nav_lon", "XLONG"),
    "level": ("level", "pressure_level", "isobaricInhPa", "plev", "lev", "isobaricInPa"),
    "time": ("valid_time", "time", "Time", "date"),
    "y": ("y", "south_north", "rlat", "projection_y_coordinate"),
    "x": ("x", "west_east", "rlon", "projection_x_coordinate"),
}
STANDARD_NAMES = {"lat": "latitude", "lon": "longitude", "level": "air_pressure"}


@dataclass(frozen=True)
class Part:
    """One open file, or one of the grids of a GRIB file; nothing but coordinates has been read."""

    path: Path
    fields: xr.Dataset


def matched(patterns: str | Sequence[str] | None) -> tuple[list[Path], list[str]]:
    """Return the files that the patterns match, in alphabetical order, and what is wrong, one sentence each.

    ``${NAME}`` is replaced by an environment variable, ``${NAME:-folder}`` by ``folder`` where it is not set; ``~`` is
    the home folder; relative patterns start at the current folder; ``**`` crosses folders.
    """
    patterns = [patterns] if isinstance(patterns, str) else list(patterns or [])
    problems = [] if patterns else ["the parameter files is empty; name your files, for example data/*.nc"]
    found: set[Path] = set()
    for pattern in patterns:
        unset = [name for name, default in VARIABLE.findall(str(pattern)) if not default and name not in os.environ]
        if unset:
            problems.append(f"files: {pattern!r} uses the environment variable {unset[0]}, which is not set")
            continue
        text = VARIABLE.sub(lambda found: os.environ.get(found[1]) or found[2] or "", str(pattern))
        text = os.path.expanduser(text)
        here = {Path(name) for name in glob.glob(text, recursive=True)}
        usable = {path for path in here if path.is_file() or is_zarr(path)}
        if not usable:
            problems.append(f"files: no file matches {text!r} (relative to {Path.cwd().name or '/'}/)")
        found |= usable
    return sorted(found), problems


def is_zarr(path: Path) -> bool:
    """Return whether a folder is a Zarr store (format 2 or 3)."""
    return path.is_dir() and any((path / name).is_file() for name in ZARR_METADATA)


def kind(path: Path) -> str:
    """Return ``netcdf``, ``grib``, ``zarr`` or ``zip``, judged by content.

    Raises
    ------
    DataError
        If it is none of them.
    """
    if is_zarr(path):
        return "zarr"
    try:
        with open(path, "rb") as file:
            start = file.read(4)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror})") from error
    if start in ZIP_MAGIC:
        return "zip"
    if start not in MAGIC:
        raise DataError(f"{path} is neither NetCDF, GRIB nor Zarr (it begins with {start!r})")
    return MAGIC[start]


def open_parts(path: Path, select: dict[str, Any]) -> list[Part]:
    """Open one file lazily, with our coordinate names.

    Parameters
    ----------
    path : path
        NetCDF or GRIB file, or Zarr folder.
    select : dict
        Values of further dimensions, such as ``{"number": 0}``.

    Raises
    ------
    DataError
        If the file cannot be opened or lacks a selected value.
    """
    import xarray as xr

    what = kind(path)
    if what == "zip":
        raise DataError(f"{path} is a ZIP archive inside another; unpack it and name its members")
    try:
        if what == "grib":
            import cfgrib

            # An empty index path: cfgrib must not write index files beside the user's data.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)  # of xarray about cfgrib's own calls
                opened = cfgrib.open_datasets(str(path), backend_kwargs={"indexpath": ""})
        else:
            # A duration in hours is a field like any other, not a time to decode.
            options: dict[str, Any] = {"engine": "netcdf4", "chunks": None, "decode_timedelta": False}
            if what == "zarr":
                options |= {"engine": "zarr", "consolidated": (path / ".zmetadata").is_file()}
            opened = [xr.open_dataset(path, **options)]
    except Exception as error:
        # The engines raise whatever their C library or codec raises; the user needs the file's name.
        raise DataError(f"{path} cannot be opened as {what} ({type(error).__name__}: {error})") from error
    return [_part(path, fields, select) for fields in opened]


def _part(path: Path, fields: xr.Dataset, select: dict[str, Any]) -> Part:
    ours = _renamed(_selected(fields, select, path))
    ours.set_close(fields.close)  # what xarray makes of an open file does not know how to close it
    return Part(path, ours)


def _selected(fields: xr.Dataset, select: dict[str, Any], path: Path) -> xr.Dataset:
    """Pick the wanted value of further dimensions and drop dimensions of length one."""
    for name, value in select.items():
        if name in fields.dims:
            known = fields[name].values
            if value not in known:
                raise DataError(f"select: {path} has no {name} {value!r}; it has {', '.join(map(str, known))}")
            fields = fields.sel({name: value}, drop=True)
    keep = {name for names in NAMES.values() for name in names}
    return fields.squeeze([name for name, size in fields.sizes.items() if size == 1 and name not in keep])


def _renamed(fields: xr.Dataset) -> xr.Dataset:
    """Give latitude, longitude, level and the projected axes our names (time is handled with the data)."""
    renames = {}
    for name, standard in STANDARD_NAMES.items():
        found = _find(fields, name, standard)
        if found is not None and found != name and name not in fields.variables:
            renames[found] = name
    for name in ("y", "x"):
        found = next((key for key in NAMES[name] if key in fields.dims), None)
        if found not in (None, name):
            renames[found] = name
    return fields.rename(renames)


def _find(fields: xr.Dataset, name: str, standard: str) -> str | None:
    for key in NAMES[name]:
        if key in fields.variables:
            return key
    return next((str(key) for key in fields.coords if fields[key].attrs.get("standard_name") == standard), None)


def levels(array: xr.DataArray) -> list[float | None]:
    """Return the pressure levels of a variable in hPa (or in the file's own unit), or ``[None]`` if it has none."""
    if "level" not in array.coords:
        return [None]
    level = array["level"]
    factor = 0.01 if level.attrs.get("units") == "Pa" else 1.0
    return [round(float(value) * factor, 6) for value in level.values.reshape(-1)]


def fields_of(part: Part) -> Iterator[tuple[str, xr.DataArray]]:
    """Yield the variables that change in time over a grid."""
    for name, array in part.fields.data_vars.items():
        space = {"lat", "lon"} <= set(array.dims) or {"y", "x"} <= set(array.dims)
        if space and any(key in array.coords for key in NAMES["time"]):
            yield str(name), array
