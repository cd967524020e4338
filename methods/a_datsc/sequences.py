"""A record of days as sequences of frames: windows, padding to a grid that halves, and what counts as data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import cycle

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from regimebench.method import Cube


class Sequences(nn.Module):
    """The days of a cube as frames (day, variable, y, x), cut into windows one after another.

    A last window may be shorter: no day is left out, and none stands in two windows.

    Parameters
    ----------
    cube : Cube
        Values in [0, 1]. Its own padding is taken off first.
    window : int, optional
        Days of a window, T; all of them without it.
    windows_per_batch : int
        Windows of a batch, B.
    multiples : sequence of int
        Rows and columns are filled up with zeros, at the high ends, to multiples of these.
    count_padding : bool
        Judge reconstructions in padded cells too.

    Attributes
    ----------
    frames : Tensor, shape (day, variable, y, x)
    seen : Tensor of bool, shape (variable, y, x)
        Cells by which reconstructions are judged.
    """

    def __init__(
        self, cube: Cube, window: int | None, windows_per_batch: int, multiples: Sequence[int], count_padding: bool
    ) -> None:
        super().__init__()
        days = cube.unpadded()
        height, width = days.values.shape[1:3]
        edges = (0, -width % multiples[1], 0, -height % multiples[0])
        self.register_buffer("frames", pad(torch.from_numpy(np.moveaxis(days.values, 3, 1).copy()), edges))
        mask = torch.from_numpy(np.moveaxis(days.mask, 2, 0).copy())
        seen = torch.ones_like(mask) if count_padding else mask
        self.register_buffer("seen", pad(seen, edges, value=count_padding))
        window = min(window or cube.n_days, cube.n_days)
        whole = cube.n_days // window * window
        order = torch.arange(cube.n_days)
        groups = [*order[:whole].view(-1, window).split(windows_per_batch), order[whole:][None]]
        self.groups = [group for group in groups if group.numel()]

    @property
    def n_batches(self) -> int:
        """Batches of one pass."""
        return len(self.groups)

    def batches(self) -> Iterator[Tensor]:
        """Yield days, (batch, time), in calendar order without end."""
        return cycle([group.to(self.frames.device) for group in self.groups])

    def stretches(self, n_days: int, together: int, shuffle: torch.Generator) -> Iterator[Tensor]:
        """Yield days, (batch, time), of stretches that cover the record, each pass in a new order and cut elsewhere.

        The first and the last stretch end with the record, so that all are equally long; some days are in two.

        Parameters
        ----------
        n_days, together : int
            Days of a stretch, and stretches of a batch; the last batch of a pass may have fewer.
        shuffle : torch.Generator
            Draws the cuts and the order.
        """
        last = len(self.frames) - n_days
        within = torch.arange(n_days)
        while True:
            cut = int(torch.randint(n_days, (), generator=shuffle))
            starts = torch.arange(cut - n_days, last + n_days, n_days).clamp(0, last).unique()
            mixed = starts[torch.randperm(len(starts), generator=shuffle)]
            yield from (mixed[:, None] + within).to(self.frames.device).split(together)

    def error(self, found: Tensor, days: Tensor) -> Tensor:
        """Return the mean squared error over cells with data."""
        return ((found - self.frames[days]).square() * self.seen).sum() / (self.seen.sum() * days.numel())

    @torch.no_grad()
    def embed(self, G: nn.Module) -> tuple[Tensor, Tensor | None]:
        """Return Z, (day, D), of all days, and C, (day, day), if one window holds them all: days of two know no C."""
        made = [G.embed(self.frames[window[None]]) for group in self.groups for window in group]
        C = made[0][1]
        return torch.cat([z[0] for z, _ in made]), C[0] if C is not None and len(made) == 1 else None

    @torch.no_grad()
    def reconstruct(self, G: nn.Module, cube: Cube) -> np.ndarray:
        """Return what G makes of the days, in the shape of ``cube``; 0 in cells that pad it."""
        made = torch.cat([G(self.frames[window[None]]).frames[0] for group in self.groups for window in group])
        found = np.zeros_like(cube.values)
        height, width = cube.unpadded().values.shape[1:3]
        found[:, :height, :width] = made[:, :, :height, :width].movedim(1, 3).cpu().numpy()
        return found
