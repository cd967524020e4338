"""Local files end to end on small files written here: matching, refusals, choices of variables and levels."""

import os
import shutil
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr

from regimebench import registry
from regimebench.dataset import DataError

RAW = Path("raw")  # where nothing has been fetched

SPEC = registry.dataset("local")
LAT, LON = np.array([50.0, 49, 48, 47]), np.array([0.0, 1, 2, 3, 4])


def local(**params):
    return registry.load(SPEC)(**{**SPEC.parameters, **params})


def steps(start="2020-01-01", count=40, hours=6):
    return np.datetime64(start, "ns") + np.arange(count) * np.timedelta64(hours, "h")


def make(names=("t2m",), time=None, levels=None, seed=0, **coords):
    time = steps() if time is None else time
    rng = np.random.default_rng(seed)
    dims, shape = ("time", "latitude", "longitude"), (time.size, LAT.size, LON.size)
    if levels is not None:
        dims, shape = (dims[0], "level", *dims[1:]), (shape[0], len(levels), *shape[1:])
        coords["level"] = ("level", np.asarray(levels), {"units": "hPa"})
    return xr.Dataset(
        {name: (dims, rng.normal(280, 5, shape).astype(np.float32), {"units": "K"}) for name in names},
        coords={"time": time, "latitude": LAT, "longitude": LON, **coords},
    )


def mean(array):
    return array.astype("f8").resample(time="1D").mean().values


class TestMatching:
    def test_patterns_variables_and_sources(self, tmp_path, monkeypatch):
        (tmp_path / "deep" / "er").mkdir(parents=True)
        make().to_netcdf(tmp_path / "b.nc")
        make(["msl"]).to_netcdf(tmp_path / "deep" / "er" / "a.nc")
        (tmp_path / "notes.txt").write_text("not matched")
        monkeypatch.setenv("MY_DATA", str(tmp_path))
        for files in ("${MY_DATA}/**/*.nc", ["${MY_DATA:-nowhere}/*.nc", f"{tmp_path}/deep/*/*.nc"]):
            assert local(files=files).problems(RAW) == []
            assert local(files=files).sources() == [tmp_path / "b.nc", tmp_path / "deep" / "er" / "a.nc"]
        monkeypatch.chdir(tmp_path)
        assert [str(path) for path in local(files="*.nc").sources()] == ["b.nc"]
        monkeypatch.delenv("MY_DATA")
        assert [str(path) for path in local(files="${MY_DATA:-deep/er}/*.nc").sources()] == ["deep/er/a.nc"]

    def test_nothing_matches(self, tmp_path):
        assert local(files=f"{tmp_path}/*.nc").problems(RAW)[0].startswith(f"files: no file matches '{tmp_path}/*.nc'")
        assert local().problems(RAW) == ["the parameter files is empty; name your files, for example data/*.nc"]
        with pytest.raises(DataError, match="no file matches"):
            local(files=f"{tmp_path}/*.nc").open(tmp_path)

    def test_unset_environment_variable(self, monkeypatch):
        monkeypatch.delenv("NOWHERE", raising=False)
        data = local(files="${NOWHERE}/*.nc")
        assert data.problems(RAW) == [
            "files: '${NOWHERE}/*.nc' uses the environment variable NOWHERE, which is not set"
        ]
        assert data.sources() == []

    @pytest.mark.parametrize(
        ("content", "sentence"),
        [
            (b"PK\x03\x04rest", "is not a readable ZIP archive"),
            (b"hello", "is neither NetCDF, GRIB nor Zarr"),
            (b"", "is neither NetCDF, GRIB nor Zarr"),
            (b"\x89HDF but not really", "cannot be opened as netcdf"),
        ],
    )
    def test_unreadable_files_are_all_named(self, tmp_path, content, sentence):
        (tmp_path / "bad.nc").write_bytes(content)
        make().to_netcdf(tmp_path / "good.nc")
        (problem,) = local(files=f"{tmp_path}/*.nc").problems(RAW)
        assert problem.startswith(f"{tmp_path}/bad.nc {sentence}")

    def test_zarr_source_is_its_folder(self, tmp_path):
        make().to_zarr(tmp_path / "v2.zarr", zarr_format=2, consolidated=True)
        make(["msl"]).to_zarr(tmp_path / "v3.zarr", zarr_format=3, consolidated=False)
        data = local(files=f"{tmp_path}/*.zarr")
        assert [path.name for path in data.sources()] == ["v2.zarr", "v3.zarr"]
        assert list(data.open(tmp_path).data_vars) == ["t2m", "msl"]

    def test_metadata_suffices_for_the_check(self, tmp_path):
        """The fields are gone, but problems() does not need them."""
        make().to_zarr(tmp_path / "a.zarr", zarr_format=2, consolidated=True)
        shutil.rmtree(tmp_path / "a.zarr" / "t2m")
        assert local(files=f"{tmp_path}/a.zarr").problems(RAW) == []


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"box": [1, 2, 3]}, r"box is \[1, 2, 3\]; it must be four numbers"),
        ({"box": "Europe"}, "box is 'Europe'"),
        ({"box": [40, 0, 50, 10]}, "north must not lie south of south"),
        ({"size": 41}, "size is 41; it must be the numbers of rows and columns"),
        ({"size": [0, 3]}, r"size is \[0, 3\]"),
        ({"coarsen": 0}, "coarsen is 0"),
        ({"year": "2005"}, "year is '2005'; it must be a year"),
        ({"year": [2010, 2000]}, r"year is \[2010, 2000\]"),
        ({"start": "1 May"}, "start is '1 May'; it must be a day, as in 2005-01-31"),
        ({"start": "2020-02-01", "end": "2020-01-01"}, "start must not be later"),
        ({"months": [0]}, "numbers from 1 to 12"),
        ({"months": 12}, "numbers from 1 to 12"),
        ({"resample": "median"}, "resample is 'median'; allowed are mean, sum, min, max"),
        ({"resample": {"t2m": "first"}}, "resample.t2m is 'first'"),
        ({"resample": {"tp": "sum"}}, "resample: no variable is called 'tp'; there are t2m, d2m"),
        ({"select": [0]}, "select is"),
        ({"variables": ["t2m", "z"]}, "variables: no file holds 'z'; they hold d2m, t2m"),
        ({"variables": {"t2m": 5}}, "variables.t2m is 5; allowed are level and rename"),
        ({"variables": {"t2m": {"levels": 5}}}, "variables.t2m is {'levels': 5}; allowed are level and rename"),
        ({"variables": {"t2m": {"rename": "d2m"}, "d2m": {}}}, "two of them would be called 'd2m'"),
        ({"variables": {"t2m": {"level": 500}}}, "'t2m' has no level 500; its levels are none"),
        ({"box": [10, 0, 0, 10]}, "contains no cell of the grid, which has latitudes 47 to 50"),
        ({"year": 1999}, "t2m: the wanted period has no data"),
    ],
)
def test_wrong_parameters(tmp_path, params, sentence):
    make(["t2m", "d2m"]).to_netcdf(tmp_path / "a.nc")
    data = local(files=f"{tmp_path}/a.nc", **params)
    with pytest.raises(DataError, match=sentence) as error:
        data.open(tmp_path)
    assert data.problems(RAW) == str(error.value).splitlines()


