"""Checks on what a service sent: each fault is named, and what is only unusual passes."""

import tracemalloc

import numpy as np
import pytest
import xarray as xr

from datasets.blocks.arrival import KELVIN, Range, arrival_problems

DAYS = np.arange("2020-02-20", "2020-03-11", dtype="datetime64[D]")  # across a leap day
LAT, LON = 43 - 0.25 * np.arange(4), -1 + 0.25 * np.arange(6)  # across the meridian of Greenwich
RANGE = Range(180, 335, KELVIN)


def values() -> np.ndarray:
    return (285 + 5 * np.random.default_rng(0).standard_normal((20, 4, 6))).astype(np.float32)


def fields(data=None, days=DAYS, lat=LAT, lon=LON, units="K", clock="valid_time", dims=None) -> xr.Dataset:
    coords = {clock: days.astype("datetime64[ns]"), "latitude": lat, "longitude": lon}
    dims = dims or (clock, "latitude", "longitude")
    return xr.Dataset({"t2m": (dims, values() if data is None else data, {"units": units})}, coords)


def problems(dataset: xr.Dataset, allowed: Range = RANGE) -> list[str]:
    return arrival_problems(dataset, "part.nc", ranges={"t2m": allowed}, days=DAYS, lat=LAT, lon=LON)


def changed(index, value) -> np.ndarray:
    data = values()
    data[index] = value
    return data


@pytest.mark.parametrize(
    "dataset",
    [
        fields(),
        fields(clock="time"),
        fields(days=DAYS + np.timedelta64(11, "h")),
        fields(values().transpose(1, 2, 0), dims=("latitude", "longitude", "valid_time")),
        fields(values()[:, ::-1], lat=LAT[::-1]),
        fields(lon=LON % 360),
        fields(lat=LAT.astype("f4"), lon=(LON + 1e-5).astype("f4")),
        fields(units="kelvin"),
        fields().rename(latitude="lat", longitude="lon"),
        fields().chunk(valid_time=7),
    ],
    ids=["plain", "time", "noon", "time last", "latitude up", "0-360", "float32", "kelvin", "short axes", "dask"],
)
def test_layouts_that_services_use_pass(dataset):
    assert problems(dataset) == []


@pytest.mark.parametrize(
    ("dataset", "sentence"),
    [
        (fields(values()[1:], DAYS[1:]), "2020-02-20 is not there; 20 days from 2020-02-20 to 2020-03-10 were asked"),
        (fields(values()[:15], DAYS[:15]), "5 days (2020-03-06, 2020-03-07, 2020-03-08, ...) are not there"),
        (fields(np.delete(values(), 9, 0), np.delete(DAYS, 9)), "2020-02-29 is not there"),
        (fields(days=np.r_[DAYS[:10], DAYS[9:19]]), "2020-02-29 is more than once"),
        (fields(days=np.r_[DAYS[:19], DAYS[-1:] + 30]), "2020-04-09 is there although nobody asked for it"),
        (fields(values()[::-1], DAYS[::-1]), "2020-03-09 follows 2020-03-10; time must increase"),
        (fields(lat=LAT + 0.1), "latitude has 4 points from 43.1 to 42.35 in steps of 0.25; 4 points from 43 to 42.25"),
        (fields(values()[:, :, 1:], lon=LON[1:]), "longitude has 5 points from -0.75 to 0.25"),
        (fields(lon=LON * 2), "longitude has 6 points from -2 to 0.5 in steps of 0.5"),
        (fields(values() - 273.15, units="degC"), "t2m is in degC where K is expected"),
        (fields(values() - 273.15), "t2m has the value"),
        (fields(values() - 273.15), "the values look like degC"),
        (fields(units="degF"), "t2m is in degF where K is expected"),
        (fields(units=""), "t2m has no unit where K is expected"),
        (fields(changed((3, 1, 1), 500)), "t2m has the value 500 on 2020-02-23, outside the possible 180 to 335 K"),
        (fields(changed((3, 1, 1), np.inf)), "t2m has 1 infinite values, the first on 2020-02-23"),
        (
            fields(changed((4, 1, 2), np.nan)),
            "t2m misses values in 1 of 24 cells, the first on 2020-02-24 in cell (1, 2)",
        ),
        (fields(values() * np.nan), "t2m has no value at all"),
        (fields(values() * 0), "t2m is 0 in every cell at every time"),
        (fields(changed(9, 0)), "t2m is 0 in every cell at 1 of 20 times, the first 2020-02-29"),
        (fields(np.repeat(values()[:1], 20, axis=0)), "t2m is the same field at all 20 times"),
        (fields().rename(t2m="q"), "the variable 't2m' is not there; the file holds q"),
        (fields().drop_vars("latitude"), "there is no latitude"),
        (fields().drop_vars("valid_time"), "there is no time"),
    ],
)
def test_faults_are_named(dataset, sentence):
    found = problems(dataset)
    assert any(sentence in text for text in found), found
    assert all(text.startswith("part.nc: ") for text in found)


