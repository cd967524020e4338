"""The ConvLSTM U-Net of A-DATSC: encoder, patches of its top level, and decoder (paper, sections 5.1.1 and 5.1.5)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn.functional import max_pool2d

from methods.blocks.convlstm import ConvLSTM2d
from methods.blocks.frame_convolution import beside

Layer = Callable[[int, int], nn.Module]
EPSILON = 1e-3  # of layer norms, as in Keras, with which the paper's model was made


class ChannelNorm(nn.Module):
    """Layer normalisation over the channels of each cell, as Keras' ``LayerNormalization`` does by default.

    Parameters
    ----------
    n_channels : int
        Axis -3 of the input.
    """

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(n_channels, eps=EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise frames of shape (..., channels, y, x)."""
        return self.norm(x.movedim(-3, -1)).movedim(-1, -3)


class FrameConv2d(nn.Module):
    """A convolution of each frame by itself, tanh after it: what the ablation without ConvLSTM has in its place.

    Parameters
    ----------
    n_in, n_out : int
        Channels.
    kernel_size : int
        Odd.
    """

    def __init__(self, n_in: int, n_out: int, kernel_size: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(n_in, n_out, kernel_size, padding=kernel_size // 2)

    def forward(self, x: Tensor | None, coarse: Tensor | None = None) -> Tensor:
        """Map frames (batch, time, n_in, y, x) to (batch, time, n_out, y, x); ``coarse`` as in :class:`ConvLSTM2d`."""
        x = x if coarse is None else beside(coarse, x)
        return self.conv(x.flatten(0, 1)).tanh().unflatten(0, x.shape[:2])


class ResTempBlock(nn.Module):
    """Two recurrent layers with layer norm, and a 1 x 1 x 1 projection around them (paper, Eq. 1).

    Parameters
    ----------
    n_in, n_out : int
        Channels.
    layer : callable
        Makes a layer from two numbers of channels.
    """

    def __init__(self, n_in: int, n_out: int, layer: Layer = ConvLSTM2d) -> None:
        super().__init__()
        self.first, self.norm = layer(n_in, n_out), ChannelNorm(n_out)
        self.second = layer(n_out, n_out)
        self.projection = nn.Conv2d(n_in, n_out, 1) if n_in != n_out else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, time, n_in, y, x) to (batch, time, n_out, y, x)."""
        around = self.projection(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        return self.second(self.norm(self.first(x))) + around


class Encoder(nn.Module):
    """Stem, then three times half the resolution in space, all of it in time, and a block (paper, Eq. 1).

    Parameters
    ----------
    n_variables : int
        Channels of a frame.
    filters : sequence of int
        Of the stem and of each block.
    layer : callable
        See :class:`ResTempBlock`.
    """

    def __init__(self, n_variables: int, filters: Sequence[int], layer: Layer = ConvLSTM2d) -> None:
        super().__init__()
        self.stem = layer(n_variables, filters[0])
        self.blocks = nn.ModuleList(ResTempBlock(below, above, layer) for below, above in pairwise(filters))

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return H(1), ..., H(4) of frames (batch, time, variable, y, x); y and x are halved at each level."""
        levels = [self.stem(x)]
        for block in self.blocks:
            pooled = max_pool2d(levels[-1].flatten(0, 1), 2).unflatten(0, x.shape[:2])
            levels.append(block(pooled))
        return levels


class Patches(nn.Module):
    """Non-overlapping tiles of the top level as nodes of a graph (paper, "Patchification").

    Parameters
    ----------
    n_channels : int
        F, of the top level and of a node.
    patch : sequence of int
        Cells of a tile, (h_p, w_p); they divide the top level.
    """

    def __init__(self, n_channels: int, patch: Sequence[int]) -> None:
        super().__init__()
        self.tile = nn.Conv2d(n_channels, n_channels, tuple(patch), stride=tuple(patch))

    def forward(self, H: Tensor) -> Tensor:
        """Return nodes (batch, time, N, F) of maps (batch, time, F, y, x), row by row."""
        return self.tile(H.flatten(0, 1)).flatten(2).mT.unflatten(0, H.shape[:2])


class Decoder(nn.Module):
    """Up the levels again: twice the resolution, the encoder's level beside it, a recurrent layer (section 5.1.5).

    Parameters
    ----------
    filters : sequence of int
        Of the encoder.
    n_variables : int
        Channels of a frame.
    skips : bool
        Put the encoder's levels beside those of the decoder.
    layer : callable
        See :class:`ResTempBlock`.
    """

    def __init__(
        self,
        filters: Sequence[int],
        n_variables: int,
        skips: bool,
        layer: Layer = ConvLSTM2d,
    ) -> None:
        super().__init__()
        self.skips = skips
        upwards = list(zip(filters[:0:-1], filters[-2::-1], strict=True))
        self.levels = nn.ModuleList(layer(above + below * skips, below) for above, below in upwards)
        self.norms = nn.ModuleList(ChannelNorm(below) for _, below in upwards)
        self.output = nn.Conv2d(filters[0], n_variables, 1)

    def forward(self, x: Tensor, levels: Sequence[Tensor]) -> Tensor:
        """Return frames in [0, 1].

        Parameters
        ----------
        x : Tensor, shape (batch, time, F, y, x)
            What the bottleneck draws.
        levels : sequence of Tensor
            H(1), ..., H(4) of the encoder.
        """
        for layer, norm, level in zip(self.levels, self.norms, levels[-2::-1], strict=True):
            x = norm(layer(level if self.skips else None, coarse=x)).relu()
        return _each(self.output, x).sigmoid()


def _each(layer: nn.Module, x: Tensor) -> Tensor:
    """Apply a layer to each frame of (batch, time, ...)."""
    return layer(x.flatten(0, 1)).unflatten(0, x.shape[:2])
