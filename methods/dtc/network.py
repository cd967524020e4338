"""The networks of DTC: temporal auto-encoder and heat-map branch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import conv_transpose1d, leaky_relu, max_pool1d, pad
from torch.utils.checkpoint import checkpoint

from methods.blocks.bilstm import SummedBiLSTM

SLOPE = 0.3  # of Keras' LeakyReLU
MAX_ELEMENTS = 2**24  # of the convolution's output at once: 64 MiB


class UpsampledDeconvolution(nn.Module):
    """Repeat each step of a latent series, then a transposed convolution of stride 1, "same" as in Keras.

    Parameters
    ----------
    n_in, n_out : int
        Channels of the latent series and of the output.
    kernel_size, repeats : int
        Steps of the kernel, and output steps per latent step.
    """

    def __init__(self, n_in: int, n_out: int, kernel_size: int, repeats: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_in, n_out, kernel_size))
        self.bias = nn.Parameter(torch.empty(n_out))
        self.repeats = repeats

    def forward(self, z: Tensor) -> Tensor:
        """Map (n, T / P, n_in) to (n, T, n_out)."""
        n, n_steps, n_in = z.shape
        repeated = z.transpose(1, 2)[..., None].expand(n, n_in, n_steps, self.repeats).flatten(2)
        cut = (self.weight.shape[2] - 1) // 2
        full = conv_transpose1d(repeated, self.weight, self.bias)
        return full[..., cut : cut + n_steps * self.repeats].transpose(1, 2)


class TemporalAutoencoder(nn.Module):
    """Convolution, max pooling and two bidirectional LSTMs; the decoder is one transposed convolution (section 3.1).

    Parameters
    ----------
    n_channels : int
        Channels of the series.
    n_filters, kernel_size : int
        Of the convolution.
    pool : int
        P: steps of the series per latent step. It must divide the length of the series.
    units : sequence of two int
        Of the two LSTMs; the second is the number of latent channels.
    """

    def __init__(self, n_channels: int, n_filters: int, kernel_size: int, pool: int, units: Sequence[int]) -> None:
        super().__init__()
        self.pool = pool
        self.convolution = nn.Conv1d(n_channels, n_filters, kernel_size)
        self.level_1 = SummedBiLSTM(n_filters, units[0])
        self.level_2 = SummedBiLSTM(units[0], units[1])
        self.decode = UpsampledDeconvolution(units[1], n_channels, kernel_size, pool)

    def encode(self, x: Tensor) -> Tensor:
        """Map series (n, T, n_channels) to latent series (n, T / P, units[1])."""
        h = self._short_term(x).permute(2, 0, 1)
        h = leaky_relu(self.level_1(h), SLOPE)
        return leaky_relu(self.level_2(h), SLOPE).transpose(0, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the reconstruction (n, T, n_channels) and the latent series of ``x``."""
        z = self.encode(x)
        return self.decode(z), z

    def _short_term(self, x: Tensor) -> Tensor:
        """Return the pooled features (n, n_filters, T / P) of a few days at a time.

        The output of the convolution is P times as long as what is kept of it. It is computed again for the gradient
        where keeping it would fill the memory: the LSTMs take far longer.
        """
        at_once = max(1, MAX_ELEMENTS // (x.shape[1] * self.convolution.out_channels))
        around = self.convolution.kernel_size[0] - 1
        same = pad(x.transpose(1, 2), (around // 2, around - around // 2))
        parts = same.split(at_once)
        if len(parts) == 1 or not torch.is_grad_enabled():
            return torch.cat([self._pooled(part) for part in parts])
        again = {"use_reentrant": False, "preserve_rng_state": False}
        return torch.cat([checkpoint(self._pooled, part, **again) for part in parts])

    def _pooled(self, x: Tensor) -> Tensor:
        """Convolve, pool and activate: pooling first is the same, since the activation keeps the order, and cheaper."""
        return leaky_relu(max_pool1d(self.convolution(x), self.pool), SLOPE)


class HeatMap(UpsampledDeconvolution):
    """One map over time per cluster: where in the series the network sees it (section 3.3)."""

    def probabilities(self, z: Tensor) -> Tensor:
        """Return the softmax of the maps' means over time, shape (n, n_clusters), which learns to equal P."""
        return self(z).mean(dim=1).softmax(dim=1)
