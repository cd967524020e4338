"""3x3 convolutions, pooling and upsampling as Keras lays them out ("same": sizes stay, or halve rounding up)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, interpolate, pad
from torch.nn.utils import skip_init

# Which form of UpsampledConv2d is fastest (forward and backward pass on CPU cores, maps of 3 x 3 to 24 x 24).
MANY_CHANNELS = 256  # from so many on, nine products; below, one transposed convolution
FEW_PIXELS = 200  # below so many in a batch, the plain form instead of the transposed convolution


def conv3x3(n_in: int, n_out: int) -> nn.Conv2d:
    """Return a 3x3 convolution that keeps height and width (zero padding), weights not yet initialised."""
    return skip_init(nn.Conv2d, n_in, n_out, kernel_size=3, padding=1)


def pool_same() -> nn.MaxPool2d:
    """Return 2x2 max pooling that halves odd sizes rounding up, as Keras' "same": the padding is at the high end."""
    return nn.MaxPool2d(2, ceil_mode=True)


class UpsampledConv2d(nn.Module):
    """Nearest-neighbour upsampling by two, then a 3x3 convolution with zero padding: the decoder step of U-Nets.

    A 3x3 patch of repeated pixels holds 2x2 different ones, so most of the 36 products per input pixel are spared:
    16 remain in one transposed convolution with summed weights (:func:`summed_kernel`), and 9 where differences of
    neighbours are multiplied instead (:func:`nine_products`). Both are exact up to rounding, and the trained weights
    are those of the 3x3 convolution.

    Parameters
    ----------
    n_in, n_out : int
        Channels.

    Attributes
    ----------
    weight : Parameter, shape (n_out, n_in, 3, 3)
        Not yet initialised, like ``bias``.
    bias : Parameter, shape (n_out,)
    """

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_out, n_in, 3, 3))
        self.bias = nn.Parameter(torch.empty(n_out))

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, n_in, y, x) to (batch, n_out, 2 y, 2 x)."""
        if x.shape[1] >= MANY_CHANNELS:
            return nine_products(x, self.weight, self.bias)
        if x.numel() // x.shape[1] < FEW_PIXELS:
            return conv2d(interpolate(x, scale_factor=2, mode="nearest"), self.weight, self.bias, padding=1)
        return conv_transpose2d(x, summed_kernel(self.weight), self.bias, stride=2, padding=1)


def summed_kernel(weight: Tensor) -> Tensor:
    """Return the (in, out, 4, 4) kernel of the transposed convolution that equals upsampling and ``weight``."""

    def spread(first: Tensor, second: Tensor, third: Tensor, dim: int) -> Tensor:
        return torch.stack([third, second + third, first + second, first], dim)

    rows = spread(*weight.transpose(0, 1).unbind(2), dim=2)
    return spread(*rows.unbind(3), dim=3)


def nine_products(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return upsampling and 3x3 convolution from nine products per pixel of ``x`` and pair of channels.

    In one dimension, with weights (f, m, l), their sum s, and differences d[i] = x[i] - x[i-1] (0 outside), the
    outputs f x[i-1] + (m + l) x[i] and (f + m) x[i] + l x[i+1] are s x[i] - f d[i] and s x[i] + l d[i+1]: three
    products. In two dimensions there are 3 x 3.

    Parameters
    ----------
    x : Tensor, shape (batch, n_in, y, x)
        Input map.
    weight, bias : Tensor, shape (n_out, n_in, 3, 3) and (n_out,)
        Of the convolution.

    Returns
    -------
    Tensor, shape (batch, n_out, 2 y, 2 x)
        Channels last in memory.
    """
    taps = weight.new_tensor([[1, 1, 1], [-1, 0, 0], [0, 0, 1]])
    kernels = torch.einsum("ay,bx,oiyx->abio", taps, taps, weight)
    pixels = x.permute(0, 2, 3, 1)
    down = pad(pixels, (0, 0, 0, 0, 1, 1)).diff(dim=1)
    across = pad(pixels, (0, 0, 1, 1)).diff(dim=2)
    both = pad(down, (0, 0, 1, 1)).diff(dim=2)
    _, height, width, _ = pixels.shape

    centre = torch.matmul(pixels, kernels[0, 0]) + bias
    by_row = [torch.matmul(down, kernels[a + 1, 0])[:, a : a + height] for a in (0, 1)]
    by_column = [torch.matmul(across, kernels[0, b + 1])[:, :, b : b + width] for b in (0, 1)]
    outputs = [
        centre + by_row[a] + by_column[b] + torch.matmul(both, kernels[a + 1, b + 1])[:, a : a + height, b : b + width]
        for a in (0, 1)
        for b in (0, 1)
    ]
    shuffled = torch.stack(outputs, dim=3).unflatten(3, (2, 2)).transpose(2, 3)
    return shuffled.reshape(len(x), 2 * height, 2 * width, -1).permute(0, 3, 1, 2)
