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


def test_blocks_lie_where_the_cells_of_the_message_lie(tmp_path):
    part = february("2m_temperature")
    path = received(tmp_path, part, Carra())
    with open(path, "rb") as file:
        handle = eccodes.codes_grib_new_from_file(file)
    lat, lon = (eccodes.codes_get_array(handle, key).reshape(36, 40) for key in ("latitudes", "longitudes"))
    eccodes.codes_release(handle)
    cells = accepted(tmp_path, part, accept=Coarsen(2, 1, "rotated", keep=False))
    assert cells["lat"].values == pytest.approx(lat[2:-2, 2:-2], abs=1e-9)
    assert cells["lon"].values == pytest.approx(lon[2:-2, 2:-2] - 360, abs=1e-9)
    # Blocks of an even number of cells: the centre lies amid four cells.
    blocks = accepted(tmp_path, part)
    around = lat[5:7, 4:6]
    assert around.min() < blocks["lat"].values[0, 0] < around.max()
    assert np.diff(blocks["x"].values) == pytest.approx(15_000)
    assert np.diff(blocks["y"].values) == pytest.approx(15_000)


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
    assert month["t2m"].attrs == {"units": "K", "cell_methods": "time: mean area: mean"}
    assert month["x"].attrs == {"units": "m", "standard_name": "projection_x_coordinate"}


@pytest.mark.parametrize("place", [{"jScansPositively": 0}, {"iScansNegatively": 1}], ids=["north first", "east first"])
def test_any_order_of_rows_and_columns_gives_ascending_axes(tmp_path, place):
    part = february("2m_temperature")
    usual = accepted(tmp_path, part, Carra())
    other = accepted(tmp_path, part, Carra(place=place))
    axis = "y" if "jScansPositively" in place else "x"
    assert (np.diff(other["x"]) > 0).all()
    assert (np.diff(other["y"]) > 0).all()
    assert other["t2m"].values == pytest.approx(usual["t2m"].isel({axis: slice(None, None, -1)}).values, abs=1e-3)
    # The first cell is the same; the grid now extends the other way from it.
    assert float(other[axis].max()) < float(usual[axis].min())


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
    assert month["tp"].attrs == {"units": "kg m**-2", "cell_methods": "time: sum area: mean"}


def test_winds_that_claim_to_point_east_are_noted(tmp_path, caplog):
    service = Carra()
    usual = accepted(tmp_path, february(U, V), service)
    claimed = accepted(tmp_path, february(U, V), replace(service, place={"uvRelativeToGrid": 0}))
    assert "CARRA's documentation says along the grid" in caplog.text
    assert "along the grid" in claimed.attrs["comment"]
    assert "comment" not in usual.attrs
    xr.testing.assert_equal(usual, claimed)
