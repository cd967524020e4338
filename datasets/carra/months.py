"""The coarse months of all variables become one data set."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from regimebench.dataset import DataError

if TYPE_CHECKING:
    import xarray as xr

EARTH_RADIUS = 6_371_229.0  # m, for distances
# CARRA's files from July 2022 on place the same cells up to about a kilometre elsewhere; the older places are right
# (known issues of CARRA). Beyond one cell of 2.5 km the grid is another one.
SHIFT = 2_500.0

log = logging.getLogger(__name__)


def joined(groups: Sequence[Sequence[Path]]) -> xr.Dataset:
    """Return the variables of all groups, each over all its months.

    Parameters
    ----------
    groups : sequence of sequences of path
        The months of each request, in order of time.

    Raises
    ------
    DataError
        If a file is missing or damaged, or files lie on different grids or have different units.
    """
    import xarray as xr

    first, comments, done = None, [], {}
    for months in groups:
        opened = [_opened(path) for path in months]
        first = opened[0] if first is None else first
        for path, month in zip(months, opened, strict=True):
            comments += _place_notes(first, month, path)
            comments += filter(None, [month.attrs.get("comment")])
        for name in opened[0].data_vars:
            units = {str(month[name].attrs.get("units")): path for path, month in zip(months, opened, strict=True)}
            if len(units) > 1:
                found = ", ".join(f"{unit!r} in {path.name}" for unit, path in units.items())
                raise DataError(f"{name} changes its unit: {found}; the values cannot be compared")
        on_first = [month.drop_vars(["lat", "lon", "y", "x", "crs"]) for month in opened]
        done |= dict(xr.concat(on_first, "time", combine_attrs="override").data_vars)
    place = {key: first[key] for key in ("lat", "lon", "y", "x", "crs")}
    fields = xr.Dataset(done).assign_coords(place)
    for comment in dict.fromkeys(comments):
        log.warning("%s", comment)
    return fields.assign_attrs(comment="; ".join(dict.fromkeys(comments)))


def _opened(path: Path) -> xr.Dataset:
    import xarray as xr

    try:
        with xr.open_dataset(path, engine="netcdf4", decode_coords="all") as month:
            return month.load()
    except FileNotFoundError as error:
        raise DataError(f"{path} is missing; run the download stage again") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is damaged ({error}); delete it and run the download stage again") from error


def _place_notes(first: xr.Dataset, month: xr.Dataset, path: Path) -> list[str]:
    """Return a note if the blocks of a month lie slightly elsewhere; refuse another grid."""
    shapes = [" x ".join(str(data.sizes[axis]) for axis in ("y", "x")) for data in (first, month)]
    if shapes[0] != shapes[1]:
        raise DataError(
            f"{path} has {shapes[1]} blocks where the first file has {shapes[0]}; the service sent another grid: "
            "delete the file and run the download stage again"
        )
    lat = np.radians(first["lat"].values)
    north = np.radians(month["lat"].values) - lat
    east = np.radians((month["lon"].values - first["lon"].values + 180) % 360 - 180) * np.cos(lat)
    distance = EARTH_RADIUS * float(np.hypot(north, east).max())
    if distance > SHIFT:
        raise DataError(
            f"{path}: its blocks lie up to {distance / 1000:.1f} km from those of the first file; the service sent "
            "another grid: delete the file and run the download stage again"
        )
    if distance < 1:
        return []
    return [
        "some months place the same cells slightly elsewhere (a known issue from July 2022 on); the first place counts"
    ]
