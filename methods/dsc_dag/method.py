"""Deep subspace clustering with an adversary on the inputs and one on the codes, after the abstract of DSC-DAG.

Yu, Zhang, Cao, Liu, Chen and Wong, "GAN-Based Enhanced Deep Subspace Clustering Networks", TKDE 2022. Only the abstract
is public; README.md lists what it says and what was decided here.
"""

from __future__ import annotations

from types import SimpleNamespace

import torch
from torch import Tensor, nn

from methods.blocks.expressive_autoencoder import ExpressiveAutoencoder
from methods.blocks.gan import Player, alternate, gradient_penalty, nearest_generated, random_days
from methods.blocks.gan_networks import count, dcgan_normal, table_features, table_generator
from methods.blocks.initialisers import initialise
from methods.blocks.seeding import generator, reproducible
from methods.blocks.subspace_game import SubspaceDiscriminator, gradient_share, joined, once_per_round, play
from methods.blocks.subspaces import residual_energy
from regimebench.method import Cube, Fit, Method

SLOPE = 0.2  # of leaky ReLU, as ClusterGAN
BETAS = (0.5, 0.9)  # of Adam for generator and critic, as ClusterGAN


class Plugin(Method):
    """DSC-Net, a generator of days with its critic, and bases of the clusters that judge two kinds of made-up codes."""

    def fit(self, cube: Cube) -> Fit:
        """Cluster the days of ``cube``."""
        with reproducible(self.seed, self.device):
            return self._fit(cube)

    def _fit(self, cube: Cube) -> Fit:
        p = SimpleNamespace(**self.params)
        E = ExpressiveAutoencoder(
            cube,
            p.channels,
            p.kernels,
            p.output,
            input_scale=p.input_scale,
            start=p.start,
            seed=self.seed,
            device=self.device,
        )
        inputs = InputGame(E.X, p, self.seed, self.device)
        bases = SubspaceDiscriminator(
            self.n_clusters,
            E.network.code_size,
            p.rank,
            generator(self.seed, "combinations", self.device),
            margin=p.margin,
            normalised=True,
            real_share=1.0,
            distinct=False,
        ).to(self.device)
        history, diagnostics = E.prepare(p, self.seed, self.progress), {}
        if p.adversarial_rounds:
            history |= alternate(inputs.players, p.generator_rounds, name="generator of days", progress=self.progress)
            game, diagnostics = self._play(E, inputs, bases)
            history = joined(history, game)
        passes = p.pretrain_steps * min(p.batch_size / cube.n_days, 1)
        return Fit(
            **E.labelled(cube, self.n_clusters, self.seed, trained=p.express_steps > 0),
            diagnostics=diagnostics,
            history=history,
            n_parameters=count(E, inputs.generator, inputs.critic, bases),
            epochs=round(passes + p.express_steps + p.adversarial_rounds),
        )

    def _play(
        self, E: ExpressiveAutoencoder, inputs: InputGame, bases: SubspaceDiscriminator
    ) -> tuple[dict[str, list[float]], dict[str, float]]:
        """Let critic, generator, bases and auto-encoder move in turn."""
        p = SimpleNamespace(**self.params)
        labels = E.cut(self.n_clusters, self.seed)
        bases.start(E.codes(), labels)
        codes = once_per_round(E.codes, p.discriminator_steps)

        def judge() -> dict[str, Tensor]:
            Z = codes()
            with torch.no_grad():
                made = E.encode(inputs.days(p.gan_batch_size))
            weight = p.basis_penalty / self.n_clusters
            too_near = torch.relu(p.margin - nearest_energy(bases, made)).mean()
            return {"bases": bases.loss(Z) + too_near, **bases.penalties(weight)}

        def fine_tune() -> dict[str, Tensor]:
            Z = E.encode(E.X)
            return E.losses(Z, p.weights, p.penalty) | self._adversarial(E, inputs, bases, Z)

        players = [
            *inputs.players,
            Player(
                judge, torch.optim.Adam(bases.parameters(), p.adversarial_rate, (0.0, 0.999)), p.discriminator_steps
            ),
            Player(fine_tune, torch.optim.Adam(E.parameters(), p.adversarial_rate)),
        ]
        history, diagnostics = play(
            players,
            p.adversarial_rounds,
            p.relabel_interval,
            D=bases,
            labels=labels,
            codes=E.codes,
            cut=lambda: E.cut(self.n_clusters, self.seed),
            progress=self.progress,
        )
        Z = E.codes().requires_grad_()
        adversarial = self._adversarial(E, inputs, bases, Z)["combinations"]
        share = gradient_share(adversarial, sum(E.losses(Z, p.weights, p.penalty).values()), Z)
        covered = nearest_generated(inputs.real, lambda: inputs.rows(p.gan_batch_size))
        return history, diagnostics | {"adversary_share": share} | covered

    def _adversarial(
        self, E: ExpressiveAutoencoder, inputs: InputGame, bases: SubspaceDiscriminator, Z: Tensor
    ) -> dict[str, Tensor]:
        """Return what the encoder lowers: the energies of combinations of codes and of encoded generated days.

        Energies are of codes of length 1. Times half of ||Z||^2, a constant, they are in units of the self-expression
        residual, and have its weight.
        """
        p = SimpleNamespace(**self.params)
        with torch.no_grad():
            days = inputs.days(p.gan_batch_size)
        unit = p.adversarial_weight * p.weights["self_expression"] * Z.detach().square().sum() / 2
        return {
            "combinations": unit * bases.fake_energy(Z),
            "generated": unit * nearest_energy(bases, E.encode(days)).mean(),
        }


