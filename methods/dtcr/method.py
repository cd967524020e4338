"""Deep Temporal Clustering Representation (Ma, Zheng, Li and Cottrell, NeurIPS 2019)."""

from __future__ import annotations

from types import SimpleNamespace

import torch
from torch import Tensor

from methods.blocks.autoencoder import reconstruction_loss
from methods.blocks.kmeans import kmeans
from methods.blocks.relaxed_kmeans import RelaxedKMeans
from methods.blocks.seeding import generator, reproducible
from methods.blocks.series import block_means, cells, windows_of
from methods.blocks.training import batches, train
from methods.dtcr.network import DTCR, classification_loss, fake_samples
from regimebench.method import Cube, Fit, Method


class Plugin(Method):
    """Recurrent auto-encoder, k-means loss on its code and a classifier of shuffled series; then k-means."""

    def fit(self, cube: Cube) -> Fit:
        """Cluster the days of ``cube``."""
        with reproducible(self.seed, self.device):
            return self._fit(self._series(cube))

    def _series(self, cube: Cube) -> Tensor:
        """Return one series per day: its grid cells in order, or the days around it."""
        p = SimpleNamespace(**self.params)
        if p.window is None:
            return cells(cube, p.max_steps)
        return windows_of(block_means(cube, p.window_cells), p.window)

    def _fit(self, x: Tensor) -> Fit:
        p = SimpleNamespace(**self.params)
        network = DTCR(x.shape[2], p.units, p.dilations, p.classifier_units)
        network.initialise(generator(self.seed, "weights"))
        network, x = network.to(self.device), x.to(self.device)
        norm_before = network.encode_all(x).double().norm().item()
        history = self._train(network, x) if p.max_iter else {}
        h = network.encode_all(x)
        if p.max_iter:
            history["embedding_norm"] = [norm_before, h.double().norm().item()]
        labels, _ = kmeans(h, self.n_clusters, self.seed, p.n_init)
        return Fit(
            labels=labels,
            embedding=h.cpu().numpy(),
            history=history,
            n_parameters=sum(weight.numel() for weight in network.parameters()),
            epochs=round(p.max_iter / -(-len(x) // (p.batch_size or len(x)))),
            stop_reason="all iterations done" if p.max_iter else "no iterations asked for",
        )

    def _train(self, network: DTCR, x: Tensor) -> dict[str, list[float]]:
        """Minimise L = L_rec + L_cls + lambda L_kmeans (Eq. 9, Algorithm 1)."""
        p = SimpleNamespace(**self.params)
        batch_size = p.batch_size or len(x)
        fakes = generator(self.seed, "fake samples")
        noise = generator(self.seed, "input noise", self.device)
        positions = batches(len(x), batch_size, device=self.device)
        l_kmeans = RelaxedKMeans(
            x.new_empty(len(x), network.n_code), self.n_clusters, p.refresh_interval, generator(self.seed, "first F")
        )

        def loss(days: Tensor) -> dict[str, Tensor]:
            real, place = x[days], next(positions)
            both = torch.cat([real, fake_samples(real, p.fake_share, p.fake_replacement, fakes)])
            if p.input_noise:
                both = both + p.input_noise * torch.randn(both.shape, generator=noise, device=both.device)
            h = network.encode(both)
            h_real = h[: len(days)]
            output = network.decoder(h_real, both[: len(days), 0], x.shape[1])
            n_terms = real[0].numel() if p.mean_over_steps else 1
            return {
                "reconstruction": reconstruction_loss(output, real, n_terms),
                "classification": classification_loss(network.classifier(h)),
                "kmeans": p.kmeans_weight * l_kmeans(h_real, days if p.align_f else place),
            }

        return train(
            loss,
            torch.optim.Adam(network.parameters(), p.lr, weight_decay=p.weight_decay),
            batches(len(x), batch_size, generator(self.seed, "order of days"), self.device),
            p.max_iter,
            name="training",
            progress=self.progress,
            log_every=p.refresh_interval,
        )
