"""Networks of ClusterGAN and InfoGAN, for tables and for fields of any grid; all take and give one flat row per day.

Sizes are those of the authors' code: dense layers 256-256 for tables; 4 x 4 convolutions with stride 2 and one dense
layer of 1024 for fields, mirrored in the generator. Fields are padded with zeros at the high ends of y and x to a
multiple of 4 (two halvings), and generated fields lose these ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm, pad
from torch.nn.utils import skip_init

Grid = tuple[int, int, int]  # rows, columns, variables
Norm = Callable[[int], nn.Module]  # number of channels -> layer


def dcgan_normal(weight: Tensor, generator: torch.Generator) -> Tensor:
    """Fill with N(0, 0.02^2), as both official codes do."""
    return nn.init.normal_(weight, 0.0, 0.02, generator)


def count(*networks: nn.Module) -> int:
    """Return the number of trainable parameters."""
    return sum(weight.numel() for network in networks for weight in network.parameters())


def table_features(n_columns: int, hidden: Sequence[int], slope: float) -> nn.Sequential:
    """Return dense layers with leaky ReLU, weights not yet initialised."""
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise([n_columns, *hidden]):
        layers += [skip_init(nn.Linear, n_in, n_out), nn.LeakyReLU(slope)]
    return nn.Sequential(*layers)


def table_generator(n_latent: int, hidden: Sequence[int], n_columns: int, slope: float) -> nn.Sequential:
    """Return dense layers with leaky ReLU and a linear last one, weights not yet initialised."""
    return nn.Sequential(*table_features(n_latent, hidden, slope), skip_init(nn.Linear, hidden[-1], n_columns))


def field_features(
    grid: Grid, filters: Sequence[int], dense: int, slope: float, norm: Norm | None = None
) -> nn.Sequential:
    """Return convolutions that halve the maps, and a dense layer; leaky ReLU, weights not yet initialised.

    Parameters
    ----------
    grid : (int, int, int)
        Rows, columns and variables of a day.
    filters : sequence of int
        Channels of each convolution.
    dense : int
        Width of the dense layer, which is the output.
    slope : float
        Of leaky ReLU.
    norm : callable, optional
        Makes the layers between each layer but the first and its activation.
    """
    height, width = _coarse(grid, len(filters))
    layers: list[nn.Module] = [Maps(grid, 2 ** len(filters))]
    for i, (n_in, n_out) in enumerate(pairwise([grid[2], *filters])):
        layers.append(skip_init(nn.Conv2d, n_in, n_out, kernel_size=4, stride=2, padding=1))
        layers += [norm(n_out)] if norm and i else []
        layers.append(nn.LeakyReLU(slope))
    layers += [nn.Flatten(), skip_init(nn.Linear, filters[-1] * height * width, dense)]
    layers += [norm(dense)] if norm else []
    return nn.Sequential(*layers, nn.LeakyReLU(slope))


def field_generator(
    n_latent: int, grid: Grid, filters: Sequence[int], dense: int, norm: Norm, norm_of_maps: bool
) -> nn.Sequential:
    """Return the mirror image of :func:`field_features`: ReLU, sigmoid at the end, weights not yet initialised.

    Parameters
    ----------
    n_latent : int
        Width of the input.
    grid : (int, int, int)
        Rows, columns and variables of a day.
    filters : sequence of int
        As in :func:`field_features`, used from the end.
    dense : int
        Width of the first layer.
    norm : callable
        Makes the layers before each activation but the last.
    norm_of_maps : bool
        Whether the second dense layer is normalised by channel (official code of ClusterGAN) or by unit (of InfoGAN).
    """
    height, width = _coarse(grid, len(filters))
    channels = [*reversed(filters), grid[2]]
    n_maps = channels[0] * height * width
    maps = nn.Unflatten(1, (channels[0], height, width))
    layers = [skip_init(nn.Linear, n_latent, dense), norm(dense), nn.ReLU(), skip_init(nn.Linear, dense, n_maps)]
    layers += [maps, norm(channels[0])] if norm_of_maps else [norm(n_maps), maps]
    layers.append(nn.ReLU())
    for n_in, n_out in pairwise(channels[:-1]):
        layers += [_double(n_in, n_out), norm(n_out), nn.ReLU()]
    return nn.Sequential(*layers, _double(*channels[-2:]), nn.Sigmoid(), Rows(grid))


class Maps(nn.Module):
    """Turn rows into maps (n, variable, y, x), padded with zeros at the high ends to a multiple of cells."""

    def __init__(self, grid: Grid, multiple: int) -> None:
        super().__init__()
        self.grid = grid
        self.missing = [-size % multiple for size in grid[:2]]

    def forward(self, rows: Tensor) -> Tensor:
        """Map (n, y * x * variable) to (n, variable, y, x)."""
        below, right = self.missing
        return pad(rows.unflatten(1, self.grid).permute(0, 3, 1, 2), (0, right, 0, below))


class Rows(nn.Module):
    """Turn maps into rows, without what is beyond the grid at the high ends."""

    def __init__(self, grid: Grid) -> None:
        super().__init__()
        self.grid = grid

    def forward(self, maps: Tensor) -> Tensor:
        """Map (n, variable, y, x) to (n, y * x * variable)."""
        return maps[:, :, : self.grid[0], : self.grid[1]].permute(0, 2, 3, 1).flatten(1)


class BatchNorm(nn.Module):
    """Batch normalisation of units or channels; in evaluation mode with statistics that :func:`measure` can set.

    Parameters
    ----------
    n : int
        Units or channels (second axis of the input).
    eps : float
        Added to the variance.
    scale : bool
        Trainable scale, started from N(1, 0.02^2); none otherwise.
    decay : float
        Of the running averages of statistics in training.
    """

    def __init__(self, n: int, eps: float, scale: bool, decay: float = 0.9) -> None:
        super().__init__()
        self.eps, self.scale, self.decay = eps, scale, decay
        self.beta = nn.Parameter(torch.zeros(n))
        self.gamma = nn.Parameter(torch.ones(n)) if scale else None
        self.register_buffer("mean", torch.zeros(n))
        self.register_buffer("variance", torch.ones(n))

    def initialise(self, generator: torch.Generator) -> None:
        """Draw the scale; the rest starts where it is."""
        if self.scale:
            nn.init.normal_(self.gamma, 1.0, 0.02, generator)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (n, channels, ...)."""
        return batch_norm(x, self.mean, self.variance, self.gamma, self.beta, self.training, 1 - self.decay, self.eps)


