"""A month of CARRA as it arrives: what is refused, and what becomes of the rest."""

import io
import zipfile
from dataclasses import replace

import eccodes
import numpy as np
import pytest
import xarray as xr

from datasets.carra import plan
from datasets.carra.coarse import Coarsen
from regimebench.dataset import DataError
from tests.servers.carra import Carra
from tests.unit.test_carra_plan import DEFAULTS

U, V = "10m_u_component_of_wind", "10m_v_component_of_wind"
MARGIN, BLOCK = 2, 6
ACCEPT = Coarsen(MARGIN, BLOCK, "rotated", keep=False)
CELLS = Coarsen(0, 1, "rotated", keep=False)  # blocks of one cell


def february(*variables, **changes):
    """Return the part of February 2021."""
    params = {**DEFAULTS, "variables": list(variables), "margin": MARGIN, "block": BLOCK, **changes}
    return next(iter(plan.parts(params).values()))[1]


def received(folder, part, service):
    path = folder / "answer.received"
    path.write_bytes(service(part.source, part.request)[0])
    return path


def accepted(folder, part, service=None, accept=ACCEPT):
    """Return the coarse month that the plugin makes from an answer."""
    accept(received(folder, part, service or Carra()), part.file(folder), part)
    with xr.open_dataset(part.file(folder), decode_coords="all") as month:
        return month.load()


def block_means(field, rows, columns):
    """Return means over 6 x 6 cells, first cells given, by loops."""
    return np.array(
        [
            [
                np.mean([field[r + i, c + j] for i in range(6) for j in range(6)])
                for c in range(columns[0], columns[1], 6)
            ]
            for r in range(rows[0], rows[1], 6)
        ]
    )


@pytest.mark.parametrize("encoding", ["instant", "mean"])
def test_days_and_block_means(tmp_path, encoding):
    service = Carra(encoding=encoding)
    month = accepted(tmp_path, february("2m_temperature"), service)
    assert month["t2m"].dims == ("time", "y", "x")
    assert (month["time"].values == np.arange("2021-02", "2021-03", dtype="datetime64[D]")).all()
    # Of 36 rows 2 go at both ends; 5 blocks fit into 32, and one more row goes at both ends. Of 40 columns 36 are used.
    for day in (0, 27):
        field = service.values("2m_temperature", month["time"].values[day].astype("datetime64[D]"))
        assert month["t2m"].values[day] == pytest.approx(block_means(field, (3, 33), (2, 38)), abs=1e-3)


class Rough(Carra):
    """Neighbours differ, as over mountains."""

    def values(self, name, date):
        rng = np.random.default_rng(int(date.astype(int)))
        return super().values(name, date) - 15_000 * rng.random((self.ny, self.nx))


def test_means_are_as_exact_as_their_type(tmp_path):
    service = Rough(nx=70, ny=70)
    month = accepted(tmp_path, february("surface_pressure"), service, Coarsen(0, 64, "rotated", keep=False))
    for value, day in zip(month["sp"].values[:, 0, 0], month["time"].values.astype("datetime64[D]"), strict=True):
        mean = service.values("surface_pressure", day)[3:67, 3:67].mean()
        assert abs(float(value) - mean) <= np.spacing(np.float32(mean))


class Backwards(Carra):
    """The last day first."""

    def _messages(self, request):
        return reversed(list(super()._messages(request)))


def test_messages_may_come_in_any_order(tmp_path):
    part = february(U, V)
    xr.testing.assert_identical(accepted(tmp_path, part), accepted(tmp_path, part, Backwards()))


