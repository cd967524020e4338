"""The local plugin on real reanalysis files, each against a direct xarray computation."""

import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from benchmarks import real_files
from regimebench import registry
from regimebench.cube import read_cube
from regimebench.dataset import DataError
from regimebench.preprocess import prepare

RAW = Path("raw")  # where nothing has been fetched

SPEC = registry.dataset("local")


def local(**params):
    data = registry.load(SPEC)(**{**SPEC.parameters, **params})
    assert data.problems(RAW) == []
    return data


def days_of(fields):
    return fields.time.values.astype("datetime64[D]")


def resampled(array, how="mean", time="time"):
    return getattr(array.astype("f8").resample({time: "1D"}), how)().values


def test_era_interim_year(real_data):
    found = local(
        files=str(real_data / "era_interim" / "*_ei_2000-2010_daily12utc.nc"), variables=["z", "t", "msl"], year=2005
    ).open(real_data)
    np.testing.assert_array_equal(days_of(found), np.arange("2005-01-01", "2006-01-01", dtype="M8[D]"))
    np.testing.assert_allclose(found.lat, np.arange(55, 29, -2.5))
    np.testing.assert_allclose(found.lon, np.arange(-15, 16, 2.5))
    for name, file in (("z", "z500"), ("t", "t850"), ("msl", "mslp")):
        with xr.open_dataset(real_data / "era_interim" / f"{file}_ei_2000-2010_daily12utc.nc") as raw:
            np.testing.assert_allclose(found[name], raw[name].sel(time="2005"), rtol=1e-6)


def test_era_interim_leap_year_to_cube(real_data, tmp_path):
    data = local(files=str(real_data / "era_interim" / "*.nc"), variables=["z", "t", "msl"], year=2004)
    cube = prepare(data, "era_interim", tmp_path, "standard", tmp_path / "cube.nc", tmp_path / "truth.csv", "error")
    assert cube.values.shape == (366, 11, 13, 3)
    assert cube.mask.all()
    assert cube.units == ("m2 s-2", "K", "Pa")
    with xr.open_dataset(real_data / "era_interim" / "t850_ei_2000-2010_daily12utc.nc") as raw:
        physical = cube.physical(cube.values)[..., 1]
        np.testing.assert_allclose(physical, raw.t.sel(time="2004"), atol=1e-4)
    assert not (tmp_path / "truth.csv").exists()


def test_era5_zarr_window(real_data):
    files = str(real_data / "era5" / "era5_*_2025-2026_djf_2.5x2.5.zarr")
    found = local(files=files, variables=["msl", "vo"], box=[90, -70, -10, 30]).open(real_data)
    assert dict(found.sizes) == {"time": 90, "lat": 41, "lon": 41}
    np.testing.assert_array_equal(days_of(found), np.arange("2025-12-01", "2026-03-01", dtype="M8[D]"))
    np.testing.assert_allclose(found.lon, np.arange(-70, 31, 2.5))
    for name, store in (("msl", "msl"), ("vo", "vo850")):
        with xr.open_zarr(real_data / "era5" / f"era5_{store}_2025-2026_djf_2.5x2.5.zarr") as raw:
            array = raw[name].squeeze(drop=True)
            array = array.assign_coords(longitude=(array.longitude + 180) % 360 - 180).sortby("longitude")
            expected = resampled(array.sel(latitude=slice(90, -10), longitude=slice(-70, 30)), time="valid_time")
            np.testing.assert_allclose(found[name], expected, rtol=1e-5, atol=1e-11)
    assert "msl: 236 of 360 steps are preliminary (ERA5T)" in found.attrs["comment"]
    centred = local(files=files, variables=["msl", "vo"], box=[50, -50, 30, 10], size=[41, 41]).open(real_data)
    xr.testing.assert_identical(centred, found)


def test_finse_months(real_data):
    names = ["t2m", "d2m", "sp", "tp", "ssrd", "strd", "tisr", "zust", "ie", "ishf"]
    found = local(
        files=str(real_data / "era5" / "era5_finse_SURF_2018*.nc"),
        variables=names,
        resample={"tp": "sum", "t2m": "max"},
    ).open(real_data)
    assert list(found.data_vars) == names
    assert dict(found.sizes) == {"time": 92, "lat": 7, "lon": 10}
    paths = sorted((real_data / "era5").glob("era5_finse_SURF_2018*.nc"))
    raw = xr.concat([xr.load_dataset(path) for path in paths], "time")
    for name in names:
        expected = resampled(raw[name], {"tp": "sum", "t2m": "max"}.get(name, "mean"))
        np.testing.assert_allclose(found[name], expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max(), err_msg=name)
    assert found["tp"].attrs["cell_methods"] == "time: sum"


