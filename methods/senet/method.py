"""Self-Expressive Network (Zhang, You, Vidal and Li, CVPR 2021)."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import torch
from torch import Tensor

from methods.blocks.components import components, unit_rows
from methods.blocks.kmeans_cut import kmeans_cut
from methods.blocks.seeding import generator, reproducible
from methods.blocks.spectral import cut, plain_affinity, raw_least_squares
from methods.blocks.training import batches, train
from methods.senet.graph import neighbour_labels
from methods.senet.network import SENet, batch_loss, exact_coefficients
from regimebench.method import Cube, Fit, Method


class Plugin(Method):
    """Each day as a combination of others, with coefficients that two networks compute; a cut of their graph."""

    def fit(self, cube: Cube) -> Fit:
        """Cluster the days of ``cube``."""
        p = SimpleNamespace(**self.params)
        x = unit_rows(components(cube.table, p.n_components).scores)
        if p.exact:
            C, iterations = exact_coefficients(x, p.gamma, p.share, p.max_iter, p.tol)
            stop = "coefficients stay" if iterations < p.max_iter else "iteration limit reached"
            found = {"epochs": iterations, "stop_reason": stop}
        else:
            with reproducible(self.seed, self.device):
                C, found = self._learnt(torch.tensor(x, dtype=torch.float32, device=self.device))
        others = {
            "plain_cut": cut(plain_affinity(C), self.n_clusters, self.seed),
            "raw_data": self._cut(raw_least_squares(cube.table)),
        }
        return Fit(labels=self._cut(C), embedding=x, self_expression=C, other_labels=others, **found)

    def _cut(self, C: np.ndarray) -> np.ndarray:
        """Return the labels of C by either of the official label steps."""
        p = SimpleNamespace(**self.params)
        if p.neighbours:
            return neighbour_labels(C, self.n_clusters, self.seed, p.neighbours, p.n_vectors, p.non_zeros)
        return kmeans_cut(plain_affinity(unit_rows(C)), self.n_clusters, self.seed)

    def _learnt(self, x: Tensor) -> tuple[np.ndarray, dict[str, object]]:
        """Return C by the networks, and what is to be told of their training."""
        p = SimpleNamespace(**self.params)
        net = SENet(x.shape[1], p.hidden, p.width, generator(self.seed, "weights")).to(self.device)
        history: dict[str, list[float]] = {}
        if p.steps:
            optimiser = torch.optim.Adam(net.parameters(), p.lr)
            schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, p.steps)
            optimiser.register_step_post_hook(lambda *_: schedule.step())
            history = train(
                lambda days: batch_loss(net, x, days, p.gamma, p.share),
                optimiser,
                batches(len(x), p.batch_size, generator(self.seed, "order of days"), self.device),
                p.steps,
                name="self-expression",
                progress=self.progress,
                clip_norm=p.clip_norm,
            )
        return net.matrix(x).double().cpu().numpy(), {
            "history": history,
            "n_parameters": sum(weight.numel() for weight in net.parameters()),
            "epochs": round(p.steps / -(-len(x) // p.batch_size)),
            "stop_reason": "number of steps reached",
        }
