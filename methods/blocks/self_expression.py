"""Self-expression: each day as a combination of the other days, Z ~ C Z.

Ji et al., Deep Subspace Clustering Networks, NeurIPS 2017, section 3.1. By itself the loss has two poor optima
(Haeffele, You and Vidal, A critique of self-expressive deep subspace clustering, ICLR 2021): any Z scaled towards zero,
and, where the scale is fixed (:func:`unit_energy`), a Z of rank one. Only what else Z has to do, here the
reconstruction, keeps it away from the second; tests show both.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

PENALTIES = ("l1", "l2")


class SelfExpression(nn.Module):
    """The matrix C as a layer without bias.

    Parameters
    ----------
    n_days : int
        C has as many rows and columns: memory is quadratic in days.
    start : float
        Value of all entries at the start.
    zero_diagonal : bool
        No day may use itself (the L1 form needs this).
    """

    def __init__(self, n_days: int, start: float = 1e-4, zero_diagonal: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((n_days, n_days), start))
        self.zero_diagonal = zero_diagonal

    @property
    def matrix(self) -> Tensor:
        """The coefficients, row i those of day i."""
        return self.weight - torch.diag(self.weight.diagonal()) if self.zero_diagonal else self.weight

    def forward(self, z: Tensor) -> Tensor:
        """Return C z for codes of any shape (n_days, ...)."""
        return (self.matrix @ z.flatten(1)).reshape(z.shape)

    def penalty(self, norm: str) -> Tensor:
        """Return the sum of abs(C) (``l1``) or of C^2 (``l2``).

        Raises
        ------
        ValueError
            If ``norm`` is neither.
        """
        if norm not in PENALTIES:
            raise ValueError(f"the penalty is {norm!r}; allowed are {', '.join(PENALTIES)}")
        return self.matrix.abs().sum() if norm == "l1" else self.matrix.square().sum()


def residual(z: Tensor, expressed: Tensor) -> Tensor:
    """Return ||Z - C Z||^2, summed over days and dimensions."""
    return (z - expressed).square().sum()


def unit_energy(z: Tensor) -> Tensor:
    """Scale all codes together so that the mean of ||z||^2 over days is 1; zeros stay.

    Then no scale of Z lowers the residual, and a weight means the same for every network and data set.
    """
    energy = z.square().sum() / len(z)
    return z / energy.clamp_min(torch.finfo(z.dtype).tiny).sqrt()


def centred(z: Tensor) -> Tensor:
    """Take the mean over days off: what all days share tells none apart."""
    return z - z.mean(dim=0, keepdim=True)


def ridge(z: Tensor, weight: float, zero_diagonal: bool = False) -> Tensor:
    """Return the C that minimises ``||Z - C Z||^2 + weight ||C||^2``, in double precision.

    Parameters
    ----------
    z : Tensor, shape (n_days, ...)
        Codes.
    weight : float
        Above 0. The loss ``lambda1 ||C||^2 + lambda2 / 2 ||Z - C Z||^2`` has ``weight = 2 lambda1 / lambda2``.
    zero_diagonal : bool
        Among those whose diagonal is 0.

    Returns
    -------
    Tensor of float64, shape (n_days, n_days)
        ``I - weight P`` with ``P = (Z Z' + weight I)^-1``; without its diagonal, row i is ``-P_i / P_ii``.
    """
    z = z.detach().double().flatten(1)
    one = torch.eye(len(z), dtype=z.dtype, device=z.device)
    P = torch.cholesky_inverse(torch.linalg.cholesky(z @ z.T + weight * one))
    return one - (P / P.diagonal()[:, None] if zero_diagonal else weight * P)
