"""NOAA PSL's file server on the loopback interface, with yearly files such as it has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import netCDF4
import numpy as np

from datasets.ncar.plan import LAYOUTS, days_of
from datasets.ncar.variables import VARIABLES
from tests.servers.files import FaultyFiles, Hosted

MISSING = np.float32(-9.96921e36)
# What the files say: unit, long name, and for our fields mean, amplitude of the year and of the weather.
SAID = {
    "air": ("degK", "mean Daily Air temperature", 265.0, 20.0, 8.0),
    "slp": ("Pascals", "mean Daily Sea Level Pressure", 101_000.0, 500.0, 1_500.0),
    "pres": ("Pascals", "mean Daily Surface Pressure", 96_000.0, 500.0, 1_500.0),
    "pr_wtr": ("kg/m^2", "mean Daily Precipitable Water for entire atmosphere", 15.0, 8.0, 3.0),
    "rhum": ("%", "mean Daily relative humidity", 70.0, 10.0, 15.0),
    "uwnd": ("m/s", "mean Daily u-wind", 1.0, 3.0, 9.0),
    "vwnd": ("m/s", "mean Daily v-wind", -1.0, 2.0, 9.0),
    "shum": ("grams/kg", "mean Daily Specific Humidity", 5.0, 2.0, 1.0),
}

Spoil = Callable[[netCDF4.Dataset], None]


class Psl(FaultyFiles):
    """Serves yearly files in one of the layouts.

    Parameters
    ----------
    names : sequence of str
        Files without the year, such as ``air.sig995``.
    years : sequence of int
        Years.
    layout : int
        0 for the newer layout, 1 for the older one.
    """

    def __init__(self, names: Sequence[str], years: Sequence[int] = (2021,), layout: int = 0):
        super().__init__()
        self.layout = layout
        for name in names:
            for year in years:
                self.files[self.path(name, year)] = Hosted(yearly_file(name, year), content_type="application/x-netcdf")

    @property
    def base_url(self) -> str:
        return f"{self.address}/Datasets"

    def path(self, name: str, year: int = 2021, layout: int | None = None) -> str:
        layout = self.layout if layout is None else layout
        return f"/Datasets/{LAYOUTS[layout]}/{VARIABLES[name].group}/{name}.{year}.nc"

    def hosted(self, name: str, year: int = 2021) -> Hosted:
        return self.files[self.path(name, year)]


@cache
def yearly_file(name: str, year: int, spoil: Spoil | None = None) -> bytes:
    """Return one file: NETCDF4_CLASSIC, deflated, not packed, ``missing_value`` alone, odd units of time.

    ``spoil`` changes it before it is closed.
    """
    variable, key = VARIABLES[name], name.partition(".")[0]
    lat, lon = variable.axes
    days = days_of(year)
    file = netCDF4.Dataset("memory.nc", "w", format="NETCDF4_CLASSIC", memory=1)
    file.setncatts(
        {
            "Conventions": "COARDS",
            "title": f"mean daily NMC reanalysis ({year})",
            "dataset_title": "NCEP-NCAR Reanalysis 1",
            "platform": "Model",
            "history": "Converted to chunked, deflated non-packed NetCDF4 2014/09",
        }
    )
    _axis(file, "lat", lat, "degrees_north", "Y")
    _axis(file, "lon", lon, "degrees_east", "X")
    dims = ["time", "lat", "lon"]
    if variable.levels:
        _axis(file, "level", np.array(variable.levels), "millibar", "Z")
        dims.insert(1, "level")
    file.createDimension("time", None)
    time = file.createVariable("time", "f8", ("time",))
    time.setncatts(
        {"units": "hours since 1800-01-01 00:00:0.0", "standard_name": "time", "delta_t": "0000-00-01 00:00:00"}
    )
    time[:] = (days - np.datetime64("1800-01-01")).astype(int) * 24.0
    units, long_name, *numbers = SAID[key]
    chunks = [1, *(file.dimensions[dim].size for dim in dims[1:])]
    data = file.createVariable(key, "f4", dims, zlib=True, complevel=1, fill_value=False, chunksizes=chunks)
    data.setncatts(
        {
            "long_name": f"{long_name} at {name}",
            "units": units,
            "precision": np.int16(2),
            "missing_value": MISSING,
            "dataset": "NCEP Reanalysis Daily Averages",
            "statistic": "Mean",
        }
    )
    field = _weather(len(days), lat, lon, *numbers)
    for index in range(len(variable.levels)):
        data[:, index] = np.broadcast_to(field[:, :1, :1] / (1 + index), field.shape)  # deflates quickly
    if not variable.levels:
        data[:] = field
    if spoil is not None:
        spoil(file)
    return bytes(file.close())


def _axis(file: netCDF4.Dataset, name: str, values: np.ndarray, units: str, axis: str) -> None:
    file.createDimension(name, len(values))
    variable = file.createVariable(name, "f4", (name,))
    variable.setncatts({"units": units, "axis": axis, "actual_range": np.float32([values[0], values[-1]])})
    variable[:] = values


def _weather(days: int, lat: np.ndarray, lon: np.ndarray, mean: float, year: float, weather: float) -> np.ndarray:
    """Return (time, lat, lon): an annual cycle of opposite phase in both hemispheres, and a travelling wave."""
    day = np.arange(days)[:, None, None]
    south, east = np.radians(lat)[:, None], np.radians(lon)
    cycle = -year * np.cos(2 * np.pi * day / 365) * np.sin(south)
    wave = weather * np.cos(south) * np.sin(5 * east - 0.7 * day)
    return np.round(mean + cycle + wave, 1).astype(np.float32)
