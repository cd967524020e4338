"""Preprocessing: both variants against a brute-force computation, what they agree on, and every refusal."""

import csv
import logging

import numpy as np
import pytest
import xarray as xr
from scipy.spatial.distance import pdist
from sklearn.preprocessing import MinMaxScaler

from regimebench.cube import content_hash, read_cube
from regimebench.dataset import DataError, Dataset
from regimebench.preprocess import prepare, preprocess
from regimebench.units import cf_units


def make_fields(days=40, rows=41, columns=41, start="2020-02-01", land=True, seed=0):
    rng = np.random.default_rng(seed)
    shape = (days, rows, columns)
    sst = rng.normal(290, 5, shape)
    if land:
        sst[:, : rows // 4, : columns // 4] = np.nan
    arrays = {
        "sst": (sst, "K"),
        "msl": (rng.normal(101_325, 800, shape), "Pa"),
        "u10": (rng.normal(2, 6, shape), "m s**-1"),
    }
    return xr.Dataset(
        {key: (("time", "lat", "lon"), values, {"units": units}) for key, (values, units) in arrays.items()},
        coords={
            "time": np.datetime64(start, "ns") + np.arange(days) * np.timedelta64(1, "D"),
            "lat": np.linspace(43, 33, rows),
            "lon": np.linspace(-33, -23, columns),
        },
        attrs={"source": "made up", "license": "CC0", "references": "none"},
    )


def authors_matrix(fields, size):
    """Do what the DSC notebook does, step by step: pad with zeros, fill with the overall mean, scale columns."""
    data = np.stack([fields[key].values for key in fields.data_vars])
    data = np.pad(data, ((0, 0), (0, 0), (0, size - data.shape[2]), (0, size - data.shape[3])))
    data = np.where(np.isnan(data), np.nanmean(data), data)
    return MinMaxScaler().fit_transform(np.moveaxis(data, 0, -1).reshape(data.shape[1], -1))


def flat(cube):
    return cube.values.reshape(cube.n_days, -1).astype(np.float64)


def test_paper_variant_is_the_authors_computation():
    fields = make_fields()
    cube = preprocess(fields, "paper", name="demo")
    assert cube.values.shape == (40, 48, 48, 3)
    np.testing.assert_allclose(flat(cube), authors_matrix(fields, 48), atol=1e-7)
    assert cube.attrs["padded_cells"] == [7, 7]


def test_paper_variant_fills_cells_that_miss_some_days_with_the_overall_mean():
    fields = make_fields(days=10, rows=5, columns=6)
    fields["msl"][3, 2, 2] = np.nan
    cube = preprocess(fields, "paper", name="demo")
    np.testing.assert_allclose(flat(cube), authors_matrix(fields, 16), atol=1e-6)
    for gaps in ("mask", "mean"):
        np.testing.assert_array_equal(preprocess(fields, "paper", name="demo", gaps=gaps).values, cube.values)
    assert cube.mask[2, 2, 1]
    assert cube.attrs["filled_columns"] == 1


def test_standard_variant_is_plain_scaling_of_the_present_columns():
    fields = make_fields()
    cube = preprocess(fields, "standard", name="demo")
    assert cube.values.shape == (40, 41, 41, 3)
    present = cube.mask.reshape(-1)
    assert (~cube.mask[..., 0]).sum() == 10 * 10
    assert cube.mask[..., 1:].all()
    raw = np.moveaxis(np.stack([fields[key].values for key in fields.data_vars]), 0, -1).reshape(40, -1)
    np.testing.assert_allclose(cube.table[:, present], MinMaxScaler().fit_transform(raw[:, present]), atol=1e-7)
    assert not cube.table[:, ~present].any()


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_distances_do_not_depend_on_padding_and_fill(metric):
    fields = make_fields()
    standard, paper = (flat(preprocess(fields, variant, name="demo")) for variant in ("standard", "paper"))
    assert paper.shape[1] > standard.shape[1]
    np.testing.assert_allclose(pdist(standard, metric), pdist(paper, metric), rtol=1e-9)


def test_pooled_variance_depends_on_padding():
    fields = make_fields(land=False)
    standard, paper = (flat(preprocess(fields, variant, name="demo")) for variant in ("standard", "paper"))
    share = 41 * 41 / 48**2
    mean, variance = float(standard.mean()), float(standard.var())
    predicted = share * (variance + mean**2) - (share * mean) ** 2
    assert paper.var() == pytest.approx(predicted, rel=1e-6)
    assert paper.var() > 1.5 * variance


def test_table_methods_see_the_same_matrix_in_both_variants():
    """The authors pad for convolutions only: k-means, DEC and DTC got the 365 x 11767 matrix."""
    standard, paper = (preprocess(make_fields(), variant, name="demo") for variant in ("standard", "paper"))
    np.testing.assert_array_equal(paper.table, standard.table)
    assert paper.values.shape != standard.values.shape
    assert np.shares_memory(standard.table, standard.values)


def test_a_cube_without_its_padding_is_whole():
    standard, paper = (preprocess(make_fields(), variant, name="demo") for variant in ("standard", "paper"))
    cut = paper.unpadded()
    for part in ("lat", "lon", "values"):
        np.testing.assert_array_equal(getattr(cut, part), getattr(standard, part))
    assert cut.padding == (0, 0)
    assert cut.physical(cut.values).shape == cut.values.shape
    np.testing.assert_array_equal(cut.mask, standard.mask)


@pytest.mark.parametrize("variant", ["standard", "paper"])
def test_scaler_maps_back_to_physical_units(variant):
    fields = make_fields()
    cube = preprocess(fields, variant, name="demo")
    physical = cube.physical(cube.values)
    for index, name in enumerate(cube.variables):
        expected = fields[name].values
        np.testing.assert_allclose(physical[:, :41, :41, index], expected, rtol=1e-6, atol=1e-5)
    assert np.isnan(physical[:, 41:]).all()
    assert np.isnan(physical[:, :, 41:]).all()


def test_padded_axes_continue_at_the_high_index_end():
    cube = preprocess(make_fields(), "paper", name="demo")
    np.testing.assert_allclose(cube.lat, 43 - 0.25 * np.arange(48))
    np.testing.assert_allclose(cube.lon, -33 + 0.25 * np.arange(48))
    assert not cube.mask[41:].any()


def test_sizes_that_fit_are_not_padded():
    assert preprocess(make_fields(days=3, rows=16, columns=32), "paper", name="demo").values.shape == (3, 16, 32, 3)
    assert preprocess(make_fields(days=3, rows=5, columns=6), "paper", name="demo", multiple=4).values.shape == (
        3,
        8,
        8,
        3,
    )


def test_leap_year_and_order_of_days():
    fields = make_fields(days=366, rows=3, columns=4, start="2020-01-01")
    cube = preprocess(fields, "standard", name="demo")
    np.testing.assert_array_equal(cube.time, np.arange("2020-01-01", "2021-01-01", dtype="datetime64[D]"))
    ranks = cube.values[:, 1, 1, 1].argsort()
    np.testing.assert_array_equal(ranks, fields["msl"].values[:, 1, 1].argsort())


def test_time_of_day_is_dropped():
    fields = make_fields(days=5, rows=3, columns=4)
    fields["time"] = fields["time"] + np.timedelta64(12, "h")
    assert str(preprocess(fields, "standard", name="demo").time[0]) == "2020-02-01"


def test_provenance_and_units():
    cube = preprocess(make_fields(days=5, rows=3, columns=4), "standard", name="demo")
    assert cube.units == ("K", "Pa", "m s-1")
    assert cube.attrs["dataset"] == "demo"
    assert cube.attrs["preprocessing"] == "standard"
    assert cube.attrs["source"] == "made up"
    assert cube.attrs["license"] == "CC0"
    assert cube.attrs["missing_days"] == 0


def test_constant_column_becomes_zero_and_keeps_its_value():
    fields = make_fields(days=6, rows=3, columns=4, land=False)
    fields["msl"][:, 1, 1] = 100_000.0
    cube = preprocess(fields, "standard", name="demo")
    assert not cube.values[:, 1, 1, 1].any()
    assert cube.physical(cube.values)[0, 1, 1, 1] == 100_000
    assert cube.attrs["constant_columns"] == 1


def test_missing_days_are_recorded(caplog):
    fields = make_fields(days=60, rows=3, columns=4, start="2020-01-01").isel(time=np.r_[0:20, 40:60])
    with caplog.at_level(logging.WARNING):
        cube = preprocess(fields, "standard", name="demo")
    assert cube.attrs["missing_days"] == 20
    assert cube.attrs["day_gaps"] == "20 days are missing in 1 gaps, the first after 2020-01-20"
    assert "20 days are missing" in caplog.text


class TestGaps:
    @pytest.fixture
    def fields(self):
        fields = make_fields(days=10, rows=4, columns=4)
        fields["u10"][4:6, 3, 3] = np.nan
        return fields

    def test_error_names_variable_cells_day_and_options(self, fields):
        with pytest.raises(
            DataError, match=r"'u10' misses some days in 1 of 16 cells, the first on 2020-02-05.*mask.*mean"
        ):
            preprocess(fields, "standard", name="demo")

    def test_mask(self, fields):
        cube = preprocess(fields, "standard", name="demo", gaps="mask")
        assert not cube.mask[3, 3, 2]
        assert cube.mask[..., 2].sum() == 15
        assert not cube.values[:, 3, 3, 2].any()

    def test_mean(self, fields):
        cube = preprocess(fields, "standard", name="demo", gaps="mean")
        assert cube.mask[3, 3, 2]
        column = fields["u10"].values[:, 3, 3]
        back = cube.physical(cube.values)[:, 3, 3, 2]
        np.testing.assert_allclose(back[4:6], np.nanmean(column), rtol=1e-5)
        np.testing.assert_allclose(np.delete(back, [4, 5]), np.delete(column, [4, 5]), rtol=1e-5, atol=1e-5)
        assert cube.attrs["filled_columns"] == 1


def broken(kind):
    fields = make_fields(days=10, rows=4, columns=5, land=False)
    if kind == "duplicate":
        return fields.isel(time=[0, 1, 1, 2])
    if kind == "unordered":
        return fields.isel(time=[0, 2, 1, 3])
    if kind == "one day":
        return fields.isel(time=[0])
    if kind == "no time":
        return fields.drop_vars("time")
    if kind == "numbers":
        return fields.assign_coords(time=np.arange(10))
    if kind == "infinite":
        fields["msl"][2, 0, 0] = np.inf
    if kind == "constant":
        fields["msl"][:] = fields["msl"].values[0]
    if kind == "empty":
        fields["msl"][:] = np.nan
    if kind == "zero":
        fields["msl"][:] = 0.0
    if kind == "zero day":
        fields["msl"][7] = 0.0
    if kind == "level":
        fields["msl"] = fields["msl"].expand_dims(level=2)
    if kind == "latitude":
        fields["lat"] = np.array([1.0, 3.0, 2.0, 4.0])
    if kind == "pole":
        fields["lat"] = np.array([80.0, 85.0, 90.0, 95.0])
    if kind == "nothing":
        return fields[[]]
    return fields


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("duplicate", "the day 2020-02-02 occurs more than once"),
        ("unordered", "the day 2020-02-02 follows a later day"),
        ("one day", "there are 1 days; at least 2 are needed"),
        ("no time", "the coordinate 'time' is missing"),
        ("numbers", "time has type int64; dates"),
        ("infinite", "'msl' has 1 infinite values, the first on 2020-02-03"),
        ("constant", "'msl' has the same field every day"),
        ("empty", "'msl' has no values at all"),
        ("zero", "'msl' is 0 in every cell on every day"),
        ("zero day", "'msl' is 0 in every cell on 1 days, the first 2020-02-08, and on no other day"),
        ("level", r"'msl' has dimensions \('level', 'time', 'lat', 'lon'\)"),
        ("latitude", "lat is neither increasing nor decreasing"),
        ("pole", "lat reaches 95"),
        ("nothing", "there are no variables"),
    ],
)
@pytest.mark.parametrize("variant", ["standard", "paper"])
def test_refusals(kind, sentence, variant):
    with pytest.raises(DataError, match=f"(?s)data set 'demo': .*{sentence}"):
        preprocess(broken(kind), variant, name="demo")


