"""The cube file: one CF-1.11 NetCDF-4 file per data set, written and read with netCDF4 alone.

The layout is described in ``docs/preprocess.md``. netCDF4 is the only reader a method's environment needs.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

from regimebench import __version__
from regimebench.dataset import Cube, DataError, not_finite
from regimebench.files import replacing

__all__ = ["content_hash", "read_cube", "refuse_beyond_memory", "stored_hash", "write_cube"]

HASH = "content_sha256"
EXPANSION = 1100  # deflate makes at most 1,032 bytes of one
CHUNK_VALUES = 4_194_304  # 16 MiB of float32, about one year of 41 x 41 x 7
EPOCH = "days since 1970-01-01 00:00:00"
# Attributes of a Cube that are one text per variable; they become string variables along `variable`.
PER_VARIABLE = {"long_names": "variable_long_name", "cell_methods": "variable_cell_methods"}
PROJECTION_NAMES = ("projection_y_coordinate", "projection_x_coordinate")


def content_hash(cube: Cube) -> str:
    """Return the SHA-256 of what a method sees: values, mask, days, positions and variable names."""
    digest = hashlib.sha256("\n".join(cube.variables).encode())
    days = cube.time.astype("datetime64[D]").astype("<i8")
    for array, kind in ((days, "<i8"), (cube.lat, "<f8"), (cube.lon, "<f8"), (cube.mask, "u1"), (cube.values, "<f4")):
        digest.update(f"{array.shape}".encode())
        for block in _blocks(array):
            digest.update(np.ascontiguousarray(block, dtype=kind).data)
    return digest.hexdigest()


def _blocks(array: np.ndarray) -> Iterator[np.ndarray]:
    """Yield an array in pieces along its first axis: what is made of a piece is small beside the whole."""
    size = _days_at_a_time(array.shape)
    return (array[start : start + size] for start in range(0, len(array), size))


def _days_at_a_time(shape: tuple[int, ...]) -> int:
    return max(1, min(shape[0], CHUNK_VALUES // max(1, int(np.prod(shape[1:])))))


def write_cube(cube: Cube, path: str | Path) -> Cube:
    """Write ``cube`` to ``path`` in one step: a reader sees the old file or the new one, never half of one.

    Parameters
    ----------
    cube : Cube
        ``attrs`` may hold text, numbers and lists of numbers, which become global attributes; ``long_names`` and
        ``cell_methods`` (one text per variable); and ``projection``: ``{"grid_mapping": {...}, "y": ..., "x": ...}``
        with the grid mapping's attributes and the projected coordinates in metres.
    path : path
        The file.

    Returns
    -------
    Cube
        The same cube with the content hash in ``attrs["content_sha256"]``.

    Raises
    ------
    DataError
        If the parts of the cube do not fit together or an attribute cannot be stored.
    """
    path = Path(path)
    _check(cube)
    cube = replace(cube, attrs={**cube.attrs, HASH: content_hash(cube)})
    with replacing(path) as temporary, netCDF4.Dataset(temporary, "w", format="NETCDF4") as file:
        _write(cube, file)
    return cube


def read_cube(path: str | Path, verify: bool = True) -> Cube:
    """Read a cube written by :func:`write_cube`.

    Parameters
    ----------
    path : path
        The cube file.
    verify : bool
        Compute the content hash again and compare it with the stored one.

    Raises
    ------
    DataError
        If the file is missing, truncated, damaged, or not a cube.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path} does not exist; the preprocess stage writes it")
    with _readable(path), netCDF4.Dataset(path) as file:
        file.set_auto_mask(False)
        cube = _read(file, path)
        _check_read(cube, path)
    if verify and content_hash(cube) != cube.attrs[HASH]:
        raise DataError(
            f"{path} is damaged: its content does not have the SHA-256 stored in it ({cube.attrs[HASH][:12]}...); "
            "delete it and run the preprocess stage again"
        )
    return cube


def refuse_beyond_memory(shape: tuple[int, ...], what: str) -> None:
    """Raise :class:`DataError` if fields of this shape cannot be held: a few bytes can claim many."""
    size, memory = 4 * math.prod(shape), os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if size > memory:
        raise DataError(
            f"{what} would be {' x '.join(map(str, shape))} values, {size / 2**30:,.1f} GiB; this machine has "
            f"{memory / 2**30:,.1f} GiB; take fewer days, cells or variables"
        )


def stored_hash(path: Path) -> str | None:
    """Return the content hash stored in a cube file; None if there is no readable one."""
    try:
        with netCDF4.Dataset(path) as file:
            return str(file.getncattr(HASH))
    except (OSError, AttributeError, RuntimeError):
        return None


