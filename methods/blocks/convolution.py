"""3x3 convolutions, pooling and upsampling as Keras lays them out ("same": sizes stay, or halve rounding up)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, interpolate
from torch.nn.utils import skip_init

# Below so many input pixels in a batch the plain form of UpsampledConv2d is faster (measured on a CPU core).
FEW_PIXELS = 200


def conv3x3(n_in: int, n_out: int) -> nn.Conv2d:
    """Return a 3x3 convolution that keeps height and width (zero padding), weights not yet initialised."""
    return skip_init(nn.Conv2d, n_in, n_out, kernel_size=3, padding=1)


def pool_same() -> nn.MaxPool2d:
    """Return 2x2 max pooling that halves odd sizes rounding up, as Keras' "same": the padding is at the high end."""
    return nn.MaxPool2d(2, ceil_mode=True)


class UpsampledConv2d(nn.Module):
    """Nearest-neighbour upsampling by two, then a 3x3 convolution with zero padding: the decoder step of U-Nets.

    Every output pixel sees a 3x3 patch of repeated pixels, that is 2x2 different ones; summing the weights that meet
    the same pixel first gives one transposed convolution (4x4 kernel, stride 2) with 4/9 of the multiplications and
    no upsampled map. Exact up to rounding, and the trained weights are those of the 3x3 convolution.

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
        if x.numel() // x.shape[1] < FEW_PIXELS:
            return conv2d(interpolate(x, scale_factor=2, mode="nearest"), self.weight, self.bias, padding=1)
        return conv_transpose2d(x, summed_kernel(self.weight), self.bias, stride=2, padding=1)


def summed_kernel(weight: Tensor) -> Tensor:
    """Return the (in, out, 4, 4) kernel of the transposed convolution that equals upsampling and ``weight``."""

    def spread(first: Tensor, second: Tensor, third: Tensor, dim: int) -> Tensor:
        return torch.stack([third, second + third, first + second, first], dim)

    rows = spread(*weight.transpose(0, 1).unbind(2), dim=2)
    return spread(*rows.unbind(3), dim=3)
