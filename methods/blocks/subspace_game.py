"""Bases of clusters against a network's codes: the game of DASC.

Zhou, Hou and Feng, "Deep Adversarial Subspace Clustering", CVPR 2018, and its official code. The bases learn to leave
little of a cluster's days unexplained and more of their combinations, the network learns codes whose combinations they
explain, and from time to time the clusters are looked for anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import cycle

import numpy as np
import torch
from sklearn.metrics import adjusted_rand_score
from torch import Tensor, nn
from torch.nn.functional import normalize

from methods.blocks.gan import Player, alternate
from methods.blocks.subspaces import Subspaces, closest, hinge, match, positive_weights, residual_energy, share_of
from methods.blocks.training import Progress


class SubspaceDiscriminator(nn.Module):
    """Subspaces with the clusters they judge, and the sampling layer that shows them days (DASC, sections 3.2 and 3.3).

    Parameters
    ----------
    n_clusters, n_features, rank : int
        See :class:`Subspaces`.
    noise : torch.Generator
        Draws the weights of fakes, on the device of the codes.
    margin : float
        See :func:`hinge`.
    normalised : bool
        Judge codes at length 1, and fakes that are weighted means of them (official code); otherwise codes as they are,
        and fakes that are weighted sums (paper).
    real_share : float
        Share of a cluster's days, those with the smallest residuals, that count as real; as many fakes are made.
    distinct : bool
        See :func:`match`.
    """

    def __init__(
        self,
        n_clusters: int,
        n_features: int,
        rank: int,
        noise: torch.Generator,
        *,
        margin: float,
        normalised: bool,
        real_share: float,
        distinct: bool,
    ) -> None:
        super().__init__()
        self.subspaces = Subspaces(n_clusters, n_features, rank)
        self.noise = noise
        self.margin, self.normalised, self.real_share, self.distinct = margin, normalised, real_share, distinct
        self.clusters: list[tuple[Tensor, int]] = []

    def start(self, Z: Tensor, labels: np.ndarray) -> None:
        """Give each cluster a new basis by QR."""
        self.clusters = [(members, k) for k, members in _members(labels, Z.device)]
        for members, k in self.clusters:
            self.subspaces.start(k, Z[members])

    @torch.no_grad()
    def relabel(self, Z: Tensor, labels: np.ndarray) -> None:
        """Match new clusters to the bases there are."""
        on_basis = residual_energy(Z, self.subspaces.bases())
        energies = np.full((len(on_basis), len(on_basis)), np.nan)
        groups = _members(labels, Z.device)
        for k, members in groups:
            energies[k] = on_basis[:, members].mean(dim=1).cpu().numpy()
        basis, made_anew = match(energies, self.distinct)
        self.clusters = [(members, int(basis[k])) for k, members in groups]
        for k, members in groups:
            if made_anew[k]:
                self.subspaces.start(int(basis[k]), Z[members])

    def energies(self, Z: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the residual energies of real days and of fakes for each cluster on its basis."""
        days, U = self.scaled(Z), self.subspaces.bases().unbind()
        for members, basis in self.clusters:
            own = days[members]
            n_real = share_of(len(own), self.real_share)
            weights = positive_weights(n_real, len(own), self.noise, convex=self.normalised)
            real, fake = residual_energy(torch.cat([own, weights @ own]), U[basis]).split([len(own), n_real])
            yield (real if n_real == len(own) else real[closest(real.detach(), n_real)]), fake

    def loss(self, Z: Tensor) -> Tensor:
        """Return what the bases minimise but for their penalties: the mean over clusters of :func:`hinge`."""
        return torch.stack([hinge(real, fake, self.margin) for real, fake in self.energies(Z)]).mean()

    def penalties(self, weight: float) -> dict[str, Tensor]:
        """Return R1 and R2, what keeps bases apart and their columns at right angles, times ``weight``."""
        return {"overlap": weight * self.subspaces.overlap(), "skewness": weight * self.subspaces.skewness()}

    def fake_energy(self, Z: Tensor) -> Tensor:
        """Return L_a, which the network lowers: mean over clusters of the mean energy of fakes (DASC, section 3.4)."""
        return torch.stack([fake.mean() for _, fake in self.energies(Z)]).mean()

    def scaled(self, Z: Tensor) -> Tensor:
        """Return codes as they are judged."""
        return normalize(Z, dim=1) if self.normalised else Z


def _members(labels: np.ndarray, device: torch.device) -> list[tuple[int, Tensor]]:
    """Return the clusters that have days, and these days."""
    return [(int(k), torch.from_numpy(np.flatnonzero(labels == k)).to(device)) for k in np.unique(labels)]


def once_per_round(codes: Callable[[], Tensor], steps: int) -> Callable[[], Tensor]:
    """Return a function that computes codes at the first of every ``steps`` calls: they stay while D alone moves."""
    first, known = cycle([True] + [False] * (steps - 1)), []

    def latest() -> Tensor:
        if next(first):
            known[:] = [codes()]
        return known[0]

    return latest


def play(
    players: Sequence[Player],
    n_rounds: int,
    interval: int,
    *,
    D: SubspaceDiscriminator,
    labels: np.ndarray,
    codes: Callable[[], Tensor],
    cut: Callable[[], np.ndarray],
    progress: Progress,
) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Let the players move in turn, and between every ``interval`` rounds look for the clusters anew.

    Parameters
    ----------
    players : sequence of Player
        See :func:`methods.blocks.gan.alternate`.
    n_rounds, interval : int
        Rounds in all, and between two looks.
    D : SubspaceDiscriminator
        Started with ``labels``. It keeps the clusters it has where a look finds fewer (official code of DASC).
    labels : ndarray of int, shape (n_days,)
        Clusters at the start.
    codes, cut : callable
        Return all codes, and the labels that C gives now.
    progress : callable
        Called with ("game", rounds done, rounds in all) after every ``interval`` rounds.

    Returns
    -------
    history : dict
        Loss terms and ``embedding_norm``, one entry for every ``interval`` rounds; ``agreement_with_last_labels``, the
        adjusted Rand index of each look with the clusters that D had.
    diagnostics : dict
        ``discarded_labelings``: looks that found too few clusters.
    """
    history: dict[str, list[float]] = {}
    n_clusters, discarded, done = len(D.subspaces.U), 0, 0
    while done < n_rounds:
        n = min(interval, n_rounds - done)
        losses = alternate(players, n, name="game", progress=lambda *_: None, log_every=n)
        done += n
        progress("game", done, n_rounds)
        Z = codes()
        losses["embedding_norm"] = [Z.norm().item()]
        if done < n_rounds:
            found = cut()
            losses["agreement_with_last_labels"] = [float(adjusted_rand_score(labels, found))]
            if len(np.unique(found)) == n_clusters:
                labels = found
                D.relabel(Z, labels)
            else:
                discarded += 1
        for name, series in losses.items():
            history.setdefault(name, []).extend(series)
    return history, {"discarded_labelings": float(discarded)}


def joined(before: dict[str, list[float]], game: dict[str, list[float]]) -> dict[str, list[float]]:
    """Return one history of what came before a game and of the game: terms that both have go on."""
    return {name: before.get(name, []) + game.get(name, []) for name in before | game}


def gradient_share(part: Tensor, rest: Tensor, Z: Tensor) -> float:
    """Return the length of the gradient of ``part`` at the codes Z, as a share of that of ``rest``."""
    of_part, of_rest = (torch.autograd.grad(loss, Z)[0].norm() for loss in (part, rest))
    return (of_part / of_rest.clamp_min(torch.finfo(Z.dtype).tiny)).item()
