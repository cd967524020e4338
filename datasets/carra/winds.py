"""Winds come along the axes of CARRA's map; a user may want them towards east and north, or their speed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from datasets.carra.variables import EAST, NORTH

if TYPE_CHECKING:
    import xarray as xr

    from datasets.carra.messages import Grid

CHOICES = ("rotated", "grid", "speed")
COMPONENTS = (EAST, NORTH)

# Names in the cube and what they mean.
ROTATED = {
    "u10": {"standard_name": "eastward_wind", "long_name": "10 m wind towards east"},
    "v10": {"standard_name": "northward_wind", "long_name": "10 m wind towards north"},
}
ON_GRID = {
    "u10_grid": {"standard_name": "x_wind", "long_name": "10 m wind along the x axis of the grid"},
    "v10_grid": {"standard_name": "y_wind", "long_name": "10 m wind along the y axis of the grid"},
}
SPEED = {"vector_speed10": {"long_name": "speed of the daily mean 10 m wind vector"}}


def chosen(found: Mapping[str, xr.DataArray], place: Grid, wind: str) -> dict[str, xr.DataArray]:
    """Return the winds that ``wind`` asks for, lazily, under their names and with their attributes.

    Parameters
    ----------
    found : mapping of str to DataArray, shape (time, y, x)
        Along +x and +y of the map, by their names in the collection; both, or one of them with ``grid``.
    place : Grid
        Its projection says where true north is.
    wind : {"rotated", "grid", "speed"}
    """
    arrays = list(found.values())
    if wind == "grid":
        names = {name: about for key, (name, about) in zip(COMPONENTS, ON_GRID.items(), strict=True) if key in found}
    elif wind == "speed":
        names, arrays = SPEED, [(found[EAST] ** 2 + found[NORTH] ** 2) ** 0.5]
    else:
        cosine, sine = turn(place)
        u, v = found[EAST], found[NORTH]
        names, arrays = ROTATED, [u * cosine + v * sine, v * cosine - u * sine]
    units = next(iter(found.values())).attrs["units"]
    return {
        name: array.assign_attrs(units=units, **about)
        for (name, about), array in zip(names.items(), arrays, strict=True)
    }


def turn(place: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Return cosine and sine of the convergence angle of every cell, shape (y, x), in single precision."""
    _, lon = place.projection.inverse(*np.meshgrid(place.x, place.y))
    angle = np.radians(place.projection.convergence(lon))
    return np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)
