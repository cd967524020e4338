"""Deep Spatiotemporal Clustering (Faruque et al., 2023) and its ablations."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import torch
from torch import Tensor

from methods.blocks.autoencoder import reconstruction_loss
from methods.blocks.day_windows import stretches, trailing_windows
from methods.blocks.kmeans import kmeans
from methods.blocks.seeding import generator, reproducible
from methods.blocks.self_training import self_train
from methods.blocks.student_t import ClusterHead, kl_loss
from methods.blocks.training import batches, train
from methods.dsc.network import DSC, POOL
from regimebench.method import Cube, Fit, Method

DAYS_AT_ONCE = 64  # where nothing is trained


class Plugin(Method):
    """CNN-LSTM auto-encoder, k-means on its codes, then reconstruction and KL self-training together."""

    def fit(self, cube: Cube) -> Fit:
        """Cluster the days of ``cube``."""
        with reproducible(self.seed, self.device):
            return self._fit(cube)

    def _fit(self, cube: Cube) -> Fit:
        p = SimpleNamespace(**self.params)
        model = self._model(cube.unpadded())
        history = self._pretrain(model)
        labels, C = kmeans(model.codes(), self.n_clusters, self.seed, p.n_init, p.init)
        head = ClusterHead(C)
        parameters = [*model.network.parameters(), *head.parameters()]

        def loss(days: Tensor, P: Tensor) -> dict[str, Tensor]:
            E = model.encode(days)
            losses = {"kl": kl_loss(P, head(E))}
            if model.network.decoder is not None:
                losses["reconstruction"] = model.reconstruction(E, days)
            return losses

        found = self_train(
            codes=model.codes,
            assign=lambda E: head(E.double()),
            loss=loss,
            optimiser=lambda: torch.optim.SGD(parameters, p.learning_rate, p.momentum, fused=True),
            days=batches(cube.n_days, p.batch_size, device=self.device),
            labels=labels,
            update_interval=p.update_interval,
            max_steps=p.max_steps,
            tol=p.tol,
            quiet_looks=p.quiet_looks,
            clip_norm=p.clip_norm,
            precision=p.precision,
            progress=self.progress,
        )
        E = model.codes()
        return Fit(
            labels=found.labels,
            embedding=E.cpu().numpy(),
            reconstruction=None if model.network.decoder is None else model.decoded(E, cube),
            history={**history, **found.history},
            n_parameters=sum(weight.numel() for weight in parameters),
            epochs=round((p.pretrain_steps + found.steps) * min(p.batch_size / cube.n_days, 1)),
            stop_reason=found.stop_reason,
        )

    def _model(self, cube: Cube) -> Model:
        """Return the network with its initial weights, and the days it will see."""
        p = SimpleNamespace(**self.params)
        V, counted = padded(cube, p.pad_to, 2 ** p.filters.count(POOL))
        network = DSC(
            V.shape[1:],
            p.filters,
            p.units,
            p.code,
            recurrent=p.recurrent,
            decoder=p.decoder,
            dense_output=p.dense_output,
            pooling=p.pooling,
            dropout=p.dropout,
            noise=generator(self.seed, "dropout", self.device),
        )
        network.initialise(generator(self.seed, "weights"))
        return Model(
            network.to(self.device, memory_format=torch.channels_last),
            torch.from_numpy(V).to(self.device),
            torch.from_numpy(counted | p.count_padding).to(self.device),
            trailing_windows(cube.n_days, p.sequence_days).to(self.device),
            p.broadcast_loss,
        )

    def _pretrain(self, model: Model) -> dict[str, list[float]]:
        """Train for reconstruction alone, so that codes of different days differ before they are clustered."""
        p = SimpleNamespace(**self.params)
        if p.pretrain_steps == 0:
            return {}
        return train(
            lambda days: model.reconstruction(model.encode(days), days),
            torch.optim.Adam(model.network.parameters(), p.pretrain_lr, fused=True),
            stretches(len(model.V), p.batch_size, generator(self.seed, "order of days"), self.device),
            p.pretrain_steps,
            name="autoencoder",
            progress=self.progress,
            clip_norm=p.clip_norm,
            precision=p.precision,
        )


@dataclass
class Model:
    """The network, and the days V whose trailing windows it encodes."""

    network: DSC
    V: Tensor  # (day, y, x, variable)
    counted: Tensor  # (y, x, variable): cells that the reconstruction is judged by
    windows: Tensor  # (day, length)
    broadcast_loss: bool

    def __post_init__(self) -> None:
        self.n_counted = int(self.counted.sum()) or 1  # once: a GPU would be waited for at each step

    def encode(self, days: Tensor) -> Tensor:
        """Return the codes of some days, each day of their windows convolved once."""
        rows, windows = self.windows[days].unique(return_inverse=True)
        return self.network.encode(self.V[rows], windows)

    def reconstruction(self, E: Tensor, days: Tensor) -> Tensor:
        """Return the loss of reconstructing some days from their codes (Eq. 5, mean over cells)."""
        V, V_hat = self.V[days] * self.counted, self.network.decode(E) * self.counted
        if self.broadcast_loss:
            return every_pair_loss(V_hat, V) * (self.counted.numel() / self.n_counted)
        return reconstruction_loss(V_hat, V, self.n_counted)

    @torch.no_grad()
    def codes(self) -> Tensor:
        """Return the codes of all days without dropout, shape (day, code)."""
        self.network.eval()
        E = torch.cat(
            [self.encode(days) for days in torch.arange(len(self.V), device=self.V.device).split(DAYS_AT_ONCE)]
        )
        self.network.train()
        return E

    @torch.no_grad()
    def decoded(self, E: Tensor, cube: Cube) -> np.ndarray:
        """Return the reconstruction on the grid of ``cube``, 0 in padded cells."""
        V_hat = np.zeros_like(cube.values)
        height, width = cube.unpadded().mask.shape[:2]
        for start in range(0, len(E), DAYS_AT_ONCE):
            part = self.network.decode(E[start : start + DAYS_AT_ONCE])[:, :height, :width]
            V_hat[start : start + DAYS_AT_ONCE, :height, :width] = part.cpu().numpy()
        return V_hat


def padded(cube: Cube, multiple: int, least: int) -> tuple[np.ndarray, np.ndarray]:
    """Return values and mask with zeros appended at the high ends of y and x.

    Parameters
    ----------
    cube : Cube
        Days, not padded.
    multiple, least : int
        Height and width become multiples of ``multiple``, and at least ``least``, the least that can be pooled.
    """
    missing = [(0, max(-size % multiple, least - size)) for size in cube.mask.shape[:2]]
    return np.pad(cube.values, [(0, 0), *missing, (0, 0)]), np.pad(cube.mask, [*missing, (0, 0)])


def every_pair_loss(output: Tensor, target: Tensor) -> Tensor:
    """Return the mean squared difference between each reconstruction and each day of the batch.

    The official code compares targets of shape (b, 1, ...) with outputs of shape (b, ...), which broadcast to
    (b, b, ...). The mean over pairs is ``mean ||y_j - x_mean||^2 + mean ||x_i - x_mean||^2``, so no pair is formed.
    """
    mean = target.mean(dim=0, keepdim=True)
    return (output - mean).square().mean() + (target - mean).square().mean()
