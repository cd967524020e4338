"""Sampling layer and energy-based subspace discriminator of A-DATSC (paper, sections 5.1.5 and 5.2)."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, relu

from methods.blocks.subspaces import Subspaces, residual_energy, share_of


class SubspaceJudge(nn.Module):
    """A basis U_k for each cluster, the real embeddings it is shown, and the fakes made of them.

    Embeddings are judged at length 1 and bases are kept orthonormal, so that energies lie in [0, 1] and the margin has
    a scale; neither is in the paper.

    Parameters
    ----------
    n_clusters, n_features, rank : int
        See :class:`methods.blocks.subspaces.Subspaces`.
    n_days, n_fakes : int
        Days, and fakes of each cluster.
    margin : float
        m of the hinge.
    real_share : float
        Share of a cluster's days, those with the highest responsibilities, that count as real; at least rank + 1.
    noise : torch.Generator
        Draws alpha, U(0, 1), once: it is "fixed during training" (paper).
    """

    def __init__(
        self,
        n_clusters: int,
        n_features: int,
        rank: int,
        *,
        n_days: int,
        n_fakes: int,
        margin: float,
        real_share: float,
        noise: torch.Generator,
    ) -> None:
        super().__init__()
        self.subspaces = Subspaces(n_clusters, n_features, rank)
        self.margin, self.real_share = margin, real_share
        self.register_buffer("alpha", torch.rand(n_fakes, n_days, generator=noise))

    @torch.no_grad()
    def start(self, Z: Tensor, labels: Tensor) -> None:
        """Make each basis the leading singular directions of its cluster's embeddings at length 1."""
        for k in labels.unique().tolist():
            own = normalize(Z[labels == k], dim=1)
            directions = torch.linalg.svd(own, full_matrices=False).Vh
            self.subspaces.start(k, directions)

    @torch.no_grad()
    def retract(self) -> None:
        """Make the bases orthonormal again after a step."""
        U = self.subspaces.U
        Q, R = torch.linalg.qr(U)
        U.copy_(Q * R.diagonal(dim1=1, dim2=2).sign()[:, None] * self.subspaces.used)

    def loss(self, Z: Tensor, q: Tensor, days: Tensor) -> Tensor:
        """Return the hinge of L_D, mean over clusters: max(0, E_real - mean E_fake + m) (paper, section 5.2)."""
        parts = [relu(real - fake.mean() + self.margin).mean() for real, fake in self.energies(Z, q, days)]
        return torch.stack(parts).mean() if parts else Z.new_zeros(())

    def fake_energy(self, Z: Tensor, q: Tensor, days: Tensor) -> Tensor:
        """Return L_adv, mean over clusters of the mean energy of fakes (paper, section 5.2)."""
        parts = [fake.mean() for _, fake in self.energies(Z, q, days)]
        return torch.stack(parts).mean() if parts else Z.new_zeros(())

    def energies(self, Z: Tensor, q: Tensor, days: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield energies of real embeddings and of fakes for each cluster that has days enough and a basis.

        Parameters
        ----------
        Z, q : Tensor, shapes (n, D) and (n, k)
            Embeddings and responsibilities of some days.
        days : Tensor of int, shape (n,)
            Their places in the record, for alpha.
        """
        z, labels, U = normalize(Z, dim=1), q.argmax(dim=1), self.subspaces.bases()
        least = U.shape[2] + 1
        for k in range(q.shape[1]):
            own = (labels == k).nonzero()[:, 0]
            if len(own) < least or not self.subspaces.used[k].any():
                continue
            n_real = max(share_of(len(own), self.real_share), least)
            best = own[q[own, k].topk(n_real).indices]
            fakes = normalize(self.alpha[:, days[own]] @ z[own], dim=1)
            yield residual_energy(z[best], U[k]), residual_energy(fakes, U[k])
