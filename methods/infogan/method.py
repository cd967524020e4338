"""InfoGAN (Chen et al., NIPS 2016), its categorical code used as cluster labels."""

from __future__ import annotations

from math import log
from types import SimpleNamespace

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot, softplus

from methods.blocks.gan import Player, alternate, code_occupancy, full_batches, nearest_generated
from methods.blocks.gan_networks import (
    BatchNorm,
    Grid,
    count,
    dcgan_normal,
    field_features,
    field_generator,
    measure,
    table_features,
    table_generator,
)
from methods.blocks.initialisers import initialise
from methods.blocks.kmeans import kmeans
from methods.blocks.seeding import generator, reproducible
from regimebench.method import Cube, Fit, Method

DAYS_AT_ONCE = 256  # where nothing is trained
BATCHES_OF_GAP = 8


class Plugin(Method):
    """GAN whose discriminator also finds the codes in what is generated; a day's label is its most likely category."""

    def fit(self, cube: Cube) -> Fit:
        """Cluster the days of ``cube``."""
        with reproducible(self.seed, self.device):
            return self._fit(cube.unpadded())

    def _fit(self, cube: Cube) -> Fit:
        p = SimpleNamespace(**self.params)
        x = torch.tensor(cube.table, dtype=torch.float32).to(self.device)
        game = Game(*self._networks(cube.mask.shape), x, self.n_clusters, self.seed, p)
        betas = (p.beta1, p.beta2)
        found_by_discriminator = [*game.T.parameters(), *game.D.parameters(), *game.Q.parameters()]
        norm = game.read_days()[0].norm().item()
        history = alternate(
            [
                Player(game.discriminator_loss, torch.optim.Adam(found_by_discriminator, p.lr_d, betas, fused=True)),
                Player(game.generator_loss, torch.optim.Adam(game.G.parameters(), p.lr_g, betas, fused=True)),
            ],
            p.steps,
            name="adversaries",
            progress=self.progress,
        )
        diagnostics = {**game.means_of_batches(), **nearest_generated(x, lambda: game.G(game.latent()[0]))}
        others = {"running_averages": game.read_days(measured=False)[1].cpu().numpy()} if p.filters else {}
        features, category = game.read_days()
        others["kmeans"], _ = kmeans(features, self.n_clusters, self.seed, p.n_init)
        return Fit(
            labels=category.cpu().numpy(),
            embedding=features.cpu().numpy(),
            other_labels=others,
            diagnostics={"code_occupancy": code_occupancy(category), **diagnostics},
            history={**history, "embedding_norm": [norm, features.norm().item()]},
            n_parameters=count(game.G, game.T, game.D, game.Q),
            epochs=round(p.steps * min(p.batch_size, len(x)) / len(x)),
            stop_reason=f"all {p.steps} steps done" if p.steps else "not trained",
        )

    def _networks(self, grid: Grid) -> tuple[nn.Sequential, nn.Sequential, nn.Sequential, nn.Sequential]:
        """Return generator, shared trunk, discriminator's head and head of the codes, with their initial weights."""
        p = SimpleNamespace(**self.params)
        n_latent = p.noise + self.n_clusters + p.continuous
        if p.filters:
            G = field_generator(n_latent, grid, p.filters, p.dense, self._norm, norm_of_maps=False)
            T, width = field_features(grid, p.filters, p.dense, p.slope, self._norm), p.dense
        else:
            n_columns = grid[0] * grid[1] * grid[2]
            G = table_generator(n_latent, p.hidden, n_columns, p.slope).append(nn.Sigmoid())
            T, width = table_features(n_columns, p.hidden, p.slope), p.hidden[-1]
        D = nn.Sequential(nn.Linear(width, 1))
        Q = nn.Sequential(nn.Linear(width, p.q_width), nn.LeakyReLU(p.slope))
        if p.filters:
            Q.insert(1, self._norm(p.q_width))
        Q.append(nn.Linear(p.q_width, self.n_clusters + p.continuous))
        weights = generator(self.seed, "weights")
        for network in (G, T, D, Q):
            initialise(network, dcgan_normal, weights)
        return tuple(network.to(self.device) for network in (G, T, D, Q))

    @staticmethod
    def _norm(n: int) -> BatchNorm:
        """Return batch normalisation as in the official code (custom_ops.py)."""
        return BatchNorm(n, eps=1e-5, scale=True)


