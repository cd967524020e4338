"""Local files that come in archives, change while they are read, or lie on maps without degrees."""

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from datasets.blocks.lambert import Lambert
from regimebench import registry
from regimebench.cube import read_cube
from regimebench.dataset import DataError
from regimebench.preprocess import prepare, preprocess

RAW = Path("raw")  # where nothing has been fetched
SPEC = registry.dataset("local")
PROJECTION = Lambert((80.0, 80.0), 80.0, -34.0, 6_367_470.0)


def local(**params):
    return registry.load(SPEC)(**{**SPEC.parameters, **params})


def make(names=("t2m",), start="2021-03-01", steps=48, hours=6):
    time = np.datetime64(start, "ns") + np.arange(steps) * np.timedelta64(hours, "h")
    rng = np.random.default_rng(steps)
    values = {name: rng.normal(280, 5, (steps, 3, 4)).astype("f4") for name in names}
    return xr.Dataset(
        {name: (("time", "latitude", "longitude"), array, {"units": "K"}) for name, array in values.items()},
        coords={"time": time, "latitude": [50.0, 49, 48], "longitude": np.arange(4.0)},
    )


def packed(path, **members):
    """Write an archive of NetCDF files; nothing else is left beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, fields in members.items():
            fields.to_netcdf(path.with_name("member"))
            archive.write(path.with_name("member"), f"{name}.nc")
            path.with_name("member").unlink()
    return path


class TestArchives:
    @pytest.mark.parametrize("name", ["answer.nc", "answer.zip", "answer"])
    def test_members_merge_whatever_the_archive_is_called(self, tmp_path, name):
        fields = make(["t2m", "tp"])
        packed(tmp_path / "mine" / name, instant=fields[["t2m"]], accum=fields[["tp"]])
        data = local(files=f"{tmp_path}/mine/*", resample={"tp": "sum"})
        assert data.problems(RAW) == []
        found = data.open(tmp_path / "raw")
        fields.to_netcdf(tmp_path / "plain.nc")
        plain = local(files=f"{tmp_path}/plain.nc", resample={"tp": "sum"}).open(tmp_path / "raw")
        xr.testing.assert_equal(found, plain)
        assert os.listdir(tmp_path / "mine") == [name]
        assert [path.name for path in data.sources()] == [name]

    def test_archives_of_one_name_and_files_beside_them(self, tmp_path):
        fields = make(steps=60)
        for number, piece in enumerate((slice(0, 20), slice(20, 40))):
            packed(tmp_path / str(number) / "a.zip", t2m=fields.isel(time=piece))
        fields.isel(time=slice(40, 60)).to_netcdf(tmp_path / "rest.nc")
        found = local(files=[f"{tmp_path}/?/a.zip", f"{tmp_path}/rest.nc"]).open(tmp_path / "raw")
        np.testing.assert_allclose(found.t2m, fields.t2m.resample(time="1D").mean(), rtol=1e-6)

    def test_what_is_unpacked_is_used_again(self, tmp_path):
        packed(tmp_path / "a.zip", t2m=make())
        data = local(files=f"{tmp_path}/a.zip")
        data.open(tmp_path / "raw")
        (file,) = (tmp_path / "raw").glob("*/*")
        before = file.stat().st_mtime_ns
        data.open(tmp_path / "raw")
        assert file.stat().st_mtime_ns == before
        packed(tmp_path / "a.zip", t2m=make() + 1)
        assert float(data.open(tmp_path / "raw").t2m.mean()) == pytest.approx(281, abs=1)
        assert file.stat().st_mtime_ns != before

    def test_unsafe_archives_are_refused_before_anything_is_unpacked(self, tmp_path):
        path = packed(tmp_path / "a.nc", t2m=make())
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("../../evil.nc", b"")
        (problem,) = local(files=f"{tmp_path}/*.nc").problems(RAW)
        assert problem.startswith(f"{path}: the member '../../evil.nc' leads out of its folder")

    @pytest.mark.parametrize(
        ("content", "sentence"),
        [
            (b"PK\x03\x04 and so on", "t2m.nc is a ZIP archive inside another"),
            (b"<html>busy</html>", "t2m.nc is neither NetCDF, GRIB nor Zarr"),
        ],
    )
    def test_members_that_are_no_data(self, tmp_path, content, sentence):
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            archive.writestr("t2m.nc", content)
        with pytest.raises(DataError, match=sentence):
            local(files=f"{tmp_path}/a.zip").open(tmp_path / "raw")


class TestLazy:
    def test_opening_reads_no_field(self, tmp_path):
        make().to_netcdf(tmp_path / "a.nc")
        assert local(files=f"{tmp_path}/a.nc").open(RAW).t2m.chunks is not None

    def test_a_file_that_is_gone_when_it_is_read_is_named(self, tmp_path):
        for number, start in enumerate(("2021-01-01", "2021-01-13")):
            make(start=start).to_netcdf(tmp_path / f"{number}.nc")
        fields = local(files=f"{tmp_path}/*.nc").open(RAW)
        (tmp_path / "1.nc").unlink()
        with pytest.raises(DataError, match=r"1\.nc cannot be read \(FileNotFoundError.*fetch it again"):
            preprocess(fields, "standard", name="demo")

    def test_more_files_than_stay_open(self, tmp_path):
        """xarray keeps a bounded number of files open; the others are opened again."""
        fields = make(steps=12, hours=24)
        for number in range(12):
            fields.isel(time=[number]).to_netcdf(tmp_path / f"{number:02}.nc")
        with xr.set_options(file_cache_maxsize=3):
            cube = preprocess(local(files=f"{tmp_path}/*.nc").open(RAW), "standard", name="demo")
        np.testing.assert_allclose(cube.physical(cube.values)[..., 0], fields.t2m, rtol=1e-6)


class TestAccumulated:
    def test_the_last_hour_of_a_day_is_stamped_in_the_next(self, tmp_path):
        fields = make(["t2m", "tp"], steps=73, hours=1)
        fields.to_netcdf(tmp_path / "a.nc")
        found = local(files=f"{tmp_path}/a.nc", accumulated=["tp"], resample={"tp": "sum"}).open(RAW)
        assert [str(day)[:10] for day in found.time.values] == ["2021-03-01", "2021-03-02", "2021-03-03"]
        np.testing.assert_allclose(found.tp[1], fields.tp[25:49].sum("time"), rtol=1e-6)
        np.testing.assert_allclose(found.t2m[1], fields.t2m[24:48].mean("time"), rtol=1e-6)
        assert "tp: incomplete days at the ends left out: 2021-02-28" in found.attrs["comment"]

    @pytest.mark.parametrize(
        ("names", "sentence"),
        [
            ("tp", "accumulated is 'tp'; it must be a list of variables, as in [tp, ssrd]"),
            ([1], "accumulated is [1]; it must be a list of variables, as in [tp, ssrd]"),
            (["tp"], "accumulated: no variable is called 'tp'; there are t2m"),
        ],
    )
    def test_wrong_names(self, tmp_path, names, sentence):
        make().to_netcdf(tmp_path / "a.nc")
        assert local(files=f"{tmp_path}/a.nc", accumulated=names).problems(RAW) == [sentence]


class TestPositions:
    def lambert(self, **attributes):
        x, y = np.arange(6) * 2500.0, np.arange(5) * 2500.0
        mapping = {**PROJECTION.attributes(), "false_easting": 1000.0, "false_northing": -2000.0, **attributes}
        values = np.random.default_rng(0).normal(size=(4, 5, 6))
        time = np.arange("2021-01-01", "2021-01-05", dtype="M8[D]").astype("M8[ns]")
        return xr.Dataset(
            {"al": (("time", "y", "x"), values, {"grid_mapping": "m", "units": "%"}), "m": ((), 0, mapping)},
            coords={"time": time, "y": y, "x": x},
        )

    def test_degrees_come_from_the_projection(self, tmp_path):
        self.lambert().to_netcdf(tmp_path / "a.nc")
        prepare(local(files=f"{tmp_path}/a.nc"), "al", RAW, "standard", tmp_path / "cube.nc", None)
        cube = read_cube(tmp_path / "cube.nc")
        x, y = PROJECTION.forward(cube.lat, cube.lon)
        np.testing.assert_allclose(x[0] + 1000, np.arange(6) * 2500, atol=1e-3)
        np.testing.assert_allclose(y[:, 0] - 2000, np.arange(5) * 2500, atol=1e-3)
        assert cube.attrs["projection"]["grid_mapping"]["standard_parallel"] == 80

    @pytest.mark.parametrize(
        ("attributes", "sentence"),
        [
            ({"grid_mapping_name": "polar_stereographic"}, "its map (polar_stereographic) is not a Lambert map"),
            ({"inverse_flattening": 298.3}, "its map is that of an ellipsoid"),
            ({"earth_radius": None}, "its grid mapping has no earth_radius"),
        ],
    )
    def test_other_maps_need_degrees(self, tmp_path, attributes, sentence):
        fields = self.lambert()
        fields.m.attrs = {k: v for k, v in {**fields.m.attrs, **attributes}.items() if v is not None}
        fields.to_netcdf(tmp_path / "a.nc")
        (problem,) = local(files=f"{tmp_path}/a.nc").problems(RAW)
        assert problem.startswith(f"{tmp_path}/a.nc: no latitude or longitude found")
        assert sentence in problem

    def test_a_parallel_may_be_given_twice(self, tmp_path):
        self.lambert(standard_parallel=[80.0, 80.0]).to_netcdf(tmp_path / "two.nc")
        self.lambert().to_netcdf(tmp_path / "one.nc")
        one, two = (local(files=f"{tmp_path}/{name}.nc").open(RAW) for name in ("one", "two"))
        np.testing.assert_allclose(one.lat, two.lat)

    @pytest.mark.parametrize("fill", [9.96921e36, np.nan, -999.0])
    def test_fill_values_are_no_positions(self, tmp_path, fill):
        fields = make()
        fields["lat2"] = (("latitude", "longitude"), np.full((3, 4), fill))
        fields["lon2"] = fields["lat2"]
        fields = fields.drop_vars(["latitude", "longitude"]).rename(latitude="y", longitude="x")
        fields.rename(lat2="latitude", lon2="longitude").to_netcdf(tmp_path / "a.nc")
        (problem,) = local(files=f"{tmp_path}/a.nc").problems(RAW)
        assert f"a.nc: its latitude is {fill:g} in 12 of 12 places, a fill value and no position" in problem

    def test_static_files_say_what_they_hold(self, tmp_path):
        make().t2m[0].drop_vars("time").to_netcdf(tmp_path / "a.nc")
        (problem,) = local(files=f"{tmp_path}/a.nc").problems(RAW)
        assert problem == (
            "files: none of them holds a field that changes in time over latitude and longitude; "
            f"{tmp_path}/a.nc holds 't2m' (3 x 4) without a time"
        )
