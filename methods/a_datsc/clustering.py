"""The clustering head of A-DATSC: start, temperature, balance and redundancy (paper, sections 5.1.3 and 5.3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from methods.a_datsc.self_expression import refined
from methods.blocks.kmeans import kmeans
from methods.blocks.subspace_affinity import constraints, subspace_affinity


def first_clusters(Z: Tensor, C: Tensor | None, k: int, seed: int, n_init: int) -> tuple[Tensor, Tensor]:
    """Return the labels with which clusters start, (n_days,), and the means of their embeddings, (k, D).

    The paper does not say how clusters start. Here they are those of the optional refinement of its section 5.4; where
    there is no C, or it has fewer clusters, k-means on the embeddings, as in DEC.

    Parameters
    ----------
    Z : Tensor, shape (n_days, D)
        Embeddings.
    C : Tensor, shape (n_days, n_days), optional
        Coefficients of all days.
    k, seed : int
        As in the method contract.
    n_init : int
        Starts of k-means.
    """
    if C is not None:
        labels = torch.from_numpy(refined(C.cpu().numpy(), k, seed)).to(Z.device)
        if len(labels.unique()) == k:
            return labels, torch.stack([Z[labels == cluster].mean(dim=0) for cluster in range(k)])
    found, centres = kmeans(Z, k, seed, n_init)
    return torch.from_numpy(found).long().to(Z.device), centres


class SubspaceHead(nn.Module):
    """EDESC's affinity of embeddings to k subspaces in place of Student's t (Cai et al., CVPR 2022).

    Parameters
    ----------
    bases : Tensor, shape (D, k d)
        First bases, side by side.
    k : int
        Clusters.
    eta : float
        Smooths the affinity.
    """

    def __init__(self, bases: Tensor, k: int, eta: float) -> None:
        super().__init__()
        self.bases, self.k, self.eta = nn.Parameter(bases.clone()), k, eta

    def forward(self, z: Tensor) -> Tensor:
        """Return s, (n_days, k), rows that sum to 1, in the precision of ``z``."""
        return subspace_affinity(z, self.bases.to(z.dtype), self.k, self.eta)

    def penalties(self, weight: float) -> dict[str, Tensor]:
        """Return what keeps columns at length 1 and bases at right angles."""
        lengths, angles = constraints(self.bases, self.k)
        return {"column_lengths": weight * lengths, "subspace_angles": weight * angles}


def tempered(q: Tensor, temperature: float) -> Tensor:
    """Return q^(1 / tau), rows divided by their sums: tau above 1 softens, below 1 hardens (paper, section 5.1.3)."""
    return (q.log() / temperature).softmax(dim=1)


def balance(q: Tensor) -> Tensor:
    """Return KL(mean of q over days || uniform), 0 where all clusters have the same share (paper, Eq. 6)."""
    share = q.mean(dim=0).clamp_min(torch.finfo(q.dtype).tiny)
    return (share * (share * len(share)).log()).sum()


def redundancy(q: Tensor) -> Tensor:
    """Return L_MI by "covariance de-correlation": the mean squared correlation of two clusters (paper, section 5.3).

    Columns of one-hot assignments of equal size have a correlation of -1 / (k - 1); that of two clusters which share
    their days is 1. Columns that do not vary count as uncorrelated.
    """
    k = q.shape[1]
    centred = q - q.mean(dim=0)
    length = centred.square().sum(dim=0).clamp_min(torch.finfo(q.dtype).eps).sqrt()
    correlation = (centred / length).T @ (centred / length)
    return (correlation.square().sum() - correlation.diagonal().square().sum()) / max(k * (k - 1), 1)


def annealed(first: float, last: float, progress: float) -> float:
    """Return a temperature on its exponential way from ``first`` to ``last``, progress from 0 to 1 (section 5.4)."""
    return first * (last / first) ** progress


def ramped(weight: float, start: float, end: float, progress: float) -> float:
    """Return a weight that is 0 up to ``start``, grows linearly, and is whole from ``end`` (paper, section 5.4)."""
    if progress < start or progress >= end:
        return weight * (progress >= end)
    return weight * (progress - start) / (end - start)
