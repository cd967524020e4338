"""3 x 3 convolutions of many channels with 16 products for four cells in place of 36, forwards and backwards.

Minimal filtering F(2 x 2, 3 x 3) of Lavin and Gray (CVPR 2016, section 4.1): tiles of 4 x 4 cells that overlap by two,
and the kernel, go through small fixed matrices whose entries are 0, 1, -1 and 1/2; between them there are matrix
products over channels alone. What is computed is the same sum. In single precision rounding is no larger than that of a
plain convolution; in bfloat16 tiles are rounded too, kernels after they are transformed, and gradients of kernels are
summed over frames in the precision of the kernel.

A tile of frames whose cells count twice in both directions (nearest-neighbour up-sampling) has zeros in seven of the 16
places, so that nine products are enough, taken from the coarse frames themselves. Rows and columns of a tile are kept
in the order 0, 1, 3, 2, so that these nine are the first three of the first three.

Frames are (n, y, x, channel) in memory; tiles ("planes") are (4, 4, tile, channel), or (3, 3, tile, channel).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import pad

BYTES_AT_ONCE = 2048  # of one channel of a plane: 512 tiles are in memory together in float32, 1024 in bfloat16
OF_KERNEL = ((1, 0, 0), (0.5, 0.5, 0.5), (0, 0, 1), (0.5, -0.5, 0.5))
OF_PRODUCTS = ((1, 1, 0, 1), (0, 1, -1, -1))
OF_FRAMES = ((1, 0, -1, 0), (0, 1, 1, 0), (0, 1, 0, -1), (0, -1, 1, 0))
OF_COARSE = ((1, -1, 0), (0, 2, 0), (0, 1, -1))  # what OF_FRAMES makes of cells a, b, b, c, but for its last row: 0


class Kernel:
    """A 3 x 3 kernel in the form in which it is multiplied.

    Parameters
    ----------
    kernel : Tensor, shape (n_out, n_in, 3, 3)
        Of a convolution with "same" padding.
    coarse : bool
        Its frames are up-sampled by two, and given before that.
    dtype : torch.dtype, optional
        Of the frames, if not that of the kernel.
    """

    def __init__(self, kernel: Tensor, coarse: bool = False, dtype: torch.dtype | None = None) -> None:
        self.kernel, self.coarse, self.side = kernel, coarse, 3 if coarse else 4
        self.dtype = dtype or kernel.dtype

    @cached_property
    def planes(self) -> Tensor:
        """The kernel in the domain of the products, (side, side, n_out, n_in)."""
        matrix = _square(OF_KERNEL[: self.side], self.kernel)
        planes = matrix @ self.kernel.flatten(2).movedim(2, 0).flatten(1)
        return planes.to(self.dtype).view(self.side, self.side, *self.kernel.shape[:2])

    def convolve(self, frames: Tensor, products: Tensor | None = None) -> Tensor:
        """Return planes of products of frames (n, y, x, n_in), for :func:`add_products`, or add to planes."""
        planes = planes_of(frames, self.coarse)
        if products is None and not self.coarse:
            return (planes.flatten(0, 1) @ self.planes.flatten(0, 1).mT).view(4, 4, -1, len(self.kernel))
        if products is None:
            products = planes.new_zeros(4, 4, planes.shape[2], len(self.kernel))
        for row, plane, kernel in zip(products, planes, self.planes, strict=False):
            row[: self.side].baddbmm_(plane, kernel.mT)
        return products

    def kernel_gradient(self, of_products: Tensor, frames: Tensor, so_far: Tensor | None = None) -> Tensor:
        """Return the gradient at the transformed kernel, or add it to that of other frames ``so_far``.

        Sums are in the precision of the kernel itself.
        """
        planes = planes_of(frames, self.coarse)
        pairs = [(row[: self.side].mT, plane) for row, plane in zip(of_products, planes, strict=False)]
        if so_far is not None and so_far.dtype == planes.dtype == self.kernel.dtype:
            for rows, pair in zip(so_far, pairs, strict=True):
                rows.baddbmm_(*pair)
            return so_far
        found = planes.new_empty(self.side, self.side, *self.kernel.shape[:2])
        for rows, pair in zip(found, pairs, strict=True):
            torch.bmm(*pair, out=rows)
        return found if so_far is None else so_far.to(self.kernel.dtype).add_(found)

    def transposed(self, products: Tensor, frames: Tensor) -> Tensor:
        """Return the gradient at frames (n, y, x, n_in), of which only the shape is used, from that at the products."""
        n, height, width, _ = frames.shape
        step = 1 if self.coarse else 2
        rows, columns = -(-height // step), -(-width // step)
        planes = products.new_empty(self.side, self.side, products.shape[2], self.kernel.shape[1])
        for row, kernel, plane in zip(products, self.planes, planes, strict=False):
            torch.bmm(row[: self.side], kernel, out=plane)
        matrix = _square(OF_COARSE if self.coarse else OF_FRAMES, planes)
        tiles = (matrix.mT @ planes.view(self.side**2, -1)).view(self.side, self.side, n, rows, columns, -1)
        whole = tiles.new_zeros(n, step * rows + 2, step * columns + 2, tiles.shape[-1])
        for y in range(0, self.side, step):
            for x in range(0, self.side, step):
                part = whole[:, y : y + step * rows, x : x + step * columns]
                part = part.unflatten(2, (columns, step)).unflatten(1, (rows, step))
                part += tiles[y : y + step, x : x + step].permute(2, 3, 0, 4, 1, 5)
        return whole[:, 1 : 1 + height, 1 : 1 + width]


def planes_of(frames: Tensor, coarse: bool = False) -> Tensor:
    """Return planes of frames (n, y, x, channel), of twice their size if ``coarse``."""
    n, height, width, _ = frames.shape
    step, side = (1, 3) if coarse else (2, 4)
    cells = (0, 1, 1, 2) if coarse else (0, 1, 2, 3)
    rows, columns = -(-height // step), -(-width // step)
    padded = pad(frames, (0, 0, 1, 1 + width % step, 1, 1 + height % step))
    half = padded.new_empty(side, n, rows, *padded.shape[2:])
    _combine([padded[:, i : i + step * rows : step] for i in cells], half.unbind(0))
    planes = padded.new_empty(side, side, n, rows, columns, padded.shape[3])
    _combine([half[:, :, :, i : i + step * columns : step] for i in cells], planes.unbind(1))
    return planes.flatten(2, 4)


def _combine(cells: Sequence[Tensor], into: Sequence[Tensor]) -> None:
    """Apply the rows of OF_FRAMES to four cells, one for each result: faster than a product with the matrix."""
    first, second, third, last = cells
    rows = (torch.sub, first, third), (torch.add, second, third), (torch.sub, second, last), (torch.sub, third, second)
    for (combine, one, other), result in zip(rows, into, strict=False):
        combine(one, other, out=result)


def add_products(products: Tensor, frames: Tensor) -> None:
    """Add to frames (n, y, x, n_out) what (4, 4) planes of products are."""
    n, height, width, n_out = frames.shape
    rows, columns = -(-height // 2), -(-width // 2)
    cells = (_square(OF_PRODUCTS, products) @ products.view(16, -1)).view(2, 2, n, rows, columns, n_out)
    for y in (0, 1):
        for x in (0, 1):
            part = frames[:, y::2, x::2]
            part += cells[y, x, :, : part.shape[1], : part.shape[2]]


def products_of(gradient: Tensor) -> Tensor:
    """Return the gradient at (4, 4) planes of products from that at frames (n, y, x, n_out): the other way round."""
    height, width, n_out = gradient.shape[1:]
    if height % 2 or width % 2:
        gradient = pad(gradient, (0, 0, 0, width % 2, 0, height % 2))
    cells = gradient.unflatten(2, (-1, 2)).unflatten(1, (-1, 2)).permute(2, 4, 0, 1, 3, 5)
    products = _square(OF_PRODUCTS, gradient).mT @ cells.reshape(4, -1)
    return products.view(4, 4, -1, n_out)


def kernel_of(gradient: Tensor) -> Tensor:
    """Return the gradient at a kernel (n_out, n_in, 3, 3) from that at its planes."""
    matrix = _square(OF_KERNEL[: len(gradient)], gradient)
    return (matrix.mT @ gradient.flatten(0, 1).flatten(1)).view(3, 3, *gradient.shape[2:]).permute(2, 3, 0, 1)


def _square(matrix: Sequence[Sequence[float]], like: Tensor) -> Tensor:
    """Return a matrix that acts on rows and columns of a tile at once."""
    one = like.new_tensor(matrix)
    return torch.kron(one, one)
