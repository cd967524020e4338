"""3 x 3 convolutions of many channels with 16 products for four cells in place of 36, forwards and backwards.

Minimal filtering F(2 x 2, 3 x 3) of Lavin and Gray (CVPR 2016, section 4.1): tiles of 4 x 4 cells that overlap by two,
and the kernel, go through small fixed matrices whose entries are 0, 1, -1 and 1/2; between them there are matrix
products over channels alone. What is computed is the same sum, and rounding is no larger than that of a plain one.

A tile of frames whose cells count twice in both directions (nearest-neighbour up-sampling) has zeros in seven of the 16
places, so that nine products are enough, taken from the coarse frames themselves.

Frames are (n, y, x, channel) in memory; tiles ("planes") are (16 or 9, tile, channel).
"""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import pad

TILES_AT_ONCE = 512  # of which planes, 16 times the channels, are in memory together
OF_FRAMES = ((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1))
OF_COARSE = ((1, -1, 0), (0, 2, 0), (0, 1, -1))  # what OF_FRAMES makes of cells a, b, b, c, but for its third row: 0
OF_KERNEL = ((1, 0, 0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0, 0, 1))
OF_PRODUCTS = ((1, 1, 1, 0), (0, 1, -1, -1))
FINE, COARSE = tuple(range(16)), tuple(4 * i + j for i in (0, 1, 3) for j in (0, 1, 3))


class Kernel:
    """A 3 x 3 kernel in the form in which it is multiplied.

    Parameters
    ----------
    kernel : Tensor, shape (n_out, n_in, 3, 3)
        Of a convolution with "same" padding.
    coarse : bool
        Its frames are up-sampled by two, and given before that.
    """

    def __init__(self, kernel: Tensor, coarse: bool = False) -> None:
        self.coarse, self.places = coarse, COARSE if coarse else FINE
        self.kernel = kernel

    @cached_property
    def planes(self) -> Tensor:
        """The kernel in the domain of the products, (16 or 9, n_out, n_in)."""
        matrix = _square(OF_KERNEL, self.kernel)[list(self.places)]
        return (matrix @ self.kernel.flatten(2).movedim(2, 0).flatten(1)).view(-1, *self.kernel.shape[:2])

    def convolve(self, frames: Tensor, products: Tensor | None = None) -> Tensor:
        """Return planes of products, which :func:`frames_of` takes back, of frames (n, y, x, n_in); or add to them."""
        planes = planes_of(frames, self.coarse)
        if products is None and not self.coarse:
            return planes @ self.planes.mT
        if products is None:
            products = planes.new_zeros(16, planes.shape[1], self.planes.shape[1])
        for place, plane, kernel in zip(self.places, planes, self.planes, strict=True):
            products[place].addmm_(plane, kernel.T)
        return products

    def zeros(self) -> Tensor:
        """Return zeros of the shape of ``planes``."""
        return self.kernel.new_zeros(len(self.places), *self.kernel.shape[:2])

    def kernel_gradient(self, of_products: Tensor, frames: Tensor, so_far: Tensor) -> None:
        """Add the gradient at the transformed kernel to ``so_far``, as :meth:`zeros` makes it."""
        for i, (place, plane) in enumerate(zip(self.places, planes_of(frames, self.coarse), strict=True)):
            so_far[i].addmm_(of_products[place].T, plane)

    def transposed(self, products: Tensor, frames: Tensor) -> Tensor:
        """Return the gradient at frames (n, y, x, n_in), of which only the shape is used, from that at the products."""
        n, height, width, _ = frames.shape
        planes = products.new_empty(len(self.places), products.shape[1], self.planes.shape[2])
        for place, plane, kernel in zip(self.places, planes, self.planes, strict=True):
            torch.mm(products[place], kernel, out=plane)
        planes = planes.flatten(1)
        if self.coarse:
            rows, columns = height, width
            tiles = _square(OF_COARSE, planes).mT @ planes
            tiles, step, side = tiles.view(3, 3, n, rows, columns, -1), 1, 3
        else:
            rows, columns = -(-height // 2), -(-width // 2)
            tiles = _square(OF_FRAMES, planes).mT @ planes
            tiles, step, side = tiles.view(4, 4, n, rows, columns, -1), 2, 4
        whole = tiles.new_zeros(n, step * rows + 2, step * columns + 2, tiles.shape[-1])
        for y in range(0, side, step):
            for x in range(0, side, step):
                part = whole[:, y : y + step * rows, x : x + step * columns]
                part = part.unflatten(2, (columns, step)).unflatten(1, (rows, step))
                part += tiles[y : y + step, x : x + step].permute(2, 3, 0, 4, 1, 5)
        return whole[:, 1 : 1 + height, 1 : 1 + width]


def planes_of(frames: Tensor, coarse: bool = False) -> Tensor:
    """Return planes (16 or 9, tile, channel) of frames (n, y, x, channel), of twice their size if ``coarse``."""
    height, width = frames.shape[1:3]
    step, side = (1, 3) if coarse else (2, 4)
    padded = pad(frames, (0, 0, 1, 1 + width % step, 1, 1 + height % step))
    tiles = padded.unfold(1, side, step).unfold(2, side, step).permute(4, 5, 0, 1, 2, 3)
    planes = _square(OF_COARSE if coarse else OF_FRAMES, frames) @ tiles.reshape(side**2, -1)
    return planes.view(side**2, -1, frames.shape[3])


def frames_of(products: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Return frames (n, y, x, n_out) of 16 planes of products; ``shape`` is (n, y, x)."""
    n, height, width = shape
    rows, columns = -(-height // 2), -(-width // 2)
    cells = _square(OF_PRODUCTS, products) @ products.flatten(1)
    cells = cells.view(2, 2, n, rows, columns, -1).permute(2, 3, 0, 4, 1, 5)
    return cells.reshape(n, 2 * rows, 2 * columns, -1)[:, :height, :width]


def products_of(gradient: Tensor) -> Tensor:
    """Return the gradient at 16 planes of products from that at frames (n, y, x, n_out), :func:`frames_of` turned."""
    height, width, n_out = gradient.shape[1:]
    if height % 2 or width % 2:
        gradient = pad(gradient, (0, 0, 0, width % 2, 0, height % 2))
    cells = gradient.unflatten(2, (-1, 2)).unflatten(1, (-1, 2)).permute(2, 4, 0, 1, 3, 5)
    products = _square(OF_PRODUCTS, gradient).mT @ cells.reshape(4, -1)
    return products.view(16, -1, n_out)


def kernel_of(gradient: Tensor) -> Tensor:
    """Return the gradient at a kernel (n_out, n_in, 3, 3) from that at its planes, of which there are 16 or 9."""
    matrix = _square(OF_KERNEL, gradient)[list(FINE if len(gradient) == len(FINE) else COARSE)]
    return (matrix.mT @ gradient.flatten(1)).view(3, 3, *gradient.shape[1:]).permute(2, 3, 0, 1)


def _square(matrix: tuple[tuple[float, ...], ...], like: Tensor) -> Tensor:
    """Return a matrix that acts on rows and columns of a tile at once."""
    one = like.new_tensor(matrix)
    return torch.kron(one, one)