def test_every_wrong_parameter_is_listed(tmp_path):
    problems = local(files=f"{tmp_path}/*.nc", size=0, coarsen=-1, months=[13]).problems(RAW)
    assert len(problems) == 4


class TestVariables:
    def test_order_is_the_users(self, tmp_path):
        make(["a", "b", "c"]).to_netcdf(tmp_path / "a.nc")
        assert list(local(files=f"{tmp_path}/a.nc", variables=["c", "a"]).open(tmp_path).data_vars) == ["c", "a"]
        assert list(local(files=f"{tmp_path}/a.nc", variables="b").open(tmp_path).data_vars) == ["b"]

    @pytest.mark.parametrize("name", ["level", "pressure_level", "isobaricInhPa", "plev"])
    def test_levels(self, tmp_path, name):
        fields = make(["z"], levels=[1000, 850, 500])
        written = fields.rename(level=name) if name != "level" else fields
        if name == "plev":
            written = written.assign_coords(plev=("plev", written.plev.values * 100.0, {"units": "Pa"}))
        written.to_netcdf(tmp_path / "a.nc")
        found = local(files=f"{tmp_path}/a.nc", variables={"z": {"level": [500, 850]}}).open(tmp_path)
        assert list(found.data_vars) == ["z500", "z850"]
        np.testing.assert_allclose(found.z500, mean(fields.z.sel(level=500)), rtol=1e-6)
        one = local(files=f"{tmp_path}/a.nc", variables={"z": {"level": 850, "rename": "height"}}).open(tmp_path)
        np.testing.assert_allclose(one.height, mean(fields.z.sel(level=850)), rtol=1e-6)

    def test_level_is_needed_where_there_are_several(self, tmp_path):
        make(["z"], levels=[1000, 500]).to_netcdf(tmp_path / "a.nc")
        (problem,) = local(files=f"{tmp_path}/a.nc").problems(RAW)
        assert problem == "variables: 'z' has the levels 500, 1000; name one, as in z: {level: 1000}"

    def test_one_file_per_level(self, tmp_path):
        fields = {level: make(["z"], seed=level).assign_coords(level=level) for level in (500, 850)}
        for level, each in fields.items():
            each.to_netcdf(tmp_path / f"z{level}.nc")
        found = local(files=f"{tmp_path}/*.nc", variables={"z": {"level": [850, 500]}}).open(tmp_path)
        np.testing.assert_allclose(found.z850, mean(fields[850].z), rtol=1e-6)
        np.testing.assert_allclose(found.z500, mean(fields[500].z), rtol=1e-6)

    def test_members_must_be_selected(self, tmp_path):
        fields = xr.concat([make(seed=seed) for seed in range(3)], "number").assign_coords(number=[0, 1, 2])
        fields.to_netcdf(tmp_path / "a.nc")
        (problem,) = local(files=f"{tmp_path}/a.nc").problems(RAW)
        assert "'t2m' has a further dimension 'number' with the values 0, 1, 2; choose one with select" in problem
        found = local(files=f"{tmp_path}/a.nc", select={"number": 2}).open(tmp_path)
        np.testing.assert_allclose(found.t2m, mean(fields.t2m[2]), rtol=1e-6)
        assert (
            "has no number 7; it has 0, 1, 2" in local(files=f"{tmp_path}/a.nc", select={"number": 7}).problems(RAW)[0]
        )

    def test_static_fields_and_bounds_are_not_variables(self, tmp_path):
        fields = make().assign(
            lsm=(("latitude", "longitude"), np.ones((4, 5))), time_bnds=(("time", "bnds"), np.zeros((40, 2)))
        )
        fields.to_netcdf(tmp_path / "a.nc")
        assert list(local(files=f"{tmp_path}/a.nc").open(tmp_path).data_vars) == ["t2m"]
        assert (
            "no file holds 'lsm'; they hold t2m" in local(files=f"{tmp_path}/a.nc", variables=["lsm"]).problems(RAW)[0]
        )

    def test_a_duration_is_a_field(self, tmp_path):
        fields = make(["sunshine"])
        fields.sunshine.attrs["units"] = "hours"
        fields.to_netcdf(tmp_path / "a.nc")
        found = local(files=f"{tmp_path}/a.nc").open(tmp_path)
        np.testing.assert_allclose(found.sunshine, mean(fields.sunshine), rtol=1e-6)
        assert found.sunshine.attrs["units"] == "hours"


