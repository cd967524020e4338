"""Boxes and windows on every convention of longitude and latitude."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.blocks import grid
from datasets.blocks.grid import coarsen, take, window
from regimebench.dataset import DataError

LAT = np.arange(90, -91, -2.5)
LON = np.arange(0, 360, 2.5)


def field(lat, lon):
    """Encode the position of every cell in its value: longitude on a circle, plus 1000 x latitude."""
    values = 1000 * lat[:, None] + np.mod(lon, 360)[None, :]
    return xr.DataArray(values, dims=("lat", "lon"), coords={"lat": lat, "lon": lon})


def cut(lat, lon, **options):
    place = window(lat, lon, options.get("box"), options.get("size"))
    return take(field(lat, lon), place)


@pytest.mark.parametrize("up", [False, True], ids=["down", "up"])
@pytest.mark.parametrize("western", [False, True], ids=["0-360", "180"])
@pytest.mark.parametrize(
    ("box", "lon"),
    [
        ([60, -30, 40, 20], np.arange(-30, 20.1, 2.5)),
        ([60, 330, 40, 20], np.arange(-30, 20.1, 2.5)),
        ([60, 330, 40, 380], np.arange(-30, 20.1, 2.5)),
        ([60, 100, 40, 150], np.arange(100, 150.1, 2.5)),
        ([60, 170, 40, -170], np.arange(170, 190.1, 2.5)),
        ([60, 170, 40, 190], np.arange(170, 190.1, 2.5)),
        ([60, -180, 40, 180], np.arange(-180, 179, 2.5)),
        ([60, 0, 40, 360], np.arange(0, 359, 2.5)),
        ([60, 10, 40, 10], np.array([10.0])),
    ],
)
def test_box(up, western, box, lon):
    lat_in = LAT[::-1] if up else LAT
    lon_in = np.sort(np.mod(LON + 180, 360) - 180) if western else LON
    found = cut(lat_in, lon_in, box=box)
    np.testing.assert_allclose(found.lat, np.arange(60, 39, -2.5))
    np.testing.assert_allclose(found.lon, lon)
    np.testing.assert_allclose(found, field(found.lat.values, found.lon.values))


@settings(deadline=None, max_examples=40)
@given(
    west=st.integers(-360, 360),
    width=st.integers(0, 359),
    shift=st.integers(0, 143),
    western=st.booleans(),
    up=st.booleans(),
)
def test_any_box_takes_the_cells_whose_centre_lies_inside(west, width, shift, western, up):
    lon_in = np.roll(LON, shift)
    lon_in = np.mod(lon_in + 180, 360) - 180 if western else lon_in
    inside = np.mod(LON - west, 360) <= width
    if not inside.any():
        with pytest.raises(DataError, match="contains no cell"):
            cut(LAT, lon_in, box=[60, west, 40, west + width])
        return
    found = cut(LAT[::-1] if up else LAT, lon_in, box=[60, west, 40, west + width])
    assert sorted(np.mod(found.lon.values, 360)) == sorted(LON[inside])
    assert np.all(np.diff(found.lon) > 0)
    assert np.ptp(found.lon.values) <= width
    np.testing.assert_allclose(found, field(found.lat.values, found.lon.values))


@pytest.mark.parametrize(
    ("lon", "expected"),
    [
        (np.arange(0, 360, 10.0), np.arange(-180, 180, 10.0)),
        (np.arange(-180, 180, 10.0), np.arange(-180, 180, 10.0)),
        (np.arange(300, 341, 10.0), np.arange(-60, -19, 10.0)),
        (np.array([340.0, 350, 0, 10]), np.array([-20.0, -10, 0, 10])),
        (np.array([0.0, 10, 340, 350]), np.array([-20.0, -10, 0, 10])),
        (np.array([-170.0, -160, 160, 170, 180]), np.array([160.0, 170, 180, 190, 200])),
        (np.array([5.0]), np.array([5.0])),
        (np.array([0.0, 180, 360]), np.array([-180.0, 0])),
    ],
)
def test_whole_grid_runs_eastward_without_a_jump(lon, expected):
    found = cut(np.array([10.0, 20.0]), lon)
    np.testing.assert_allclose(found.lon, expected)
    np.testing.assert_allclose(found.lat, [20, 10])
    np.testing.assert_allclose(found, field(found.lat.values, found.lon.values))


def test_single_precision_edges_are_included():
    lat, lon = (np.linspace(*ends, 101).astype(np.float32) for ends in ((43, 33), (327, 337)))
    found = cut(lat, lon, box=[43, -33, 33, -23])
    assert found.shape == (101, 101)
    assert cut(lat, lon - 5e-5, box=[43, -33, 33, -23]).shape == (101, 101)


@pytest.mark.parametrize("lon", [LON, np.sort(np.mod(LON + 180, 360) - 180)])
def test_size_centres_on_the_box(lon):
    found = cut(LAT, lon, box=[60, -50, 20, 10], size=[41, 41])
    np.testing.assert_allclose(found.lat, np.arange(90, -11, -2.5))
    np.testing.assert_allclose(found.lon, np.arange(-70, 31, 2.5))
    np.testing.assert_allclose(found, field(found.lat.values, found.lon.values))


def test_size_without_box_centres_on_the_grid():
    found = cut(LAT, LON, size=[3, 5])
    np.testing.assert_allclose(found.lat, [2.5, 0, -2.5])
    assert found.shape == (3, 5)


def test_size_beyond_the_pole():
    with pytest.raises(DataError, match=r"41 rows around 60 reach beyond the grid.*nearest centre with so many is 40"):
        cut(LAT, LON, box=[70, -50, 50, 10], size=[41, 41])


def test_size_larger_than_the_grid():
    with pytest.raises(DataError, match="size asks for 100 rows, but the grid has 73"):
        cut(LAT, LON, size=[100, 5])


def test_empty_box_names_the_grid():
    with pytest.raises(DataError, match=r"\[-10, 0, -20, 10\].*latitudes 30 to 50 and longitudes 0 to 20"):
        cut(np.linspace(30, 50, 5), np.linspace(0, 20, 5), box=[-10, 0, -20, 10])


def lambert():
    y, x = np.meshgrid(np.arange(30), np.arange(40), indexing="ij")
    return 60 + 0.5 * y - 0.01 * (x - 20) ** 2, np.mod(-45 + x + 0.1 * y, 360)


def test_curvilinear_box_is_the_smallest_rectangle():
    lat, lon = lambert()
    place = window(lat, lon, [68, -30, 64, -20], None)
    around = np.mod(lon + 180, 360) - 180
    inside = (lat <= 68) & (lat >= 64) & (around >= -30) & (around <= -20)
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    np.testing.assert_array_equal(place.rows, np.arange(rows.min(), rows.max() + 1))
    np.testing.assert_array_equal(place.columns, np.arange(columns.min(), columns.max() + 1))
    np.testing.assert_allclose(place.lon, around[np.ix_(place.rows, place.columns)])
    array = take(xr.DataArray(lat, dims=("y", "x")), place)
    np.testing.assert_allclose(array, place.lat)


def test_curvilinear_size_and_empty_box():
    lat, lon = lambert()
    place = window(lat, lon, None, [10, 12])
    assert place.lat.shape == (10, 12)
    np.testing.assert_array_equal(place.rows, np.arange(10, 20))
    with pytest.raises(DataError, match="contains no cell"):
        window(lat, lon, [10, 0, 5, 10], None)


def test_coarsen_averages_what_there_is():
    values = np.arange(2 * 5 * 4, dtype=np.float32).reshape(2, 5, 4)
    values[:, 0, 0] = np.nan
    fields = xr.Dataset(
        {"t": (("time", "lat", "lon"), values, {"units": "K"})},
        coords={"lat": np.arange(50.0, 45.0, -1), "lon": np.arange(4.0)},
    )
    found = coarsen(fields, 2)
    assert found["t"].shape == (2, 2, 2)
    assert found["t"].attrs == {"units": "K"}
    np.testing.assert_allclose(found["t"][0, 0, 0], np.mean([1, 4, 5]))
    np.testing.assert_allclose(found["t"][1, 1, 1], values[1, 2:4, 2:4].mean())
    np.testing.assert_allclose(found["lat"], [49.5, 47.5])
    assert coarsen(fields, 1) is fields


@pytest.mark.parametrize("factor", [2, 3, 5])
@pytest.mark.parametrize("chunks", [{}, {"time": 3}, {"time": 1, "lon": 4}])
def test_block_means_are_those_of_xarray_bit_for_bit(factor, chunks):
    """Whether lazy or not: dask would add in another order."""
    rng = np.random.default_rng(0)
    values = rng.normal(280, 5, (7, 11, 13)).astype(np.float32)
    values[:, :3, :2] = np.nan
    values[rng.random(values.shape) < 0.1] = np.nan
    fields = xr.Dataset(
        {"t": (("time", "lat", "lon"), values)}, coords={"lat": np.arange(11.0, 0, -1), "lon": np.arange(13.0)}
    )
    expected = fields.coarsen(lat=factor, lon=factor, boundary="trim").mean()
    found = coarsen(fields.chunk(chunks) if chunks else fields, factor)
    assert (found["t"].chunks is not None) == bool(chunks)
    np.testing.assert_array_equal(found["t"], expected["t"])
    np.testing.assert_array_equal(found["lon"], expected["lon"])


def test_blocks_are_bounded_and_end_with_a_day(monkeypatch):
    monkeypatch.setattr(grid, "BLOCK_VALUES", 100 * 4 * 5)
    array = xr.DataArray(np.arange(1000.0 * 20).reshape(1000, 4, 5), dims=("time", "lat", "lon"))
    lat, lon = np.arange(4.0, 0, -1), np.arange(5.0)
    found = take(array, window(lat, lon, None, None))
    assert found.chunks[0] == (96,) * 10 + (40,)
    assert found.chunks[1:] == ((4,), (5,))
    np.testing.assert_array_equal(found, array)


def test_time_as_the_last_dimension_is_read_in_blocks(monkeypatch):
    monkeypatch.setattr(grid, "BLOCK_VALUES", 10 * 4 * 5)
    array = xr.DataArray(np.arange(30.0 * 20).reshape(4, 5, 30), dims=("lat", "lon", "time"))
    found = take(array, window(np.arange(4.0, 0, -1), np.arange(5.0), None, None))
    assert found.chunks == ((4,), (5,), (10, 10, 10))
    np.testing.assert_array_equal(found, array)
