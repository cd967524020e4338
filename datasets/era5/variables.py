"""ERA5's single-level variables that the data set offers: names, units, possible values."""

from __future__ import annotations

from dataclasses import dataclass

from datasets.blocks.arrival import FRACTION, JOULES_PER_SQUARE_METRE, KELVIN, METRES_PER_SECOND, PASCAL, Range

__all__ = ["VARIABLES", "Variable", "ours"]

# Means that the service computes may lose their attributes; the range tells then whether the unit is the usual one.
ABSENT = ("",)
MAX_FLUX = 7.2e6  # J m-2 in an hour: 2000 W m-2, more than any turbulent flux measured
MAX_SUN = 5.5e6  # J m-2 in an hour: 1530 W m-2, above the solar constant


@dataclass(frozen=True)
class Variable:
    """One ERA5 variable.

    Parameters
    ----------
    name : str
        The service's name, for requests.
    short : str
        GRIB short name; in files the variable is called so, or by our name.
    number : int
        GRIB parameter number (``paramId``).
    long_name, standard_name : str
        Description, and CF standard name.
    accumulated : bool
        Whether a stamp holds the sum over the hour that ends there (otherwise the state at that time).
    range : Range
        Possible values of hourly fields and of their daily means.
    """

    name: str
    short: str
    number: int
    long_name: str
    standard_name: str
    accumulated: bool
    range: Range


def _state(name: str, short: str, number: int, long_name: str, standard_name: str, allowed: Range) -> Variable:
    return Variable(name, short, number, long_name, standard_name, False, allowed)


def _sum(name: str, short: str, number: int, long_name: str, standard_name: str, allowed: Range) -> Variable:
    return Variable(name, short, number, long_name, standard_name, True, allowed)


def _range(low: float, high: float, units: tuple[str, ...], missing: bool = False, vanishes: bool = False) -> Range:
    return Range(low, high, units + ABSENT, missing, vanishes)


# Lowest and highest values on record, widened. The first seven stand in the order of the authors' file.
VARIABLES: dict[str, Variable] = {
    "sp": _state(
        "surface_pressure", "sp", 134, "surface pressure", "surface_air_pressure", _range(30_000, 110_000, PASCAL)
    ),
    "sst": _state(
        "sea_surface_temperature",
        "sst",
        34,
        "sea surface temperature",
        "sea_surface_temperature",
        _range(268, 315, KELVIN, missing=True),
    ),
    "u10": _state(
        "10m_u_component_of_wind",
        "10u",
        165,
        "10 metre eastward wind",
        "eastward_wind",
        _range(-100, 100, METRES_PER_SECOND),
    ),
    "v10": _state(
        "10m_v_component_of_wind",
        "10v",
        166,
        "10 metre northward wind",
        "northward_wind",
        _range(-100, 100, METRES_PER_SECOND),
    ),
    "sshf": _sum(
        "surface_sensible_heat_flux",
        "sshf",
        146,
        "surface sensible heat flux, downward",
        "integral_wrt_time_of_surface_downward_sensible_heat_flux",
        _range(-MAX_FLUX, MAX_FLUX, JOULES_PER_SQUARE_METRE),
    ),
    "slhf": _sum(
        "surface_latent_heat_flux",
        "slhf",
        147,
        "surface latent heat flux, downward",
        "integral_wrt_time_of_surface_downward_latent_heat_flux",
        _range(-MAX_FLUX, MAX_FLUX, JOULES_PER_SQUARE_METRE),
    ),
    "t2m": _state("2m_temperature", "2t", 167, "2 metre temperature", "air_temperature", _range(180, 335, KELVIN)),
    "d2m": _state(
        "2m_dewpoint_temperature",
        "2d",
        168,
        "2 metre dewpoint temperature",
        "dew_point_temperature",
        _range(150, 315, KELVIN),
    ),
    "skt": _state("skin_temperature", "skt", 235, "skin temperature", "surface_temperature", _range(170, 355, KELVIN)),
    "msl": _state(
        "mean_sea_level_pressure",
        "msl",
        151,
        "mean sea level pressure",
        "air_pressure_at_mean_sea_level",
        _range(85_000, 110_000, PASCAL),
    ),
    "u100": _state(
        "100m_u_component_of_wind",
        "100u",
        228246,
        "100 metre eastward wind",
        "eastward_wind",
        _range(-120, 120, METRES_PER_SECOND),
    ),
    "v100": _state(
        "100m_v_component_of_wind",
        "100v",
        228247,
        "100 metre northward wind",
        "northward_wind",
        _range(-120, 120, METRES_PER_SECOND),
    ),
    "tcwv": _state(
        "total_column_water_vapour",
        "tcwv",
        137,
        "total column water vapour",
        "atmosphere_mass_content_of_water_vapor",
        _range(-0.1, 120, ("kg m-2", "kg m**-2")),
    ),
    "tcc": _state(
        "total_cloud_cover",
        "tcc",
        164,
        "total cloud cover",
        "cloud_area_fraction",
        _range(-0.01, 1.01, FRACTION, vanishes=True),
    ),
    "ssrd": _sum(
        "surface_solar_radiation_downwards",
        "ssrd",
        169,
        "surface solar radiation downwards",
        "integral_wrt_time_of_surface_downwelling_shortwave_flux_in_air",
        _range(-1e4, MAX_SUN, JOULES_PER_SQUARE_METRE, vanishes=True),
    ),
    "strd": _sum(
        "surface_thermal_radiation_downwards",
        "strd",
        175,
        "surface thermal radiation downwards",
        "integral_wrt_time_of_surface_downwelling_longwave_flux_in_air",
        _range(0, 3e6, JOULES_PER_SQUARE_METRE),
    ),
    "tp": _sum(
        "total_precipitation",
        "tp",
        228,
        "total precipitation",
        "lwe_thickness_of_precipitation_amount",
        _range(-1e-3, 0.5, ("m",), vanishes=True),
    ),
}


def ours(name: str, short: object = None, number: object = None) -> str | None:
    """Return our name of a variable in a file, known by its name there, its GRIB short name or its GRIB number."""
    for key, variable in VARIABLES.items():
        if name in (key, variable.short, variable.name) or short == variable.short or number == variable.number:
            return key
    return None
