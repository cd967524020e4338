"""The daily variables of CARRA that this plugin knows, on single levels."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches

from datasets.blocks.arrival import JOULES_PER_SQUARE_METRE, KELVIN, METRES_PER_SECOND, PASCAL, Range

# CARRA's cover and humidity come in per cent, in some encodings as a fraction. No variable may vanish: somewhere in a
# domain of a million cells there is always cloud, rain and, that far south, sun.
SHARE = ("%", "(0 - 1)", "1", "Proportion")
COLUMN = ("kg m-2", "kg m**-2")
ENERGY = (*JOULES_PER_SQUARE_METRE, "W m-2", "W m**-2")


@dataclass(frozen=True)
class Variable:
    """One variable of the collection.

    Parameters
    ----------
    name : str
        In the cube.
    grib : tuple of str
        Short names in GRIB, of an instant and of a mean over time.
    product : {"analysis_based", "forecast_based"}
        The product it belongs to; one request holds one product.
    allowed : Range
        Units and physically possible values.
    statistic : {"mean", "sum"}
        What the collection computes over the day.
    """

    name: str
    grib: tuple[str, ...]
    product: str
    allowed: Range
    statistic: str = "mean"


def _analysis(name: str, grib: tuple[str, ...], allowed: Range) -> Variable:
    return Variable(name, grib, "analysis_based", allowed)


def _forecast(name: str, grib: tuple[str, ...], allowed: Range) -> Variable:
    return Variable(name, grib, "forecast_based", allowed, "sum")


WIND = Range(-80, 80, METRES_PER_SECOND)
COVER = Range(-0.5, 100.5, SHARE)
SURFACE = Range(170, 340, KELVIN)
FLUX = Range(-1e8, 1e8, ENERGY)

EAST, NORTH = "10m_u_component_of_wind", "10m_v_component_of_wind"

KNOWN = {
    "2m_temperature": _analysis("t2m", ("2t", "avg_2t"), SURFACE),
    "2m_relative_humidity": _analysis("r2", ("2r", "avg_2r"), Range(-1, 150, SHARE)),
    "2m_specific_humidity": _analysis("sh2", ("2sh", "avg_2sh"), Range(-1e-4, 0.05, ("kg kg-1", "kg kg**-1"))),
    EAST: _analysis("u10", ("10u", "avg_10u"), WIND),
    NORTH: _analysis("v10", ("10v", "avg_10v"), WIND),
    "10m_wind_speed": _analysis("si10", ("10si", "avg_10ws"), Range(-0.1, 80, METRES_PER_SECOND)),
    "mean_sea_level_pressure": _analysis("msl", ("msl", "avg_msl", "prmsl"), Range(90_000, 110_000, PASCAL)),
    "surface_pressure": _analysis("sp", ("sp", "avg_sp"), Range(45_000, 110_000, PASCAL)),
    "skin_temperature": _analysis("skt", ("skt", "avg_skt"), SURFACE),
    "total_cloud_cover": _analysis("tcc", ("tcc", "avg_tcc"), COVER),
    "low_cloud_cover": _analysis("lcc", ("lcc", "avg_lcc"), COVER),
    "medium_cloud_cover": _analysis("mcc", ("mcc", "avg_mcc"), COVER),
    "high_cloud_cover": _analysis("hcc", ("hcc", "avg_hcc"), COVER),
    "total_column_integrated_water_vapour": _analysis("tcwv", ("tcwv", "avg_tcwv"), Range(-0.1, 100, COLUMN)),
    "snow_depth_water_equivalent": _analysis("sd", ("sd", "avg_sd"), Range(-0.1, 1e5, COLUMN, missing=True)),
    "sea_surface_temperature": _analysis("sst", ("sst", "avg_sst"), Range(250, 320, KELVIN, missing=True)),
    "sea_ice_area_fraction": _analysis("siconc", ("ci", "avg_ci"), Range(-0.5, 100.5, SHARE, missing=True)),
    "total_precipitation": _forecast("tp", ("tp",), Range(-0.1, 2000, COLUMN)),
    "surface_net_solar_radiation": _forecast("ssr", ("ssr", "avg_snswrf"), FLUX),
    "surface_net_thermal_radiation": _forecast("str", ("str", "avg_snlwrf"), FLUX),
    "surface_sensible_heat_flux": _forecast("sshf", ("sshf", "avg_ishf"), FLUX),
    "surface_latent_heat_flux": _forecast("slhf", ("slhf", "avg_slhtf"), FLUX),
}


def unknown(name: str) -> str:
    """Return the sentence on a variable that is not in the table."""
    close = get_close_matches(str(name), KNOWN, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    return f"variables: {name!r} is unknown; {hint}known are {', '.join(KNOWN)}"