class InputGame:
    """The adversary on the inputs: a generator of days from noise, and a critic (WGAN-GP).

    Parameters
    ----------
    X : Tensor, shape (n_days, y, x, variable)
        The days in the scale of the auto-encoder.
    p : SimpleNamespace
        Parameters of the plugin.
    seed, device
        Of the run.
    """

    def __init__(self, X: Tensor, p: SimpleNamespace, seed: int, device: str) -> None:
        self.real, self.grid, self.p = X.flatten(1) / p.input_scale, X.shape[1:], p
        self.noise = generator(seed, "noise", device)
        self.drawn = random_days(len(X), p.gan_batch_size, generator(seed, "real days", device))
        width = self.real.shape[1]
        self.generator = table_generator(p.noise, p.hidden, width, SLOPE)
        self.critic = nn.Sequential(*table_features(width, p.hidden, SLOPE), nn.Linear(p.hidden[-1], 1))
        weights = generator(seed, "weights of the input game")
        for network in (self.generator, self.critic):
            initialise(network, dcgan_normal, weights)
            network.to(device)
        self.players = [
            Player(self._tell_apart, self._adam(self.critic), p.critic_steps),
            Player(self._pass_for_real, self._adam(self.generator)),
        ]

    def rows(self, n: int) -> Tensor:
        """Return generated days in [0, 1] as rows."""
        return self.generator(torch.randn(n, self.p.noise, generator=self.noise, device=self.real.device))

    def days(self, n: int) -> Tensor:
        """Return generated days as the auto-encoder sees days."""
        return self.rows(n).unflatten(1, self.grid) * self.p.input_scale

    def _adam(self, network: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.Adam(network.parameters(), self.p.gan_rate, BETAS)

    def _tell_apart(self) -> dict[str, Tensor]:
        real, fake = self.real[next(self.drawn)], self.rows(self.p.gan_batch_size).detach()
        penalty = gradient_penalty(lambda rows: self.critic(rows)[:, 0], real, fake, self.noise, per_sample=True)
        return {
            "critic": self.critic(fake).mean() - self.critic(real).mean(),
            "gradient_penalty": self.p.gradient_penalty * penalty,
        }

    def _pass_for_real(self) -> dict[str, Tensor]:
        return {"generator": -self.critic(self.rows(self.p.gan_batch_size)).mean()}


def nearest_energy(bases: SubspaceDiscriminator, Z: Tensor) -> Tensor:
    """Return the residual energy of each code on the basis nearest to it, shape (n,)."""
    return residual_energy(bases.scaled(Z), bases.subspaces.bases()).amin(dim=0)
