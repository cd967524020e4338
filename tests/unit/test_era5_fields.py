"""ERA5: from the service's files to daily fields, and what is refused on the way."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from datasets.blocks.parts import write_done
from datasets.blocks.reading import read_fields
from datasets.era5.members import accept, member_files
from datasets.era5.plan import ends_with_next_day, plan
from regimebench import registry
from regimebench.dataset import DataError
from tests.servers import era5 as service

SPEC = registry.dataset("era5")
AREA = [43, -33, 42.5, -32.5]
YEAR = 2020  # a leap year
LAT, LON = np.array([43, 42.75, 42.5]), np.array([-33, -32.75, -32.5])
PRODUCTS = ("daily-statistics", "hourly")


def plugin(**changes):
    small = {"area": AREA, "year": YEAR, "variables": ["t2m", "slhf", "sst"], "months_per_request": 6}
    return registry.load(SPEC)(**{**SPEC.parameters, **small, **changes})


def fetch(part, folder: Path, fault: str = "") -> None:
    """Put what the service would answer through the plugin's checks."""
    received = folder / "received.tmp"
    received.write_bytes(service.answer(part.source, part.request, fault)[0])
    accept(received, part.file(folder), part)
    write_done(part, folder, {})


@pytest.fixture(scope="module")
def raw(tmp_path_factory) -> dict[str, Path]:
    """Return folders with all parts of both products."""
    folders = {product: tmp_path_factory.mktemp(product) for product in PRODUCTS}
    for product, folder in folders.items():
        for part in plan(plugin(product=product).params):
            fetch(part, folder)
    return folders


@pytest.fixture(scope="module")
def plain(raw) -> dict[str, xr.Dataset]:
    """Return the daily fields of both products."""
    return {product: plugin(product=product).open(folder).load() for product, folder in raw.items()}


def expected(variable: str, late: int) -> np.ndarray:
    """Return daily means computed from the hourly weather, of hours ``late`` .. ``late + 23`` of each day."""
    first = np.datetime64(f"{YEAR}-01-01T00", "h") + late
    hours = first + np.arange(366 * 24)
    return service.weather(variable, hours, LAT, LON).astype(np.float64).reshape(366, 24, 3, 3).mean(axis=1)


@pytest.mark.parametrize(
    ("product", "flux_day", "late"), [("daily-statistics", "01-24", 1), ("hourly", "01-24", 1), ("hourly", "paper", 0)]
)
def test_daily_means_are_those_of_the_right_hours(raw, product, flux_day, late):
    fields = plugin(product=product, flux_day=flux_day).open(raw[product])
    assert list(fields.data_vars) == ["t2m", "slhf", "sst"]
    assert np.array_equal(fields["lat"], LAT)
    assert np.array_equal(fields["lon"], LON)
    days = np.arange("2020-01-01", "2021-01-01", dtype="datetime64[D]")
    assert np.array_equal(fields["time"].values.astype("datetime64[D]"), days)
    for name, request, shift in (
        ("t2m", "2m_temperature", 0),
        ("slhf", "surface_latent_heat_flux", late),
        ("sst", "sea_surface_temperature", 0),
    ):
        assert fields[name].dtype == np.float32
        np.testing.assert_allclose(fields[name].values, expected(request, shift), rtol=1e-6)


def test_both_products_are_the_same_data_and_the_naive_day_is_not(raw, plain):
    daily, hourly = (plain[product] for product in PRODUCTS)
    naive = plugin(product="hourly", flux_day="paper").open(raw["hourly"]).load()
    for name in daily:
        np.testing.assert_allclose(daily[name], hourly[name], rtol=1e-6)
    assert float(np.abs(naive["slhf"] - hourly["slhf"]).max()) > 1000
    xr.testing.assert_equal(naive["t2m"], hourly["t2m"])


