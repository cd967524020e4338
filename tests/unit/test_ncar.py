"""NCEP/NCAR Reanalysis 1: the real pooch against a loopback server in the provider's layout."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from datasets.blocks import https
from datasets.blocks.arrival import arrival_problems
from datasets.ncar.dataset import Plugin
from datasets.ncar.plan import plan
from datasets.ncar.settings import setting_problems
from datasets.ncar.variables import VARIABLES
from regimebench import registry
from regimebench.dataset import DataError
from regimebench.preprocess import preprocess
from tests.servers.files import Hosted
from tests.servers.psl import MISSING, Psl, yearly_file

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.usefixtures("quick_network")
DEFAULT = registry.dataset("ncar").parameters
AIR = "air.sig995"


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "raw"


def plugin(server: Psl | None = None, **params) -> Plugin:
    address = {"base_url": server.base_url} if server else {}
    return Plugin(**{**DEFAULT, "variables": [AIR], **address, **params})


def files_in(folder: Path) -> list[str]:
    """Return the files without the key in their names."""
    return sorted(re.sub(r"\.[0-9a-f]{8}\b", "", path.name) for path in folder.iterdir())


def test_the_default_is_seven_files_on_1232_columns():
    assert setting_problems(DEFAULT) == []
    parts = [part for _, part in plan(DEFAULT)]
    assert parts[0].urls == (
        "https://downloads.psl.noaa.gov/Datasets/ncep.reanalysis/Dailies/surface/air.sig995.2021.nc",
        "https://downloads.psl.noaa.gov/Datasets/ncep.reanalysis.dailyavgs/surface/air.sig995.2021.nc",
    )
    assert len(parts) == 7
    lat, lon = VARIABLES[AIR].axes
    north, west, south, east = DEFAULT["box"]
    cells = ((lat <= north) & (lat >= south)).sum() * ((lon >= west + 360) & (lon <= east + 360)).sum()
    assert cells * len(parts) == 11 * 16 * 7 == 1232


def test_from_server_to_cube(folder):
    names = [AIR, "slp", "pr_wtr.eatm"]
    with Psl(names) as server:
        ncar = plugin(server, variables=names)
        ncar.download(folder)
        assert [len(server.asked(server.path(name))) for name in names] == [1, 1, 1]
        ncar.download(folder)  # what is there is not asked for again
        assert len(server.requests) == 3
    fields = ncar.open(folder)
    assert list(fields.data_vars) == ["air", "slp", "pr_wtr"]
    assert fields.air.dims == ("time", "lat", "lon")
    np.testing.assert_array_equal(fields.lat, np.arange(85, 59, -2.5))
    np.testing.assert_array_equal(fields.lon, np.arange(-55, -17, 2.5))
    assert fields.air.attrs["standard_name"] == "air_temperature"
    assert "NOAA PSL" in fields.attrs["comment"]
    cube = preprocess(fields, "standard", name="ncar")
    assert cube.units == ("K", "Pa", "kg m-2")
    assert cube.table.shape == (365, 3 * 176)
    records = ncar.provenance(folder)
    assert records[0]["received"]["from"].endswith("Dailies/surface/air.sig995.2021.nc")
    assert records[0]["sha256"] == hashlib.sha256(server.hosted(AIR).body).hexdigest()
    assert "NOAA PSL" in records[0]["attribution"]
    json.dumps(records)


def test_leap_years_and_several_years(folder):
    with Psl([AIR], [2020, 2021]) as server:
        ncar = plugin(server, year=[2020, 2021])
        ncar.download(folder)
    time = ncar.open(folder).time.values.astype("datetime64[D]")
    np.testing.assert_array_equal(time, np.arange("2020-01-01", "2022-01-01", dtype="datetime64[D]"))
    assert time.size == 366 + 365


def test_levels_become_variables(folder):
    with Psl(["shum", AIR]) as server:
        ncar = plugin(server, variables={"shum": {"level": [850, 500]}, AIR: None}, coarsen=2)
        ncar.download(folder)
    fields = ncar.open(folder)
    assert list(fields.data_vars) == ["shum850", "shum500", "air"]
    assert fields.shum500.shape == (365, 5, 8)
    assert fields.shum850.attrs["units"] == "grams/kg"
    assert float(fields.shum850.mean()) > float(fields.shum500.mean())


def test_the_gaussian_grid(folder):
    with Psl(["air.2m.gauss"]) as server:
        ncar = plugin(server, variables=["air.2m.gauss"], box=[60, 350, 40, 10])
        ncar.download(folder)
    fields = ncar.open(folder)
    assert fields.air.shape == (365, 11, 11)
    np.testing.assert_allclose(fields.lon, np.arange(-9.375, 9.4, 1.875))


@pytest.mark.parametrize(
    ("faults", "ranges"),
    [
        (["500", "503"], [None, None, None]),
        (["429 after 1"], [None, None]),
        (["close at 1000000"], [None, "bytes=983040-"]),
        (["reset at 0"], [None, None]),
        (["hang at 1000000"], [None, "bytes=983040-"]),
    ],
)
def test_passing_faults_are_overcome(folder, faults, ranges):
    with Psl([AIR]) as server:
        server.hosted(AIR).faults = list(faults)
        plugin(server).download(folder)
        assert [request.range for request in server.asked(server.path(AIR))] == ranges
        assert files_in(folder) == ["air.sig995.2021.nc", "air.sig995.2021.nc.json"]


def test_the_older_layout_is_tried_next(folder):
    with Psl([AIR], layout=1) as server:
        plugin(server).download(folder)
        assert [request.path for request in server.requests] == [server.path(AIR, layout=0), server.path(AIR)]
        (record,) = plugin(server).provenance(folder)
        assert "ncep.reanalysis.dailyavgs" in record["received"]["from"]


def test_a_file_that_is_nowhere_does_not_stop_the_others(folder):
    with Psl([AIR]) as server:
        with pytest.raises(DataError) as caught:
            plugin(server, variables=["slp", AIR]).download(folder)
        new, old = (f"{server.address}{server.path('slp', layout=layout)} (404)" for layout in (0, 1))
        assert f"slp.2021: the file is at none of its addresses: {new}, {old}; check" in str(caught.value)
        assert str(caught.value).endswith("\n1 of 2 files are there and stay")
        assert "air.sig995.2021.nc" in files_in(folder)


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("html", "air.sig995.2021 (1 of 2): {url} answered with a web page ('Scheduled maintenance') instead of data"),
        ("503", "air.sig995.2021 (1 of 2): {url} could not be downloaded in 6 tries; at last the server answered 503"),
    ],
)
def test_a_server_that_is_out_of_order_is_left_alone(folder, fault, sentence):
    with Psl([AIR, "slp"]) as server:
        server.hosted(AIR).faults = [fault] * 6
        with pytest.raises(DataError) as caught:
            plugin(server, variables=[AIR, "slp"]).download(folder)
        assert sentence.format(url=f"{server.address}{server.path(AIR)}") in str(caught.value)
        assert "0 of 2 files are there" in str(caught.value)
        assert server.asked(server.path("slp")) == []


def _zeros(file):
    file["air"][40:43] = 0


def _missing(file):
    file["air"][7, 3, 4] = MISSING


def _celsius(file):
    file["air"][:] = file["air"][:] - 273.15


def _unit(file):
    file["air"].units = "degC"


def _day_twice(file):
    file["time"][100] = file["time"][99]


def _short(file):
    file["time"][:] = file["time"][:] - 24


def _grid(file):
    file["lat"][:] = file["lat"][:] / 2


def _name(file):
    file.renameVariable("air", "temp")


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (_zeros, "air is 0 in every cell"),
        (_missing, "air misses values in 1 of 10512 cells"),
        (_celsius, "air has the value -29.65 on 2021-01-01"),
        (_unit, "air is in degC where K is expected"),
        (_day_twice, "2021-04-10 is more than once"),
        (_short, "2021-12-31 is not there; 365 days from 2021-01-01 to 2021-12-31 were asked for"),
        (_grid, "latitude has 73 points from 45 to -45"),
        (_name, "the variable 'air' is not there; the file holds temp"),
    ],
)
def test_a_file_that_is_not_what_it_should_be_is_refused(folder, spoil, sentence):
    with Psl([]) as server:
        server.files[server.path(AIR)] = Hosted(yearly_file(AIR, 2021, spoil))
        with pytest.raises(DataError) as caught:
            plugin(server).download(folder)
        assert f"air.sig995.2021.nc: {sentence}" in str(caught.value)
        assert "run again to fetch it anew" in str(caught.value)
        assert files_in(folder) == [".arriving", "air.sig995.2021.nc.json", "air.sig995.2021.nc.refused"]
        server.files[server.path(AIR)] = Hosted(yearly_file(AIR, 2021))
        plugin(server).download(folder)
        assert files_in(folder) == ["air.sig995.2021.nc", "air.sig995.2021.nc.json"]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (lambda: yearly_file(AIR, 2021)[:4_000_000], "air.sig995.2021.nc cannot be opened as netcdf"),
        (lambda: b"not a file of data at all", "air.sig995.2021.nc is neither NetCDF, GRIB nor Zarr"),
        (lambda: yearly_file(AIR, 2020), "air.sig995.2021.nc: 365 days (2021-01-01, 2021-01-02, 2021-01-03, ...) are"),
    ],
)
def test_something_else_under_the_name_is_refused(folder, body, sentence):
    with Psl([]) as server:
        server.files[server.path(AIR)] = Hosted(body())
        with pytest.raises(DataError) as caught:
            plugin(server).download(folder)
    assert sentence in str(caught.value)
    assert str(folder) not in str(caught.value)


def test_a_killed_download_is_continued(folder):
    code = (
        "import json, pathlib, sys; from datasets.ncar.dataset import Plugin; "
        "Plugin(**json.loads(sys.argv[1])).download(pathlib.Path(sys.argv[2]))"
    )
    with Psl([AIR, "slp"]) as server:
        ncar = plugin(server, variables=["slp", AIR])
        server.hosted(AIR).faults = ["hang at 2000000"]
        command = [sys.executable, "-c", code, json.dumps(ncar.params), str(folder)]
        with subprocess.Popen(command, cwd=ROOT, env={**os.environ, "REGIMEBENCH_PATIENCE": "1"}) as process:
            try:
                assert server.stuck.wait(60)
                while sum(path.stat().st_size for path in folder.glob(".arriving/*.part")) < 1_966_080:
                    assert process.poll() is None
                    time.sleep(0.01)
            finally:
                process.send_signal(signal.SIGKILL)
        server.requests.clear()
        ncar.download(folder)
        assert [(request.path, request.range) for request in server.requests] == [(server.path(AIR), "bytes=1966080-")]
    assert files_in(folder) == [f"{name}.2021.nc{end}" for name in (AIR, "slp") for end in ("", ".json")]
    assert list(ncar.open(folder).data_vars) == ["slp", "air"]


def test_a_mirror_has_the_same_files(folder):
    with Psl([AIR]) as server:
        plugin(server).download(folder)
    plugin(base_url="https://mirror.example/Datasets").download(folder)
    assert files_in(folder) == ["air.sig995.2021.nc", "air.sig995.2021.nc.json"]


def test_a_file_that_was_changed_is_not_read_and_fetched_again(folder):
    with Psl([AIR]) as server:
        ncar = plugin(server)
        ncar.download(folder)
        (path,) = folder.glob("*.nc")
        good = path.read_bytes()
        path.write_bytes(good[:-1] + b"?")
        with pytest.raises(DataError, match=rf"{re.escape(path.name)} in .*: changed since the download"):
            ncar.open(folder)
        ncar.download(folder)
    assert path.read_bytes() == good
    assert list(ncar.open(folder).data_vars) == ["air"]


def test_a_process_that_is_ended_after_it_accepted_a_file_loses_nothing(folder, monkeypatch):
    with Psl([AIR]) as server:
        with monkeypatch.context() as context:
            context.setattr(https, "write_done", lambda *_: sys.exit())
            with pytest.raises(SystemExit):
                plugin(server).download(folder)
        server.requests.clear()
        plugin(server).download(folder)
        assert server.requests == []
    (record,) = plugin().provenance(folder)
    assert record["sha256"] == hashlib.sha256(yearly_file(AIR, 2021)).hexdigest()


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"variables": ["air.sig"]}, "variables: there is no 'air.sig'; did you mean 'air.sig995'?"),
        ({"variables": []}, "variables is []; it must list names of files"),
        ({"variables": ["hgt"]}, "'hgt' has the levels 1000, 925, 850"),
        ({"variables": {"hgt": {"level": 501}}}, "level of 'hgt' is 501; there are 1000, 925"),
        ({"variables": {"hgt": {"level": "500"}}}, "level of 'hgt' is '500'; there are 1000, 925"),
        ({"variables": {"slp": {"level": 500}}}, "'slp' has no levels; leave level out"),
        ({"variables": {"slp": {"rename": "p"}}}, "variables.slp is {'rename': 'p'}; allowed is level"),
        ({"variables": ["slp", "air.2m.gauss"]}, "'slp' (2.5 degrees) and 'air.2m.gauss' (Gaussian) have different"),
        ({"variables": ["lftx.sfc", "slp", "slp"]}, "variables names one of them more than once"),
        ({"year": 2026}, "complete years from 1948 to 2025 (it ended on 18 March 2026)"),
        ({"year": None}, "year is null; it must be a year"),
        ({"year": [2005, 2001]}, "year is [2005, 2001]"),
        ({"box": [60, 0, 80, 10]}, "north must not lie south of south"),
        ({"base_url": "ftp://user:secret@host/x?key=secret"}, "base_url is 'host/x'; it must be an address such as"),
    ],
)
def test_wrong_parameters_are_refused_before_anything_is_fetched(folder, params, sentence):
    ncar = plugin(**params)
    (problem,) = ncar.problems(folder)
    assert sentence in problem
    assert "secret" not in problem
    with pytest.raises(DataError):
        ncar.download(folder)
    assert not folder.exists()


def test_real_sea_level_pressure_lies_in_the_range(real_data):
    import xarray as xr

    with xr.open_dataset(real_data / "ncep_r1" / "ncep_r1_slp_northatlantic_daily_2001-2010.nc") as fields:
        fields.slp.attrs["units"] = fields.slp.attrs.get("units", "Pascals")
        assert arrival_problems(fields, "slp", ranges={"slp": VARIABLES["slp"].range}) == []
