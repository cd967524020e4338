"""ERA5 from request to cube, through the real client and a Climate Data Store on the loopback interface."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from datasets.era5.plan import plan
from regimebench import registry
from regimebench.cube import read_cube
from regimebench.dataset import DataError
from regimebench.download import download
from regimebench.preprocess import prepare
from tests.servers import era5 as service
from tests.servers.cds import CANARY, CdsServer

SPEC = registry.dataset("era5")
PARAMS = {**SPEC.parameters, "area": [43, -33, 42.5, -32.5], "year": 2020, "months_per_request": 6}
PRODUCTS = {"daily-statistics": 2, "hourly": 3}


@pytest.fixture
def connect(monkeypatch, tmp_path):
    """Return a function that points this process to an open server, and to no other configuration."""

    def point_to(server: CdsServer) -> None:
        wanted = server.environment(tmp_path)
        for name in set(os.environ) - set(wanted):
            monkeypatch.delenv(name)
        for name, value in wanted.items():
            monkeypatch.setenv(name, value)

    return point_to


def fetch(folder: Path, **changes) -> dict:
    """Run the download stage and return the manifest."""
    params = {**PARAMS, **changes}
    manifest = folder / "manifest.json"
    download(registry.load(SPEC)(**params), manifest, {"name": "era5", "plugin": "era5", "params": params})
    return json.loads(manifest.read_text())


@pytest.mark.parametrize("product", PRODUCTS)
def test_from_request_to_cube(connect, tmp_path, product):
    raw = tmp_path / "raw"
    parts = plan({**PARAMS, "product": product})
    with CdsServer(service.prepared((part.source, part.request) for part in parts)) as server:
        connect(server)
        manifest = fetch(raw, product=product)
        posted = list(server.posted)
        assert fetch(raw, product=product)["files"] == manifest["files"]
        assert server.posted == posted, "what is there is not asked for again"
        assert server.violations == []
    assert len(posted) == PRODUCTS[product]
    assert sorted(map(json.dumps, posted)) == sorted(json.dumps([part.source, part.request]) for part in parts)
    for part, record in zip(parts, manifest["provenance"], strict=True):
        assert record["request"] == part.request
        assert record["doi"] in ("10.24381/cds.4991cf48", "10.24381/cds.adbb2d47")
        assert "CC-BY 4.0" in record["licence"]
        assert "Copernicus Climate Change Service information 2020" in record["attribution"]
        assert record["job"]
    written = "".join(path.read_text(errors="replace") for path in raw.rglob("*") if path.is_file())
    assert CANARY not in written

    dataset = registry.load(SPEC)(**{**PARAMS, "product": product})
    assert dataset.problems(raw) == []
    prepare(dataset, "era5", raw, "standard", tmp_path / "cube.nc", None)
    cube = read_cube(tmp_path / "cube.nc", verify=True)
    assert cube.values.shape == (366, 3, 3, 7)
    assert cube.variables == ("sp", "sst", "u10", "v10", "sshf", "slhf", "t2m")
    assert cube.units == ("Pa", "K", "m s-1", "m s-1", "J m-2", "J m-2", "K")
    assert (~cube.mask).sum(axis=(0, 1)).tolist() == [0, 1, 0, 0, 0, 0, 0]
    lat, lon = np.array([43, 42.75, 42.5]), np.array([-33, -32.75, -32.5])
    hours = np.datetime64("2020-01-01T01", "h") + np.arange(366 * 24)
    flux = service.weather("surface_sensible_heat_flux", hours, lat, lon).astype(np.float64)
    np.testing.assert_allclose(
        cube.physical(cube.values)[..., 4], flux.reshape(366, 24, 3, 3).mean(axis=1), rtol=1e-5, atol=1
    )


def test_a_bad_answer_is_named_and_asked_for_anew(connect, tmp_path):
    good = service.prepared((part.source, part.request) for part in plan(PARAMS))
    bad = service.answer(service.DAILY, plan(PARAMS)[1].request, "zeros")

    def spoilt(collection, request):
        return bad if request["month"][0] == "07" else good(collection, request)

    with CdsServer(spoilt) as server:
        connect(server)
        with pytest.raises(DataError) as caught:
            fetch(tmp_path / "raw")
        text = str(caught.value)
        assert text.startswith("daily-statistics-2020-07-12: ")
        assert "sshf is 0 in every cell at every time" in text
        assert not (tmp_path / "raw" / "manifest.json").exists()
    with CdsServer(good) as server:
        connect(server)
        assert len(fetch(tmp_path / "raw")["provenance"]) == 2
        assert len(server.posted) == 1, "the good half is kept"


@pytest.mark.parametrize(
    ("scenario", "sentence"),
    [("licence", "manage-licences"), ("cost", "lower months_per_request or variables_per_request"), ("bad_key", "key")],
)
def test_what_the_service_refuses_is_one_sentence(connect, tmp_path, scenario, sentence):
    with CdsServer(service.answer, scenario) as server:
        connect(server)
        with pytest.raises(DataError) as caught:
            fetch(tmp_path / "raw")
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
    assert CANARY not in str(caught.value)