def test_hours_of_a_day_by_hand(tmp_path):
    """Stamps 00 .. 48 with the values 0 .. 48: days of 01-24 average 12.5 and 36.5, days of 00-23 11.5 and 35.5."""
    stamps = np.datetime64("2021-01-01T00", "ns") + np.arange(49) * np.timedelta64(1, "h")
    values = np.arange(49.0)[:, None, None] * np.ones((2, 2))
    dims = ("valid_time", "latitude", "longitude")
    coords = {"valid_time": stamps, "latitude": [43.0, 42.75], "longitude": [-33.0, -32.75]}
    data = {"sshf": (dims, values, {"units": "J m**-2"}), "t2m": (dims, values, {"units": "K"})}
    xr.Dataset(data, coords).to_netcdf(tmp_path / "both.nc")
    params = {**SPEC.parameters, "product": "hourly", "variables": ["sshf", "t2m"]}
    for flux_day, means in (("01-24", [12.5, 36.5]), ("paper", [11.5, 35.5])):
        late = ends_with_next_day({**params, "flux_day": flux_day})
        fields = read_fields([tmp_path / "both.nc"], variables=["sshf", "t2m"], year=2021, accumulated=late)
        assert fields["sshf"].values[:, 0, 0].tolist() == means
        assert fields["t2m"].values[:, 0, 0].tolist() == [11.5, 35.5]


@pytest.mark.parametrize("product", PRODUCTS)
def test_fields_say_what_they_are(plain, product):
    fields = plain[product]
    assert [fields[name].attrs["units"] for name in fields.data_vars] == ["K", "J m-2", "K"]
    assert {fields[name].attrs["cell_methods"] for name in fields.data_vars} == {"time: mean"}
    assert "mean of hourly accumulations (J m-2 per hour) stamped 01:00 to 24:00 UTC" in fields["slhf"].attrs["comment"]
    doi = {"daily-statistics": "10.24381/cds.4991cf48", "hourly": "10.24381/cds.adbb2d47"}[product]
    assert doi in fields.attrs["source"]
    assert "CC-BY 4.0" in fields.attrs["license"]
    assert "Copernicus Climate Change Service information 2020" in fields.attrs["comment"]


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize("variant", [name for name in service.HARMLESS if name])
def test_a_part_in_another_layout_changes_nothing(raw, plain, tmp_path, product, variant):
    folder = tmp_path / "raw"
    shutil.copytree(raw[product], folder)
    part = plan(plugin(product=product).params)[1]
    shutil.rmtree(part.file(folder).with_suffix(""))
    fetch(part, folder, variant)
    other = plugin(product=product).open(folder)
    for name, values in plain[product].items():
        step = float(values.max() - values.min()) / 10_000 if variant == "packed" else 0
        np.testing.assert_allclose(other[name], values, atol=step, rtol=0)


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("html", "is neither NetCDF"),
        ("zeros", "sshf is 0 in every cell at every time"),
        ("zero day", "t2m is 0 in every cell at 1 of"),
        ("missing day", "not there; "),
        ("duplicate day", "more than once"),
        ("wrong grid", "latitude has 3 points from 43.125 to 42.625"),
        ("smaller grid", "longitude has 2 points"),
        ("celsius", "t2m is in degC where K is expected"),
        ("missing cell", "t2m misses values in 1 of 9 cells"),
        ("changing mask", "sst misses values in 1 of 9 cells"),
        ("outside", "u10 has the value 10000 on 2020-07-"),
        ("infinite", "u10 has 1 infinite values"),
        ("constant", "sp is the same field"),
        ("missing variable", "v10 (10m_v_component_of_wind) was asked for and is not there"),
    ],
)
def test_bad_answers_are_refused_and_not_kept(tmp_path, product, fault, sentence):
    part = plan(plugin(product=product, variables=SPEC.parameters["variables"]).params)[1]
    with pytest.raises(DataError) as caught:
        fetch(part, tmp_path, fault)
    assert sentence in str(caught.value)
    assert "received.tmp" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["received.tmp"]


def test_every_fault_of_the_service_is_tried():
    marks = test_bad_answers_are_refused_and_not_kept.pytestmark
    tried = {case[0] for mark in marks for case in mark.args[1] if mark.args[0] == ("fault", "sentence")}
    assert tried == {*service.REFUSED, "html"}


