"""Soft assignment to cluster centres, its sharpened target, and the loss between them (DEC paper, section 3.1)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import kl_div

Distance = Callable[[Tensor, Tensor], Tensor]


def squared_euclidean(z: Tensor, centres: Tensor) -> Tensor:
    """Return ||z_i - mu_j||^2, shape (n_days, n_clusters), of codes and centres of any equal shape per row."""
    return (z.flatten(1)[:, None] - centres.flatten(1)).square().sum(dim=2)


def soft_assignment(distance: Tensor, alpha: float = 1.0) -> Tensor:
    """Return q_ij, Student's t kernel with alpha degrees of freedom (DEC paper, Eq. 1; DSC paper, Eq. 3).

    Parameters
    ----------
    distance : Tensor, shape (n_days, n_clusters)
        Squared distance of each code to each centre, or what stands in its place.
    alpha : float
        Degrees of freedom.

    Returns
    -------
    Tensor, shape (n_days, n_clusters)
        Rows sum to 1.
    """
    kernel = (1 + distance / alpha) ** (-(alpha + 1) / 2)
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
    centres : Tensor, shape (n_clusters, ...)
        Initial centres, usually from k-means, of the shape of one code.
    distance : callable
        Squared distance of codes to centres.
    alpha : float
        See :func:`soft_assignment`.
    """

    def __init__(self, centres: Tensor, distance: Distance = squared_euclidean, alpha: float = 1.0) -> None:
        super().__init__()
        self.centres = nn.Parameter(centres.clone())
        self.distance, self.alpha = distance, alpha

    def forward(self, z: Tensor) -> Tensor:
        """Return the soft assignment of codes of shape (n_days, ...), in their precision."""
        return soft_assignment(self.distance(z, self.centres.to(z.dtype)), self.alpha)
