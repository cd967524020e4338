"""What preprocessing holds and reads: one variable at a time, twice only where needed; blocks change nothing."""

import tracemalloc
from dataclasses import replace

import dask.array
import netCDF4
import numpy as np
import pytest
import xarray as xr

from regimebench import cube as cubes
from regimebench import scaling
from regimebench.cube import content_hash, read_cube, write_cube
from regimebench.dataset import DataError
from regimebench.preprocess import preprocess

DAYS, ROWS, COLUMNS = 600, 9, 11


def values_of(name):
    rng = np.random.default_rng(list(name.encode()))
    values = rng.normal(280, 5, (DAYS, ROWS, COLUMNS)).astype(np.float32)
    if name.startswith("sea"):
        values[:, :3, :4] = np.nan
    if name.startswith("gap"):
        values[4:6, 2, 2] = np.nan
        values[7, 5, :] = np.nan
    return values


class Source:
    """A variable in a file, for dask; ``read`` collects the name with every block that is read."""

    shape, dtype, ndim = (DAYS, ROWS, COLUMNS), np.dtype("f4"), 3

    def __init__(self, name, read):
        self.name, self.read = name, read

    def __getitem__(self, key):
        self.read.append(self.name)
        return values_of(self.name)[key]


def fields_of(names, lat=None, read=None):
    """Return lazy fields in blocks of 250 days."""
    blocks = {"chunks": (250, ROWS, COLUMNS), "name": False, "asarray": False, "meta": np.empty((0, 0, 0), "f4")}
    arrays = {name: dask.array.from_array(Source(name, [] if read is None else read), **blocks) for name in names}
    return xr.Dataset(
        {name: (("time", "lat", "lon"), array, {"units": "K"}) for name, array in arrays.items()},
        coords={
            "time": np.datetime64("2020-01-01", "ns") + np.arange(DAYS) * np.timedelta64(1, "D"),
            "lat": np.linspace(50, 42, ROWS) if lat is None else lat,
            "lon": np.arange(COLUMNS) * 1.0,
        },
    )


CHOICES = [("standard", "mask"), ("standard", "mean"), ("paper", "error")]


def same(a, b):
    for part in ("values", "mask", "minimum", "scale", "lat", "lon"):
        np.testing.assert_array_equal(getattr(a, part), getattr(b, part), err_msg=part)
    assert a.attrs == b.attrs


@pytest.mark.parametrize(("variant", "gaps"), CHOICES)
def test_lazy_fields_give_the_cube_of_loaded_ones(variant, gaps):
    fields = fields_of(["sea", "msl", "gap"])
    same(*(preprocess(each, variant, name="demo", gaps=gaps) for each in (fields, fields.compute())))


@pytest.mark.parametrize(("variant", "gaps"), CHOICES)
def test_blocks_do_not_change_the_cube(variant, gaps, monkeypatch, tmp_path):
    fields = fields_of(["sea", "msl", "gap"])
    whole = write_cube(preprocess(fields, variant, name="demo", gaps=gaps), tmp_path / "whole.nc")
    monkeypatch.setattr(scaling, "BLOCK_VALUES", 70 * ROWS * COLUMNS)
    monkeypatch.setattr(cubes, "CHUNK_VALUES", 130 * ROWS * COLUMNS)
    pieces = write_cube(preprocess(fields, variant, name="demo", gaps=gaps), tmp_path / "pieces.nc")
    same(whole, pieces)
    same(read_cube(tmp_path / "pieces.nc"), read_cube(tmp_path / "whole.nc"))
    with netCDF4.Dataset(tmp_path / "pieces.nc") as file:
        assert file["data"].chunking()[0] < DAYS


@pytest.mark.parametrize("variant", ["standard", "paper"])
def test_variables_are_read_one_after_the_other(variant):
    read, told = [], []
    preprocess(
        fields_of(["sea", "msl", "t2m"], read=read), variant, name="demo", progress=lambda *text: told.append(text[0])
    )
    once = [name for name in ("sea", "msl", "t2m") for _ in range(3)]
    assert read == (once if variant == "standard" else [*once, "sea", "sea", "sea"])
    assert told == ["preparing sea", "preparing msl", "preparing t2m"]


@pytest.mark.parametrize("variant", ["standard", "paper"])
def test_memory_beyond_the_cube_does_not_grow_with_the_number_of_variables(variant, monkeypatch):
    monkeypatch.setattr(scaling, "BLOCK_VALUES", 50 * ROWS * COLUMNS)
    beyond = []
    for count in (3, 15):
        fields = fields_of([f"sea{number}" for number in range(count)])
        tracemalloc.start()
        cube = preprocess(fields, variant, name="demo")
        beyond.append(tracemalloc.get_traced_memory()[1] - cube.values.nbytes)
        tracemalloc.stop()
    one_variable = values_of("sea").nbytes
    assert beyond[1] - beyond[0] < 5 * one_variable  # the graph and the scaler of 12 more, not their fields


def test_problems_of_all_variables_are_found_in_one_pass():
    fields = fields_of(["gap1", "msl", "gap2"])
    with pytest.raises(DataError, match=r"(?s)'gap1' misses some days.*'gap2' misses some days"):
        preprocess(fields, "standard", name="demo")


@pytest.mark.parametrize("lat", [np.linspace(90, -90, ROWS), np.linspace(-90, 90, ROWS), np.linspace(80, -85, ROWS)])
def test_padded_latitudes_stay_on_the_globe(lat, tmp_path):
    cube = preprocess(fields_of(["msl"], lat=lat), "paper", name="demo")
    np.testing.assert_array_equal(cube.lat[:ROWS], lat)
    assert cube.lat[-1] == np.sign(lat[-1]) * 90
    steps = np.diff(cube.lat) * np.sign(lat[1] - lat[0])
    assert (steps >= 0).all()
    write_cube(cube, tmp_path / "cube.nc")
    np.testing.assert_array_equal(read_cube(tmp_path / "cube.nc").unpadded().lat, lat)


def test_hash_of_a_view_is_that_of_its_copy():
    """A cube without its padding is a view with gaps in memory."""
    view = preprocess(fields_of(["msl", "t2m"]), "paper", name="demo").unpadded()
    assert not view.values.flags.c_contiguous
    assert content_hash(view) == content_hash(replace(view, values=view.values.copy()))
