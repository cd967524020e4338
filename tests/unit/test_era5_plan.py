"""ERA5: which requests are sent, and which parameters are refused before anything is."""

import json

import numpy as np
import pytest

from datasets.era5.plan import expected_axes, expected_times, plan
from datasets.era5.settings import setting_problems
from datasets.era5.variables import VARIABLES, ours
from regimebench import registry
from tests.servers import era5 as service

DEFAULT = registry.dataset("era5").parameters
SEVEN = [
    "surface_pressure",
    "sea_surface_temperature",
    "10m_u_component_of_wind",
    "10m_v_component_of_wind",
    "surface_sensible_heat_flux",
    "surface_latent_heat_flux",
    "2m_temperature",
]


def days(count: int) -> list[str]:
    return [f"{day:02d}" for day in range(1, count + 1)]


def test_the_default_asks_for_daily_statistics_month_by_month():
    parts = plan(DEFAULT)
    assert [part.stem for part in parts] == [f"daily-statistics-2021-{month:02d}" for month in range(1, 13)]
    assert {part.source for part in parts} == {"derived-era5-single-levels-daily-statistics"}
    assert parts[1].request == {
        "product_type": "reanalysis",
        "variable": SEVEN,
        "year": ["2021"],
        "month": ["02"],
        "day": days(28),
        "daily_statistic": "daily_mean",
        "time_zone": "utc+00:00",
        "frequency": "1_hourly",
        "area": [43, -33, 33, -23],
    }


def test_the_hourly_route_asks_for_months_and_for_the_hour_that_ends_the_year():
    parts = plan({**DEFAULT, "product": "hourly"})
    assert [part.stem for part in parts[:12]] == [f"hourly-2021-{month:02d}" for month in range(1, 13)]
    assert {part.source for part in parts} == {"reanalysis-era5-single-levels"}
    common = {
        "product_type": ["reanalysis"],
        "area": [43, -33, 33, -23],
        "data_format": "netcdf",
        "download_format": "unarchived",
    }
    hours = [f"{hour:02d}:00" for hour in range(24)]
    month = {"variable": SEVEN, "year": ["2021"], "month": ["01"], "day": days(31), "time": hours}
    assert parts[0].request == {**common, **month}
    hour = {"variable": SEVEN[4:6], "year": ["2022"], "month": ["01"], "day": ["01"], "time": ["00:00"]}
    assert parts[12].stem == "hourly-2022-01-01T00"
    assert parts[12].request == {**common, **hour}
    assert len(parts) == 13


@pytest.mark.parametrize(
    ("change", "count", "last"),
    [
        ({"flux_day": "paper"}, 12, "hourly-2021-12"),
        ({"variables": ["t2m", "sp"]}, 12, "hourly-2021-12"),
        ({"year": [2019, 2021]}, 37, "hourly-2022-01-01T00"),
        ({"months_per_request": 6}, 3, "hourly-2022-01-01T00"),
        ({"months_per_request": 6, "flux_day": "paper"}, 2, "hourly-2021-07-12"),
        ({"variables_per_request": 3, "flux_day": "paper"}, 36, "hourly-2021-12-t2m"),
        ({"months_per_request": 12, "variables_per_request": 1}, 8, "hourly-2022-01-01T00"),
    ],
)
def test_requests_are_split_as_wanted(change, count, last):
    parts = plan({**DEFAULT, "product": "hourly", **change})
    assert (len(parts), parts[-1].stem) == (count, last)
    assert len({(part.stem, part.key) for part in parts}) == count


@pytest.mark.parametrize("product", ["hourly", "daily-statistics"])
@pytest.mark.parametrize("months", [1, 3, 12])
def test_the_parts_cover_every_day_and_variable_once(product, months):
    params = {**DEFAULT, "product": product, "year": [2019, 2020], "months_per_request": months, "flux_day": "01-24"}
    stamps = [(name, time) for part in plan(params) for name in part.request["variable"] for time in times(part)]
    assert len(stamps) == len(set(stamps))
    step = "h" if product == "hourly" else "D"
    whole = set(np.arange("2019-01-01", "2021-01-01", dtype=f"datetime64[{step}]").tolist())
    for name in SEVEN:
        found = {time for variable, time in stamps if variable == name}
        extra = {np.datetime64("2021-01-01T00", "h").item()} if product == "hourly" and "flux" in name else set()
        assert found == whole | extra


