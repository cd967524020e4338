"""Deep Embedded Clustering (Xie et al., ICML 2016) and its improved version IDEC (Guo et al., IJCAI 2017)."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import torch
from torch import Tensor

from methods.blocks.autoencoder import MLPAutoencoder, project, reconstruction_loss
from methods.blocks.initialisers import INITIALISERS, initialise
from methods.blocks.kmeans import kmeans
from methods.blocks.pretraining import pretrain_layers
from methods.blocks.seeding import generator, reproducible
from methods.blocks.self_training import self_train
from methods.blocks.student_t import ClusterHead, kl_loss
from methods.blocks.training import batches, train
from regimebench.method import Cube, Fit, Method


class Plugin(Method):
    """Auto-encoder, k-means on its code, then KL self-training of encoder and centres (IDEC: and of the decoder)."""

    def fit(self, cube: Cube) -> Fit:
        """Cluster the days of ``cube``."""
        with reproducible(self.seed, self.device):
            return self._fit(torch.tensor(cube.table, dtype=torch.float32))

    def _fit(self, x: Tensor) -> Fit:
        p = SimpleNamespace(**self.params)
        if p.scale_input:
            x = unit_scale(x)
        network = MLPAutoencoder(x.shape[1], [*p.hidden, p.code])
        weights = generator(self.seed, "weights")
        initialise(network, INITIALISERS[p.initialiser], weights, shared=p.shared_initialiser)
        trained = network if p.keep_decoder else network.encoder
        n_weights = sum(weight.numel() for weight in trained.parameters())
        network, x = (part.to(self.device) for part in self._smaller(network, x))

        history = self._pretrain(network, x)
        with torch.no_grad():
            labels, centres = kmeans(network.encoder(x), self.n_clusters, self.seed, p.n_init)
        head = ClusterHead(centres)
        trained = network if p.keep_decoder else network.encoder
        parameters = [*trained.parameters(), *head.parameters()]
        found = self_train(
            codes=lambda: network.encoder(x),
            assign=lambda z: head(z.double()),
            loss=lambda days, target: self._loss(network, head, x[days], target),
            optimiser=lambda: torch.optim.SGD(parameters, p.cluster_lr, p.cluster_momentum),
            days=batches(len(x), p.batch_size, device=self.device),
            labels=labels,
            update_interval=p.update_interval,
            max_steps=p.max_steps,
            tol=p.tol,
            reset_momentum=p.reset_momentum,
            clip_norm=p.clip_norm,
            progress=self.progress,
        )
        steps = p.layer_steps * (len(p.hidden) + 1) + p.joint_steps + found.steps
        with torch.no_grad():
            embedding = network.encoder(x).cpu().numpy()
        return Fit(
            labels=found.labels,
            embedding=embedding,
            history={**history, **found.history},
            n_parameters=n_weights + centres.numel(),
            epochs=round(steps / -(-len(x) // p.batch_size)),
            stop_reason=found.stop_reason,
        )

    def _loss(self, network: MLPAutoencoder, head: ClusterHead, x: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Return gamma KL(P || Q) and, where the decoder is kept, the error of reconstruction (the loss of IDEC)."""
        z = network.encoder(x)
        terms = {"clustering": self.params["gamma"] * kl_loss(target, head(z))}
        if self.params["keep_decoder"]:
            terms["reconstruction"] = reconstruction_loss(network.decoder(z), x, network.n_columns)
        return terms

    def _smaller(self, network: MLPAutoencoder, x: Tensor) -> tuple[MLPAutoencoder, Tensor]:
        """Train on fewer columns where that changes nothing but the time."""
        return (network, x) if self.params["input_corruption"] else project(network, x)

    def _pretrain(self, network: MLPAutoencoder, x: Tensor) -> dict[str, list[float]]:
        """Train layer by layer with corruption, then all layers without (section 3.2); either may have 0 steps."""
        p = SimpleNamespace(**self.params)
        sgd = partial(torch.optim.SGD, lr=p.pretrain_lr, momentum=p.momentum)
        shuffle = generator(self.seed, "order of days")
        history: dict[str, list[float]] = {}
        if p.layer_steps:
            history = pretrain_layers(
                network,
                x,
                n_steps=p.layer_steps,
                optimiser=sgd,
                decay_steps=p.decay_steps,
                batch_size=p.batch_size,
                corruption=p.corruption,
                input_corruption=p.input_corruption,
                shuffle=shuffle,
                noise=generator(self.seed, "corruption", self.device),
                progress=self.progress,
            )
        if p.joint_steps:
            history |= train(
                lambda days: reconstruction_loss(network(x[days]), x[days], network.n_columns),
                sgd(network.parameters()),
                batches(len(x), p.batch_size, shuffle, self.device),
                p.joint_steps,
                name="autoencoder",
                progress=self.progress,
                decay_steps=p.decay_steps,
            )
        return history


def unit_scale(x: Tensor) -> Tensor:
    """Scale the whole table so that the mean of ||x||^2 / d is 1 (section 4.3); all zeros stay as they are."""
    mean_square = x.double().square().mean().item()
    return x / (mean_square**0.5 or 1.0)
