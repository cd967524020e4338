"""The cube file: round trip, CF structure, hash, damage, atomic replacement."""

from dataclasses import replace

import netCDF4
import numpy as np
import pytest

from regimebench import dataset
from regimebench.cube import content_hash, read_cube, write_cube
from regimebench.dataset import Cube, DataError


def make_cube(days=5, rows=3, columns=4, names=("t2m", "msl"), curvilinear=False, **attrs):
    rng = np.random.default_rng(0)
    mask = np.ones((rows, columns, len(names)), dtype=bool)
    mask[0, 1, 0] = False
    values = np.where(mask, rng.random((days, *mask.shape)), 0).astype(np.float32)
    lat, lon = np.linspace(50, 40, rows), np.linspace(-5, 10, columns)
    if curvilinear:
        lat, lon = (np.array(grid) for grid in np.meshgrid(lat, lon, indexing="ij"))
    return Cube(
        values=values,
        mask=mask,
        time=np.datetime64("2020-02-27") + np.arange(days),
        lat=lat,
        lon=lon,
        variables=names,
        units=("K", "Pa")[: len(names)],
        minimum=rng.normal(size=mask.shape),
        scale=rng.random(mask.shape),
        attrs={"dataset": "demo", "preprocessing": "standard", "long_names": ["temperature", "pressure"], **attrs},
    )


def same(a, b):
    for name in ("values", "mask", "time", "lat", "lon", "minimum", "scale"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)
    assert a.variables == b.variables
    assert a.units == b.units


@pytest.mark.parametrize("curvilinear", [False, True])
def test_round_trip(tmp_path, curvilinear):
    cube = make_cube(curvilinear=curvilinear, padded_cells=[7, 7], source="ERA5", days_missing=3)
    write_cube(cube, tmp_path / "cube.nc")
    back = read_cube(tmp_path / "cube.nc")
    same(cube, back)
    assert back.values.dtype == np.float32
    assert back.mask.dtype == bool
    assert back.time.dtype == np.dtype("datetime64[D]")
    assert back.attrs["long_names"] == ["temperature", "pressure"]
    assert back.attrs["padded_cells"] == [7, 7]
    assert back.attrs["source"] == "ERA5"
    assert back.attrs["days_missing"] == 3
    assert back.attrs["content_sha256"] == content_hash(cube)


def test_projection_round_trip(tmp_path):
    mapping = {"grid_mapping_name": "lambert_conformal_conic", "standard_parallel": 72.0}
    projection = {"grid_mapping": mapping, "y": np.arange(3) * 2500.0, "x": np.arange(4) * 2500.0}
    write_cube(make_cube(curvilinear=True, projection=projection), tmp_path / "cube.nc")
    back = read_cube(tmp_path / "cube.nc").attrs["projection"]
    assert back["grid_mapping"] == mapping
    np.testing.assert_array_equal(back["x"], projection["x"])
    with netCDF4.Dataset(tmp_path / "cube.nc") as file:
        assert file["data"].grid_mapping in file.variables
        assert file["x"].standard_name == "projection_x_coordinate"


def test_file_is_cf(tmp_path):
    write_cube(make_cube(), tmp_path / "cube.nc")
    with netCDF4.Dataset(tmp_path / "cube.nc") as file:
        assert file.Conventions == "CF-1.11"
        data = file["data"]
        assert data.dimensions == ("time", "lat", "lon", "variable")
        assert data.dtype == np.float32
        assert np.isnan(data._FillValue)
        assert data.filters()["zlib"]
        assert data.filters()["complevel"] == 1
        assert data.filters()["shuffle"]
        assert file["lat"].units == "degrees_north"
        assert file["time"].bounds == "time_bnds"
        assert file["time"].units == "days since 1970-01-01 00:00:00"
        for name in f"{data.coordinates} {data.ancillary_variables}".split():
            assert name in file.variables
        file.set_auto_mask(False)
        assert np.isnan(data[:, 0, 1, 0]).all()
        assert np.isfinite(data[:, 0, 1, 1]).all()
        # A variable named like its dimension would have to be numeric (CF 1.3), so the labels have their own name.
        assert "variable" not in file.variables


def test_xarray_reads_it(tmp_path):
    xr = pytest.importorskip("xarray")
    cube = make_cube()
    write_cube(cube, tmp_path / "cube.nc")
    with xr.open_dataset(tmp_path / "cube.nc") as ds:
        assert list(ds.data.coords["variable_name"].values) == ["t2m", "msl"]
        np.testing.assert_array_equal(ds.time.values, cube.time.astype("datetime64[ns]"))
        np.testing.assert_array_equal(ds.data.isel(variable=1), cube.values[..., 1])


def test_same_input_gives_same_hash_and_file(tmp_path):
    for name in ("a.nc", "b.nc"):
        write_cube(make_cube(), tmp_path / name)
    assert (tmp_path / "a.nc").read_bytes() == (tmp_path / "b.nc").read_bytes()


