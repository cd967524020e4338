"""The networks of DTC: temporal auto-encoder and heat-map branch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv_transpose1d, leaky_relu, linear, pad

from methods.blocks.bilstm import SummedBiLSTM

SLOPE = 0.3  # of Keras' LeakyReLU
MAX_ELEMENTS = 2**20  # of the output of the convolution at once: what a cache holds


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
        h = self._short_term(x).transpose(0, 1)
        h = leaky_relu(self.level_1(h), SLOPE)
        return leaky_relu(self.level_2(h), SLOPE).transpose(0, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the reconstruction (n, T, n_channels) and the latent series of ``x``."""
        z = self.encode(x)
        return self.decode(z), z

    def _short_term(self, x: Tensor) -> Tensor:
        """Return the pooled features (n, T / P, n_filters); pooling before the activation is the same, and cheaper."""
        around = self.convolution.kernel_size[0] - 1
        same = pad(x.transpose(1, 2), (around // 2, around - around // 2))
        pooled = PooledConvolution.apply(same, self.convolution.weight, self.convolution.bias, self.pool)
        return leaky_relu(pooled, SLOPE)


class PooledConvolution(torch.autograd.Function):
    """Convolution and max pooling of series, a few days at a time.

    The output of the convolution is P times as long as what is kept of it, so only the place of each maximum is
    remembered for the gradient.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, pool: int) -> Tensor:
        """Map series (n, n_in, T + K - 1) to (n, T / P, n_out), given ``weight`` (n_out, n_in, K) and P."""
        size = weight.shape[2]
        at_once = max(1, MAX_ELEMENTS // (x.shape[2] * len(weight)))
        found = [
            linear(_windows(part, size), weight.flatten(1), bias).unflatten(1, (-1, pool)).max(dim=2)
            for part in x.split(at_once)
        ]
        ctx.pool, ctx.at_once = pool, at_once
        ctx.save_for_backward(x, weight, torch.cat([part.indices.to(torch.int16) for part in found]))
        return torch.cat([part.values for part in found])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, Tensor, None]:
        """Return the gradients of weight, bias and, if asked for, of the series."""
        x, weight, places = ctx.saved_tensors
        by_weight, by_series = torch.zeros_like(weight.flatten(1)), []
        for part, place, after in zip(*(each.split(ctx.at_once) for each in (x, places, gradient)), strict=True):
            before = after.new_zeros((*after.shape[:2], ctx.pool, after.shape[2]))
            before = before.scatter_(2, place.long()[:, :, None], after[:, :, None]).flatten(1, 2)
            by_weight += before.flatten(0, 1).T @ _windows(part, weight.shape[2]).flatten(0, 1)
            if ctx.needs_input_grad[0]:
                by_series.append(conv_transpose1d(before.transpose(1, 2), weight))
        by_x = torch.cat(by_series) if by_series else None
        return by_x, by_weight.view_as(weight), gradient.sum(dim=(0, 1)), None


def _windows(x: Tensor, size: int) -> Tensor:
    """Return the windows of series (n, n_in, T + K - 1) under the kernel, shape (n, T, n_in K)."""
    return x.unfold(2, size, 1).transpose(1, 2).flatten(2)


class HeatMap(UpsampledDeconvolution):
    """One map over time per cluster: where in the series the network sees it (section 3.3)."""

    def probabilities(self, z: Tensor) -> Tensor:
        """Return the softmax of the maps' means over time, shape (n, n_clusters), which learns to equal P."""
        return self(z).mean(dim=1).softmax(dim=1)
