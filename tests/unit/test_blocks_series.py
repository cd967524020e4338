"""Cubes as series: order, blocks, masks and padding."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from method_cubes import make_cube, padded

from methods.blocks.series import block_means, cells, flattened, square_means, windows_of


@pytest.fixture
def cube():
    return make_cube(np.random.default_rng(0).standard_normal((4, 3, 5, 2)))


def test_flattened_goes_variable_by_variable_and_ends_in_zeros(cube):
    series = flattened(cube, multiple=8)
    assert series.shape == (4, 32, 1)
    expected = np.concatenate([cube.values[1, :, :, variable].ravel() for variable in (0, 1)])
    np.testing.assert_array_equal(series[1, :30, 0], expected)
    assert (series[:, 30:] == 0).all()
    assert flattened(cube, multiple=15).shape == (4, 30, 1)


def test_cells_go_to_and_fro(cube):
    series = cells(cube, max_steps=15)
    v = cube.values[2]
    expected = np.concatenate([v[0], v[1, ::-1], v[2]])
    np.testing.assert_array_equal(series[2], expected)
    np.testing.assert_array_equal(cells(cube, 15, multiple=4)[2, 15:], np.zeros((1, 2)))


def test_blocks_are_the_smallest_that_fit(cube):
    blocks = square_means(cube, max_blocks=6)
    assert blocks.shape == (4, 2, 3, 2)
    np.testing.assert_allclose(blocks[:, 0, 1], cube.values[:, :2, 2:4].mean(axis=(1, 2)), rtol=1e-6)
    np.testing.assert_allclose(blocks[:, 1, 2], cube.values[:, 2, 4], rtol=1e-6)
    assert square_means(cube, max_blocks=5).shape == (4, 1, 2, 2)
    np.testing.assert_allclose(block_means(cube, 1), cube.values.mean(axis=(1, 2)), rtol=1e-6)


@pytest.mark.parametrize(("shape", "side"), [((7, 10), 1), ((41, 41), 3), ((73, 144), 8)])
def test_steps_stay_below_the_limit_on_any_grid(shape, side):
    cube = make_cube(np.random.default_rng(0).standard_normal((2, *shape, 1)))
    steps = -(-shape[0] // side) * -(-shape[1] // side)
    assert cells(cube, max_steps=200).shape == (2, steps, 1)
    assert steps <= 200
    assert side == 1 or -(-shape[0] // (side - 1)) * -(-shape[1] // (side - 1)) > 200


def test_masked_cells_do_not_count_and_empty_blocks_are_zero(cube):
    mask, values = cube.mask.copy(), cube.values.copy()
    mask[0, 0, 0] = mask[:2, 2:4, 1] = False
    masked = replace(cube, mask=mask, values=np.where(mask, values, 0))
    blocks = square_means(masked, max_blocks=6)
    three = values[:, [0, 1, 1], [1, 0, 1], 0].mean(axis=1)
    np.testing.assert_allclose(blocks[:, 0, 0, 0], three, rtol=1e-6)
    assert (blocks[:, 0, 1, 1] == 0).all()


def test_padded_cells_are_left_out(cube):
    for series in (flattened, lambda c: cells(c, 100), lambda c: block_means(c, 4)):
        np.testing.assert_array_equal(series(padded(cube, 1, 2)), series(cube))


def test_the_cube_is_left_alone(cube):
    before = cube.values.copy()
    cells(cube, 15)[:] = 7
    flattened(cube)[:] = 7
    np.testing.assert_array_equal(cube.values, before)


def test_no_blocks_at_all_is_refused(cube):
    with pytest.raises(ValueError, match="at most 0 blocks"):
        block_means(cube, 0)


def test_windows_are_centred_and_repeat_the_ends(cube):
    x = block_means(cube, 1)
    windows = windows_of(x, 3)
    assert windows.shape == (4, 3, 2)
    np.testing.assert_array_equal(windows[0], x[[0, 0, 1]])
    np.testing.assert_array_equal(windows[2], x[[1, 2, 3]])
    np.testing.assert_array_equal(windows[3], x[[2, 3, 3]])
