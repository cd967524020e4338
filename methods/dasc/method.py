"""Deep Adversarial Subspace Clustering (Zhou, Hou and Feng, CVPR 2018)."""

from __future__ import annotations

from types import SimpleNamespace

import torch
from torch import Tensor

from methods.blocks.expressive_autoencoder import ExpressiveAutoencoder
from methods.blocks.gan import Player, alternate
from methods.blocks.gan_networks import count
from methods.blocks.seeding import generator, reproducible
from methods.blocks.subspace_game import SubspaceDiscriminator, gradient_share, joined, once_per_round, play
from regimebench.method import Cube, Fit, Method


class Plugin(Method):
    """Self-expressive auto-encoder G against bases of the clusters D; C gives the clusters anew as both learn."""

    def fit(self, cube: Cube) -> Fit:
        """Cluster the days of ``cube``."""
        with reproducible(self.seed, self.device):
            return self._fit(cube)

    def _fit(self, cube: Cube) -> Fit:
        p = SimpleNamespace(**self.params)
        G, D = self._players(cube)
        history, diagnostics = G.prepare(p, self.seed, self.progress), {}
        if p.adversarial_rounds:
            game, diagnostics = self._play(G, D)
            history = joined(history, game)
        passes = p.pretrain_steps * min(p.batch_size / cube.n_days, 1)
        return Fit(
            **G.labelled(cube, self.n_clusters, self.seed, trained=p.express_steps > 0),
            diagnostics=diagnostics,
            history=history,
            n_parameters=count(G, D),
            epochs=round(passes + p.express_steps + p.adversarial_rounds),
        )

    def _players(self, cube: Cube) -> tuple[ExpressiveAutoencoder, SubspaceDiscriminator]:
        p = SimpleNamespace(**self.params)
        G = ExpressiveAutoencoder(
            cube,
            p.channels,
            p.kernels,
            p.output,
            input_scale=p.input_scale,
            start=p.start,
            seed=self.seed,
            device=self.device,
        )
        D = SubspaceDiscriminator(
            self.n_clusters,
            G.network.code_size,
            p.rank,
            generator(self.seed, "fakes", self.device),
            margin=p.margin,
            normalised=p.normalised,
            real_share=p.real_share,
            distinct=p.distinct_bases,
        )
        return G, D.to(self.device)

    def _play(
        self, G: ExpressiveAutoencoder, D: SubspaceDiscriminator
    ) -> tuple[dict[str, list[float]], dict[str, float]]:
        """Let D and G move in turn, five to one, after a head start of D."""
        p = SimpleNamespace(**self.params)
        labels = G.cut(self.n_clusters, self.seed)
        D.start(G.codes(), labels)
        codes = once_per_round(G.codes, p.discriminator_steps)

        def judge() -> dict[str, Tensor]:
            weight = p.basis_penalty / (self.n_clusters if p.mean_basis_penalty else 1)
            return {"discriminator": D.loss(codes()), **D.penalties(weight)}

        def deceive() -> dict[str, Tensor]:
            Z = G.encode(G.X)
            return G.losses(Z, p.weights, p.penalty) | {"adversarial": self._adversarial(D, Z)}

        of_D = Player(judge, torch.optim.Adam(D.parameters(), p.adversarial_rate, (0.0, 0.999)), p.discriminator_steps)
        of_G = Player(deceive, torch.optim.Adam(G.parameters(), p.adversarial_rate))
        alternate([of_D], p.head_start, name="first bases", progress=self.progress)
        history, diagnostics = play(
            [of_D, of_G],
            p.adversarial_rounds,
            p.relabel_interval,
            D=D,
            labels=labels,
            codes=G.codes,
            cut=lambda: G.cut(self.n_clusters, self.seed),
            progress=self.progress,
        )
        Z = G.codes().requires_grad_()
        rest = sum(G.losses(Z, p.weights, p.penalty).values())
        return history, diagnostics | {"adversary_share": gradient_share(self._adversarial(D, Z), rest, Z)}

    def _adversarial(self, D: SubspaceDiscriminator, Z: Tensor) -> Tensor:
        """Return L_a (paper), or the score that D raises and G lowers (official code)."""
        p = SimpleNamespace(**self.params)
        return p.adversarial_weight * (-D.loss(Z) if p.one_score else D.fake_energy(Z))
