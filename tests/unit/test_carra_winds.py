"""The winds of CARRA: along the axes of its map, towards east and north, and their speed."""

import eccodes
import netCDF4
import numpy as np
import pytest

from datasets.blocks.lambert import Lambert
from datasets.carra import messages
from datasets.carra.coarse import Coarsen
from regimebench.dataset import DataError
from tests.servers.carra import Carra
from tests.unit.test_carra_month import U, V, accepted, february, received

EARTH = 6371229.0
MAPS = {
    "carra west": Lambert((72.0, 72.0), 72.0, 324.0, EARTH),
    "carra east": Lambert((80.0, 80.0), 80.0, -34.0, 6367470.0),
    "two parallels": Lambert((33.0, 45.0), 39.0, 265.0, EARTH),
    "southern": Lambert((-45.0, -33.0), -39.0, 170.0, EARTH),
}
PLACES = np.array([[62.0, -70.0], [78.0, -20.0], [71.0, -36.0], [40.0, -100.0], [-42.0, 179.0], [83.0, 60.0]])


@pytest.mark.parametrize("projection", MAPS.values(), ids=MAPS)
def test_the_turn_is_the_direction_of_north_on_the_map(projection):
    """Against the derivative of the projection, which knows no formula for the turn."""
    lat, lon = PLACES.T
    step = 1e-5
    (x0, y0), (x1, y1) = projection.forward(lat - step, lon), projection.forward(lat + step, lon)
    north = (x1 - x0) + 1j * (y1 - y0)
    angle = np.radians(projection.convergence(lon))
    assert north / abs(north) == pytest.approx(-np.sin(angle) + 1j * np.cos(angle), abs=1e-8)
    # East is a quarter turn to the right of it: the map is conformal.
    (x0, y0), (x1, y1) = projection.forward(lat, lon - step), projection.forward(lat, lon + step)
    east = (x1 - x0) + 1j * (y1 - y0)
    assert east / abs(east) == pytest.approx(north / abs(north) / 1j, abs=1e-8)


def test_two_parallels_close_to_each_other_are_almost_one():
    one, two = (Lambert((72 - apart, 72 + apart), 72.0, 324.0, EARTH).cone for apart in (0, 1e-3))
    assert one == np.sin(np.radians(72))
    assert two == pytest.approx(one, abs=1e-8)


@pytest.mark.parametrize("name", ["carra west", "two parallels", "southern"])
def test_places_are_those_of_eccodes(name):
    projection = MAPS[name]
    start = {"carra west": (55.81, 302.903), "two parallels": (30.0, 250.0), "southern": (-50.0, 160.0)}[name]
    handle = eccodes.codes_grib_new_from_samples("GRIB2")
    keys = {
        "gridType": "lambert", "shapeOfTheEarth": 6, "Nx": 50, "Ny": 40, "DxInMetres": 50_000, "DyInMetres": 50_000,
        "latitudeOfFirstGridPointInDegrees": start[0], "longitudeOfFirstGridPointInDegrees": start[1],
        "LaDInDegrees": projection.latitude, "LoVInDegrees": projection.longitude, "jScansPositively": 1,
        "Latin1InDegrees": projection.parallels[0], "Latin2InDegrees": projection.parallels[1],
    }  # fmt: skip
    for key, value in keys.items():
        eccodes.codes_set(handle, key, value)
    eccodes.codes_set_values(handle, np.zeros(2000))
    lat, lon = (eccodes.codes_get_array(handle, key).reshape(40, 50) for key in ("latitudes", "longitudes"))
    eccodes.codes_release(handle)
    x, y = projection.forward(*start)
    found = projection.inverse(*np.meshgrid(x + 50_000 * np.arange(50), y + 50_000 * np.arange(40)))
    assert found[0] == pytest.approx(lat, abs=1e-9)
    assert np.abs((found[1] - lon + 180) % 360 - 180).max() < 1e-9


class Eastward(Carra):
    """Answers with a wind towards east everywhere, written along the axes of the map.

    Where east is on the map is taken from places a little apart.
    """

    def values(self, name, date):
        projection, step = MAPS["carra west"], 1e-5
        x, y = projection.forward(55.81, 302.903)
        lat, lon = projection.inverse(*np.meshgrid(x + 2500 * np.arange(self.nx), y + 2500 * np.arange(self.ny)))
        before, after = projection.forward(lat, lon - step), projection.forward(lat, lon + step)
        east = np.array([after[0] - before[0], after[1] - before[1]])
        return speed(date) * (east / np.hypot(*east))[(U, V).index(name)]


