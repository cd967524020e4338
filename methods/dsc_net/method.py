"""Deep Subspace Clustering Networks (Ji, Zhang, Li, Salzmann and Reid, NeurIPS 2017), and their controls."""

from __future__ import annotations

from itertools import repeat
from types import SimpleNamespace

import numpy as np
import torch
from torch import Tensor, nn

from methods.blocks.conv_autoencoder import ConvAutoencoder
from methods.blocks.initialisers import glorot_uniform, initialise
from methods.blocks.seeding import generator, reproducible
from methods.blocks.self_expression import SelfExpression, centred, residual, ridge, unit_energy
from methods.blocks.spectral import labelings, raw_least_squares
from methods.blocks.training import train
from regimebench.method import Cube, Fit, Method

LOG_EVERY = 25  # steps


class Plugin(Method):
    """Convolutional auto-encoder whose codes express each other, Z ~ C Z; labels are a cut of the graph of C."""

    def fit(self, cube: Cube) -> Fit:
        """Cluster the days of ``cube``."""
        with reproducible(self.seed, self.device):
            return self._fit(cube) if self.params["channels"] else self._without_network(cube)

    def _fit(self, cube: Cube) -> Fit:
        p = SimpleNamespace(**self.params)
        model = Model(cube.unpadded(), p)
        initialise(model.network, glorot_uniform, generator(self.seed, "weights"))
        model.to(self.device)

        history = self._pretrain(model) | self._fine_tune(model)
        with torch.no_grad():
            Z = model.network.encode(model.X)
            if not p.fine_tune_steps:
                C = ridge(model.scaled(Z), 2 * p.lambda1 / p.lambda2, p.zero_diagonal)
                model.expression.weight.copy_(C)
            C = model.expression.matrix.cpu().numpy()
            reconstruction = self._on_the_grid(model.reconstruct(Z).cpu().numpy(), cube)
        labels, others = labelings(C, cube.table, self.n_clusters, self.seed)
        steps = p.pretrain_steps + p.fine_tune_steps
        return Fit(
            labels=labels,
            embedding=model.compared(Z).flatten(1).cpu().numpy(),
            self_expression=C,
            reconstruction=reconstruction,
            other_labels=others,
            history=history,
            n_parameters=sum(weight.numel() for weight in model.parameters()),
            epochs=steps,
            stop_reason=f"all {steps} steps were taken" if steps else "nothing is trained",
        )

    def _pretrain(self, model: Model) -> dict[str, list[float]]:
        """Train the auto-encoder alone, all days at once."""
        if not self.params["pretrain_steps"]:
            return {}
        return train(
            lambda _: model.error(model.network(model.X)),
            torch.optim.Adam(model.network.parameters(), self.params["learning_rate"]),
            repeat(None),
            self.params["pretrain_steps"],
            name="autoencoder",
            progress=self.progress,
            log_every=LOG_EVERY,
        )

    def _fine_tune(self, model: Model) -> dict[str, list[float]]:
        """Train auto-encoder and C together, all days at once."""
        if not self.params["fine_tune_steps"]:
            return {}
        norms: list[float] = [model.norm()]

        def look(name: str, done: int, total: int) -> None:
            norms.append(model.norm())
            self.progress(name, done, total)

        history = train(
            lambda _: model.losses(),
            torch.optim.Adam(model.parameters(), self.params["learning_rate"]),
            repeat(None),
            self.params["fine_tune_steps"],
            name="self-expression",
            progress=look,
            log_every=LOG_EVERY,
        )
        return {**history, "embedding_norm": norms}

    def _without_network(self, cube: Cube) -> Fit:
        """Express the days themselves, the control for what any network adds."""
        C = raw_least_squares(cube.table)
        labels, others = labelings(C, cube.table, self.n_clusters, self.seed)
        return Fit(labels, cube.table, C, other_labels=others, n_parameters=C.size, stop_reason="nothing is trained")

    @staticmethod
    def _on_the_grid(days: np.ndarray, cube: Cube) -> np.ndarray:
        """Lay days out on the grid of ``cube``, 0 in padded and masked cells."""
        values = np.zeros_like(cube.values)
        values[:, : days.shape[1], : days.shape[2]] = days
        return values * cube.mask


class Model(nn.Module):
    """Auto-encoder and C, the days they see, and the terms of the loss."""

    def __init__(self, cube: Cube, p: SimpleNamespace) -> None:
        super().__init__()
        self.p = p
        self.network = ConvAutoencoder(cube.values.shape[1:], p.channels, p.kernels, p.output)
        self.expression = SelfExpression(cube.n_days, p.start, p.zero_diagonal)
        X = torch.tensor(cube.values)
        self.register_buffer("X", X)
        self.register_buffer("counted", torch.tensor(cube.mask))
        energy = centred(X).square().sum() / cube.n_days  # masked cells are 0 on all days
        self.register_buffer("energy", energy if p.normalise and energy > 0 else torch.ones(()))

    def losses(self) -> dict[str, Tensor]:
        """Return 1/2 ||X - X^||^2 + lambda1 ||C||_p + lambda2 / 2 ||Z - C Z||^2 (Eq. 5), term by term."""
        Z = self.network.encode(self.X)
        scaled = self.scaled(Z)
        return {
            "reconstruction": self.error(self.reconstruct(Z)),
            "coefficients": self.p.lambda1 * self.expression.penalty(self.p.norm),
            "self_expression": self.p.lambda2 / 2 * residual(scaled, self.expression(scaled)),
        }

    def error(self, reconstructed: Tensor) -> Tensor:
        """Return 1/2 ||X - X^||^2 over cells with data, in units of a day's mean squared distance to the mean day."""
        return residual(self.X * self.counted, reconstructed * self.counted) / self.energy / 2

    def reconstruct(self, Z: Tensor) -> Tensor:
        """Decode C Z; where the mean is not expressed, it stays as it is."""
        expressed = self.compared(Z)
        return self.network.decode(Z - expressed + self.expression(expressed))

    def compared(self, Z: Tensor) -> Tensor:
        """Return what C expresses: codes, without what they share."""
        return centred(Z) if self.p.normalise else Z

    def scaled(self, Z: Tensor) -> Tensor:
        """Return it as the loss measures it: with a mean energy of 1, which no scale of the weights changes."""
        return unit_energy(centred(Z)) if self.p.normalise else Z

    @torch.no_grad()
    def norm(self) -> float:
        """Return the Frobenius norm of what C expresses."""
        return self.compared(self.network.encode(self.X)).norm().item()