class Game:
    """Generator G against trunk T with heads D and Q, on the days x (paper, sections 4 and 5)."""

    def __init__(
        self,
        G: nn.Module,
        T: nn.Module,
        D: nn.Module,
        Q: nn.Module,
        x: Tensor,
        n_clusters: int,
        seed: int,
        p: SimpleNamespace,
    ) -> None:
        self.G, self.T, self.D, self.Q, self.x, self.n_clusters, self.p = G, T, D, Q, x, n_clusters, p
        self.noise = generator(seed, "noise", x.device)
        self.days = full_batches(len(x), p.batch_size, generator(seed, "days", x.device))
        self.size = min(p.batch_size, len(x))

    def latent(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return a batch of G's input, noise and codes together, the categories in it and its continuous codes."""
        n, p, device = self.size, self.p, self.x.device
        category = torch.randint(self.n_clusters, (n,), generator=self.noise, device=device)
        uniform = 2 * torch.rand(n, p.noise + p.continuous, generator=self.noise, device=device) - 1
        noise, continuous = uniform.tensor_split([p.noise], dim=1)
        return torch.cat([noise, one_hot(category, self.n_clusters), continuous], dim=1), category, continuous

    def discriminator_loss(self) -> dict[str, Tensor]:
        """Return the loss of T, D and Q: days told from generated ones, and the codes found in these."""
        z, *codes = self.latent()
        with torch.no_grad():
            fake = self.G(z)
        features = self.T(fake)
        real_score, fake_score = self.D(self.T(self.x[next(self.days)])), self.D(features)
        return {
            "discriminator": softplus(-real_score).mean() + softplus(fake_score).mean(),
            **self._information(features, *codes, "discriminator"),
        }

    def generator_loss(self) -> dict[str, Tensor]:
        """Return the loss of G: taken for days, with codes that Q finds."""
        z, *codes = self.latent()
        features = self.T(self.G(z))
        return {
            "generator": softplus(-self.D(features)).mean(),
            **self._information(features, *codes, "generator"),
        }

    def _information(self, features: Tensor, category: Tensor, continuous: Tensor, player: str) -> dict[str, Tensor]:
        """Return what is minimised to raise the bound on the mutual information of codes and days (paper, Eq. 5)."""
        logits, mean = self.Q(features).tensor_split([self.n_clusters], dim=1)
        terms = {f"category_code_{player}": self.p.information * cross_entropy(logits, category)}
        if self.p.continuous:
            squares = (continuous - mean).square().sum(dim=1).mean() / 2  # Gaussian with a standard deviation of 1
            terms[f"continuous_code_{player}"] = self.p.information * squares
        return terms

    @torch.no_grad()
    def means_of_batches(self) -> dict[str, float]:
        """Return how well D tells days from generated ones, and how much Q knows of the categories (in nats)."""
        gaps, entropies = [], []
        for _ in range(BATCHES_OF_GAP):
            z, category, _ = self.latent()
            features = self.T(self.G(z))
            gaps.append(self.D(self.T(self.x[next(self.days)])).sigmoid().mean() - self.D(features).sigmoid().mean())
            entropies.append(cross_entropy(self.Q(features)[:, : self.n_clusters], category))
        return {
            "critic_gap": torch.stack(gaps).mean().item(),
            "mutual_information": log(self.n_clusters) - torch.stack(entropies).mean().item(),
        }

    @torch.no_grad()
    def read_days(self, measured: bool = True) -> tuple[Tensor, Tensor]:
        """Return Q's features of all days and their most likely categories.

        Batch normalisation has the statistics of all days, as if they were one batch, or those of its running averages.
        """
        parts = self.x.split(DAYS_AT_ONCE)
        network = nn.Sequential(self.T, self.Q).eval()
        if measured:
            measure(network, parts)
        features = torch.cat([self.Q[:-1](self.T(days)) for days in parts])
        categories = self.Q[-1](features)[:, : self.n_clusters].argmax(dim=1)
        network.train()
        return features, categories