def _check_read(cube: Cube, path: Path) -> None:
    """Refuse a file whose parts do not fit together, or hold text where numbers belong."""
    try:
        _check(cube)
    except DataError as error:
        raise DataError(f"{path} is damaged: {error}; delete it and run the preprocess stage again") from error
    for name in ("lat", "lon", "minimum", "scale"):
        if getattr(cube, name).dtype.kind not in "fiu":
            raise DataError(f"{path} is damaged: {name} holds no numbers; delete it and run the preprocess stage again")


def _check(cube: Cube) -> None:
    """Refuse a cube whose parts have different shapes."""
    days, rows, columns, variables = cube.values.shape
    cells = (rows, columns, variables)
    place = ((rows,), (columns,)) if np.ndim(cube.lat) == 1 else ((rows, columns),) * 2
    expected = {
        "mask": (cube.mask.shape, cells),
        "time": (cube.time.shape, (days,)),
        "lat": (cube.lat.shape, place[0]),
        "lon": (cube.lon.shape, place[1]),
        "variables": ((len(cube.variables),), (variables,)),
        "units": ((len(cube.units),), (variables,)),
        "minimum": (cube.minimum.shape, cells),
        "scale": (cube.scale.shape, cells),
    }
    for name, (found, wanted) in expected.items():
        if found != wanted:
            raise DataError(f"{name} of the cube has shape {found}, but its values {cube.values.shape} need {wanted}")
    if not cube.mask.all() and any(np.any(block, where=~cube.mask) for block in _blocks(cube.values)):
        raise DataError("the cube's values are not 0 where its mask is False")


def _write(cube: Cube, file: netCDF4.Dataset) -> None:
    """Fill an open, empty file."""
    regular = cube.lat.ndim == 1
    space = ("lat", "lon") if regular else ("y", "x")
    cells = (*space, "variable")
    for name, size in zip(("time", *cells), cube.values.shape, strict=True):
        file.createDimension(name, size)
    _write_days(cube, file)
    _write_places(cube, file, space)
    labels = {"variable_name": cube.variables, "variable_units": cube.units}
    labels |= {name: cube.attrs[key] for key, name in PER_VARIABLE.items() if key in cube.attrs}
    for name, texts in labels.items():
        label = file.createVariable(name, str, ("variable",))
        label.long_name = name.replace("_", " ")
        label[:] = np.array(list(texts), dtype=object)
    shared = {"coordinates": " ".join([*labels, *(() if regular else ("lat", "lon"))])}
    if "projection" in cube.attrs:
        shared["grid_mapping"] = _write_projection(cube.attrs["projection"], file)
    _write_arrays(cube, file, cells, shared)
    file.setncatts({"Conventions": "CF-1.11", "regimebench_version": __version__})
    for name, value in cube.attrs.items():
        if name not in PER_VARIABLE and name != "projection" and value is not None:
            file.setncattr(name, _storable(name, value))


def _write_days(cube: Cube, file: netCDF4.Dataset) -> None:
    """Write the days at 00:00 with their bounds."""
    days = cube.time.astype("datetime64[D]").astype(np.int32)
    time = file.createVariable("time", "i4", ("time",))
    attributes = {"standard_name": "time", "long_name": "day", "units": EPOCH, "calendar": "standard", "axis": "T"}
    time.setncatts({**attributes, "units_metadata": "leap_seconds: none", "bounds": "time_bnds"})
    time[:] = days
    file.createDimension("bound", 2)
    file.createVariable("time_bnds", "i4", ("time", "bound"))[:] = np.stack([days, days + 1], axis=1)


def _write_places(cube: Cube, file: netCDF4.Dataset, space: tuple[str, str]) -> None:
    """Write latitude and longitude, one- or two-dimensional."""
    for name, standard, units, axis in (
        ("lat", "latitude", "degrees_north", "Y"),
        ("lon", "longitude", "degrees_east", "X"),
    ):
        array = getattr(cube, name)
        dims = (name,) if array.ndim == 1 else space
        place = file.createVariable(name, "f8", dims)
        place.setncatts({"standard_name": standard, "long_name": standard, "units": units})
        if array.ndim == 1:
            place.axis = axis
        place[:] = array


