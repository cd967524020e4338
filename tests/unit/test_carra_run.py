"""CARRA from requests to a cube, against a service on the loopback interface."""

import json
import shutil

import numpy as np
import pytest

from datasets.blocks.parts import write_done
from datasets.carra import plan
from datasets.carra.coarse import Coarsen
from regimebench import registry
from regimebench.cube import read_cube
from regimebench.dataset import DataError
from regimebench.download import download
from regimebench.preprocess import prepare
from tests.servers.carra import Carra, prepared
from tests.servers.cds import CANARY
from tests.unit.test_carra_month import U, V

SPEC = registry.dataset("carra")
TINY = {"margin": 2, "block": 6, "year": 2020, "variables": ["2m_temperature"]}


def plugin(**changes):
    return registry.load(SPEC)(**{**SPEC.parameters, **TINY, **changes})


def parts(**changes):
    return [part for months in plan.parts(plugin(**changes).params).values() for part in months]


@pytest.fixture(scope="module")
def temperature():
    """Return what answers the requests for a year of temperature."""
    return prepared(Carra(), parts())


@pytest.fixture(scope="module")
def complete(tmp_path_factory, temperature):
    """Return a folder with all months of the temperature, made without a service."""
    folder, accept = tmp_path_factory.mktemp("complete"), Coarsen(2, 6, "rotated", keep=False)
    for part in parts():
        received = folder / "received"
        received.write_bytes(temperature(part.source, part.request)[0])
        accept(received, part.file(folder), part)
        received.unlink()
        write_done(part, folder, {})
    return folder


@pytest.fixture
def copied(complete, tmp_path):
    return shutil.copytree(complete, tmp_path / "raw")


def test_from_request_to_cube(start_cds, tmp_path):
    weather, folder, chosen = Carra(encoding="mean"), tmp_path / "raw", {"variables": [V, U], "wind": "grid"}
    server, data = start_cds(answers=prepared(weather, parts(**chosen))), plugin(**chosen)
    assert data.problems(folder) == []
    settings = {"name": "arctic", "plugin": "carra", "params": data.params}
    download(data, folder / "manifest.json", settings)
    asked = server.posted
    assert sorted(map(json.dumps, asked)) == sorted(json.dumps([part.source, part.request]) for part in parts(**chosen))
    assert {path.suffix for path in folder.iterdir()} == {".nc", ".json"}, "no GRIB file and no index stays"

    manifest = json.loads((folder / "manifest.json").read_text())
    first = manifest["provenance"][0]
    assert first["request"]["month"] == ["01"]
    assert first["received"]["bytes"] > 31 * 36 * 40
    assert len(first["received"]["md5"]) == 32
    assert "CC-BY 4.0" in first["licence"]
    assert first["page"] == "https://cds.climate.copernicus.eu/datasets/reanalysis-carra-means"
    assert CANARY not in "".join(path.read_text(errors="replace") for path in folder.iterdir())

    prepare(data, "arctic", folder, "standard", tmp_path / "cube.nc", None)
    cube = read_cube(tmp_path / "cube.nc", verify=True)
    assert (cube.variables, cube.units) == (("u10_grid", "v10_grid"), ("m s-1", "m s-1"))
    assert cube.values.shape == (366, 5, 6, 2)
    assert (cube.time == np.arange("2020-01-01", "2021-01-01", dtype="datetime64[D]")).all()
    assert cube.lat.shape == cube.lon.shape == (5, 6)
    assert -180 <= cube.lon.min() < cube.lon.max() < -50
    assert cube.attrs["projection"]["grid_mapping"]["grid_mapping_name"] == "lambert_conformal_conic"
    day = np.datetime64("2020-02-29")
    field = weather.values(V, day)[3:33, 2:38].reshape(5, 6, 6, 6).mean(axis=(1, 3))
    assert cube.physical(cube.values)[cube.time == day, :, :, 1][0] == pytest.approx(field, abs=1e-4)

    download(data, folder / "manifest.json", settings)
    assert server.posted == asked, "what is there is not asked for again"


def test_kept_answers_serve_other_blocks(start_cds, temperature, tmp_path):
    server = start_cds(answers=temperature)
    data, coarser = plugin(keep_grib=True), plugin(block=8, margin=0, keep_grib=True)
    data.download(tmp_path)
    coarser.download(tmp_path)
    assert len(server.posted) == len(list((tmp_path / "grib").iterdir())) == 12
    assert dict(coarser.open(tmp_path).sizes) == {"time": 366, "y": 4, "x": 5}
    first, second = (made.provenance(tmp_path)[0] for made in (data, coarser))
    for same in ("job", "received", "licence"):
        assert first[same] == second[same]
    assert first["sha256"] != second["sha256"]

    damaged = next((tmp_path / "grib").glob("*2020-01*"))
    damaged.write_bytes(damaged.read_bytes()[:5000])
    with pytest.raises(DataError, match=f"{damaged.name} was kept by an earlier run: delete it to fetch it again"):
        plugin(block=9, keep_grib=True).download(tmp_path)


def test_what_the_service_does_not_offer_is_said(start_cds, tmp_path):
    server = start_cds("invalid", Carra())
    with pytest.raises(DataError) as refused:
        plugin().download(tmp_path)
    assert "valid combination of values" in str(refused.value)
    assert "t2m-2020-01-m2-b6" in str(refused.value)
    assert server.key not in str(refused.value)


def test_a_bad_month_does_not_stop_the_good_ones(start_cds, temperature, tmp_path):
    march = prepared(Carra(fault="missing day"), parts()[2:3])
    start_cds(answers=lambda source, request: (march if request["month"] == ["03"] else temperature)(source, request))
    with pytest.raises(DataError, match=r"(?s)t2m-2020-03-m2-b6: 2020-03-10 is not there.*11 of 12 parts"):
        plugin().download(tmp_path)
    assert len(list(tmp_path.glob("*.nc"))) == 11


def test_without_a_key_only_a_complete_folder_will_do(start_cds, complete, monkeypatch, tmp_path):
    start_cds(answers=Carra())
    monkeypatch.delenv("ECMWF_DATASTORES_KEY")
    assert plugin().problems(complete) == []
    assert len(plugin().problems(tmp_path)) == 1
    assert len(plugin(block=5).problems(complete)) == 1


def test_what_the_fields_are_stands_in_them(complete):
    fields = plugin().open(complete)
    assert fields.attrs["title"] == "CARRA daily means 2020, west domain"
    assert "means of 6 x 6 cells, 2 cells dropped at every edge" in fields.attrs["comment"]
    assert "Contains modified Copernicus Climate Change Service information 2020." in fields.attrs["comment"]
    assert fields["t2m"].attrs["units"] == "K"


@pytest.mark.parametrize("damage", ["gone", "cut"])
def test_lost_or_damaged_months_are_named(copied, damage):
    path = next(copied.glob("t2m-2020-05-*.nc"))
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DataError, match=r"t2m-2020-05-m2-b6.*run the download stage again"):
        plugin().open(copied)


def test_wrong_parameters_stop_every_step(tmp_path):
    data = plugin(domain="north_domain")
    assert data.problems(tmp_path) == ["domain is 'north_domain'; allowed are west_domain, east_domain"]
    for step in (data.download, data.open):
        with pytest.raises(DataError, match="domain is 'north_domain'"):
            step(tmp_path)