def test_every_problem_is_listed():
    fields = broken("infinite")
    fields["sst"][:] = np.nan
    with pytest.raises(DataError, match=r"(?s)'sst' has no values at all.*'msl' has 1 infinite"):
        preprocess(fields, "standard", name="demo")


def test_dry_days_are_not_an_error(caplog):
    fields = make_fields(days=10, rows=4, columns=5, land=False)
    rain = np.random.default_rng(1).gamma(0.1, 1e-3, (10, 4, 5))
    rain[3] = 0
    fields["tp"] = (("time", "lat", "lon"), rain, {"units": "m"})
    with caplog.at_level(logging.WARNING):
        cube = preprocess(fields, "standard", name="demo")
    assert not cube.values[3, ..., 3].any()
    assert "'tp' is 0 in every cell on 1 days" in caplog.text


@pytest.mark.parametrize("option", [{"variant": "clean"}, {"variant": "standard", "gaps": "skip"}])
def test_unknown_options(option):
    with pytest.raises(DataError, match="allowed are"):
        preprocess(make_fields(days=3, rows=3, columns=3), name="demo", **option)


def test_lambert_grid_keeps_its_mapping():
    rng = np.random.default_rng(0)
    lat, lon = np.meshgrid(np.linspace(70, 72, 6), np.linspace(-40, -35, 5), indexing="ij")
    days = np.datetime64("2021-01-01", "ns") + np.arange(4) * np.timedelta64(1, "D")
    fields = xr.Dataset(
        {"t2m": (("time", "y", "x"), rng.normal(270, 5, (4, 6, 5)), {"units": "K"})},
        coords={
            "time": days,
            "lat": (("y", "x"), lat),
            "lon": (("y", "x"), lon),
            "y": np.arange(6) * 2500.0,
            "x": np.arange(5) * 2500.0,
            "crs": ((), 0, {"grid_mapping_name": "lambert_conformal_conic"}),
        },
    )
    for variant, shape in (("standard", (6, 5)), ("paper", (16, 16))):
        cube = preprocess(fields, variant, name="carra")
        assert cube.lat.shape == cube.lon.shape == shape
        np.testing.assert_array_equal(cube.lat[:6, :5], lat)
        assert cube.attrs["projection"]["grid_mapping"]["grid_mapping_name"] == "lambert_conformal_conic"
        assert cube.attrs["projection"]["x"].shape == (shape[1],)


