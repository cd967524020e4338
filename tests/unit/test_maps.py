"""Maps of cluster means: numbers first, then that a picture comes out."""

import numpy as np
import pytest

from regimebench.maps import _matched, cluster_means, draw_calendar, draw_cluster_means
from regimebench.method_checks import tiny_cube


def test_cluster_means_are_in_physical_units_largest_cluster_first():
    cube = tiny_cube()
    labels = (np.arange(cube.n_days) < 20).astype(int)
    sizes, means = cluster_means(cube, labels)
    assert sizes.tolist() == [40, 20]
    physical = cube.physical(cube.values)
    np.testing.assert_allclose(means[0], np.mean(physical[20:], axis=0), rtol=1e-5)
    assert np.isnan(means[:, 0, 0, 0]).all()
    assert np.isfinite(means[..., 1:]).all()


def test_colours_of_rows_that_agree_are_the_same():
    reference = np.array([0, 0, 0, 1, 1, 2])
    assert _matched(np.array([2, 2, 2, 0, 0, 1]), reference).tolist() == reference.tolist()


def test_more_clusters_than_the_reference_get_colours_of_their_own():
    matched = _matched(np.array([0, 0, 1, 2, 2, 3]), np.array([0, 0, 0, 1, 1, 1]))
    assert len(set(matched)) == 4
    assert matched[0] == 0
    assert matched[3] == 1


@pytest.mark.parametrize("curvilinear", [False, True])
def test_pictures_are_drawn(tmp_path, curvilinear):
    cube = tiny_cube()
    if curvilinear:
        lon, lat = np.meshgrid(cube.lon, cube.lat)
        cube = type(cube)(**{**vars(cube), "lat": lat, "lon": lon})
    labels = np.arange(cube.n_days) % 3
    draw_cluster_means(cube, labels, "Toy", tmp_path / "a" / "maps.png")
    draw_calendar(cube, [("one", labels), ("two", labels[::-1])], tmp_path / "a" / "calendar.png")
    for name in ("maps", "calendar"):
        assert (tmp_path / "a" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