def _write_projection(projection: Mapping[str, Any], file: netCDF4.Dataset) -> str:
    """Write the grid mapping and the projected coordinates; return the name of the grid mapping variable."""
    for name, standard in zip(("y", "x"), PROJECTION_NAMES, strict=True):
        axis = file.createVariable(name, "f8", (name,))
        axis.setncatts({"standard_name": standard, "long_name": standard.replace("_", " "), "units": "m"})
        axis.axis = name.upper()
        axis[:] = projection[name]
    file.createVariable("crs", "i4", ()).setncatts(dict(projection["grid_mapping"]))
    return "crs"


def _write_arrays(cube: Cube, file: netCDF4.Dataset, cells: tuple[str, str, str], shared: Mapping[str, str]) -> None:
    """Write the fields, the mask and the scaler."""
    days, *shape = cube.values.shape
    packed = {"compression": "zlib", "complevel": 1, "shuffle": True}
    chunks = (_days_at_a_time(cube.values.shape), *shape)
    missing = np.float32(np.nan)
    data = file.createVariable("data", "f4", ("time", *cells), chunksizes=chunks, fill_value=missing, **packed)
    data.setncatts({"long_name": "fields scaled to [0, 1] per cell and variable", "units": "1", **shared})
    data.ancillary_variables = "mask minimum scale"
    for start in range(0, days, chunks[0]):
        block = slice(start, start + chunks[0])
        data[block] = np.where(cube.mask, cube.values[block], missing)
    mask = file.createVariable("mask", "i1", cells, **packed)
    mask.setncatts({"long_name": "cells that have values on every day", **shared})
    mask.setncatts({"flag_values": np.array([0, 1], dtype="i1"), "flag_meanings": "missing present"})
    mask[:] = cube.mask
    for name, meaning in (("minimum", "value that was scaled to 0"), ("scale", "difference that was scaled to 1")):
        array = file.createVariable(name, "f8", cells, **packed)
        array.setncatts({"long_name": meaning, "comment": "in variable_units", **shared})
        array[:] = getattr(cube, name)


def _storable(name: str, value: Any) -> Any:
    """Return an attribute as NetCDF stores it."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str | int | float | np.number):
        return value
    array = np.asarray(value)
    if array.ndim <= 1 and array.dtype.kind in "iuf" and array.size:
        return array
    raise DataError(f"attribute {name!r} of the cube is {value!r}; text, numbers and lists of numbers can be stored")


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn what netCDF4 raises for a damaged or foreign file into one sentence."""
    try:
        yield
    except DataError:
        raise
    except (OSError, RuntimeError, LookupError, AttributeError, TypeError, ValueError, MemoryError) as error:
        raise DataError(
            f"{path} is not a readable cube: it is damaged, incomplete or was not written by the preprocess stage "
            f"({type(error).__name__}: {error}); delete it and run that stage again"
        ) from error


def _read(file: netCDF4.Dataset, path: Path) -> Cube:
    """Read an open file."""
    variables = file.variables
    data = variables["data"]
    refuse_beyond_memory(data.shape, str(path))
    if data.dtype != np.float32 or 4 * math.prod(data.shape) > EXPANSION * path.stat().st_size:
        raise DataError(f"{path} says it holds more than its bytes can; delete it and run the preprocess stage again")
    mask = variables["mask"][:].astype(bool)
    values = data[:]
    np.copyto(values, np.float32(0), where=~mask)
    names = tuple(str(name) for name in variables["variable_name"][:])
    time = variables["time"][:].astype("datetime64[D]")
    found = not_finite(values, time, names)  # days that were never written are NaN
    if found:
        raise DataError(f"{path} is damaged: {found}; delete it and run the preprocess stage again")
    attrs = {name: _plain(file.getncattr(name)) for name in file.ncattrs()}
    attrs[HASH] = file.getncattr(HASH)
    for key, name in PER_VARIABLE.items():
        if name in variables:
            attrs[key] = [str(text) for text in variables[name][:]]
    if "grid_mapping" in data.ncattrs():
        mapping = variables[data.grid_mapping]
        attributes = {name: _plain(mapping.getncattr(name)) for name in mapping.ncattrs()}
        attrs["projection"] = {"grid_mapping": attributes, "y": variables["y"][:], "x": variables["x"][:]}
    return Cube(
        values=values,
        mask=mask,
        time=time,
        lat=variables["lat"][:],
        lon=variables["lon"][:],
        variables=names,
        units=tuple(str(unit) for unit in variables["variable_units"][:]),
        minimum=variables["minimum"][:],
        scale=variables["scale"][:],
        attrs=attrs,
    )


def _plain(value: Any) -> Any:
    """Return a stored attribute as a plain Python object."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    return value.item() if isinstance(value, np.generic) else value