class Planted(Dataset):
    """A data set that knows its truth."""

    def open(self, folder):
        return make_fields(days=6, rows=3, columns=4)

    def truth(self, folder):
        return np.array(self.params.get("truth", [0, 0, 1, 1, 2, 2]))

    def oracle(self, folder):
        return np.array([0, 0, 1, 1, 1, 2])


def test_prepare_writes_cube_and_truth_apart(tmp_path):
    prepare(
        Planted(), "demo", tmp_path, "standard", tmp_path / "demo" / "cube.nc", tmp_path / "truth" / "demo.csv", "error"
    )
    cube = read_cube(tmp_path / "demo" / "cube.nc")
    assert cube.n_days == 6
    with open(tmp_path / "truth" / "demo.csv") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["date", "truth", "oracle"]
    assert rows[5] == ["2020-02-05", "2", "1"]
    assert len(rows) == 7
    content = (tmp_path / "demo" / "cube.nc").read_bytes()
    assert b"truth" not in content
    assert b"oracle" not in content


def test_prepare_gives_the_same_hash_again(tmp_path):
    cubes = [prepare(Planted(), "demo", tmp_path, "standard", tmp_path / f"{i}.nc", None, "error") for i in range(2)]
    assert cubes[0].attrs["content_sha256"] == cubes[1].attrs["content_sha256"] == content_hash(cubes[0])
    assert not (tmp_path / "truth").exists()


