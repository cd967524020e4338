"""The parts of PRO-DSC's loss: coding rate, self-expression by a Sinkhorn matrix, block-diagonal regulariser."""

from __future__ import annotations

import numpy as np
import torch
from scipy.linalg import eigh
from torch import Tensor
from torch.nn.functional import normalize

from methods.blocks.spectral import DENSE_DAYS, leading, plain_affinity

SHORTEST = 0.01


def unit_codes(codes: Tensor) -> Tensor:
    """Scale codes to length 1, but stretch none by more than 100: where a day is zero, its gradient stays finite."""
    return normalize(codes, eps=SHORTEST)


def coding_rate(Z: Tensor, eps: float) -> Tensor:
    """Return 1/2 logdet(I + d / (N eps) Z'Z) for N codes of length 1 in d dimensions: large where they fill the space.

    The determinant is that of the smaller matrix, d x d.
    """
    N, d = Z.shape
    gram = torch.eye(d, dtype=Z.dtype, device=Z.device) + d / (N * eps) * Z.T @ Z
    return torch.linalg.cholesky(gram).diagonal().log().sum()


def self_expression(Y: Tensor, eta: float) -> Tensor:
    """Return C, row i the coefficients of day i: zero diagonal, sizes by one row normalisation of exp(|YY'| / eta).

    It is N times a matrix whose rows a Sinkhorn iteration has made sum to 1 / N; the official code stops before the
    columns. So this is a softmax of each row. The signs are those of YY'.
    """
    products = Y @ Y.T
    signs = products.detach().sign().fill_diagonal_(0)
    return torch.softmax(products.abs() / eta, dim=1) * signs


def block_diagonal(C: Tensor, k: int) -> Tensor:
    """Return tr(L'W) / N, L the Laplacian of A = (|C| + |C|') / 2, W = UU' of its k smallest eigenvectors.

    It is 0 exactly where the graph has k components. W is computed anew each time and has no gradient. The trace needs
    no matrix but |C|: sum_i a_i ||u_i||^2 - tr(U'|C|U) with the row sums a of A.
    """
    sizes = C.abs()
    U = torch.as_tensor(smallest(plain_affinity(sizes.detach().cpu().numpy()), k), dtype=C.dtype, device=C.device)
    degrees = (sizes.sum(dim=0) + sizes.sum(dim=1)) / 2
    return (degrees @ U.square().sum(dim=1) - (U * (sizes @ U)).sum()) / len(C)


def smallest(A: np.ndarray, k: int) -> np.ndarray:
    """Return the eigenvectors of a graph's Laplacian with the ``k`` smallest eigenvalues, shape (n_days, k)."""
    degrees, k = A.sum(axis=1), min(k, len(A))
    shift = 2 * degrees.max()  # no eigenvalue of the Laplacian is larger
    if len(A) <= DENSE_DAYS:
        return eigh(np.diag(degrees) - A, subset_by_index=(0, k - 1))[1]
    np.fill_diagonal(A, A.diagonal() + shift - degrees)
    return leading(A, k)[1]


def left_over(Z: Tensor, C: Tensor) -> Tensor:
    """Return ||Z - C Z||^2 / (2 N)."""
    return (Z - C @ Z).square().sum() / (2 * len(Z))
