"""Soft assignment to cluster centres, its sharpened target, and the loss between them (DEC paper, section 3.1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import kl_div


def soft_assignment(z: Tensor, centres: Tensor) -> Tensor:
    """Return q_ij, Student's t kernel with one degree of freedom (DEC paper, Eq. 1; DSC paper, Eq. 3).

    Parameters
    ----------
    z : Tensor, shape (n_days, d)
        Codes.
    centres : Tensor, shape (n_clusters, d)
        Cluster centres mu_j.

    Returns
    -------
    Tensor, shape (n_days, n_clusters)
        Rows sum to 1.
    """
    kernel = 1 / (1 + (z[:, None] - centres).square().sum(dim=2))
    return kernel / kernel.sum(dim=1, keepdim=True)


def target_distribution(q: Tensor) -> Tensor:
    """Return p_ij = (q_ij^2 / f_j) / sum_j' (q_ij'^2 / f_j'), f_j = sum_i q_ij (DEC paper, Eq. 3; DSC paper, Eq. 4).

    ``q`` must hold all days, since f_j is the size of cluster j over the whole data set.
    """
    weight = q.square() / q.sum(dim=0).clamp_min(torch.finfo(q.dtype).tiny)
    return weight / weight.sum(dim=1, keepdim=True)


def kl_loss(p: Tensor, q: Tensor) -> Tensor:
    """Return KL(p || q), summed over clusters, mean over days (DEC paper, Eq. 2; mean as in the authors' code)."""
    return kl_div(q.clamp_min(torch.finfo(q.dtype).tiny).log(), p, reduction="batchmean")


class ClusterHead(nn.Module):
    """Trainable cluster centres that turn codes into soft assignments.

    Parameters
    ----------
    centres : Tensor, shape (n_clusters, d)
        Initial centres, usually from k-means.
    """

    def __init__(self, centres: Tensor) -> None:
        super().__init__()
        self.centres = nn.Parameter(centres.clone())

    def forward(self, z: Tensor) -> Tensor:
        """Return the soft assignment of codes of shape (n_days, d), in their precision."""
        return soft_assignment(z, self.centres.to(z.dtype))
