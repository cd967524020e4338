"""k-means as a trace: the spectral relaxation that DTCR adds to its loss (DTCR paper, section 3.3, Eq. 4 and 5)."""

from __future__ import annotations

import torch
from torch import Tensor


def relaxed_kmeans_loss(h: Tensor, F: Tensor) -> Tensor:
    """Return Tr(H'H) - Tr(F'H'HF), where the paper's H holds one code per column (DTCR paper, Eq. 4).

    The traces are sums of squares, ||H||^2 and ||HF||^2: no matrix of all pairs of days is formed.

    Parameters
    ----------
    h : Tensor, shape (n_days, m)
        Codes, one per row: H transposed.
    F : Tensor, shape (n_days, n_clusters)
        Indicator of the clusters, relaxed to orthonormal columns.

    Returns
    -------
    Tensor
        A sum over days and columns, not a mean; not negative if the columns of ``F`` are orthonormal.
    """
    return h.square().sum() - torch.matmul(F.T, h).square().sum()


def relaxed_indicator(h: Tensor, n_clusters: int) -> Tensor:
    """Return the F that minimises :func:`relaxed_kmeans_loss` for given codes (Ky Fan's theorem).

    Returns
    -------
    Tensor, shape (n_days, n_clusters)
        The first right singular vectors of H; fewer columns if H has no more, in which case the loss is 0.
    """
    return torch.linalg.svd(h.double(), full_matrices=False).U[:, :n_clusters].to(h.dtype)


class RelaxedKMeans:
    """The term during training: keeps the latest code of each row, and F as of its last refresh.

    Parameters
    ----------
    h : Tensor, shape (n_days, m)
        Gives the shape, precision and device of the codes.
    n_clusters : int
        Columns of F.
    interval : int
        Refresh F after call number ``interval``, 2 ``interval`` and so on, counted from 0.
    generator : torch.Generator
        Draws the first F: random orthonormal columns, as in the official code.
    """

    def __init__(self, h: Tensor, n_clusters: int, interval: int, generator: torch.Generator) -> None:
        self.h = torch.zeros_like(h)
        self.n_clusters, self.interval, self.n_calls = n_clusters, interval, 0
        self.F = torch.linalg.qr(torch.randn(len(h), n_clusters, generator=generator)).Q.to(h)

    def __call__(self, h: Tensor, rows: Tensor) -> Tensor:
        """Return the loss of a batch.

        Parameters
        ----------
        h : Tensor, shape (batch, m)
            Codes of the batch.
        rows : Tensor of int, shape (batch,)
            Which rows of F are theirs.
        """
        loss = relaxed_kmeans_loss(h, self.F[rows])
        self.h[rows] = h.detach()
        if self.n_calls > 0 and self.n_calls % self.interval == 0:
            self.F = relaxed_indicator(self.h, self.n_clusters)
        self.n_calls += 1
        return loss
