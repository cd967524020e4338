"""Clusters as subspaces: bases that judge latent days by what they leave unexplained, and the days they are shown.

The discriminator of DASC (Zhou, Hou and Feng, "Deep Adversarial Subspace Clustering", CVPR 2018, sections 3.2 to 3.4)
has a basis U_k for each cluster and no other weights. A latent day z is near subspace k where its residual energy
``||z - U_k U_k' z||^2`` is small. Days of the cluster are real; combinations of them are fake.
"""

from __future__ import annotations

from math import ceil

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, relu


class Subspaces(nn.Module):
    """One basis U_k for each cluster, its columns learnt freely and used at unit length.

    Parameters
    ----------
    n_clusters, n_features, rank : int
        K bases of at most ``rank`` columns (no more than ``n_features``). All are zero until :meth:`start`.

    Attributes
    ----------
    U : Parameter, shape (n_clusters, n_features, rank)
        Columns as they are learnt.
    used : Tensor of bool, shape (n_clusters, 1, rank)
        Columns that exist: a basis has no more than the days it was made from. The others are zero and stay zero.
    """

    def __init__(self, n_clusters: int, n_features: int, rank: int) -> None:
        super().__init__()
        self.U = nn.Parameter(torch.zeros(n_clusters, n_features, min(rank, n_features)))
        self.register_buffer("used", torch.zeros(n_clusters, 1, self.U.shape[2], dtype=torch.bool))

    @torch.no_grad()
    def start(self, k: int, members: Tensor) -> None:
        """Replace basis k by the first orthonormal directions of ``members`` (:func:`qr_basis`)."""
        basis = qr_basis(members, self.U.shape[2])
        self.U[k] = 0
        self.U[k, :, : basis.shape[1]] = basis
        self.used[k, 0] = torch.arange(self.U.shape[2], device=self.used.device) < basis.shape[1]

    def bases(self) -> Tensor:
        """Return the bases with columns of length 1, shape (n_clusters, n_features, rank)."""
        return normalize(self.U * self.used, dim=1)

    def overlap(self) -> Tensor:
        """Return R1, the sum of ``||U_i' U_j||_F^2`` over all ordered pairs of two bases (DASC, section 3.3)."""
        products = self._products().square()
        return products.sum() - products.diagonal(dim1=0, dim2=1).sum()

    def skewness(self) -> Tensor:
        """Return R2, the sum of ``||U_i' U_i - I||_F^2`` over the bases (DASC, section 3.3)."""
        own = self._products().diagonal(dim1=0, dim2=1).permute(2, 0, 1)
        return (own - torch.diag_embed(self.used[:, 0].to(own.dtype))).square().sum()

    def _products(self) -> Tensor:
        """Return U_i' U_j for all pairs, shape (n_clusters, n_clusters, rank, rank), columns at their own length."""
        K, d, r = self.U.shape
        columns = (self.U * self.used).transpose(0, 1).reshape(d, K * r)
        return (columns.T @ columns).reshape(K, r, K, r).transpose(1, 2)


def qr_basis(members: Tensor, rank: int) -> Tensor:
    """Return the first columns of Q in the QR decomposition of the members as columns (DASC, section 3.4).

    Parameters
    ----------
    members : Tensor, shape (n_members, n_features)
        Latent days of one cluster, at least one.
    rank : int
        Columns wanted.

    Returns
    -------
    Tensor, shape (n_features, min(rank, n_members, n_features))
        Orthonormal, also where members are linearly dependent.
    """
    return torch.linalg.qr(members.T).Q[:, :rank]


def residual_energy(z: Tensor, U: Tensor) -> Tensor:
    """Return ``||z - U U' z||^2`` for each day (DASC, section 3.3).

    Parameters
    ----------
    z : Tensor, shape (..., n_days, n_features)
        Latent days.
    U : Tensor, shape (..., n_features, rank)
        A basis; leading axes broadcast, so that (n_days, n_features) and (K, n_features, rank) give (K, n_days).
    """
    return (z - (z @ U) @ U.mT).square().sum(dim=-1)


def positive_weights(n_rows: int, n_members: int, noise: torch.Generator, convex: bool = True) -> Tensor:
    """Return random weights of combinations of a cluster's members, drawn from U(0, 1] (DASC, section 3.2).

    Parameters
    ----------
    n_rows, n_members : int
        Combinations wanted, and members of each.
    noise : torch.Generator
        Source, and device of the result.
    convex : bool
        Divide each row by its sum, as the official code does; the paper does not.

    Returns
    -------
    Tensor, shape (n_rows, n_members)
        A constant: gradients of ``weights @ members`` reach the members alone.
    """
    weights = 1 - torch.rand(n_rows, n_members, generator=noise, device=noise.device)
    return weights / weights.sum(dim=1, keepdim=True) if convex else weights


def share_of(n_days: int, share: float) -> int:
    """Return how many days are a share of a cluster, at least one."""
    return max(1, ceil(share * n_days))


def closest(energies: Tensor, n: int) -> Tensor:
    """Return the indices of the ``n`` days with the smallest energies (DASC, section 3.2)."""
    return energies.topk(n, largest=False).indices


def hinge(real: Tensor, fake: Tensor, margin: float) -> Tensor:
    """Return what the bases minimise, for low energies of real days and fakes beyond a margin (DASC, section 3.3).

    Parameters
    ----------
    real, fake : Tensor, shapes (n_real,) and (n_fake,)
        Residual energies.
    margin : float
        Beyond it a fake is far enough and has no gradient.
    """
    return real.mean() + relu(margin - fake).mean()


def match(energies: np.ndarray, distinct: bool) -> np.ndarray:
    """Match clusters to bases: each takes the basis that leaves least of it unexplained (DASC, section 3.4).

    Parameters
    ----------
    energies : ndarray, shape (n_clusters, n_bases)
        Mean residual energy of each cluster on each basis; NaN in the row of a cluster without days.
    distinct : bool
        Of the clusters that want the same basis, only the one with the smallest energy gets it, and the others get
        one that nobody wants, which has to be made anew for them (paper). Otherwise they share it (official code).

    Returns
    -------
    basis : ndarray of int, shape (n_clusters,)
        Basis of each cluster; -1 for a cluster without days.
    made_anew : ndarray of bool, shape (n_clusters,)
        True where the basis is not one the cluster wanted.
    """
    empty = np.isnan(energies).any(axis=1)
    wanted = np.where(empty, -1, np.where(np.isnan(energies), np.inf, energies).argmin(axis=1))
    anew = np.zeros(len(wanted), dtype=bool)
    if not distinct:
        return wanted, anew
    for basis in set(wanted[~empty].tolist()):
        rivals = np.flatnonzero(wanted == basis)
        anew[rivals] = rivals != rivals[energies[rivals, basis].argmin()]
    free = [basis for basis in range(energies.shape[1]) if basis not in wanted[~anew]]
    wanted[anew] = free[: anew.sum()]
    return wanted, anew
