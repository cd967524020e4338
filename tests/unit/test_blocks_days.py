"""Steps to days: periods, incomplete days, reductions, forecast times."""

from datetime import date

import numpy as np
import pytest
import xarray as xr

from datasets.blocks import days
from regimebench.dataset import DataError

NO_PERIOD = {"year": None, "start": None, "end": None, "months": None}


def series(start="2020-01-01", steps=96, hours=6, seed=0):
    time = np.datetime64(start, "ns") + np.arange(steps) * np.timedelta64(hours, "h")
    values = np.random.default_rng(seed).normal(280, 5, (steps, 2, 3)).astype(np.float32)
    return xr.DataArray(values, dims=("time", "lat", "lon"), coords={"time": time}, attrs={"units": "K"})


def reduce(array, how="mean"):
    notes = []
    kept, usual = days.complete(array, "t2m", notes)
    return days.daily(kept, usual, how), notes


@pytest.mark.parametrize("how", ["mean", "sum", "min", "max"])
@pytest.mark.parametrize("hours", [1, 3, 6, 12])
def test_reductions_agree_with_xarray(how, hours):
    array = series(steps=10 * 24 // hours, hours=hours)
    found, notes = reduce(array, how)
    expected = getattr(array.astype("f8").resample(time="1D"), how)()
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    np.testing.assert_array_equal(found.time, expected.time)
    assert found.dtype == np.float32
    word = {"min": "minimum", "max": "maximum"}.get(how, how)
    assert found.attrs == {"units": "K", "cell_methods": f"time: {word}"}
    assert notes == []


def test_blocks_do_not_change_the_result(monkeypatch):
    array = series(steps=40)
    whole, _ = reduce(array)
    monkeypatch.setattr(days, "BLOCK_VALUES", 3 * 4 * 6)
    np.testing.assert_array_equal(reduce(array)[0], whole)


@pytest.mark.parametrize("borders", [(17, 23), (1, 38, 1), (4, 36), (40,)])
@pytest.mark.parametrize("how", ["mean", "max"])
def test_lazy_steps_stay_lazy_whatever_their_blocks(borders, how):
    """Borders of blocks (of files) fall within days; the days are the same."""
    array = series(steps=40)
    found, _ = reduce(array.chunk(time=borders), how)
    assert found.chunks is not None
    np.testing.assert_array_equal(found, reduce(array, how)[0])


def test_a_run_of_days_reads_no_other_block():
    array = series(steps=40).chunk(time=4)
    kept = days.only(array, np.arange(40) // 4 == 3)
    assert kept.chunks[0] == (4,)
    assert len(kept.data.dask.cull(kept.data.__dask_keys__())) == 2  # the block and the cut
    np.testing.assert_array_equal(kept, array[12:16])


def test_an_hour_that_ends_at_midnight_belongs_to_the_day_before():
    """The hours 0 to 47 of two days, stamped at their ends: the means are 11.5 and 35.5."""
    stamps = np.datetime64("2020-01-01T01", "ns") + np.arange(48) * np.timedelta64(1, "h")
    values = np.arange(48.0)[:, None, None] * np.ones((2, 3))
    array = xr.DataArray(values, dims=("time", "lat", "lon"), coords={"time": stamps})
    found, notes = reduce(days.hour_before(array))
    np.testing.assert_array_equal(found[:, 0, 0], [11.5, 35.5])
    assert [str(day)[:10] for day in found.time.values] == ["2020-01-01", "2020-01-02"]
    assert notes == []


def test_daily_data_are_untouched():
    array = series(start="2020-01-01T12", steps=10, hours=24)
    found, _ = reduce(array, "sum")
    np.testing.assert_array_equal(found, array)
    assert str(found.time.values[0])[:16] == "2020-01-01T00:00"
    assert found.attrs == {"units": "K"}


def test_incomplete_days_at_the_ends_are_left_out():
    found, notes = reduce(series(start="2020-01-01T06", steps=4 * 5))
    np.testing.assert_array_equal(
        found.time.values.astype("datetime64[D]"), np.arange("2020-01-02", "2020-01-06", dtype="M8[D]")
    )
    assert notes == ["incomplete days at the ends left out: 2020-01-01, 2020-01-06"]


def test_incomplete_days_beside_a_gap_are_left_out():
    array = series(steps=4 * 20).isel(time=np.r_[0:30, 60:80])
    found, notes = reduce(array)
    assert found.sizes["time"] == 7 + 5
    assert notes == ["incomplete days at the ends left out: 2020-01-08"]


def test_the_fuller_of_two_days_is_the_complete_one():
    found, notes = reduce(series(start="2020-01-01T12", steps=6))
    assert [str(day)[:10] for day in found.time.values] == ["2020-01-02"]
    assert notes == ["incomplete days at the ends left out: 2020-01-01"]


@pytest.mark.parametrize("missing", [1, 2, 3])
def test_incomplete_day_inside_is_refused(missing):
    array = series().isel(time=np.r_[0:20, 20 + missing : 96])
    with pytest.raises(
        DataError, match=rf"t2m: 2020-01-06 has {4 - missing} steps where days usually have 4 \(1 such days\)"
    ):
        reduce(array)


def test_day_with_too_many_steps_is_refused():
    extra = series(start="2020-01-01T03", steps=1)
    array = days.in_order(xr.concat([series(), extra], "time"), "t2m")
    with pytest.raises(DataError, match="2020-01-01 has 5 steps"):
        reduce(array)


def test_missing_step_makes_the_day_missing():
    array = series()
    array[5, 1, 1] = np.nan
    found, _ = reduce(array)
    assert np.isnan(found[1, 1, 1])
    assert int(np.isnan(found).sum()) == 1


@pytest.mark.parametrize(
    ("period", "first", "last", "count"),
    [
        ({"year": 2020}, "2020-01-01", "2020-12-31", 366),
        ({"year": [2020, 2021]}, "2020-01-01", "2021-12-31", 731),
        ({"start": "2020-02-10"}, "2020-02-10", "2022-06-18", 860),
        ({"start": date(2019, 12, 30), "end": date(2020, 1, 2)}, "2019-12-30", "2020-01-02", 4),
        ({"months": [12, 1, 2], "year": 2021}, "2021-01-01", "2021-12-31", 90),
        ({}, "2019-09-23", "2022-06-18", 1000),
    ],
)
def test_period(period, first, last, count):
    array = series(start="2019-09-23T12", steps=1000, hours=24)
    found = days.in_period(array, NO_PERIOD | period, "t2m").time.values.astype("datetime64[D]")
    assert (str(found[0]), str(found[-1]), found.size) == (first, last, count)


def test_period_without_data():
    with pytest.raises(
        DataError, match="t2m: the wanted period has no data; there are days from 2020-01-01 to 2020-01-24"
    ):
        days.in_period(series(), NO_PERIOD | {"year": 1999}, "t2m")


def test_unordered_time_is_sorted_and_duplicates_are_refused():
    array = series(steps=8)
    shuffled = array.isel(time=[3, 1, 0, 2, 7, 6, 5, 4])
    np.testing.assert_array_equal(days.in_order(shuffled, "t2m"), array)
    with pytest.raises(DataError, match="t2m: 2 times occur more than once, the first 2020-01-01T06:00"):
        days.in_order(array.isel(time=[0, 1, 1, 2, 2]), "t2m")


class TestTime:
    def test_last_dimension_moves_to_the_front(self):
        array = series().transpose("lat", "lon", "time").rename(time="valid_time")
        np.testing.assert_array_equal(days.with_time(array, "t2m"), series())

    def test_valid_time_beside_time(self):
        array = series()
        array = array.assign_coords(valid_time=("time", array.time.values + np.timedelta64(1, "D")))
        found = days.with_time(array, "t2m")
        assert str(found.time.values[0])[:10] == "2020-01-02"
        assert set(found.coords) == {"time"}

    def test_single_time(self):
        found = days.with_time(series().isel(time=3), "t2m")
        assert found.dims == ("time", "lat", "lon")
        np.testing.assert_array_equal(found.time, series().time[3:4])

    def test_initial_time_and_step(self):
        """ERA5's accumulations in GRIB: runs at 06 and 18 UTC, 12 hourly steps each, the rim of the file empty."""
        start = np.datetime64("2019-12-31T18:00", "ns") + np.arange(5) * np.timedelta64(12, "h")
        step = np.arange(1, 13) * np.timedelta64(3_600_000_000_000, "ns")
        valid = start[:, None] + step
        hours = (valid - np.datetime64("2020-01-01", "ns")) / np.timedelta64(1, "h")
        outside = (hours < 0) | (hours > 47)
        values = np.where(outside, np.nan, hours)[..., None, None] * np.ones((2, 3))
        array = xr.DataArray(
            values,
            dims=("time", "step", "lat", "lon"),
            coords={"time": start, "step": step, "valid_time": (("time", "step"), valid)},
        )
        found = days.in_order(days.with_time(array, "tp"), "tp")
        np.testing.assert_array_equal(found[:, 0, 0], np.arange(48))
        mean, _ = reduce(found)
        np.testing.assert_allclose(mean[:, 0, 0], [11.5, 35.5])

    def test_other_calendars_are_refused(self):
        time = xr.date_range("2020-01-01", periods=5, calendar="noleap", use_cftime=True)
        array = xr.DataArray(np.zeros((5, 2, 3)), dims=("time", "lat", "lon"), coords={"time": time})
        with pytest.raises(DataError, match="tas: its time has the calendar noleap"):
            days.with_time(array, "tas")