def speed(date):
    """Return the wind of a day in m/s; it varies, because a wind that never changes is refused."""
    return 10.0 + date.astype("datetime64[D]").astype(int) % 3


def test_an_east_wind_is_an_east_wind_everywhere(tmp_path):
    service = Eastward()
    month = accepted(tmp_path, february(U, V), service)
    assert list(month.data_vars) == ["u10", "v10"]
    assert month["u10"].values == pytest.approx(
        np.broadcast_to(speed(month["time"].values)[:, None, None], (28, 5, 6)), abs=1e-4
    )
    assert month["v10"].values == pytest.approx(0, abs=1e-4)
    assert month["u10"].attrs["standard_name"] == "eastward_wind"
    on_grid = accepted(tmp_path, february(U, V, wind="grid"), service, Coarsen(2, 6, "grid", keep=False))
    assert (on_grid["v10_grid"].values < -3).all()  # west of the central meridian the map's x points south of east


@pytest.mark.parametrize("wind", ["rotated", "grid", "speed"])
def test_the_strength_of_the_wind_is_that_of_the_message(tmp_path, wind):
    service = Carra()
    month = accepted(tmp_path, february(U, V, wind=wind), service, Coarsen(2, 1, wind, keep=False))
    day = np.datetime64("2021-02-05")
    u, v = (service.values(name, day)[2:-2, 2:-2] for name in (U, V))
    arrays = [month[name].sel(time=day).values for name in month.data_vars]
    assert len(arrays) == (1 if wind == "speed" else 2)
    assert np.hypot(*arrays, *([0] if wind == "speed" else [])) == pytest.approx(np.hypot(u, v), abs=1e-4)
    if wind == "grid":
        assert arrays[0] == pytest.approx(u, abs=1e-4)
        assert month["v10_grid"].attrs["standard_name"] == "y_wind"


def test_one_component_along_the_grid(tmp_path):
    month = accepted(tmp_path, february(V, wind="grid"), accept=Coarsen(2, 6, "grid", keep=False))
    assert list(month.data_vars) == ["v10_grid"]
    assert month["v10_grid"].attrs["standard_name"] == "y_wind"


def test_a_month_of_one_component_is_refused_where_both_were_asked_for(tmp_path):
    part, half = february(U, V), february(U, wind="grid")
    path = received(tmp_path, half, Carra())
    with pytest.raises(DataError, match=f"there is no {V} .*the file holds 10u"):
        Coarsen(2, 6, "rotated", keep=False)(path, part.file(tmp_path), part)


def test_the_map_of_a_real_file(real_data, tmp_path):
    """CARRA's east domain: its file gives metres from its first cell, and where that cell lies."""
    with netCDF4.Dataset(real_data / "carra" / "carra_east_20140302T05_albedo_test.nc") as file:
        told = file["Lambert_Conformal"]
        start = told.latitudeOfFirstGridPointInDegrees, told.longitudeOfFirstGridPointInDegrees
        parallel, meridian, radius = told.standard_parallel, told.longitude_of_central_meridian, told.earth_radius
        offset = told.false_easting, told.false_northing
        shape = file["var84"].shape[-2:]
    place = {
        "shapeOfTheEarth": 0, "LaDInDegrees": parallel, "Latin1InDegrees": parallel, "Latin2InDegrees": parallel,
        "LoVInDegrees": meridian % 360, "latitudeOfFirstGridPointInDegrees": start[0],
        "longitudeOfFirstGridPointInDegrees": start[1] % 360,
    }  # fmt: skip
    service = Carra(nx=shape[1], ny=shape[0], place=place)
    part = february("2m_temperature")
    found = messages.headers(received(tmp_path, part, service), part.stem)
    grid = messages.grid(found, part.stem)
    assert grid.projection == Lambert((parallel, parallel), parallel, meridian % 360, radius)
    assert (grid.x[0], grid.y[0]) == pytest.approx((-offset[0], -offset[1]), abs=0.01)
    month = Coarsen(16, 64, "rotated", keep=False).month(tmp_path / "answer.received", part)
    assert dict(month.sizes) == {"time": 28, "y": 14, "x": 11}
    # Spitsbergen and northern Norway lie in it, Iceland does not.
    lat, lon = month["lat"].values, month["lon"].values
    near = [
        np.hypot(lat - y, (lon - x) * np.cos(np.radians(y))).min() for y, x in ((78.2, 15.6), (69.6, 18.9), (65, -18))
    ]
    assert near[0] < 1.1
    assert near[1] < 1.1
    assert near[2] > 3