@torch.no_grad()
def measure(network: nn.Sequential, parts: Iterable[Tensor]) -> None:
    """Put a network into evaluation mode with the statistics of all given days, as if they were one batch.

    Each layer is measured behind layers that are, so one pass per layer; memory is that of the largest part.

    Parameters
    ----------
    network : nn.Sequential
        Its parts are applied in the order in which they are listed.
    parts : iterable of Tensor
        The days, in parts of any size.
    """
    parts = list(parts)
    network.eval()
    for layer in [part for part in network.modules() if isinstance(part, BatchNorm)]:
        sums: list[Tensor] = []

        def add(_: nn.Module, inputs: tuple[Tensor], sums: list[Tensor] = sums) -> None:
            values = inputs[0].transpose(0, 1).flatten(1).double()
            sums.append(
                torch.stack([values.new_full((len(values),), values.shape[1]), values.sum(1), (values**2).sum(1)])
            )

        hook = layer.register_forward_pre_hook(add)
        for part in parts:
            network(part)
        hook.remove()
        n, total, squares = torch.stack(sums).sum(0)
        layer.mean.copy_(total / n)
        layer.variance.copy_((squares / n - (total / n) ** 2).clamp(min=0))


def _coarse(grid: Grid, halvings: int) -> tuple[int, int]:
    """Return rows and columns of the smallest maps."""
    height, width = (-(-size // 2**halvings) for size in grid[:2])
    return height, width


def _double(n_in: int, n_out: int) -> nn.ConvTranspose2d:
    """Return the transposed convolution that doubles the maps."""
    return skip_init(nn.ConvTranspose2d, n_in, n_out, kernel_size=4, stride=2, padding=1)
