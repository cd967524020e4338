"""The daily fields of Reanalysis 1 that the data set offers: where each file lies, its grid, its possible values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from datasets.blocks.arrival import FRACTION, KELVIN, METRES_PER_SECOND, PASCAL, Range

__all__ = ["VARIABLES", "Variable"]

PERCENT = ("%",)
PASCAL_PER_SECOND = ("Pa s-1", "Pascal/s", "Pascals/s", "Pa/s")
METRES = ("m", "gpm")
COLUMN = ("kg m-2", "kg/m^2", "Kg/m^2", "kg/m2")
RATE = ("kg m-2 s-1", "Kg/m^2/s", "kg/m^2/s", "kg/m2/s")
WATTS = ("W m-2", "W/m^2", "w/m^2", "W/m2")
HUMIDITY = ("kg kg-1", "kg/kg", "g kg-1", "grams/kg", "g/kg")  # differs between files: kept as the file has it

LEVELS = (1000, 925, 850, 700, 600, 500, 400, 300, 250, 200, 150, 100, 70, 50, 30, 20, 10)  # hPa
GAUSSIAN_ROWS = 94


@dataclass(frozen=True)
class Variable:
    """One file a year.

    Parameters
    ----------
    group : str
        Folder on the server.
    range : Range
        Accepted units and possible values, wide enough for what the provider itself calls valid.
    standard_name : str
        CF name; empty if there is none.
    levels : tuple of int
        Pressure levels in hPa; empty for a field at one level.
    """

    group: str
    range: Range
    standard_name: str = ""
    levels: tuple[int, ...] = ()

    @property
    def axes(self) -> tuple[np.ndarray, np.ndarray]:
        """Latitudes north to south and longitudes from 0 eastward of the whole grid: 2.5 degrees, or Gaussian T62."""
        if "gauss" in self.group:
            nodes, _ = np.polynomial.legendre.leggauss(GAUSSIAN_ROWS)
            return -np.degrees(np.arcsin(nodes)), 1.875 * np.arange(192)
        return 90 - 2.5 * np.arange(73), 2.5 * np.arange(144)


def _surface(low: float, high: float, units: tuple[str, ...], standard_name: str) -> Variable:
    return Variable("surface", Range(low, high, units), standard_name)


def _pressure(low: float, high: float, units: tuple[str, ...], standard_name: str, levels: int) -> Variable:
    return Variable("pressure", Range(low, high, units), standard_name, LEVELS[:levels])


def _gauss(
    low: float, high: float, units: tuple[str, ...], standard_name: str, *, land: bool = False, above: bool = False
) -> Variable:
    """Return a variable on the Gaussian grid; ``land``: may be missing over the sea; ``above``: of the other group."""
    group = "other_gauss" if above else "surface_gauss"
    return Variable(group, Range(low, high, units, missing=land), standard_name)


HUMID = (-25, 125)  # per cent: the spectral model overshoots, and the provider's own valid range is as wide

VARIABLES: dict[str, Variable] = {
    "air.sig995": _surface(150, 350, KELVIN, "air_temperature"),
    "slp": _surface(85_000, 115_000, PASCAL, "air_pressure_at_mean_sea_level"),
    "pres.sfc": _surface(40_000, 115_000, PASCAL, "surface_air_pressure"),
    "pr_wtr.eatm": _surface(-25, 125, COLUMN, "atmosphere_mass_content_of_water_vapor"),
    "rhum.sig995": _surface(*HUMID, PERCENT, "relative_humidity"),
    "uwnd.sig995": _surface(-110, 110, METRES_PER_SECOND, "eastward_wind"),
    "vwnd.sig995": _surface(-110, 110, METRES_PER_SECOND, "northward_wind"),
    "omega.sig995": _surface(-10, 10, PASCAL_PER_SECOND, "lagrangian_tendency_of_air_pressure"),
    "pottmp.sig995": _surface(150, 400, KELVIN, "air_potential_temperature"),
    "lftx.sfc": _surface(-60, 100, KELVIN, ""),
    "lftx4.sfc": _surface(-60, 100, KELVIN, ""),
    "air": _pressure(130, 360, KELVIN, "air_temperature", 17),
    "hgt": _pressure(-1_500, 40_000, METRES, "geopotential_height", 17),
    "uwnd": _pressure(-200, 200, METRES_PER_SECOND, "eastward_wind", 17),
    "vwnd": _pressure(-200, 200, METRES_PER_SECOND, "northward_wind", 17),
    "omega": _pressure(-10, 10, PASCAL_PER_SECOND, "lagrangian_tendency_of_air_pressure", 12),
    "rhum": _pressure(*HUMID, PERCENT, "relative_humidity", 8),
    "shum": _pressure(-5, 65, HUMIDITY, "specific_humidity", 8),
    "air.2m.gauss": _gauss(150, 350, KELVIN, "air_temperature"),
    "tmax.2m.gauss": _gauss(150, 350, KELVIN, "air_temperature"),
    "tmin.2m.gauss": _gauss(150, 350, KELVIN, "air_temperature"),
    "skt.sfc.gauss": _gauss(150, 370, KELVIN, "surface_temperature"),
    "shum.2m.gauss": _gauss(-5, 65, HUMIDITY, "specific_humidity"),
    "uwnd.10m.gauss": _gauss(-110, 110, METRES_PER_SECOND, "eastward_wind"),
    "vwnd.10m.gauss": _gauss(-110, 110, METRES_PER_SECOND, "northward_wind"),
    "pres.sfc.gauss": _gauss(40_000, 115_000, PASCAL, "surface_air_pressure"),
    "prate.sfc.gauss": _gauss(-0.001, 0.05, RATE, "precipitation_flux"),
    "pevpr.sfc.gauss": _gauss(-1_000, 5_000, WATTS, ""),
    "lhtfl.sfc.gauss": _gauss(-1_000, 2_000, WATTS, "surface_upward_latent_heat_flux"),
    "shtfl.sfc.gauss": _gauss(-2_000, 2_000, WATTS, "surface_upward_sensible_heat_flux"),
    "weasd.sfc.gauss": _gauss(-1, 20_000, COLUMN, "surface_snow_amount", land=True),
    "soilw.0-10cm.gauss": _gauss(-0.1, 1.1, FRACTION, "", land=True),
    "tmp.0-10cm.gauss": _gauss(150, 370, KELVIN, "soil_temperature", land=True),
    "tcdc.eatm.gauss": _gauss(*HUMID, PERCENT, "cloud_area_fraction", above=True),
    "ulwrf.ntat.gauss": _gauss(0, 600, WATTS, "toa_outgoing_longwave_flux", above=True),
}
