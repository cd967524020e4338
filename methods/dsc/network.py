"""The networks of DSC and its three ablations (DSC paper, section 4.1; layers from the authors' notebooks)."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor, nn
from torch.nn.utils import skip_init

from methods.blocks.convolution import UpsampledConv2d, conv3x3, pool_same
from methods.blocks.initialisers import glorot_uniform, initialise
from methods.blocks.lstm import LSTM

POOL, DROP = "P", "D"
LARGEST_LAYER = 2**29  # weights; the gradient and the momentum take as much memory again


class InPlaceTanh(nn.Module):
    """tanh that overwrites its input: a convolution does not need its own output for the gradient."""

    def forward(self, x: Tensor) -> Tensor:
        """Return tanh of ``x``."""
        return x.tanh_()


class DSC(nn.Module):
    """Convolutional auto-encoder with an LSTM, or dense layers, between feature maps and code.

    All arrays are laid out as in Keras, (day, y, x, variable), and so are the flattened maps: Keras weights can be
    copied layer by layer (convolutions and dense layers transposed).

    Parameters
    ----------
    shape : (int, int, int)
        Rows, columns and variables of a day.
    filters : sequence
        Encoder, layer by layer: output channels of a convolution, ``P`` for pooling, ``D`` for dropout.
    units : sequence of int
        Widths of the LSTM, or dense sigmoid, layers before the code.
    code : int
        Width of the code E.
    recurrent : bool
        LSTM layers; dense ones otherwise.
    decoder : sequence of int
        Channels of the decoder's convolutions, each after upsampling by two; no decoder without any.
    dense_output : bool
        End the decoder with a dense sigmoid layer over the whole map.
    pooling : str
        ``same`` rounds halves up, ``valid`` down.
    dropout : float
        Rate of ``D`` layers, and of input and recurrent dropout in the LSTM.
    noise : torch.Generator, optional
        Draws the dropout of the LSTM.

    Raises
    ------
    ValueError
        If the dense output layer would not fit in memory.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        filters: Sequence[int | str] = (64, 64, POOL, 128, POOL, 256, POOL, 512, POOL),
        units: Sequence[int] = (512, 512),
        code: int = 256,
        *,
        recurrent: bool = True,
        decoder: Sequence[int] = (512, 256, 128, 64),
        dense_output: bool = False,
        pooling: str = "same",
        dropout: float = 0.0,
        noise: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.shape = shape
        self.convolutions, maps = _convolutions(shape, filters, pooling, dropout)
        if recurrent:
            self.head = RecurrentHead(prod(maps), units, code, dropout, noise)
        else:
            self.head = DenseHead(prod(maps), units, code)
        self.decoder = Decoder(shape, maps, code, decoder, dense_output) if decoder else None

    def initialise(self, generator: torch.Generator) -> None:
        """Fill the weights as Keras does by default, on the CPU."""
        initialise(self, glorot_uniform, generator)

    def encode(self, days: Tensor, windows: Tensor | None = None) -> Tensor:
        """Return the codes of sequences of days (Eq. 1).

        Parameters
        ----------
        days : Tensor, shape (n, y, x, variable)
            Each is convolved once, however many sequences it is in.
        windows : Tensor of int64, shape (batch, length), optional
            Rows of ``days`` that make up each sequence; each day is its own sequence without it.

        Returns
        -------
        Tensor, shape (batch, code)
            Between 0 and 1, in single precision or better.
        """
        maps = self.convolutions(days.permute(0, 3, 1, 2))
        features = maps.permute(0, 2, 3, 1).flatten(1)
        return self.head(features[:, None] if windows is None else features[windows])

    def decode(self, codes: Tensor) -> Tensor:
        """Return reconstructed days, shape (batch, y, x, variable) (Eq. 2)."""
        return self.decoder(codes)

    def forward(self, days: Tensor) -> Tensor:
        """Return the reconstruction of days, each its own sequence."""
        return self.decode(self.encode(days))


