"""Efficient Deep Embedded Subspace Clustering (Cai, Fan, Guo, Wang, Zhang and Zhang, CVPR 2022)."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import torch
from torch import Tensor

from methods.blocks.autoencoder import MLPAutoencoder, reconstruction_loss
from methods.blocks.components import components, unit_rows
from methods.blocks.initialisers import initialise, variance_scaling
from methods.blocks.seeding import generator, reproducible
from methods.blocks.student_t import target_distribution
from methods.blocks.subspace_affinity import constraints, kl_elements, start, subspace_affinity
from methods.blocks.training import batches, train
from regimebench.method import Cube, Fit, Method


class Plugin(Method):
    """Auto-encoder whose code is divided among k subspaces; days learn to lie in one of them."""

    def fit(self, cube: Cube) -> Fit:
        """Cluster the days of ``cube``."""
        with reproducible(self.seed, self.device):
            x = directions(cube.table) if self.params["directions"] else cube.table
            n_columns = cube.table.shape[1]
            return self._fit(torch.tensor(x, dtype=torch.float32, device=self.device), n_columns)

    def _fit(self, x: Tensor, n_columns: int) -> Fit:
        p, k = SimpleNamespace(**self.params), self.n_clusters
        network = MLPAutoencoder(x.shape[1], [*p.hidden, k * p.subspace_dim])
        network.n_columns = n_columns
        initialise(network, variance_scaling, generator(self.seed, "weights"))
        network = network.to(self.device)

        history = self._pretrain(network, x)
        with torch.no_grad():
            z = network.encoder(x)
        norms = [z.norm().item()]
        _, bases = start(z, k, p.subspace_dim, self.seed, p.n_init, p.alternate)
        D = torch.nn.Parameter(bases)
        trained = [*network.parameters(), D]

        def loss(_: Tensor) -> dict[str, Tensor]:
            """All days at once: the target needs the sums over days (official code)."""
            z = network.encoder(x)
            s = subspace_affinity(z, D, k, p.eta)
            lengths, angles = constraints(D, k)
            return {
                "reconstruction": reconstruction_loss(network.decoder(z), x, network.n_columns),
                "clustering": p.beta * kl_elements(target_distribution(s.detach()), s),
                "column_lengths": p.constraint_weight * lengths,
                "subspace_angles": p.constraint_weight * angles,
            }

        if p.epochs:
            history |= train(
                loss,
                torch.optim.Adam(trained, p.cluster_lr),
                batches(len(x), len(x), device=self.device),
                p.epochs,
                name="clustering",
                progress=self.progress,
            )
        with torch.no_grad():
            z = network.encoder(x)
            labels = subspace_affinity(z.double(), D.double(), k, p.eta).argmax(dim=1)
        norms.append(z.norm().item())
        return Fit(
            labels=labels.cpu().numpy(),
            embedding=z.cpu().numpy(),
            history={**history, "embedding_norm": norms},
            n_parameters=sum(weight.numel() for weight in trained),
            epochs=round(p.pretrain_steps / -(-len(x) // p.batch_size)) + p.epochs,
            stop_reason="number of epochs reached",
        )

    def _pretrain(self, network: MLPAutoencoder, x: Tensor) -> dict[str, list[float]]:
        """Train for reconstruction alone."""
        p = SimpleNamespace(**self.params)
        if p.pretrain_steps == 0:
            return {}
        return train(
            lambda days: reconstruction_loss(network(x[days]), x[days], network.n_columns),
            torch.optim.Adam(network.parameters(), p.lr),
            batches(len(x), p.batch_size, generator(self.seed, "order of days"), self.device),
            p.pretrain_steps,
            name="autoencoder",
            progress=self.progress,
        )


def directions(table: np.ndarray) -> np.ndarray:
    """Return the days as seen from the mean day, each scaled to a root mean square of 1 over its columns.

    They are given on their principal axes, all of them: squared errors are the same, columns fewer.
    """
    return unit_rows(components(table).scores) * np.sqrt(table.shape[1])
