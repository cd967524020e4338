"""ClusterGAN (Mukherjee, Asnani, Lin and Kannan, AAAI 2019)."""

from __future__ import annotations

from types import SimpleNamespace

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss, one_hot

from methods.blocks.gan import (
    Player,
    alternate,
    code_occupancy,
    collect,
    gradient_penalty,
    nearest_generated,
    random_days,
)
from methods.blocks.gan_networks import (
    BatchNorm,
    Grid,
    count,
    dcgan_normal,
    field_features,
    field_generator,
    table_features,
    table_generator,
)
from methods.blocks.initialisers import glorot_uniform, initialise
from methods.blocks.kmeans import kmeans
from methods.blocks.seeding import generator, reproducible
from regimebench.method import Cube, Fit, Method

DAYS_AT_ONCE = 256  # where nothing is trained
BATCHES_OF_GAP = 16


class Plugin(Method):
    """WGAN-GP on a latent space with a one-hot part, an encoder back to it, and k-means on the codes of the days."""

    def fit(self, cube: Cube) -> Fit:
        """Cluster the days of ``cube``."""
        with reproducible(self.seed, self.device):
            return self._fit(cube.unpadded())

    def _fit(self, cube: Cube) -> Fit:
        p = SimpleNamespace(**self.params)
        x = torch.tensor(cube.table, dtype=torch.float32).to(self.device)
        game = Game(*self._networks(cube.mask.shape), x, self.n_clusters, self.seed, p)
        adam = {"lr": p.learning_rate, "betas": (p.beta1, p.beta2), "fused": True}
        norm = game.codes().norm().item()
        history = alternate(
            [
                Player(game.critic_loss, torch.optim.Adam(game.D.parameters(), **adam), p.critic_steps),
                Player(game.generator_loss, torch.optim.Adam([*game.G.parameters(), *game.E.parameters()], **adam)),
            ],
            p.steps,
            name="adversaries",
            progress=self.progress,
        )
        codes = game.codes()
        category = codes[:, -self.n_clusters :].argmax(dim=1)
        found = {
            "kmeans": kmeans(codes, self.n_clusters, self.seed, p.n_init)[0],
            "argmax": category.cpu().numpy(),
        }
        return Fit(
            labels=found.pop(p.labels),
            embedding=codes.cpu().numpy(),
            other_labels=found,
            diagnostics={
                "critic_gap": game.critic_gap(),
                "code_occupancy": code_occupancy(category),
                **nearest_generated(x, lambda: game.G(game.latent()[0])),
            },
            history={**history, "embedding_norm": [norm, codes.norm().item()]},
            n_parameters=count(game.G, game.E, game.D),
            epochs=round(p.steps * p.critic_steps * p.batch_size / len(x)),
            stop_reason=f"all {p.steps} steps done" if p.steps else "not trained",
        )

    def _networks(self, grid: Grid) -> tuple[nn.Sequential, nn.Sequential, nn.Sequential]:
        """Return generator, encoder and critic with their initial weights."""
        p = SimpleNamespace(**self.params)
        n_latent, n_columns = p.noise + self.n_clusters, grid[0] * grid[1] * grid[2]
        if p.filters:
            G = field_generator(n_latent, grid, p.filters, p.dense, self._norm, norm_of_maps=True)
            E, D = (field_features(grid, p.filters, p.dense, p.slope) for _ in range(2))
            width = p.dense
        else:
            G = table_generator(n_latent, p.hidden, n_columns, p.slope)
            E, D = (table_features(n_columns, p.hidden, p.slope) for _ in range(2))
            width = p.hidden[-1]
        E.append(nn.Linear(width, n_latent))
        D.append(nn.Linear(width, 1))
        weights = generator(self.seed, "weights")
        for network in (G, E, D):
            initialise(network, dcgan_normal, weights)
        for last in [E[-1], D[-1]] if p.filters else [E[-1]]:
            glorot_uniform(last.weight.data, weights)
        return tuple(network.to(self.device) for network in (G, E, D))

    @staticmethod
    def _norm(n: int) -> BatchNorm:
        """Return batch normalisation with TensorFlow's defaults, which the official code leaves as they are."""
        return BatchNorm(n, eps=1e-3, scale=False)


class Game:
    """Generator G, encoder E and critic D on the days x (paper, section 3; signs as in the official code)."""

    def __init__(
        self, G: nn.Module, E: nn.Module, D: nn.Module, x: Tensor, n_clusters: int, seed: int, p: SimpleNamespace
    ) -> None:
        self.G, self.E, self.D, self.x, self.n_clusters, self.p = G, E, D, x, n_clusters, p
        self.noise = generator(seed, "noise", x.device)
        self.days = random_days(len(x), p.batch_size, generator(seed, "days", x.device))

    def latent(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return a batch of z = (z_n, one-hot z_c), its part z_n, and the categories of z_c."""
        n, device = self.p.batch_size, self.x.device
        z_n = self.p.sigma * torch.randn(n, self.p.noise, generator=self.noise, device=device)
        category = torch.randint(self.n_clusters, (n,), generator=self.noise, device=device)
        return torch.cat([z_n, one_hot(category, self.n_clusters)], dim=1), z_n, category

    def critic_loss(self) -> dict[str, Tensor]:
        """Return the loss of D, which is to score days low and generated days high, with slope 1 between them."""
        real = self.x[next(self.days)]
        with torch.no_grad():
            fake = self.G(self.latent()[0])
        penalty = gradient_penalty(self.D, real, fake, self.noise, self.p.epsilon_per_sample)
        return {
            "critic": self.D(real).mean() - self.D(fake).mean(),
            "gradient_penalty": self.p.penalty * penalty,
        }

    def generator_loss(self) -> dict[str, Tensor]:
        """Return the loss of G and E: a low score, and z found again in G(z)."""
        z, z_n, category = self.latent()
        fake = self.G(z)
        z_n_hat, logits = self.E(fake).tensor_split([self.p.noise], dim=1)
        return {
            "generator": self.D(fake).mean(),
            "noise_code": self.p.beta_n * mse_loss(z_n_hat, z_n),
            "category_code": self.p.beta_c * cross_entropy(logits, category),
        }

    @torch.no_grad()
    def codes(self) -> Tensor:
        """Return what is clustered: z_n, unless the loss leaves it free, and softmax z_c of all days."""
        z_n, logits = torch.cat([self.E(days) for days in self.x.split(DAYS_AT_ONCE)]).split(
            [self.p.noise, self.n_clusters], dim=1
        )
        z_c = logits.softmax(dim=1)
        return z_c if self.p.beta_n == 0 else torch.cat([z_n, z_c], dim=1)

    @torch.no_grad()
    def critic_gap(self) -> float:
        """Return the mean score of generated days less that of days, from as many batches as give a steady number."""
        fake = collect(lambda: self.D(self.G(self.latent()[0])), BATCHES_OF_GAP * self.p.batch_size)
        real = collect(lambda: self.D(self.x[next(self.days)]), BATCHES_OF_GAP * self.p.batch_size)
        return (fake.mean() - real.mean()).item()