def test_cells_lie_where_eccodes_sees_them(tmp_path):
    part = february("2m_temperature")
    handle = eccodes.codes_new_from_message(Carra()(part.source, part.request)[0])
    keys = ("latitudes", "longitudes", "values")
    lat, lon, values = (eccodes.codes_get_array(handle, key).reshape(36, 40) for key in keys)
    eccodes.codes_release(handle)
    cells = accepted(tmp_path, part, accept=CELLS)
    assert cells["lat"].values == pytest.approx(lat, abs=1e-9)
    assert cells["lon"].values == pytest.approx(lon - 360, abs=1e-9)
    assert cells["t2m"].values[0] == pytest.approx(values, abs=1e-4)


@pytest.mark.parametrize(
    ("order", "row", "column"),
    [({}, 0, 0), ({"jScansPositively": 0}, -1, 0), ({"iScansNegatively": 1}, 0, -1)],
    ids=["south-west first", "north-west first", "south-east first"],
)
def test_the_first_cell_lies_where_the_message_says_and_the_others_beside_it(tmp_path, order, row, column):
    """GRIB edition 2, flag table 3.4 (which eccodes does not apply to the places of a Lambert grid)."""
    service = Carra(place=order)
    cells = accepted(tmp_path, february("2m_temperature"), service, CELLS)
    assert np.diff(cells["x"]) == pytest.approx(2500)
    assert np.diff(cells["y"]) == pytest.approx(2500)
    first = cells.isel(y=row, x=column)
    assert (float(first["lat"]), float(first["lon"])) == pytest.approx((55.81, 302.903 - 360), abs=1e-9)
    field = service.values("2m_temperature", np.datetime64("2021-02-01"))
    turned = field[:: -1 if row else 1, :: -1 if column else 1]
    assert cells["t2m"].values[0] == pytest.approx(turned, abs=1e-3)


def test_blocks_lie_amid_their_cells(tmp_path):
    cells = accepted(tmp_path, february("2m_temperature"), accept=CELLS)
    blocks = accepted(tmp_path, february("2m_temperature"))
    around = cells.isel(y=slice(5, 7), x=slice(4, 6))  # the middle four of rows 3 to 8 and columns 2 to 7
    for key in ("lat", "lon"):
        assert around[key].values.min() < blocks[key].values[0, 0] < around[key].values.max()
    assert blocks["x"].values[:2] == pytest.approx(around["x"].values.mean() + np.array([0, 15_000]))
    assert blocks["y"].values[:2] == pytest.approx(around["y"].values.mean() + np.array([0, 15_000]))


def test_the_map_is_described_as_cf_asks(tmp_path):
    month = accepted(tmp_path, february("2m_temperature"))
    assert month["crs"].attrs == {
        "grid_mapping_name": "lambert_conformal_conic",
        "standard_parallel": 72.0,
        "longitude_of_central_meridian": -36.0,
        "latitude_of_projection_origin": 72.0,
        "false_easting": 0.0,
        "false_northing": 0.0,
        "earth_radius": 6371229.0,
    }
    assert month["t2m"].encoding["grid_mapping"] == "crs"
    assert month["t2m"].attrs == {
        "units": "K",
        "long_name": "2 metre temperature",
        "cell_methods": "time: mean area: mean",
    }
    assert month["x"].attrs == {"units": "m", "standard_name": "projection_x_coordinate"}


