"""Which requests a configuration of CARRA makes, and what it refuses."""

from pathlib import Path

import pytest
import yaml

from datasets.carra import plan
from datasets.carra.variables import KNOWN

ROOT = Path(__file__).resolve().parents[2]
DECLARED = yaml.safe_load((ROOT / "datasets" / "carra" / "dataset.yaml").read_text())["parameters"]
DEFAULTS = {key: spec["value"] for key, spec in DECLARED.items()}
U, V = "10m_u_component_of_wind", "10m_v_component_of_wind"


def planned(**changes):
    return [part for months in plan.parts({**DEFAULTS, **changes}).values() for part in months]


def test_the_defaults_are_sixty_months_of_the_west_domain():
    parts = planned()
    assert len(parts) == 60
    assert parts[1].source == "reanalysis-carra-means"
    assert parts[1].request == {
        "domain": "west_domain",
        "time_aggregation": "daily",
        "level_type": "single_levels",
        "variable": ["2m_temperature"],
        "product_type": "analysis_based",
        "year": ["2021"],
        "month": ["02"],
        "day": [f"{day:02d}" for day in range(1, 29)],
        "data_format": "grib",
    }


def test_leap_years_have_their_day():
    days = {part.stem: part.request["day"][-1] for part in planned(year=[2019, 2021])}
    assert len(days) == 180
    assert [days[f"t2m-{year}-02-m16-b64"] for year in (2019, 2020, 2021)] == ["28", "29", "28"]


def test_no_request_mixes_products():
    parts = planned(variables=list(KNOWN))
    for part in parts:
        assert {KNOWN[name].product for name in part.request["variable"]} == {part.request["product_type"]}
    assert {part.request["product_type"] for part in parts} == {"analysis_based", "forecast_based"}


@pytest.mark.parametrize(
    ("variables", "groups"),
    [
        (["surface_pressure", U, "2m_temperature", V], [("surface_pressure",), (U, V), ("2m_temperature",)]),
        ([V, "2m_temperature", U], [(U, V), ("2m_temperature",)]),
        ([U], [(U,)]),
    ],
)
def test_both_components_of_the_wind_are_one_request(variables, groups):
    assert plan.groups(variables) == groups


@pytest.mark.parametrize(
    "change", [{"margin": 17}, {"block": 32}, {"domain": "east_domain"}, {"wind": "speed"}, {"wind": "grid"}]
)
def test_what_changes_the_content_changes_the_name(tmp_path, change):
    wind = {"variables": [U, V]}
    assert not {part.file(tmp_path) for part in planned(**wind)} & {
        part.file(tmp_path) for part in planned(**wind, **change)
    }


def test_what_does_not_change_the_content_keeps_the_name(tmp_path):
    before = {part.file(tmp_path) for part in planned()}
    assert {part.file(tmp_path) for part in planned(keep_grib=True, variables=DEFAULTS["variables"][::-1])} == before


def test_the_defaults_have_no_problem():
    assert plan.problems(DEFAULTS) == []


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"domain": "west"}, "domain is 'west'; allowed are west_domain, east_domain"),
        ({"wind": "east"}, "wind is 'east'; allowed are rotated, grid, speed"),
        ({"margin": -1}, "margin is -1; it must be a whole number of cells, 0 or more"),
        ({"margin": 600}, "margin is 600 and block is 64, which leaves no block on the 1069 cells"),
        ({"block": 0}, "block is 0; it must be a whole number of cells, 1 or more"),
        ({"block": True}, "block is True; it must be a whole number of cells, 1 or more"),
        ({"keep_grib": "no"}, "keep_grib is 'no'; allowed are true and false"),
        (
            {"year": 1990},
            "year is 1990; it must be a year or the first and the last year, as in [2019, 2021], from 1991",
        ),
        ({"year": [2021, 2020]}, "year is [2021, 2020]; it must be a year"),
        ({"year": "2021"}, "year is '2021'; it must be a year"),
        ({"variables": "2m_temperature"}, "variables is '2m_temperature'; it must be a list of names"),
        ({"variables": []}, "variables is []; it must be a list of names"),
        ({"variables": ["2m_temperatur"]}, "'2m_temperatur' is unknown; did you mean 2m_temperature? known are"),
        ({"variables": [{"2m_temperature": "t2m"}]}, "variables: \"{'2m_temperature': 't2m'}\" is unknown"),
        ({"variables": [U, U, V]}, f"variables: '{U}' is named twice"),
        ({"variables": [V]}, f"variables has {V} without {U}; wind: rotated needs both, wind: grid takes one"),
    ],
)
def test_wrong_parameters_are_named(change, sentence):
    found = plan.problems({**DEFAULTS, **change})
    assert len(found) == 1
    assert sentence in found[0]


def test_one_component_can_be_had_along_the_grid():
    assert plan.problems({**DEFAULTS, "variables": [V], "wind": "grid"}) == []
