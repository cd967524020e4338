"""Which cells: a box in degrees, a window of a given size, block means; any order of latitude and longitude."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import dask.array
import numpy as np
import xarray as xr

from regimebench.dataset import DataError

TOLERANCE = 1e-4  # degrees; single-precision coordinates are not exact
BLOCK_VALUES = 2**22  # values read at a time, 16 MiB in single precision
DAY = 24  # blocks end with a day of hourly steps where they can


@dataclass(frozen=True)
class Window:
    """Rows and columns of a file to take, in output order, and where they lie."""

    rows: np.ndarray
    columns: np.ndarray
    lat: np.ndarray
    lon: np.ndarray


def window(
    lat: np.ndarray, lon: np.ndarray, box: Sequence[float] | None, size: Sequence[int] | None, factor: int = 1
) -> Window:
    """Choose the cells of a grid.

    Parameters
    ----------
    lat, lon : ndarray
        Degrees, one-dimensional in any order and any convention of longitude, or both (y, x).
    box : sequence of 4 floats or None
        North, west, south, east, edges included; a west edge east of the east edge crosses the seam of the file.
    size : sequence of 2 ints or None
        Rows and columns to take around the centre of the box (of the whole grid without a box).
    factor : int
        Cells per block that are averaged later; ``size`` counts blocks.

    Returns
    -------
    Window
        On a regular grid, latitude descending and longitude ascending without a jump.

    Raises
    ------
    DataError
        If no cell lies in the box or the grid is smaller than ``size``.
    """
    if lat.ndim == 2:
        return _curvilinear(lat, lon, box, size, factor)
    rows = np.argsort(-lat, kind="stable")
    columns, east = _eastward(lon, box, whole=size is not None)
    lat_out = lat[rows]
    if size is not None:
        middle = ((box[0] + box[2]) / 2, _centre(box)) if box is not None else (_middle(lat_out), _middle(east))
        r = _around(lat_out, middle[0], size[0] * factor, "rows")
        c = _around(east, middle[1], size[1] * factor, "columns")
        return Window(rows[r], columns[c], lat_out[r], east[c])
    if box is not None:
        inside = (lat_out <= box[0] + TOLERANCE) & (lat_out >= box[2] - TOLERANCE)
        rows, lat_out = rows[inside], lat_out[inside]
    if not rows.size or not columns.size:
        raise DataError(
            f"box {list(box or [])} (north, west, south, east) contains no cell of the grid, which has latitudes "
            f"{lat.min():g} to {lat.max():g} and longitudes {lon.min():g} to {lon.max():g}"
        )
    return Window(rows, columns, lat_out, east)


def _eastward(lon: np.ndarray, box: Sequence[float] | None, whole: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the columns ordered eastward and their longitudes, the seam of the file removed."""
    circle = np.mod(lon.astype(np.float64), 360.0)
    if box is None:
        start, width = _start(circle), 360.0
    elif whole:
        start, width = _centre(box) - 180.0, 360.0
    else:
        start, width = _wrap(box[1]), _width(box)
    offset = np.mod(circle - start, 360.0)
    offset[offset > 360.0 - TOLERANCE] = 0.0
    order = np.argsort(offset, kind="stable")
    distinct = np.r_[True, np.diff(offset[order]) > TOLERANCE]
    chosen = order[distinct & (offset[order] <= width + TOLERANCE)]
    return chosen, start + offset[chosen]


def _start(circle: np.ndarray) -> float:
    """Return where a grid begins in the west: after its widest gap, or at -180 if it goes round the globe."""
    ordered = np.unique(circle)
    gaps = np.diff(np.r_[ordered, ordered[0] + 360.0])
    if ordered.size > 1 and gaps.max() < 1.5 * np.median(gaps) + TOLERANCE:
        return float(_wrap(ordered).min())
    return float(_wrap(ordered[(np.argmax(gaps) + 1) % ordered.size]))