def test_finse_static_orography_is_refused_by_name(real_data, tmp_path):
    data = local(files=str(real_data / "era5" / "era5_finse_SURF_2018*.nc"))
    with pytest.raises(
        ValueError, match="'z' has the same field every day, so it cannot tell days apart; leave it out"
    ):
        prepare(data, "finse", tmp_path, "standard", tmp_path / "cube.nc", None, "error")


def test_berlin_year(real_data):
    path = real_data / "era5" / "era5_berlin_2017_hourly.nc"
    found = local(files=str(path), year=2017).open(real_data)
    assert dict(found.sizes) == {"time": 365, "lat": 2, "lon": 3}
    assert len(found.data_vars) == 9
    with xr.open_dataset(path) as raw:
        for name in raw.data_vars:
            np.testing.assert_allclose(found[name], resampled(raw[name]), rtol=1e-5, atol=1e-5, err_msg=name)


def test_cornwall_new_layout_agrees_with_the_old(real_data):
    new = local(files=str(real_data / "era5" / "cds_new_layout_cornwall_201805" / "*.nc")).open(real_data)
    assert len(new.data_vars) == 12
    assert dict(new.sizes) == {"time": 31, "lat": 5, "lon": 7}
    old = local(
        files=str(real_data / "era5" / "era5_cornwall_201805_hourly_legacy.nc"),
        variables=["t2m", "tp"],
        box=[50.75, -6, 49.75, -4.5],
    ).open(real_data)
    np.testing.assert_array_equal(new.time, old.time)
    np.testing.assert_allclose(new.lat, old.lat)
    np.testing.assert_allclose(new.lon, old.lon)
    np.testing.assert_allclose(new.t2m, old.t2m, atol=1e-3)
    np.testing.assert_allclose(new.tp, old.tp, atol=1e-7)


def test_krakatau_experiment_versions(real_data):
    path = real_data / "era5" / "era5_krakatau_2021_6h_uv_37levels_expver.nc"
    found = local(files=str(path), variables={"u": {"level": [850, 200]}, "v": {"level": 850}}).open(real_data)
    assert list(found.data_vars) == ["u850", "u200", "v"]
    assert found.sizes["time"] == 255
    with xr.open_dataset(path) as raw:
        u = raw.u.sel(level=200)
        merged = np.where(np.isnan(u.sel(expver=1)), u.sel(expver=5), u.sel(expver=1))
        assert np.isnan(u.sel(expver=1)).any()
        np.testing.assert_allclose(found.u200, merged.reshape(255, 4, 3, 3).mean(axis=1), rtol=1e-5, atol=1e-5)
    assert not np.isnan(found.to_array()).any()


def test_davos_surface_and_levels(real_data):
    found = local(
        files=str(real_data / "era5" / "era5_davos_*_202001.nc"),
        variables={"t2m": {}, "sp": {}, "z": {"level": 500, "rename": "z500"}, "t": {"level": [700, 300]}},
    ).open(real_data)
    assert list(found.data_vars) == ["t2m", "sp", "z500", "t700", "t300"]
    with xr.open_dataset(real_data / "era5" / "era5_davos_PLEV_202001.nc") as raw:
        np.testing.assert_allclose(found.z500, resampled(raw.z.sel(level=500)), rtol=1e-6)
        np.testing.assert_allclose(found.t300, resampled(raw.t.sel(level=300)), rtol=1e-6)
    with xr.open_dataset(real_data / "era5" / "era5_davos_SURF_202001.nc") as raw:
        np.testing.assert_allclose(found.sp, resampled(raw.sp), rtol=1e-6)


def test_yukon_time_is_the_last_dimension(real_data):
    found = local(files=str(real_data / "era5" / "era5_yukon65N_202301_*.nc"), resample={"tp": "sum"}).open(real_data)
    assert dict(found.sizes) == {"time": 31, "lat": 7, "lon": 7}
    assert all(array.dims == ("time", "lat", "lon") for array in found.data_vars.values())
    with xr.open_dataset(real_data / "era5" / "era5_yukon65N_202301_sa.nc") as raw:
        expected = raw.t2m.values.astype("f8").reshape(7, 7, 31, 24).mean(axis=-1)
        np.testing.assert_allclose(found.t2m, np.moveaxis(expected, -1, 0), rtol=1e-6)
    with xr.open_dataset(real_data / "era5" / "era5_yukon65N_202301_sf.nc") as raw:
        expected = raw.tp.values.astype("f8").reshape(7, 7, 31, 24).sum(axis=-1)
        np.testing.assert_allclose(found.tp, np.moveaxis(expected, -1, 0), rtol=1e-5, atol=1e-9)


