"""Convolutional auto-encoder of subspace clustering: strides of two in TensorFlow's "SAME" geometry, on any grid.

Ji et al., Deep Subspace Clustering Networks, NeurIPS 2017, and its official code: each layer halves rows and columns,
rounding up, and pads with zeros, the odd one at the high end; the decoder mirrors the encoder and is told the sizes to
return to.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, pad, relu
from torch.nn.utils import skip_init

STRIDE = 2
OUTPUTS = ("relu", "linear")


class ConvAutoencoder(nn.Module):
    """Encoder and decoder; weights are not yet initialised (official: Glorot-uniform, biases zero).

    ReLU follows every layer of the encoder, the last one included, and every layer of the decoder but perhaps the last.

    Parameters
    ----------
    shape : (int, int, int)
        Rows, columns and variables of a day.
    channels, kernels : sequence of int
        Of the encoder's layers.
    output : str
        ``relu``, for days without negative values (DSC-Net), or ``linear`` (DASC).

    Attributes
    ----------
    maps : (int, int, int)
        Channels, rows and columns of a code.

    Raises
    ------
    ValueError
        If ``output`` is neither, or there are not as many kernels as channels.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        channels: Sequence[int] = (10, 20, 30),
        kernels: Sequence[int] = (5, 3, 3),
        output: str = "relu",
    ) -> None:
        super().__init__()
        if output not in OUTPUTS:
            raise ValueError(f"output is {output!r}; allowed are {', '.join(OUTPUTS)}")
        if len(channels) != len(kernels):
            raise ValueError(f"{len(channels)} layers of channels, but {len(kernels)} kernels")
        self.output = output
        sizes, widths = [shape[:2]], [shape[2], *channels]
        for _ in channels:
            sizes.append(tuple(halved(size) for size in sizes[-1]))
        layers = list(zip(widths[:-1], channels, kernels, strict=True))
        self.encoder = nn.ModuleList(SameConv2d(*layer) for layer in layers)
        self.decoder = nn.ModuleList(
            SameConvTranspose2d(n_out, n_in, kernel, size)
            for (n_in, n_out, kernel), size in zip(layers[::-1], sizes[-2::-1], strict=True)
        )
        self.maps = (widths[-1], *sizes[-1])

    def encode(self, days: Tensor) -> Tensor:
        """Return the codes of days (n, y, x, variable) as maps (n, channel, y, x)."""
        maps = days.permute(0, 3, 1, 2)
        for layer in self.encoder:
            maps = relu(layer(maps))
        return maps

    def decode(self, codes: Tensor) -> Tensor:
        """Return days (n, y, x, variable) from codes, as maps or flattened."""
        maps = codes.reshape(-1, *self.maps)
        for layer in self.decoder[:-1]:
            maps = relu(layer(maps))
        maps = self.decoder[-1](maps)
        return (relu(maps) if self.output == "relu" else maps).permute(0, 2, 3, 1)

    def forward(self, days: Tensor) -> Tensor:
        """Return the reconstruction of days."""
        return self.decode(self.encode(days))

    @property
    def code_size(self) -> int:
        """Dimensions of a code."""
        return prod(self.maps)


class SameConv2d(nn.Module):
    """Convolution of stride 2, padded as TensorFlow's ``padding="SAME"``."""

    def __init__(self, n_in: int, n_out: int, kernel: int) -> None:
        super().__init__()
        self.convolution = skip_init(nn.Conv2d, n_in, n_out, kernel, STRIDE)
        self.kernel = kernel

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, n_in, y, x) to (n, n_out, y / 2, x / 2), halves rounded up."""
        rows, columns = (padding(size, self.kernel) for size in x.shape[2:])
        weight, bias = self.convolution.weight, self.convolution.bias
        if rows[0] == rows[1] and columns[0] == columns[1]:
            return conv2d(x, weight, bias, STRIDE, (rows[0], columns[0]))
        return conv2d(pad(x, (*columns, *rows)), weight, bias, STRIDE)


class SameConvTranspose2d(nn.Module):
    """The transpose of :class:`SameConv2d` (``conv2d_transpose`` of TensorFlow), with a bias.

    Parameters
    ----------
    n_in, n_out, kernel : int
        As of a convolution.
    size : (int, int)
        Rows and columns of the output, which the input alone does not tell.
    """

    def __init__(self, n_in: int, n_out: int, kernel: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.convolution = skip_init(nn.ConvTranspose2d, n_in, n_out, kernel, STRIDE)
        self.kernel, self.size = kernel, size

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, n_in, y / 2, x / 2) to (n, n_out, y, x)."""
        full = conv_transpose2d(x, self.convolution.weight, None, STRIDE)
        cropped = []
        for size, found in zip(self.size[::-1], full.shape[:1:-1], strict=True):
            low, _ = padding(size, self.kernel)
            cropped += [-low, size + low - found]  # a kernel of one cell leaves the last row out: it is zero
        return pad(full, cropped) + self.convolution.bias[:, None, None]


def halved(size: int) -> int:
    """Return half of ``size``, rounded up."""
    return -(-size // STRIDE)


def padding(size: int, kernel: int) -> tuple[int, int]:
    """Return the zeros below and above that "SAME" adds to so many cells."""
    missing = max((halved(size) - 1) * STRIDE + kernel - size, 0)
    return missing // 2, missing - missing // 2
