"""Physical units: from dimensionless anomalies to ERA5-like variables and back."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import xarray as xr

__all__ = ["VARIABLES", "from_physical", "to_physical"]

NORTH, SOUTH, WEST, EAST = 43.0, 33.0, -33.0, -23.0
"""The box of the DSC and A-DATSC papers, around the Azores."""


class Variable(NamedTuple):
    """One ERA5-like variable: mean in the middle of the box, standard deviation, and change of the mean per degree."""

    name: str
    long_name: str
    units: str
    mean: float
    deviation: float
    northward: float = 0.0


VARIABLES = (
    Variable("sp", "surface pressure", "Pa", 101_500.0, 600.0),
    Variable("sst", "sea surface temperature", "K", 292.0, 1.5, -0.3),
    Variable("u10", "10 metre eastward wind", "m s-1", 1.5, 3.5),
    Variable("v10", "10 metre northward wind", "m s-1", 0.5, 3.0),
    Variable("sshf", "surface sensible heat flux, hourly accumulation", "J m-2", -100_000.0, 80_000.0),
    Variable("slhf", "surface latent heat flux, hourly accumulation", "J m-2", -800_000.0, 150_000.0),
    Variable("t2m", "2 metre air temperature", "K", 290.0, 1.7, -0.3),
)
"""The variables of the papers' ERA5 cube, with means and deviations that give about the ranges the DSC paper prints."""

MASKED = "sst"


def _latitudes(height: int) -> np.ndarray:
    """Return the latitudes of the grid rows, degrees north, descending."""
    return np.linspace(NORTH, SOUTH, height)


def _mean_fields(height: int, n_variables: int) -> np.ndarray:
    """Return the mean of each variable on each latitude, shape (lat, 1, variable)."""
    north_of_middle = _latitudes(height) - (NORTH + SOUTH) / 2
    return np.stack([v.mean + v.northward * north_of_middle for v in VARIABLES[:n_variables]], axis=-1)[:, None]


def _deviations(n_variables: int) -> np.ndarray:
    """Return the standard deviation of each variable, shape (variable,)."""
    return np.array([v.deviation for v in VARIABLES[:n_variables]])


def to_physical(anomalies: np.ndarray, days: np.ndarray, land: np.ndarray) -> xr.Dataset:
    """Give dimensionless fields units, coordinates and a land mask.

    Parameters
    ----------
    anomalies : ndarray of float32, shape (time, lat, lon, variable)
        Fields with standard deviation 1.
    days : ndarray of datetime64[D], shape (time,)
        Time axis.
    land : ndarray of bool, shape (lat, lon)
        Where the sea surface temperature is missing.

    Returns
    -------
    xarray.Dataset
        One float32 variable per physical quantity, dims (time, lat, lon), with ``units`` and ``long_name``.
    """
    _, height, width, n_variables = anomalies.shape
    means, deviations = _mean_fields(height, n_variables), _deviations(n_variables)
    fields = {}
    for i, variable in enumerate(VARIABLES[:n_variables]):
        values = (means[..., i] + deviations[i] * anomalies[..., i]).astype(np.float32)
        if variable.name == MASKED:
            values[:, land] = np.nan
        attrs = {"units": variable.units, "long_name": variable.long_name}
        fields[variable.name] = (("time", "lat", "lon"), values, attrs)
    coordinates = {
        "time": ("time", days.astype("datetime64[ns]"), {"standard_name": "time"}),
        "lat": ("lat", _latitudes(height), {"units": "degrees_north", "standard_name": "latitude"}),
        "lon": ("lon", np.linspace(WEST, EAST, width), {"units": "degrees_east", "standard_name": "longitude"}),
    }
    return xr.Dataset(fields, coordinates, {"Conventions": "CF-1.8", "title": "Synthetic daily fields"})


def from_physical(fields: xr.Dataset) -> np.ndarray:
    """Undo :func:`to_physical`: dimensionless fields (time, lat, lon, variable), float32, NaN where missing."""
    values = np.stack([array.values for array in fields.values()], axis=-1)
    return ((values - _mean_fields(values.shape[1], values.shape[3])) / _deviations(values.shape[3])).astype(np.float32)