def _wrap(lon: float | np.ndarray) -> float | np.ndarray:
    """Return longitudes between -180 and 180."""
    return np.mod(np.asarray(lon, dtype=np.float64) + 180.0, 360.0) - 180.0


def _width(box: Sequence[float]) -> float:
    east = box[3] - box[1]
    return 360.0 - 2 * TOLERANCE if east >= 360.0 else float(np.mod(east, 360.0))


def _centre(box: Sequence[float]) -> float:
    return float(_wrap(box[1] + _width(box) / 2))


def _middle(axis: np.ndarray) -> float:
    return float(axis[0] + axis[-1]) / 2


def _around(axis: np.ndarray, middle: float, count: int, what: str) -> slice:
    """Return ``count`` neighbours on a monotonic axis whose centre lies nearest to ``middle``."""
    if count > axis.size:
        raise DataError(f"size asks for {count} {what}, but the grid has {axis.size}; ask for fewer")
    centres = (axis[: axis.size - count + 1] + axis[count - 1 :]) / 2
    start = int(np.argmin(np.abs(centres - middle)))
    if axis.size > 1 and abs(centres[start] - middle) > abs(axis[1] - axis[0]):
        raise DataError(
            f"size: {count} {what} around {middle:g} reach beyond the grid ({axis.min():g} to {axis.max():g}); "
            f"the nearest centre with so many is {centres[start]:g}: move the box or ask for fewer"
        )
    return slice(start, start + count)