class RecurrentHead(nn.Module):
    """LSTM layers; the last output of the last one becomes the code."""

    def __init__(
        self, n_in: int, units: Sequence[int], code: int, dropout: float, noise: torch.Generator | None
    ) -> None:
        super().__init__()
        sizes = [n_in, *units]
        self.lstm = nn.Sequential(
            *(LSTM(a, b, dropout, dropout, noise) for a, b in zip(sizes[:-1], units, strict=True))
        )
        self.code = skip_init(nn.Linear, sizes[-1], code)

    def forward(self, sequences: Tensor) -> Tensor:
        """Map (batch, time, features) to codes."""
        return self.code(self.lstm(sequences)[:, -1]).float().sigmoid()


class DenseHead(nn.Module):
    """Dense sigmoid layers on the last day of each sequence."""

    def __init__(self, n_in: int, units: Sequence[int], code: int) -> None:
        super().__init__()
        sizes = [n_in, *units]
        layers: list[nn.Module] = []
        for a, b in zip(sizes[:-1], units, strict=True):
            layers += [skip_init(nn.Linear, a, b), nn.Sigmoid()]
        self.hidden = nn.Sequential(*layers)
        self.code = skip_init(nn.Linear, sizes[-1], code)

    def forward(self, sequences: Tensor) -> Tensor:
        """Map (batch, time, features) to codes."""
        return self.code(self.hidden(sequences[:, -1])).float().sigmoid()


class Decoder(nn.Module):
    """Dense layer back to feature maps, upsampling convolutions, and one convolution per variable."""

    def __init__(
        self,
        shape: tuple[int, int, int],
        maps: tuple[int, int, int],
        code: int,
        channels: Sequence[int],
        dense_output: bool,
    ) -> None:
        super().__init__()
        self.shape, self.maps = shape, maps
        self.dense = skip_init(nn.Linear, code, prod(maps))
        layers: list[nn.Module] = []
        sizes = [maps[2], *channels]
        for n_in, n_out in zip(sizes[:-1], channels, strict=True):
            layers += [UpsampledConv2d(n_in, n_out), InPlaceTanh()]
        self.convolutions = nn.Sequential(*layers, conv3x3(sizes[-1], shape[2]), InPlaceTanh())
        self.output = None
        if dense_output:
            n_in, n_out = maps[0] * maps[1] * shape[2] * 4 ** len(channels), prod(shape)
            if n_in * n_out > LARGEST_LAYER:
                raise ValueError(
                    f"the dense output layer would have {n_in:,} x {n_out:,} weights ({4 * n_in * n_out / 2**30:.0f} "
                    "GiB) on this grid; set dense_output: false, or use a coarser grid"
                )
            self.output = skip_init(nn.Linear, n_in, n_out)

    def forward(self, codes: Tensor) -> Tensor:
        """Map codes to days; a map that is larger than a day loses its high ends."""
        height, width, channels = self.maps
        maps = self.dense(codes).reshape(-1, height, width, channels).permute(0, 3, 1, 2)
        days = self.convolutions(maps).permute(0, 2, 3, 1)
        if self.output is not None:
            return self.output(days.flatten(1)).float().sigmoid().reshape(-1, *self.shape)
        return days[:, : self.shape[0], : self.shape[1]].float()


def _convolutions(
    shape: tuple[int, int, int], layers: Sequence[int | str], pooling: str, dropout: float
) -> tuple[nn.Sequential, tuple[int, int, int]]:
    """Return the encoder's convolutions, and height, width and channels of the maps they end in."""
    height, width, channels = shape
    built: list[nn.Module] = []
    for layer, following in zip(layers, [*layers[1:], None], strict=True):
        if layer == POOL:
            built += [pool_same() if pooling == "same" else nn.MaxPool2d(2), InPlaceTanh()]
            height, width = ((size + (pooling == "same")) // 2 for size in (height, width))
        elif layer == DROP:
            built.append(nn.Dropout(dropout))
        else:
            built.append(conv3x3(channels, layer))
            channels = layer
            if following != POOL:  # tanh and maximum change places: the same values, of a quarter of the pixels
                built.append(InPlaceTanh())
    return nn.Sequential(*built), (height, width, channels)