def times(part) -> list:
    """Return the times a request asks for, as the service understands it."""
    return service.stamps_of(part.request).tolist()


def test_the_order_in_the_cube_changes_no_request():
    turned = {**DEFAULT, "variables": DEFAULT["variables"][::-1]}
    assert [part.key for part in plan(turned)] == [part.key for part in plan(DEFAULT)]


@pytest.mark.parametrize("change", [{"year": 2020}, {"area": [43, -33, 33, -23.25]}, {"variables": ["sp"]}])
def test_other_data_are_other_parts(change):
    assert not {part.key for part in plan({**DEFAULT, **change})} & {part.key for part in plan(DEFAULT)}


def test_requests_are_json():
    for part in plan({**DEFAULT, "product": "hourly"}):
        assert json.loads(json.dumps(part.request)) == part.request


@pytest.mark.parametrize("year", [2020, 2021])
def test_expected_times_are_those_the_service_sends(year):
    parts = plan({**DEFAULT, "year": year, "months_per_request": 6})
    found = np.concatenate([expected_times(part.request) for part in parts])
    assert np.array_equal(found, np.arange(f"{year}-01-01", f"{year + 1}-01-01", dtype="datetime64[D]"))


@pytest.mark.parametrize(
    ("area", "shape", "corner"),
    [
        ([43, -33, 33, -23], (41, 41), (33, -23)),
        ([90, -180, -90, 180], (721, 1440), (-90, 179.75)),
        ([60, 170, 50, 190], (41, 81), (50, 190)),
        ([10, 20, 10, 20], (1, 1), (10, 20)),
    ],
)
def test_expected_axes(area, shape, corner):
    lat, lon = expected_axes(area)
    assert (lat.size, lon.size) == shape
    assert (lat[0], lon[0]) == (area[0], area[1])
    assert (lat[-1], lon[-1]) == corner


def test_the_default_has_no_problems():
    assert setting_problems(DEFAULT) == []


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"product": "daily"}, "product is 'daily'; allowed are daily-statistics, hourly"),
        ({"flux_day": "00-23"}, "flux_day is '00-23'; allowed are 01-24, paper"),
        ({"flux_day": "paper"}, "set product to hourly"),
        ({"variables": []}, "variables is []; it must be a list"),
        ({"variables": "t2m"}, "variables is 't2m'; it must be a list"),
        ({"variables": ["t2"]}, "there is no 't2'; did you mean 't2m'?"),
        ({"variables": ["2m_temperature"]}, "did you mean 't2m'?"),
        ({"variables": ["sp", "sp"]}, "variables: sp more than once"),
        ({"year": "2021"}, "year is '2021'; it must be a year"),
        ({"year": 1939}, "ERA5 begins in 1940"),
        ({"year": [2021, 2020]}, "the first year must not be later"),
        ({"year": 2999}, "is the last year that is complete"),
        ({"area": [33, -33, 43, -23]}, "north must not lie south of south"),
        ({"area": [43, -23, 33, -33]}, "west must not lie east of east"),
        ({"area": [43, float("nan"), 33, -23]}, "it must be four numbers in degrees"),
        ({"area": [43, -33, 33]}, "it must be four numbers in degrees"),
        ({"area": [43.1, -33, 33, -23]}, "its edges must be multiples of 0.25"),
        ({"months_per_request": 5}, "allowed are 1, 2, 3, 4, 6, 12"),
        ({"months_per_request": 12}, "one request would need 61,488 hourly fields"),
        ({"variables_per_request": 0}, "it must be a whole number from 1"),
    ],
)
def test_wrong_parameters_are_named(change, sentence):
    found = setting_problems({**DEFAULT, **change})
    assert len(found) == 1
    assert sentence in found[0]


@pytest.mark.parametrize("name", list(VARIABLES))
def test_a_variable_is_known_by_each_of_its_names(name):
    variable = VARIABLES[name]
    assert [ours(text) for text in (name, variable.short, variable.name)] == [name] * 3
    assert ours("var", variable.short) == ours("var", None, variable.number) == name
    assert ours("var", "unknown", 0) is None


def test_every_variable_is_described_for_users():
    described = registry.dataset("era5").meta["parameters"]["variables"]["description"]
    assert all(f" {name}," in described or f" {name}." in described for name in VARIABLES)
