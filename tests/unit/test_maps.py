"""Maps of cluster means: numbers first, then that a picture comes out."""

import numpy as np
import pytest

from regimebench.method_checks import tiny_cube
from regimebench.reporting.maps import cluster_means, draw_calendar, draw_cluster_means


def test_cluster_means_are_in_physical_units_largest_cluster_first():
    cube = tiny_cube()
    labels = (np.arange(cube.n_days) < 20).astype(int)
    sizes, means = cluster_means(cube, labels)
    assert sizes.tolist() == [40, 20]
    physical = cube.physical(cube.values)
    np.testing.assert_allclose(means[0], np.mean(physical[20:], axis=0), rtol=1e-5)
    assert np.isnan(means[:, 0, 0, 0]).all()
    assert np.isfinite(means[..., 1:]).all()


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
