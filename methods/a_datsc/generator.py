"""The generator G of A-DATSC: frames in; embeddings, coefficients and frames out (paper, section 5.1)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from types import SimpleNamespace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from methods.a_datsc.bottleneck import DayBottleneck, SequenceBottleneck
from methods.a_datsc.graph_attention import BiTGAT, Embedding, TemporalTransformer
from methods.a_datsc.self_expression import compared, expressed
from methods.a_datsc.unet import EPSILON, Decoder, Encoder, FrameConv2d, Patches
from methods.blocks.convlstm import ConvLSTM2d
from methods.blocks.lstm import LSTM


class Output(NamedTuple):
    """What the generator makes of sequences of frames.

    Parameters
    ----------
    Z : Tensor, shape (batch, time, D)
        Embedding of each frame.
    C : Tensor, shape (batch, time, time), optional
        Coefficients of each sequence; None without self-expression.
    frames : Tensor, shape (batch, time, variable, y, x)
        Reconstruction.
    """

    Z: Tensor
    C: Tensor | None
    frames: Tensor


class ConvGenerator(nn.Module):
    """Encoder, patches, graph attention, embedding, self-expression and decoder.

    Parameters
    ----------
    shape : sequence of int
        (variable, y, x) of a frame.
    p : SimpleNamespace
        The plugin's parameters: ``filters``, ``recurrence``, ``patch``, ``attention``, ``n_heads``, ``itself``,
        ``pooling``, ``latent``, ``expression``, ``sparsity``, ``ridge``, ``neighbours``, ``expression_steps``,
        ``forget_bias``, ``bottleneck``, ``skips``, ``halo``, ``recompute``.
    """

    def __init__(self, shape: Sequence[int], p: SimpleNamespace) -> None:
        super().__init__()
        F, D = p.filters[-1], p.latent
        self.halo = p.halo
        grid = [side // 2 ** (len(p.filters) - 1) // size for side, size in zip(shape[1:], p.patch, strict=True)]
        layer = {"convlstm": partial(ConvLSTM2d, recompute=p.recompute), "cnn_lstm": FrameConv2d}[p.recurrence]
        self.encoder = Encoder(shape[0], p.filters, layer)
        self.patches = Patches(F, p.patch)
        self.in_time = LSTM(F, F) if p.recurrence == "cnn_lstm" else nn.Identity()
        self.attention = {
            "bi_tgat": lambda: BiTGAT(F, p.n_heads, p.itself),
            "transformer": lambda: TemporalTransformer(F, p.n_heads),
            "none": nn.Identity,
        }[p.attention]()
        self.embedding = Embedding(grid[0] * grid[1], F, D, p.pooling)
        self.express = partial(expressed, p=p)
        kind = {"days": DayBottleneck, "sequence": SequenceBottleneck}[p.bottleneck]
        self.bottleneck = kind(D + D * p.expression, F, grid, p.patch)
        self.decoder = Decoder(p.filters, shape[0], p.skips, layer)

    def forward(self, x: Tensor, alone: Tensor | None = None) -> Output:
        """Map frames (batch, time, variable, y, x) in [0, 1].

        Parameters
        ----------
        alone : Tensor of bool, shape (batch,), optional
            Sequences of which the decoder knows Z alone, neither skip connections nor what C adds to the bottleneck.
        """
        x, inner = self._mirrored(x)
        levels = self.encoder(x)
        nodes = self._nodes(levels[-1])[:, inner]
        Z = self.embedding(nodes)
        C = self.express(Z)
        top = self.bottleneck(nodes, vectors(Z, C, alone))
        return Output(Z, C, self.decoder(top, [unless(alone, level[:, inner]) for level in levels]))

    def embed(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return Z and C alone."""
        x, inner = self._mirrored(x)
        Z = self.embedding(self._nodes(self.encoder(x)[-1])[:, inner])
        return Z, self.express(Z)

    def _mirrored(self, x: Tensor) -> tuple[Tensor, slice]:
        """Return frames with their first and last days mirrored at both ends, and where the frames stand in them."""
        n = min(self.halo, x.shape[1])
        return torch.cat([x[:, :n].flip(1), x, x[:, x.shape[1] - n :].flip(1)], dim=1), slice(n, n + x.shape[1])

    def _nodes(self, top: Tensor) -> Tensor:
        nodes = self.patches(top)
        if isinstance(self.in_time, LSTM):
            series = nodes.transpose(1, 2)
            nodes = self.in_time(series.flatten(0, 1)).unflatten(0, series.shape[:2]).transpose(1, 2)
        return self.attention(nodes)


@torch.no_grad()
def forget(G: nn.Module, bias: float) -> None:
    """Start all forget gates of ConvLSTM layers at ``bias``."""
    for layer in G.modules():
        if isinstance(layer, ConvLSTM2d):
            layer.bias.chunk(4)[1].fill_(bias)


def vectors(Z: Tensor, C: Tensor | None, alone: Tensor | None = None) -> Tensor:
    """Return [z_t || (C Z)_t] of each frame (section 5.1.4), the latter 0 where Z is to stand alone."""
    return Z if C is None else torch.cat([Z, unless(alone, C @ compared(Z))], dim=2)


def unless(alone: Tensor | None, x: Tensor) -> Tensor:
    """Return ``x`` (batch, ...), with 0 in sequences that are to do without."""
    return x if alone is None else x.where(~alone.view(-1, *[1] * (x.ndim - 1)), 0)


class TabularGenerator(nn.Module):
    """The same losses on flat days: dense layers in place of convolutions and of all that looks along time.

    Parameters
    ----------
    shape : sequence of int
        (variable, y, x) of a frame.
    p : SimpleNamespace
        ``hidden``, widths of the encoder's layers, ``latent``, ``expression``, ``sparsity``, ``ridge``,
        ``neighbours`` and ``expression_steps``.
    """

    def __init__(self, shape: Sequence[int], p: SimpleNamespace) -> None:
        super().__init__()
        self.shape = tuple(shape)
        n_columns = torch.Size(self.shape).numel()
        widths = [n_columns, *p.hidden]
        layers = [nn.Sequential(nn.Linear(a, b), nn.ReLU()) for a, b in pairwise(widths)]
        self.encoder = nn.Sequential(*layers, nn.Linear(widths[-1], p.latent), nn.LayerNorm(p.latent, eps=EPSILON))
        self.express = partial(expressed, p=p)
        widths = [p.latent + p.latent * p.expression, *p.hidden[::-1], n_columns]
        layers = [nn.Sequential(nn.Linear(a, b), nn.ReLU()) for a, b in pairwise(widths[:-1])]
        self.decoder = nn.Sequential(*layers, nn.Linear(widths[-2], n_columns), nn.Sigmoid())

    def forward(self, x: Tensor, alone: Tensor | None = None) -> Output:
        """Map frames (batch, time, variable, y, x) in [0, 1]; ``alone`` as in :class:`ConvGenerator`."""
        Z, C = self.embed(x)
        return Output(Z, C, self.decoder(vectors(Z, C, alone)).unflatten(2, self.shape))

    def embed(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return Z and C alone."""
        Z = self.encoder(x.flatten(2))
        return Z, self.express(Z)
