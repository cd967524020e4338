"""Ways to read a cube as one series per day: neither a day nor a map has a direction, so each is a choice."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from methods.blocks.day_windows import centred_windows
from regimebench.method import Cube


def flattened(cube: Cube, multiple: int = 1) -> Tensor:
    """Return each day as one univariate series, variable by variable, each row by row.

    The input of the DTC notebook of the DSC paper's authors, with a multiple of 8.

    Parameters
    ----------
    cube : Cube
        Padded cells are left out; masked ones are 0.
    multiple : int
        Append zeros until this divides the number of steps.

    Returns
    -------
    Tensor of float32, shape (time, steps, 1)
    """
    by_variable = np.moveaxis(cube.unpadded().values, 3, 1)
    steps = torch.tensor(by_variable.reshape(cube.n_days, -1, 1), dtype=torch.float32)
    return pad_steps(steps, multiple)


def cells(cube: Cube, max_steps: int, multiple: int = 1) -> Tensor:
    """Return each day as a series of grid cells with the variables as channels.

    The path goes to and fro (boustrophedon): along the first row, back along the second, and so on, so that neighbours
    in the series are neighbours on the map. Where the grid has too many cells, a step is the mean of a square block.

    Parameters
    ----------
    cube : Cube
        Padded cells are left out.
    max_steps : int
        Most cells or blocks per day, before zeros are appended.
    multiple : int
        Append zeros until this divides the number of steps.

    Returns
    -------
    Tensor of float32, shape (time, steps, variable)
    """
    blocks = square_means(cube, max_steps)
    blocks[:, 1::2] = blocks[:, 1::2, ::-1].copy()
    steps = torch.tensor(blocks.reshape(cube.n_days, -1, blocks.shape[3]), dtype=torch.float32)
    return pad_steps(steps, multiple)


def block_means(cube: Cube, max_cells: int) -> Tensor:
    """Return the table of block means, shape (time, n_blocks * variable), of at most ``max_cells`` square blocks."""
    return torch.tensor(square_means(cube, max_cells).reshape(cube.n_days, -1), dtype=torch.float32)


def windows_of(x: Tensor, length: int) -> Tensor:
    """Return the ``length`` days around each day, shape (time, length, d), from one row per day, shape (time, d).

    At both ends of the record the first and the last day are repeated.
    """
    return x[centred_windows(len(x), length).to(x.device)]


def pad_steps(x: Tensor, multiple: int) -> Tensor:
    """Append zeros to series of shape (n, steps, channels) until ``multiple`` divides the number of steps."""
    return pad(x, (0, 0, 0, -x.shape[1] % multiple))


def square_means(cube: Cube, max_blocks: int) -> np.ndarray:
    """Return the means over square blocks of cells, as small as ``max_blocks`` allows.

    Masked cells do not count; a block without any value is 0. Blocks at the high ends of y and x may be cut off.

    Returns
    -------
    ndarray of float32, shape (time, block rows, block columns, variable)

    Raises
    ------
    ValueError
        If ``max_blocks`` is not positive.
    """
    if max_blocks < 1:
        raise ValueError(f"at most {max_blocks} blocks were asked for; at least 1 is needed")
    grid = cube.unpadded()
    height, width = grid.mask.shape[:2]
    side = 1
    while -(-height // side) * -(-width // side) > max_blocks:
        side += 1
    rows, columns = np.arange(0, height, side), np.arange(0, width, side)

    def block_sums(values: np.ndarray) -> np.ndarray:
        return np.add.reduceat(np.add.reduceat(values, rows, axis=-3), columns, axis=-2)

    counts = block_sums(grid.mask.astype(np.float32))
    return block_sums(np.asarray(grid.values, dtype=np.float32)) / np.maximum(counts, 1)
