"""What the decoder of A-DATSC knows of the days, drawn onto the top level (paper, sections 5.1 and 5.1.4)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class DayBottleneck(nn.Module):
    """Z itself: each day is drawn from its own z_t and (C Z)_t alone (section 5.1: "bottleneck Z in R^{T x d}").

    Parameters
    ----------
    n_bottleneck : int
        Length of [z_t || (C Z)_t].
    n_features : int
        F, of a node.
    grid, patch : sequence of int
        Rows and columns of nodes, and of cells in a node.
    """

    def __init__(self, n_bottleneck: int, n_features: int, grid: Sequence[int], patch: Sequence[int]) -> None:
        super().__init__()
        self.grid = tuple(grid)
        self.draw = nn.Linear(n_bottleneck, n_features * self.grid[0] * self.grid[1])
        self.untile = nn.ConvTranspose2d(n_features, n_features, tuple(patch), stride=tuple(patch))

    def forward(self, nodes: Tensor, vectors: Tensor) -> Tensor:
        """Return maps (batch, time, F, y, x) of vectors (batch, time, n_bottleneck); nodes are not looked at."""
        drawn = self.draw(vectors).unflatten(2, (*self.grid, -1)).movedim(-1, 2)
        return self.untile(drawn.flatten(0, 1)).tanh().unflatten(0, nodes.shape[:2])


class SequenceBottleneck(nn.Module):
    """[z-bar || mean of C Z] of the whole sequence, in every cell beside the nodes of the day (section 5.1.4).

    Parameters
    ----------
    n_bottleneck, n_features, grid, patch
        See :class:`DayBottleneck`.
    """

    def __init__(self, n_bottleneck: int, n_features: int, grid: Sequence[int], patch: Sequence[int]) -> None:
        super().__init__()
        self.grid = tuple(grid)
        self.untile = nn.ConvTranspose2d(n_features, n_features, tuple(patch), stride=tuple(patch))
        self.mix = nn.Conv2d(n_features + n_bottleneck, n_features, 1)

    def forward(self, nodes: Tensor, vectors: Tensor) -> Tensor:
        """Return maps (batch, time, F, y, x) of nodes (batch, time, N, F) and vectors (batch, time, n_bottleneck)."""
        top = self.untile(nodes.mT.unflatten(3, self.grid).flatten(0, 1))
        mean = vectors.mean(dim=1, keepdim=True).expand_as(vectors).flatten(0, 1)
        everywhere = mean[..., None, None].expand(-1, -1, *top.shape[2:])
        return self.mix(torch.cat([top, everywhere], dim=1)).tanh().unflatten(0, nodes.shape[:2])