def test_grib_surface_leaves_no_index(real_data, tmp_path):
    path = tmp_path / "t2m.grib"
    shutil.copy(real_data / "era5" / "grib" / "era5-2mt-2019-03-uk.grib", path)
    found = local(files=str(path), box=[56, -5, 51, 1]).open(tmp_path)
    assert os.listdir(tmp_path) == ["t2m.grib"]
    with xr.open_dataset(path, engine="cfgrib", backend_kwargs={"indexpath": ""}) as raw:
        cut = raw.t2m.sel(latitude=slice(56, 51), longitude=slice(-5, 1))
        np.testing.assert_allclose(found.t2m, resampled(cut.drop_vars("valid_time")), rtol=1e-6)
    assert dict(found.sizes) == {"time": 31, "lat": 21, "lon": 25}


def test_grib_members_and_levels(real_data):
    path = real_data / "era5" / "grib" / "era5-levels-members.grib"
    found = local(files=str(path), variables={"z": {"level": 500}, "t": {"level": 850}}, select={"number": 3}).open(
        real_data
    )
    assert dict(found.sizes) == {"time": 2, "lat": 61, "lon": 120}
    with xr.open_dataset(path, engine="cfgrib", backend_kwargs={"indexpath": ""}) as raw:
        z = raw.z.sel(number=3, isobaricInhPa=500).values.astype("f8").reshape(2, 2, 61, 120).mean(axis=1)
    np.testing.assert_allclose(found.lon, np.arange(-180, 180, 3))
    np.testing.assert_allclose(found.z, np.roll(z, 60, axis=-1), rtol=1e-6)


def test_ncep_sea_level_pressure_is_turned_north_up(real_data):
    path = real_data / "ncep_r1" / "ncep_r1_slp_northatlantic_daily_2001-2010.nc"
    found = local(files=str(path)).open(real_data)
    assert dict(found.sizes) == {"time": 3652, "lat": 17, "lon": 33}
    np.testing.assert_allclose(found.lat, np.arange(70, 29, -2.5))
    with xr.open_dataset(path) as raw:
        np.testing.assert_array_equal(found.slp, raw.slp.values[:, ::-1])


def test_iberia_winters_keep_their_gaps(real_data, tmp_path):
    data = local(files=str(real_data / "ncep_r1" / "ncep_r1_iberia_*.nc"), variables=["psl", "ta850", "hus850"])
    cube = prepare(data, "iberia", tmp_path, "standard", tmp_path / "cube.nc", None, "error")
    assert cube.values.shape == (1805, 5, 7, 3)
    assert cube.attrs["day_gaps"].endswith("in 19 gaps, the first after 1983-02-28")
    assert set(cube.time.astype("datetime64[M]").astype(int) % 12 + 1) == {12, 1, 2}
    whole = (cube.time[-1] - cube.time[0]).astype(int) + 1
    assert cube.attrs["missing_days"] == whole - 1805


def test_pressure_levels_of_the_new_layout(real_data):
    path = real_data / "era5" / "era5_pl_newlayout_europe1deg_20200701-03_6h.nc"
    found = local(files=str(path), variables={"t": {"level": 850}, "u": {"level": 500}}, coarsen=3).open(real_data)
    assert dict(found.sizes) == {"time": 3, "lat": 7, "lon": 10}
    with xr.open_dataset(path) as raw:
        t = resampled(raw.t.sel(pressure_level=850), time="valid_time")
    np.testing.assert_allclose(found.t[0, 0, 0], t[0, :3, :3].mean(), rtol=1e-6)


def test_archive_of_real_members(real_data, tmp_path):
    """The three members as the Climate Data Store sends them: one ZIP archive under the name of a NetCDF file."""
    folder = real_data / "era5" / "cds_new_layout_cornwall_201805"
    with zipfile.ZipFile(tmp_path / "may.nc", "w") as archive:
        for path in folder.iterdir():
            archive.write(path, path.name)
    found = local(files=str(tmp_path / "may.nc")).open(tmp_path / "raw")
    expected = local(files=str(folder / "*.nc")).open(tmp_path / "raw")
    assert set(found.data_vars) == set(expected.data_vars)
    for name in expected.data_vars:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