@pytest.mark.parametrize(
    ("index", "day"),
    [((slice(None), 1, 2), None), ((slice(7, None), 1, 2), "2020-02-27"), ((slice(0, 7), 1, 2), "2020-02-20")],
    ids=["always", "later", "at first"],
)
def test_cells_may_be_missing_only_at_all_times(index, day):
    found = problems(fields(changed(index, np.nan)), Range(180, 335, KELVIN, missing=True))
    assert [day in text and "cell (1, 2)" in text for text in found] == ([] if day is None else [True])


@pytest.mark.parametrize("data", [changed(9, 0), values() * 0], ids=["a day", "all"])
def test_rain_may_vanish(data):
    assert problems(fields(data), Range(0, 335, KELVIN, vanishes=True)) == []


def test_hours_are_compared_as_hours():
    hours = np.arange("2021-01-01T00", "2021-01-03T00", dtype="datetime64[h]")
    data = (285 + np.random.default_rng(0).standard_normal((48, 4, 6))).astype(np.float32)
    for kept, sentence in (
        (np.arange(48), None),
        (np.delete(np.arange(48), 30), "2021-01-02T06 is not there; 48 hours"),
    ):
        dataset = fields(data[kept], hours[kept])
        found = arrival_problems(dataset, "part.nc", ranges={"t2m": RANGE}, days=hours, lat=LAT, lon=LON)
        assert [sentence in text for text in found] == ([True] if sentence else [])


def test_a_curvilinear_grid_is_compared_cell_by_cell():
    lat, lon = np.meshgrid(LAT, LON + 359.5, indexing="ij")
    coords = {"time": DAYS.astype("datetime64[ns]"), "latitude": (("y", "x"), lat), "longitude": (("y", "x"), lon)}
    dataset = xr.Dataset({"t2m": (("time", "y", "x"), values(), {"units": "K"})}, coords)
    for expected, count in ((lat, 0), (lat[::-1], 1), (lat[1:], 1)):
        found = arrival_problems(dataset, "part.nc", ranges={"t2m": RANGE}, days=DAYS, lat=expected, lon=lon - 360)
        assert len(found) == count, found


def test_memory_stays_below_one_variable(tmp_path):
    days = np.arange("2000-01-01", "2010-01-01", dtype="datetime64[D]")
    lat, lon = np.arange(60.0, 0.0, -1), np.arange(0.0, 60.0)
    data = np.random.default_rng(0).uniform(250, 300, (days.size, 60, 60)).astype(np.float32)
    fields(data, days, lat, lon).to_netcdf(tmp_path / "long.nc", encoding={"t2m": {"chunksizes": (100, 60, 60)}})
    size = data.nbytes
    del data
    with xr.open_dataset(tmp_path / "long.nc") as dataset:
        tracemalloc.start()
        try:
            found = arrival_problems(dataset, "long.nc", ranges={"t2m": RANGE}, days=days, lat=lat, lon=lon)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert found == []
    assert peak < size / 2, f"{peak:,} bytes for a variable of {size:,}"


def test_a_damaged_chunk_is_named(tmp_path):
    path = tmp_path / "damaged.nc"
    fields().to_netcdf(path, encoding={"t2m": {"fletcher32": True, "chunksizes": (20, 4, 6)}})
    content, good = path.read_bytes(), values().tobytes()
    assert content.count(good) == 1
    path.write_bytes(content.replace(good, bytes(len(good))))
    with xr.open_dataset(path) as dataset:
        found = problems(dataset)
    assert any("t2m cannot be read" in text for text in found), found