@pytest.mark.parametrize("name", ["t2m", "latitude", "expver"])
def test_a_damaged_answer_is_refused(tmp_path, name):
    part = plan(plugin(product="hourly", variables=["t2m"]).params)[0]
    path = tmp_path / "received.tmp"
    path.write_bytes(service.answer(part.source, part.request)[0])
    with xr.open_dataset(path) as opened:
        fields = opened.load()
    fields["expver"] = fields["expver"].astype("i4")
    fields.to_netcdf(path, encoding={name: {"zlib": False, "fletcher32": True, "chunksizes": fields[name].shape}})
    good = fields[name].values.tobytes()
    assert path.read_bytes().count(good) == 1
    path.write_bytes(path.read_bytes().replace(good, bytes(len(good))))
    with pytest.raises(DataError, match="the answer"):
        accept(path, part.file(tmp_path), part)
    assert not part.file(tmp_path).exists()


@pytest.mark.parametrize("variables", [["t2m"], ["slhf"]])
def test_a_single_variable_comes_without_archive(tmp_path, variables):
    part = plan(plugin(variables=variables).params)[0]
    fetch(part, tmp_path)
    assert member_files(part.file(tmp_path)) == [part.file(tmp_path)]


def test_an_archive_is_kept_as_it_came_and_unpacked_again_if_need_be(tmp_path):
    part = plan(plugin(product="hourly").params)[0]
    content = service.answer(part.source, part.request)[0]
    fetch(part, tmp_path)
    file = part.file(tmp_path)
    assert file.read_bytes()[:4] == content[:4] == b"PK\x03\x04"
    names = [path.name for path in member_files(file)]
    assert names == ["data_stream-oper_stepType-instant.nc", "data_stream-oper_stepType-accum.nc"]
    shutil.rmtree(file.with_suffix(""))
    assert [path.name for path in member_files(file) if path.is_file()] == names


@pytest.mark.parametrize("layout", ["preliminary", "older layout"])
def test_preliminary_data_are_told(raw, tmp_path, layout, caplog):
    folder = tmp_path / "raw"
    shutil.copytree(raw["hourly"], folder)
    dataset = plugin(product="hourly")
    part = plan(dataset.params)[1]
    fetch(part, folder, layout)
    assert "hourly-2020-07-12: 48 steps are preliminary (ERA5T)" in caplog.text
    assert [record["preliminary_steps"] for record in dataset.provenance(folder)] == [0, 48, 0]


def test_a_missing_part_is_named(raw, tmp_path):
    shutil.copytree(raw["hourly"], tmp_path / "raw")
    dataset = plugin(product="hourly")
    lost = plan(dataset.params)[-1].file(tmp_path / "raw")
    lost.unlink()
    with pytest.raises(DataError, match=f"{lost.name} is missing; run the download stage again"):
        dataset.open(tmp_path / "raw")


def test_a_part_that_was_changed_is_not_read(raw, tmp_path):
    shutil.copytree(raw["hourly"], tmp_path / "raw")
    dataset = plugin(product="hourly")
    changed = plan(dataset.params)[1].file(tmp_path / "raw")
    changed.write_bytes(changed.read_bytes()[:-1] + b"?")
    with pytest.raises(DataError, match=rf"{changed.name} in .*: changed since the download .* delete it"):
        dataset.open(tmp_path / "raw")


def test_credentials_are_needed_only_for_what_is_missing(raw, tmp_path, monkeypatch):
    for name in ("ECMWF_DATASTORES_URL", "ECMWF_DATASTORES_KEY", "CDSAPI_URL", "CDSAPI_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ECMWF_DATASTORES_RC_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("CDSAPI_RC", str(tmp_path / "none"))
    assert plugin().problems(raw["daily-statistics"]) == []
    assert plugin(variables=["sst", "t2m", "slhf"]).problems(raw["daily-statistics"]) == []
    assert len(plugin().problems(tmp_path / "empty")) == 1
    assert plugin(year=1900).problems(tmp_path / "empty")[0].startswith("year is 1900")