def test_sums_of_hours_count_to_the_day_they_fall_in(real_data):
    files = str(real_data / "era5" / "era5_finse_SURF_2018*.nc")
    found = local(files=files, variables=["tp", "t2m"], resample={"tp": "sum"}, accumulated=["tp"]).open(real_data)
    raw = xr.concat([xr.load_dataset(path) for path in sorted((real_data / "era5").glob("era5_finse_*.nc"))], "time")
    hours = raw.tp.sel(time=slice("2018-11-30T01:00", "2018-12-01T00:00"))
    assert hours.sizes["time"] == 24
    np.testing.assert_allclose(found.tp.sel(time="2018-11-30"), hours.sum("time"), rtol=1e-5, atol=1e-9)
    assert str(found.time.values[-1])[:10] == "2018-12-30"  # the last hour of December is stamped in January


def test_gaussian_grid(real_data, tmp_path):
    path = real_data / "ncep_r1" / "ncep_r1_iberia_djf1983-2002_tas_pr_gaussian.nc"
    cube = prepare(local(files=str(path)), "iberia", tmp_path, "standard", tmp_path / "cube.nc", None)
    steps = np.diff(cube.lat)
    assert (steps < 0).all()
    assert np.ptp(steps) > 1e-4  # Gaussian latitudes are not evenly spaced
    assert cube.units == ("degC", "1")
    with xr.open_dataset(path) as raw:
        np.testing.assert_allclose(cube.physical(cube.values)[..., 0], raw.tas.values[:, ::-1], atol=1e-4)


def test_days_on_the_lambert_grid_of_carra(real_data, tmp_path):
    """Ten days on the grid of the albedo file, which gives metres and a grid mapping but no degrees."""
    with xr.open_dataset(real_data / "carra" / "carra_east_20140302T05_albedo_test.nc") as raw:
        days = np.datetime64("2014-03-01", "ns") + np.arange(10) * np.timedelta64(1, "D")
        one = raw.isel(y=slice(0, 40), x=slice(0, 30)).squeeze(["time", "height"], drop=True)
        rng = np.random.default_rng(0)
        one["var84"] = (("time", "y", "x"), rng.uniform(0, 100, (10, 40, 30)), one["var84"].attrs)
        one.assign_coords(time=days).to_netcdf(tmp_path / "days.nc")
        mapping = raw["Lambert_Conformal"].attrs
    data = local(files=str(tmp_path / "days.nc"))
    prepare(data, "albedo", tmp_path, "standard", tmp_path / "cube.nc", None)
    cube = read_cube(tmp_path / "cube.nc")
    assert cube.values.shape == (10, 40, 30, 1)
    assert cube.lat[0, 0] == pytest.approx(mapping["latitudeOfFirstGridPointInDegrees"], abs=1e-3)
    assert cube.lon[0, 0] == pytest.approx(mapping["longitudeOfFirstGridPointInDegrees"], abs=1e-3)
    assert (np.diff(cube.lat, axis=0) > 0).all()
    assert cube.attrs["projection"]["grid_mapping"]["grid_mapping_name"] == "lambert_conformal_conic"
    np.testing.assert_array_equal(cube.attrs["projection"]["x"], np.arange(30) * 2500.0)
    with xr.open_dataset(tmp_path / "cube.nc") as file:
        assert file["data"].attrs["grid_mapping"] == "crs"
        assert file["crs"].attrs["earth_radius"] == mapping["earth_radius"]


def test_single_field_is_refused(real_data, tmp_path):
    data = local(files=str(real_data / "carra" / "carra_east_20140302T05_albedo_test.nc"))
    with pytest.raises(DataError, match="there are 1 days; at least 2 are needed to compare days"):
        prepare(data, "albedo", tmp_path, "standard", tmp_path / "cube.nc", None)


@pytest.mark.parametrize("name", ["elev", "ice_mask"])
def test_static_carra_fields_are_refused(real_data, name):
    path = real_data / "carra" / f"CARRA_W_domain_{name}.nc"
    (problem,) = registry.load(SPEC)(**{**SPEC.parameters, "files": str(path)}).problems(RAW)
    assert f"{path} holds 'z' (1269 x 1069) without a time" in problem
    assert "its latitude is 9.96921e+36 in 1069 of 1069 places, a fill value and no position" in problem


def test_documented_table_is_that_of_a_run(real_data):
    """Every row of the table, and every file of the folder in a row."""
    written = (registry.ROOT / "docs" / "real-files.md").read_text()
    for line in real_files.table(real_data).splitlines():
        if line.startswith("|"):
            assert line in written
    covered = {path for case in real_files.CASES for pattern in case.patterns for path in real_data.glob(pattern)}
    files = {next((up for up in path.parents if up.suffix == ".zarr"), path) for path in real_data.glob("*/**/*")}
    assert {path for path in files if path.is_file() or path.suffix == ".zarr"} == covered