@pytest.mark.parametrize("attribute", ["missing_value", "_FillValue"])
def test_packed_integers(tmp_path, attribute):
    """Older NOAA files mark missing values with missing_value alone."""
    fields = make()
    fields.t2m[:4, 2, 3] = np.nan
    packing = {"dtype": "i2", "scale_factor": 0.01, "add_offset": 280.0, "_FillValue": None, attribute: np.int16(32766)}
    fields.to_netcdf(tmp_path / "a.nc", format="NETCDF3_CLASSIC", encoding={"t2m": packing})
    with netCDF4.Dataset(tmp_path / "a.nc") as file:
        assert file["t2m"].dtype == np.int16
        assert {"missing_value", "_FillValue"} & set(file["t2m"].ncattrs()) == {attribute}
    found = local(files=f"{tmp_path}/a.nc").open(tmp_path)
    np.testing.assert_allclose(found.t2m, mean(fields.t2m), atol=0.01)
    assert np.isnan(found.t2m[0, 2, 3])


class TestSeveralFiles:
    def test_a_day_may_be_split_between_files(self, tmp_path):
        fields = make()
        for number, piece in enumerate((slice(20, 40), slice(0, 6), slice(6, 20))):
            fields.isel(time=piece).to_netcdf(tmp_path / f"{number}.nc")
        found = local(files=f"{tmp_path}/*.nc").open(tmp_path)
        np.testing.assert_allclose(found.t2m, mean(fields.t2m), rtol=1e-6)
        assert found.attrs["source"] == "local files 0.nc, 1.nc, 2.nc"

    def test_overlap_is_refused(self, tmp_path):
        fields = make()
        fields.isel(time=slice(0, 21)).to_netcdf(tmp_path / "a.nc")
        fields.isel(time=slice(20, 40)).to_netcdf(tmp_path / "b.nc")
        (problem,) = local(files=f"{tmp_path}/*.nc").problems(RAW)
        assert problem.startswith("t2m: 1 times occur more than once, the first 2020-01-06T00:00")

    def test_different_grids_are_refused(self, tmp_path):
        make().to_netcdf(tmp_path / "a.nc")
        make(["msl"]).assign_coords(latitude=LAT + 0.5).to_netcdf(tmp_path / "b.nc")
        (problem,) = local(files=f"{tmp_path}/*.nc").problems(RAW)
        assert (
            "t2m and msl lie on different grids (lat: 4 points from 50 to 47, and 4 points from 50.5 to 47.5)"
            in problem
        )

    def test_only_common_days_are_kept(self, tmp_path, caplog):
        make().to_netcdf(tmp_path / "a.nc")
        make(["msl"], time=steps("2020-01-03")).to_netcdf(tmp_path / "b.nc")
        found = local(files=f"{tmp_path}/*.nc").open(tmp_path)
        assert str(found.time.values[0])[:10] == "2020-01-03"
        assert found.sizes["time"] == 8
        assert "kept the 8 days that all variables have; one of them has 10" in found.attrs["comment"]
        assert "kept the 8 days" in caplog.text

    def test_no_common_day(self, tmp_path):
        make().to_netcdf(tmp_path / "a.nc")
        make(["msl"], time=steps("2021-01-03")).to_netcdf(tmp_path / "b.nc")
        with pytest.raises(DataError, match="no day in common"):
            local(files=f"{tmp_path}/*.nc").open(tmp_path)


