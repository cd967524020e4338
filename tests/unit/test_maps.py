"""Maps of cluster means: numbers first, then that a picture comes out."""

import base64
import dataclasses
import io

import matplotlib.image
import numpy as np
import pytest

from regimebench.method_checks import tiny_cube
from regimebench.reporting.composites import Frame, composites, departures_of
from regimebench.reporting.figures import save
from regimebench.reporting.maps import draw_calendar, draw_cluster_means
from regimebench.reporting.outlines import outlines


def test_departures_are_in_physical_units_and_empty_clusters_left_out():
    cube = tiny_cube()
    labels = 2 * (np.arange(cube.n_days) < 20).astype(int)
    overall, departures = departures_of(cube, labels, 4)
    assert list(departures) == [0, 2]
    physical = cube.physical(cube.values)
    np.testing.assert_allclose(overall, np.mean(physical, axis=0), rtol=1e-5)
    np.testing.assert_allclose(departures[0], np.mean(physical[20:], axis=0) - overall, rtol=1e-4, atol=1e-5)
    assert np.isnan(departures[0][0, 0, 0])
    assert np.isfinite(departures[0][..., 1:]).all()


@pytest.mark.parametrize("curvilinear", [False, True])
def test_pictures_are_drawn_as_png_and_pdf(tmp_path, curvilinear):
    cube = curved(tiny_cube()) if curvilinear else tiny_cube()
    labels = np.arange(cube.n_days) % 3
    save(draw_cluster_means(cube, labels, "Toy"), tmp_path / "maps")
    save(draw_calendar(cube, [("one", labels), ("two", labels[::-1])]), tmp_path / "calendar")
    for name in ("maps", "calendar"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert (tmp_path / f"{name}.pdf").read_bytes().startswith(b"%PDF")


def curved(cube):
    lon, lat = np.meshgrid(cube.lon, cube.lat)
    return dataclasses.replace(cube, lat=lat + 0.1 * (lon - lon.mean()), lon=lon)


def test_a_map_of_the_page_has_north_up_whichever_way_the_rows_run():
    cube = tiny_cube()
    turned = dataclasses.replace(cube, lat=cube.lat[::-1])
    field = np.arange(cube.mask.shape[0] * cube.mask.shape[1], dtype=float).reshape(cube.mask.shape[:2])
    north, south = (pixels(Frame.of(each, False).image(field, 0, field.max(), "gray")) for each in (cube, turned))
    assert north[0, 0].sum() < north[-1, 0].sum(), "the first row is the northernmost and darkest"
    np.testing.assert_array_equal(north, south[::-1])


def pixels(uri):
    return matplotlib.image.imread(io.BytesIO(base64.b64decode(uri.partition(",")[2])))[..., :3]


def test_masked_cells_are_transparent_and_fine_grids_are_averaged():
    field = np.ones((200, 100))
    field[:3] = np.nan
    cube = tiny_cube()
    uri = Frame.of(cube, False).image(field, 0, 2, "viridis")
    image = matplotlib.image.imread(io.BytesIO(base64.b64decode(uri.partition(",")[2])))
    assert image.shape == (67, 34, 4)
    assert image[0, :, 3].max() == 0
    assert image[1:, :, 3].min() == 1


def test_degrees_stand_where_they_are_and_curved_grids_have_a_graticule():
    cube = tiny_cube()
    found = outlines(cube, coast=False)
    step = cube.lat[0] - cube.lat[1]
    for at, text in found.lat_ticks:
        row = at * len(cube.lat) - 0.5
        assert text == f"{cube.lat[0] - step * row:g}°N"
    assert {text[-1] for _, text in found.lon_ticks} == {"W"}
    assert not found.graticule
    assert not found.coast
    lines = outlines(curved(cube), coast=False).graticule
    assert lines
    assert all((line >= 0).all() and (line <= 1).all() for line in lines)


def test_coasts_are_drawn_across_the_date_line():
    lat, lon = np.linspace(-34, -48, 15), np.linspace(165, 195, 31)
    cube = dataclasses.replace(tiny_cube(rows=15, columns=31), lat=lat, lon=lon)
    found = outlines(cube, coast=True)
    places = [line.mean(axis=0) * (31, 15) - 0.5 for line in found.coast]
    chatham = [(lon, lat) for lon, lat in places if lon > 15]
    assert len(places) >= 3, "the two islands of New Zealand, and the Chatham Islands, which alone lie beyond 180"
    np.testing.assert_allclose(chatham, [(183.5 - 165, 44 - 34)] * len(chatham), atol=0.6)
    assert chatham
    assert "180°" in [text for _, text in found.lon_ticks]


def test_composites_say_what_their_colours_mean():
    cube = tiny_cube()
    labels = np.arange(cube.n_days) // 30
    frame = Frame.of(cube, coast=False)
    variables = composites(frame, labels, 2)
    assert [each["units"] for each in variables] == list(cube.units)
    _, departures = departures_of(cube, labels, 2)
    shown = [float(each["most"].replace("\u2212", "-")) for each in variables[0]["departures"]]
    np.testing.assert_allclose(shown, [np.nanmax(departures[i][..., 0]) for i in (0, 1)], atol=0.01)
