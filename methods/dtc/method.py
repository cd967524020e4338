"""Deep Temporal Clustering (Madiraju, Sadat, Fisher and Karimabadi, arXiv 1802.01059)."""

from __future__ import annotations

from itertools import chain, repeat
from types import SimpleNamespace

import numpy as np
import torch
from scipy.cluster.hierarchy import cut_tree, linkage
from torch import Tensor
from torch.optim import Adam

from methods.blocks.autoencoder import reconstruction_loss
from methods.blocks.initialisers import glorot_uniform, initialise
from methods.blocks.kmeans import kmeans
from methods.blocks.seeding import generator, reproducible
from methods.blocks.self_training import self_train
from methods.blocks.series import block_means, cells, flattened, pad_steps, windows_of
from methods.blocks.similarity import SIMILARITIES, Similarity
from methods.blocks.student_t import ClusterHead, kl_loss
from methods.blocks.training import batches, train
from methods.dtc.network import HeatMap, TemporalAutoencoder
from regimebench.method import Cube, Fit, Method

ADAM = {"eps": 1e-7}  # Keras' default


class Plugin(Method):
    """Temporal auto-encoder, then centroids that are latent series, and KL self-training of both."""

    def fit(self, cube: Cube) -> Fit:
        """Cluster the days of ``cube``."""
        with reproducible(self.seed, self.device):
            return self._fit(self._series(cube))

    def _series(self, cube: Cube) -> Tensor:
        """Return the days as series, shape (n_days, T, channels)."""
        p = SimpleNamespace(**self.params)
        if p.layout == "flattened":
            return flattened(cube)
        if p.layout == "cells":
            return cells(cube, p.max_cells)
        if p.layout == "days":
            return windows_of(block_means(cube, p.max_cells), p.window)
        raise ValueError(f"layout is {p.layout!r}; allowed are cells, days and flattened")

    def _fit(self, x: Tensor) -> Fit:
        p = SimpleNamespace(**self.params)
        if p.similarity not in SIMILARITIES:
            raise ValueError(f"similarity is {p.similarity!r}; allowed are acf, cid, cor and eucl")
        P = p.pool or -(-x.shape[1] // 99)  # fewer than 100 latent steps
        x = pad_steps(x, P).to(self.device)
        weights = generator(self.seed, "weights")
        network = TemporalAutoencoder(x.shape[2], p.filters, p.kernel_size, P, p.units)
        heat_map = HeatMap(p.units[1], self.n_clusters, p.kernel_size, P) if p.heatmap else None
        parts = [network] if heat_map is None else [network, heat_map]
        for part in parts:
            initialise(part, glorot_uniform, weights)
            part.to(self.device)

        days = batches(len(x), p.batch_size, generator(self.seed, "order of days"), self.device)
        steps = -(-len(x) // p.batch_size)
        history: dict[str, list[float]] = {}
        if p.pretrain_epochs:
            history = train(
                lambda day: reconstruction_loss(network(x[day])[0], x[day]),
                Adam(network.parameters(), p.learning_rate, **ADAM),
                days,
                p.pretrain_epochs * steps,
                name="autoencoder",
                progress=self.progress,
                log_every=steps,
            )

        w = self._centroids(latent_series(network, x, p.batch_size), SIMILARITIES[p.similarity])
        head = ClusterHead(w, kernel_distance(SIMILARITIES[p.similarity], p.squared), p.alpha)
        parts.append(head)

        def codes() -> Tensor:
            return latent_series(network, x, p.batch_size)

        def assign(z: Tensor) -> Tensor:
            return torch.cat([head(some.double()) for some in z.split(p.batch_size)])

        eta = chain(repeat(p.eta[0], p.eta_epochs * steps), repeat(p.eta[1]))

        def loss(day: Tensor, target: Tensor) -> dict[str, Tensor]:
            output, z = network(x[day])
            terms = {"reconstruction": reconstruction_loss(output, x[day])}
            clustering = p.gamma * kl_loss(target, head(z))
            if heat_map is None:
                return terms | {"clustering": clustering}
            share = next(eta)
            heat = p.gamma * kl_loss(target, heat_map.probabilities(z))
            return terms | {"clustering": (1 - share) * clustering, "heat_map": share * heat}

        with torch.no_grad():
            labels = assign(codes()).argmax(dim=1).cpu().numpy()
        parameters = [weight for part in parts for weight in part.parameters()]
        found = self_train(
            codes=codes,
            assign=assign,
            loss=loss,
            optimiser=lambda: Adam(parameters, p.learning_rate, **ADAM),
            days=days,
            labels=labels,
            update_interval=steps,
            max_steps=p.epochs * steps,
            tol=p.tol,
            quiet_looks=p.patience,
            progress=self.progress,
        )
        return Fit(
            labels=found.labels,
            embedding=codes().flatten(1).cpu().numpy(),
            history={**history, **found.history},
            n_parameters=sum(weight.numel() for weight in parameters),
            epochs=p.pretrain_epochs + found.steps // steps,
            stop_reason=found.stop_reason,
        )

    def _centroids(self, z: Tensor, siml: Similarity) -> Tensor:
        """Return the first centroids (section 3.2), shape (n_clusters, T / P, latent channels)."""
        p = SimpleNamespace(**self.params)
        if p.init == "kmeans":
            return kmeans(z, self.n_clusters, self.seed, p.n_init)[1]
        if p.init == "hierarchical":
            some = torch.randperm(len(z), generator=generator(self.seed, "days to link"))[: p.linkage_days]
            return complete_linkage(z[some.sort().values.to(z.device)], self.n_clusters, siml)
        raise ValueError(f"init is {p.init!r}; allowed are hierarchical and kmeans")


def kernel_distance(siml: Similarity, squared: bool) -> Similarity:
    """Return what Student's kernel takes: the distance (the paper), or its square (the authors of DSC)."""
    return (lambda z, w: siml(z, w).square()) if squared else siml


@torch.no_grad()
def latent_series(network: TemporalAutoencoder, x: Tensor, batch_size: int) -> Tensor:
    """Return the latent series of all days, a batch at a time."""
    return torch.cat([network.encode(some) for some in x.split(batch_size)])


@torch.no_grad()
def complete_linkage(z: Tensor, n_clusters: int, siml: Similarity) -> Tensor:
    """Return the means of the clusters that complete linkage finds with a distance between series."""
    z = z.double()
    n = len(z)
    rows = z.split(max(1, 2**22 // z.numel()))  # few rows at once: a distance needs all differences of all steps
    distance = torch.cat([siml(some, z) for some in rows]).cpu().numpy()
    labels = cut_tree(linkage(distance[np.triu_indices(n, 1)], method="complete"), n_clusters)[:, 0]
    members = torch.as_tensor(labels, device=z.device)
    return torch.stack([z[members == j].mean(dim=0) for j in range(n_clusters)]).float()