@pytest.mark.parametrize("part", ["values", "mask", "time", "lat", "variables"])
def test_hash_depends_on_every_part_a_method_sees(part):
    cube = make_cube()
    changed = {
        "values": cube.values + np.float32(1e-6) * cube.mask,
        "mask": ~cube.mask,
        "time": cube.time + 1,
        "lat": cube.lat + 1,
        "variables": ("t2m", "sp"),
    }[part]
    assert content_hash(replace(cube, **{part: changed})) != content_hash(cube)


def test_hash_ignores_provenance():
    assert content_hash(make_cube(history="one")) == content_hash(make_cube(history="two"))


def test_changed_content_is_found(tmp_path):
    path = tmp_path / "cube.nc"
    write_cube(make_cube(), path)
    with netCDF4.Dataset(path, "a") as file:
        file["data"][2, 1, 1, 1] = 0.123
    with pytest.raises(DataError, match=r"cube\.nc is damaged.*delete it and run"):
        read_cube(path)
    assert read_cube(path, verify=False).values[2, 1, 1, 1] == np.float32(0.123)


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.6, 0.95])
def test_truncated_file(tmp_path, keep):
    path = tmp_path / "cube.nc"
    write_cube(make_cube(days=60, rows=10, columns=10), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content))])
    with pytest.raises(DataError, match=r"cube\.nc is (not a readable cube|damaged)"):
        read_cube(path)


def test_no_flipped_byte_changes_a_number(tmp_path):
    path = tmp_path / "cube.nc"
    cube = write_cube(make_cube(days=20, rows=10, columns=10), path)
    content = path.read_bytes()
    found = 0
    for place in range(0, len(content), 401):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        try:
            back = read_cube(path)
        except DataError:
            found += 1
            continue
        for name in ("values", "mask", "minimum", "scale", "time"):
            np.testing.assert_array_equal(getattr(back, name), getattr(cube, name), err_msg=f"{name}, byte {place}")
    assert found > 10


def test_foreign_netcdf(tmp_path):
    with netCDF4.Dataset(tmp_path / "other.nc", "w") as file:
        file.createDimension("time", 3)
    with pytest.raises(DataError, match=r"other\.nc is not a readable cube"):
        read_cube(tmp_path / "other.nc")


def test_missing_file(tmp_path):
    with pytest.raises(DataError, match=r"cube\.nc does not exist; the preprocess stage writes it"):
        read_cube(tmp_path / "cube.nc")


def test_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "cube.nc"
    write_cube(make_cube(), path)
    before = path.read_bytes()
    with pytest.raises(DataError, match="attribute 'config' of the cube"):
        write_cube(make_cube(config={"a": 1}), path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["cube.nc"]


@pytest.mark.parametrize(
    ("part", "value", "sentence"),
    [
        ("time", np.arange(3).astype("datetime64[D]"), r"time of the cube has shape \(3,\).*need \(5,\)"),
        ("units", ("K",), r"units of the cube has shape \(1,\)"),
        ("values", np.ones((5, 3, 4, 2), np.float32), "not 0 where its mask is False"),
    ],
)
def test_inconsistent_cube_is_refused(tmp_path, part, value, sentence):
    with pytest.raises(DataError, match=sentence):
        write_cube(replace(make_cube(), **{part: value}), tmp_path / "cube.nc")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("places", "value", "sentence"),
    [
        ([(2, 1, 1, 1)], np.nan, "variable 'msl' has NaN on 2020-02-29: methods need"),
        (
            [(2, 1, 1, 1), (4, 0, 3, 1), (4, 1, 1, 1)],
            np.nan,
            r"variable 'msl' has NaN on 2020-02-29 \(and 1 other day\)",
        ),
        (
            [(1, 1, 2, 0), (3, 1, 2, 0), (4, 1, 2, 0)],
            np.inf,
            r"variable 't2m' has infinity on 2020-02-28 \(and 2 other days\)",
        ),
        ([(4, 2, 3, 1), (0, 2, 3, 1)], -np.inf, r"variable 'msl' has infinity on 2020-02-27 \(and 1 other day\)"),
    ],
)
def test_a_cube_with_a_gap_cannot_be_made(places, value, sentence, monkeypatch):
    monkeypatch.setattr(dataset, "BLOCK_VALUES", 48)  # two days at a time
    cube = make_cube()
    values = cube.values.copy()
    for place in places:
        values[place] = value
    with pytest.raises(DataError, match=sentence):
        replace(cube, values=values)
    values.setflags(write=False)
    with pytest.raises(DataError, match="fill the gaps, or mask their cells"):
        replace(cube, values=values)


def test_a_gap_made_later_is_not_written(tmp_path):
    cube = make_cube()
    cube.values[3, 1, 1, 0] = np.nan
    with pytest.raises(DataError, match="has NaN on"):
        write_cube(cube, tmp_path / "cube.nc")
    assert not list(tmp_path.iterdir())


def test_a_file_with_a_gap_is_damaged(tmp_path):
    write_cube(make_cube(), tmp_path / "cube.nc")
    with netCDF4.Dataset(tmp_path / "cube.nc", "a") as file:
        file["data"][3, 1, 1, 0] = np.nan
    with pytest.raises(DataError, match=r"cube\.nc is damaged: variable .* has NaN on .*; delete it and run"):
        read_cube(tmp_path / "cube.nc", verify=False)
