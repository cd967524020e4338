"""A convolutional auto-encoder that decodes C Z in place of Z (DASC, DSC-DAG), with the days of one cube.

All days are in one batch, because row i of C belongs to day i.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import repeat
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from methods.blocks.conv_autoencoder import ConvAutoencoder
from methods.blocks.initialisers import glorot_uniform, initialise
from methods.blocks.seeding import generator
from methods.blocks.self_expression import SelfExpression, residual
from methods.blocks.spectral import labelings, raw_least_squares, spectral_labels
from methods.blocks.training import Progress, batches, train
from regimebench.method import Cube

DAYS_AT_ONCE = 64  # where nothing is trained


class ExpressiveAutoencoder(nn.Module):
    """Encoder, self-expression and decoder, with the days X that they belong to.

    Parameters
    ----------
    cube : Cube
        Its values in [0, 1]; padded cells are left out.
    channels, kernels, output
        See :class:`methods.blocks.conv_autoencoder.ConvAutoencoder`.
    input_scale : float
        The network sees [0, ``input_scale``].
    start : float
        Every entry of C before training.
    seed : int
        Of the run, for the weights.
    device : str
        Where to compute.

    Attributes
    ----------
    X : Tensor, shape (n_days, y, x, variable)
        The days in the scale of the network.
    seen : Tensor of bool, shape (y, x, variable)
        Cells that have data, by which reconstructions are judged.
    """

    def __init__(
        self,
        cube: Cube,
        channels: Sequence[int],
        kernels: Sequence[int],
        output: str,
        *,
        input_scale: float,
        start: float,
        seed: int,
        device: str,
    ) -> None:
        super().__init__()
        days = cube.unpadded()
        self.network = ConvAutoencoder(days.values.shape[1:], channels, kernels, output)
        initialise(self.network, glorot_uniform, generator(seed, "weights"))
        self.expression = SelfExpression(cube.n_days, start)
        self.input_scale = input_scale
        self.register_buffer("X", torch.from_numpy(days.values * np.float32(input_scale)))
        self.register_buffer("seen", torch.from_numpy(days.mask.copy()))
        self.to(device)

    def encode(self, days: Tensor) -> Tensor:
        """Return flat codes, shape (n, code), of days in the scale of ``X``."""
        return self.network.encode(days).flatten(1)

    def error(self, output: Tensor, days: Tensor) -> Tensor:
        """Return half the squared error over cells with data, summed over days and cells."""
        return ((output - days) * self.seen).square().sum() / 2

    def losses(self, Z: Tensor, weights: Mapping[str, float], penalty: str) -> dict[str, Tensor]:
        """Return the weighted losses of a self-expressive auto-encoder, sums over all days.

        Parameters
        ----------
        Z : Tensor, shape (n_days, code)
            Codes of all days.
        weights : mapping of str to float
            Of ``reconstruction``, half the squared error of what is decoded from C Z; of ``self_expression``, half of
            ``||Z - C Z||^2``; and of ``penalty``.
        penalty : str
            ``l1`` or ``l2``, see :meth:`methods.blocks.self_expression.SelfExpression.penalty`.
        """
        CZ = self.expression(Z)
        terms = {
            "reconstruction": self.error(self.network.decode(CZ), self.X),
            "self_expression": residual(Z, CZ) / 2,
            "penalty": self.expression.penalty(penalty),
        }
        return {name: weights[name] * term for name, term in terms.items()}

    def pretrain(
        self, n_steps: int, rate: float, batch_size: int, order: torch.Generator, progress: Progress
    ) -> dict[str, list[float]]:
        """Train the auto-encoder without C on batches in a new order each pass (Adam)."""
        return train(
            lambda days: {"autoencoder": self.error(self.network(self.X[days]), self.X[days])},
            torch.optim.Adam(self.network.parameters(), rate),
            batches(len(self.X), batch_size, order, self.X.device),
            n_steps,
            name="pre-training",
            progress=progress,
        )

    def express(
        self, n_steps: int, rate: float, weights: Mapping[str, float], penalty: str, progress: Progress
    ) -> dict[str, list[float]]:
        """Train auto-encoder and C together for :meth:`losses`, on all days at once (Adam)."""
        return train(
            lambda days: self.losses(self.encode(days), weights, penalty),
            torch.optim.Adam(self.parameters(), rate),
            repeat(self.X),
            n_steps,
            name="self-expression",
            progress=progress,
        )

    def prepare(self, p: SimpleNamespace, seed: int, progress: Progress) -> dict[str, list[float]]:
        """Train as far as a game begins: :meth:`pretrain`, then :meth:`express`, each if it has steps.

        Parameters
        ----------
        p : SimpleNamespace
            ``pretrain_steps``, ``batch_size``, ``express_steps``, ``learning_rate``, ``weights`` and ``penalty``.
        seed : int
            Of the run, for the order of days.
        progress : callable
            See :func:`methods.blocks.training.train`.

        Returns
        -------
        dict of str to list of float
            Loss terms, and ``embedding_norm`` after each of the two.
        """
        history = {}
        if p.pretrain_steps:
            order = generator(seed, "order of days")
            history |= self.pretrain(p.pretrain_steps, p.learning_rate, p.batch_size, order, progress)
        norms = [self.codes().norm().item()]
        if p.express_steps:
            history |= self.express(p.express_steps, p.learning_rate, p.weights, p.penalty, progress)
            norms.append(self.codes().norm().item())
        return history | {"embedding_norm": norms}

    def labelled(self, cube: Cube, n_clusters: int, seed: int, trained: bool) -> dict[str, Any]:
        """Return the labels and what they come from, as fields of a fit.

        Parameters
        ----------
        cube : Cube
            As at the start.
        n_clusters, seed : int
            As in the method contract.
        trained : bool
            Whether C was; otherwise it is that of least squares on the codes.
        """
        Z = self.codes().cpu().numpy()
        C = self.coefficients() if trained else raw_least_squares(Z)
        labels, others = labelings(C, cube.table, n_clusters, seed)
        return {
            "labels": labels,
            "embedding": Z,
            "self_expression": C,
            "reconstruction": self.reconstruction(cube, trained),
            "other_labels": others,
            "stop_reason": "step limit reached" if trained else "no steps asked for",
        }

    @torch.no_grad()
    def codes(self) -> Tensor:
        """Return the codes of all days, shape (n_days, code)."""
        return torch.cat([self.encode(days) for days in self.X.split(DAYS_AT_ONCE)])

    @torch.no_grad()
    def coefficients(self) -> np.ndarray:
        """Return C, shape (n_days, n_days)."""
        return self.expression.matrix.cpu().numpy()

    def cut(self, n_clusters: int, seed: int) -> np.ndarray:
        """Return the labels that C gives now, shape (n_days,)."""
        return spectral_labels(self.coefficients(), n_clusters, seed)

    @torch.no_grad()
    def reconstruction(self, cube: Cube, expressed: bool) -> np.ndarray:
        """Return the days decoded from C Z, or from Z where C is not trained; 0 in cells that pad ``cube``."""
        Z = self.codes()
        if expressed:
            Z = self.expression(Z)
        found = np.zeros_like(cube.values)
        height, width = self.X.shape[1:3]
        for days in torch.arange(len(Z), device=Z.device).split(DAYS_AT_ONCE):
            decoded = self.network.decode(Z[days]) / self.input_scale
            found[days.cpu().numpy(), :height, :width] = decoded.cpu().numpy()
        return found