@pytest.mark.parametrize("truth", [[0, 1], [0.0, 0.5, 1, 1, 2, 2]])
def test_prepare_refuses_a_wrong_truth(tmp_path, truth):
    with pytest.raises(DataError, match=r"truth has shape .* one whole number for each of the 6 days"):
        prepare(Planted(truth=truth), "demo", tmp_path, "standard", tmp_path / "cube.nc", tmp_path / "t.csv", "error")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("m s**-1", "m s-1"),
        ("J m**-2", "J m-2"),
        ("m**2 s**-2", "m2 s-2"),
        ("kg kg**-1", "kg kg-1"),
        ("degK", "K"),
        ("millibar", "hPa"),
        ("Pascals", "Pa"),
        ("Kg/m^2/s", "kg m-2 s-1"),
        ("grams/kg", "g kg-1"),
        ("m/s", "m s-1"),
        ("(0 - 1)", "1"),
        ("", "1"),
        (None, "1"),
        ("%", "%"),
        ("m s-1", "m s-1"),
        ("days since 1970-01-01", "days since 1970-01-01"),
    ],
)
def test_cf_units(text, expected):
    assert cf_units(text) == expected


def test_masking_away_a_whole_variable_is_refused():
    fields = make_fields(days=40, rows=5, columns=6, land=False)
    for cell in range(30):
        fields["msl"][cell, cell // 6, cell % 6] = np.nan
    with pytest.raises(DataError, match="variable msl has no cell with a value on every day"):
        preprocess(fields, "standard", name="demo", gaps="mask")