def test_experiment_versions_per_step(tmp_path):
    versions = np.array(["0001"] * 30 + ["0005"] * 10)
    make().assign_coords(expver=("time", versions)).to_netcdf(tmp_path / "a.nc")
    found = local(files=f"{tmp_path}/a.nc").open(tmp_path)
    assert found.attrs["comment"] == "t2m: 10 of 40 steps are preliminary (ERA5T)"


@pytest.mark.parametrize("versions", [[1, 5], [5, 1], ["0001", "0005"]])
def test_experiment_versions_as_a_dimension(tmp_path, versions):
    """The preliminary version fills what the final one does not have yet, and nothing else."""
    final, preliminary = make(seed=1), make(seed=2)
    final["t2m"][25:] = np.nan
    preliminary["t2m"][:20] = np.nan
    parts = [final if str(version).endswith("1") else preliminary for version in versions]
    xr.concat(parts, "expver").assign_coords(expver=versions).to_netcdf(tmp_path / "a.nc")
    found = local(files=f"{tmp_path}/a.nc").open(tmp_path)
    expected = xr.concat([final.t2m[:25], preliminary.t2m[25:]], "time")
    np.testing.assert_allclose(found.t2m, mean(expected), rtol=1e-6)
    assert "of ERA5 combined, final ERA5 first" in found.attrs["comment"]


def test_projection_is_kept(tmp_path):
    time = steps(hours=24, count=5)
    lat, lon = np.meshgrid(np.linspace(60, 65, 6), np.linspace(-50, -40, 7), indexing="ij")
    values = np.random.default_rng(0).normal(size=(5, 6, 7))
    xr.Dataset(
        {
            "t2m": (("time", "y", "x"), values, {"units": "K", "grid_mapping": "Lambert_Conformal"}),
            "Lambert_Conformal": ((), 0, {"grid_mapping_name": "lambert_conformal_conic"}),
        },
        coords={
            "time": time,
            "latitude": (("y", "x"), lat),
            "longitude": (("y", "x"), lon % 360),
            "y": np.arange(6) * 2500.0,
            "x": np.arange(7) * 2500.0,
        },
    ).to_netcdf(tmp_path / "a.nc")
    found = local(files=f"{tmp_path}/a.nc", box=[64, -46, 61, -42]).open(tmp_path)
    inside = (lat <= 64) & (lat >= 61) & (lon >= -46) & (lon <= -42)
    np.testing.assert_allclose(found.t2m.values.reshape(5, -1), values[:, inside], rtol=1e-6)
    np.testing.assert_allclose(found.lon.values.reshape(-1), lon[inside])
    assert found["crs"].attrs["grid_mapping_name"] == "lambert_conformal_conic"
    assert found["x"].size == found.sizes["x"]


def test_files_without_positions(tmp_path):
    fields = make().rename(latitude="y", longitude="x").drop_vars(["y", "x"])
    fields.to_netcdf(tmp_path / "a.nc")
    assert "no latitude or longitude found; it has" in local(files=f"{tmp_path}/a.nc").problems(RAW)[0]


def test_nothing_is_written_beside_the_files(tmp_path):
    make().to_netcdf(tmp_path / "a.nc")
    before = os.stat(tmp_path / "a.nc").st_mtime_ns
    local(files=f"{tmp_path}/a.nc").open(tmp_path / "raw")
    assert os.listdir(tmp_path) == ["a.nc"]
    assert os.stat(tmp_path / "a.nc").st_mtime_ns == before


def test_dry_runs_do_not_import_xarray(tmp_path):
    import subprocess
    import sys

    code = (
        "import sys; from regimebench import registry; spec = registry.dataset('local');"
        f"data = registry.load(spec)(**{{**spec.parameters, 'files': {str(tmp_path)!r} + '/*.nc'}}); data.sources();"
        "sys.exit('xarray' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=registry.ROOT, check=False).returncode == 0