def test_missing_cells_where_they_are_allowed(tmp_path):
    service = Carra()
    part = february("sea_surface_temperature")
    month = accepted(tmp_path, part, service)
    # Cells 0-5 x 0-6 have no value: none of the block of rows 3-8 and columns 2-7 is lost, but it has fewer cells.
    field = service.values("sea_surface_temperature", np.datetime64("2021-02-01"))
    assert not np.isnan(month["sst"]).any()
    assert month["sst"].values[0, 0, 0] == pytest.approx(np.nanmean(field[3:9, 2:8]), abs=1e-3)
    fine = accepted(tmp_path, part, service, Coarsen(0, 3, "rotated", keep=False))
    assert np.isnan(fine["sst"].values[:, :2, :2]).all()
    assert not np.isnan(fine["sst"].values[:, 2:]).any()


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("missing day", "2021-02-10 is not there"),
        ("day twice", "2021-02-08 is more than once"),
        ("wrong variable", "there is no 2m_temperature (in GRIB 2t or avg_2t); the file holds sp"),
        ("another variable too", "the file holds 2t, sp where 2m_temperature was asked for"),
        ("lat-lon", "the fields are on a regular_ll grid where CARRA's own Lambert grid is expected"),
        ("two grids", "lies on another grid than 2t of 2021-02-01 (LoVInDegrees is 325.0 and 324.0)"),
        ("oblate", "an earth that is no sphere"),
        ("gap", "misses values in 42 of 1440 cells"),
        ("zeros", "is 0 in every cell"),
        ("too warm", "has the value 990"),
        ("page", "neither NetCDF, GRIB nor Zarr"),
        ("netcdf", "the service sent a file of kind netcdf where GRIB was asked for"),
        ("truncated", "the GRIB file is damaged"),
    ],
)
def test_wrong_answers_are_refused_and_leave_nothing(tmp_path, fault, sentence):
    part = february("2m_temperature")
    path = received(tmp_path, part, Carra(fault=fault))
    with pytest.raises(DataError) as refused:
        ACCEPT(path, part.file(tmp_path), part)
    assert sentence in str(refused.value)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("variable", ["total_cloud_cover", "total_precipitation"])
def test_a_sky_without_any_cloud_is_a_failed_read(tmp_path, variable):
    part = february(variable)
    path = received(tmp_path, part, Carra(fault="zeros"))
    with pytest.raises(DataError, match="is 0 in every cell at every time"):
        ACCEPT(path, part.file(tmp_path), part)


def test_a_domain_too_small_for_a_block(tmp_path):
    part = february("2m_temperature")
    path = received(tmp_path, part, Carra())
    with pytest.raises(DataError, match="of 36 cells along one side, a margin of 16 at both ends leaves no block of 6"):
        Coarsen(16, 6, "rotated", keep=False)(path, part.file(tmp_path), part)


def test_columns_and_rows_come_from_the_message(tmp_path):
    month = accepted(tmp_path, february("2m_temperature"), Carra(fault="swapped"))
    assert dict(month.sizes) == {"time": 28, "y": 6, "x": 5}


@pytest.mark.parametrize("count", [1, 2])
def test_an_archive_of_one_file_is_unpacked(tmp_path, count):
    part = february("2m_temperature")
    expected = accepted(tmp_path, part)
    body = Carra()(part.source, part.request)[0]
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        for number in range(count):
            packed.writestr(f"data-{number}.grib", body)
    path = tmp_path / "answer.received"
    path.write_bytes(archive.getvalue())
    part.file(tmp_path).unlink()
    if count == 2:
        with pytest.raises(DataError, match="an archive of 2 files where one GRIB file was asked for"):
            ACCEPT(path, part.file(tmp_path), part)
    else:
        ACCEPT(path, part.file(tmp_path), part)
        with xr.open_dataset(part.file(tmp_path), decode_coords="all") as month:
            xr.testing.assert_identical(month.load(), expected)
    assert not list(tmp_path.glob("*.unpacked"))


def test_totals_say_so(tmp_path):
    month = accepted(tmp_path, february("total_precipitation"))
    assert month["tp"].attrs["units"] == "kg m-2"
    assert month["tp"].attrs["cell_methods"] == "time: sum area: mean"


def test_winds_that_claim_to_point_east_are_noted(tmp_path, caplog):
    service = Carra()
    usual = accepted(tmp_path, february(U, V), service)
    claimed = accepted(tmp_path, february(U, V), replace(service, place={"uvRelativeToGrid": 0}))
    assert "CARRA's documentation says along the grid" in caplog.text
    assert "along the grid" in claimed.attrs["comment"]
    assert "comment" not in usual.attrs
    xr.testing.assert_equal(usual, claimed)