def _curvilinear(
    lat: np.ndarray, lon: np.ndarray, box: Sequence[float] | None, size: Sequence[int] | None, factor: int
) -> Window:
    """Choose a rectangle of a (y, x) grid: the smallest around the cells in the box."""
    lon = _wrap(lon)
    middle = _centre(box) if box is not None else float(lon[lon.shape[0] // 2, lon.shape[1] // 2])
    lon = np.mod(lon - middle + 180.0, 360.0) + middle - 180.0
    rows, columns = np.arange(lat.shape[0]), np.arange(lat.shape[1])
    if box is not None:
        inside = (lat <= box[0]) & (lat >= box[2]) & (np.abs(lon - middle) <= _width(box) / 2)
        if not inside.any():
            raise DataError(f"box {list(box)} (north, west, south, east) contains no cell of the (y, x) grid")
        rows, columns = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
        rows, columns = np.arange(rows[0], rows[-1] + 1), np.arange(columns[0], columns[-1] + 1)
    if size is not None:
        whole = (np.arange(count, dtype=float) for count in lat.shape)
        chosen = (
            _around(axis, _middle(part), count * factor, what)
            for axis, part, count, what in zip(whole, (rows, columns), size, ("rows", "columns"), strict=True)
        )
        rows, columns = (np.arange(part.start, part.stop) for part in chosen)
    return Window(rows, columns, lat[np.ix_(rows, columns)], lon[np.ix_(rows, columns)])


def take(array: xr.DataArray, place: Window, where: str = "") -> xr.DataArray:
    """Cut a lazily opened array to a window; from here on dask reads it in blocks of steps.

    Only contiguous slices are asked from the file: NetCDF reads scattered columns one by one.

    Parameters
    ----------
    array : DataArray
        With the dimensions of the window, and others.
    place : Window
        See :func:`window`.
    where : str
        The file, for the error if a block cannot be read.
    """
    dims = ("lat", "lon") if place.lat.ndim == 1 else ("y", "x")
    rows = [
        _joined(dims[1], [_in_blocks(array.isel({dims[0]: r, dims[1]: c}), dims, where) for c in _runs(place.columns)])
        for r in _runs(place.rows)
    ]
    positions = {"lat": (dims[:1], place.lat), "lon": (dims[1:], place.lon)}
    if place.lat.ndim == 2:
        positions = {"lat": (dims, place.lat), "lon": (dims, place.lon)}
    return _joined(dims[0], rows).assign_coords(positions)


def _joined(dim: str, pieces: Sequence[xr.DataArray]) -> xr.DataArray:
    if len(pieces) == 1:
        return pieces[0]
    return xr.concat(pieces, dim, coords="minimal", compat="override", join="outer")


def _in_blocks(array: xr.DataArray, space: tuple[str, str], where: str) -> xr.DataArray:
    """Return the array as dask reads it: whole fields, of a bounded number of steps at a time."""
    chunks = dict(array.sizes)
    room = max(1, BLOCK_VALUES // max(1, array.sizes[space[0]] * array.sizes[space[1]]))
    for dim in sorted(set(array.dims) - set(space), key=lambda dim: -array.sizes[dim]):
        steps = min(chunks[dim], room)
        if DAY < steps < chunks[dim]:
            steps -= steps % DAY
        chunks[dim] = steps
        room = max(1, room // steps)
    blocks = dask.array.from_array(
        _Reader(array, where),
        chunks=tuple(chunks[dim] for dim in array.dims),
        name=False,
        asarray=False,
        fancy=False,
        meta=np.empty((0,) * array.ndim, dtype=array.dtype),
    )
    return array.copy(data=blocks)


class _Reader:
    """An array in a file, for dask; a block that cannot be read is an error that names the file."""

    def __init__(self, array: xr.DataArray, where: str) -> None:
        self.array, self.where = array, where
        self.shape, self.dtype, self.ndim = array.shape, array.dtype, array.ndim

    def __getitem__(self, key: tuple[slice, ...]) -> np.ndarray:
        try:
            return self.array[key].values
        except MemoryError:
            raise
        except Exception as error:
            # The engines raise whatever their C library or codec raises; the user needs the file's name.
            raise DataError(
                f"{self.where} cannot be read ({type(error).__name__}: {error}); the file is damaged, changed or gone: "
                "fetch it again"
            ) from error


def _runs(index: np.ndarray) -> list[slice]:
    """Return an index as the slices it is made of."""
    if index.size == 1:
        return [slice(int(index[0]), int(index[0]) + 1)]
    step = -1 if index[1] == index[0] - 1 else 1
    breaks = np.flatnonzero(np.diff(index) != step) + 1
    return [
        slice(int(run[0]), int(run[-1]) + step if run[-1] + step >= 0 else None, step)
        for run in np.split(index, breaks)
    ]


def coarsen(fields: xr.Dataset, factor: int) -> xr.Dataset:
    """Return means over blocks of ``factor`` x ``factor`` cells (of those that have values); incomplete blocks go.

    Parameters
    ----------
    fields : Dataset
        (time, lat, lon), or (time, y, x) with two-dimensional positions; lazy fields stay lazy.
    factor : int
        Cells per block in each direction.
    """
    if factor == 1:
        return fields
    dims = ("lat", "lon") if "lat" in fields.dims else ("y", "x")
    sides = dict.fromkeys(dims, factor)
    with xr.set_options(keep_attrs=True):
        # Positions as xarray takes them; fields by hand, because dask would add in another order than numpy.
        places = fields.drop_vars(fields.data_vars).coarsen(sides, boundary="trim").mean()
    means = {
        name: xr.apply_ufunc(
            _block_means,
            array.chunk(dict.fromkeys(dims, -1)) if array.chunks else array,
            factor,
            input_core_dims=[dims, ()],
            output_core_dims=[dims],
            exclude_dims=set(dims),
            dask="parallelized",
            dask_gufunc_kwargs={"output_sizes": {dim: fields.sizes[dim] // factor for dim in dims}},
            output_dtypes=[np.float32],
            keep_attrs=True,
        )
        for name, array in fields.data_vars.items()
    }
    return places.assign(means).assign_attrs(fields.attrs)


def _block_means(values: np.ndarray, factor: int) -> np.ndarray:
    """Return means over blocks of the last two axes, NaN where a block has no value."""
    *before, height, width = (*values.shape[:-2], *(size // factor for size in values.shape[-2:]))
    blocks = values[..., : height * factor, : width * factor].reshape(*before, height, factor, width, factor)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of blocks without a value
        return np.nanmean(blocks, axis=(-3, -1)).astype(np.float32)
