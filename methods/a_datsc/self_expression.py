"""The self-expressive temporal layer of A-DATSC (paper, section 5.1.4)."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import torch
from torch import Tensor

from methods.blocks.spectral import cut, plain_affinity


def compared(Z: Tensor, neighbours: int = 0) -> Tensor:
    """Return how embeddings (batch, time, D) differ from the mean of their window, in units of their usual length.

    In single precision or better. The mean day would express all others, and the weight of ||C||_1 has a meaning only
    beside a given length.

    Parameters
    ----------
    Z : Tensor, shape (batch, time, D)
        Embeddings.
    neighbours : int
        Days before and after each day that stand beside it, those at the ends of the window mirrored: C has to express
        them all with the same coefficients, and so how days follow each other.

    Returns
    -------
    Tensor, shape (batch, time, (2 neighbours + 1) D)
    """
    Z = Z.float() if Z.dtype == torch.bfloat16 else Z
    X = Z - Z.mean(dim=1, keepdim=True)
    neighbours = min(neighbours, X.shape[1] - 1)
    if neighbours:
        X = torch.cat([X[:, 1 : neighbours + 1].flip(1), X, X[:, -neighbours - 1 : -1].flip(1)], dim=1)
        X = X.unfold(1, 2 * neighbours + 1, 1).flatten(2)
    length = X.square().sum(dim=2).mean(dim=1).clamp_min(torch.finfo(Z.dtype).eps).sqrt()
    return X / length[:, None, None]


@torch.no_grad()
def coefficients(X: Tensor, sparsity: float, steps: int) -> Tensor:
    """Return the C with zero diagonal that makes L_SE of the days of each window least (paper, Eq. 5).

    The paper learns C "via a shrinkage operator": its steps are those of FISTA (Beck and Teboulle, 2009), a step along
    the gradient of ||X - C X||^2, then a soft threshold that takes ||C||_1 into
    account. C has no weights that are trained.

    Parameters
    ----------
    X : Tensor, shape (batch, time, D)
        Of :func:`compared`.
    sparsity : float
        Weight of ||C||_1.
    steps : int
        From C = 0; some hundred are enough.

    Returns
    -------
    Tensor, shape (batch, time, time)
        Row t expresses frame t.
    """
    with torch.autocast(X.device.type, enabled=False):
        gram = X @ X.mT
        rate = 1 / torch.linalg.eigvalsh(gram)[:, -1].clamp_min(torch.finfo(X.dtype).eps)[:, None, None]
        others = 1 - torch.eye(X.shape[1], device=X.device, dtype=X.dtype)
        C = ahead = torch.zeros_like(gram)
        momentum = 1.0
        for _ in range(steps):
            moved = ahead - rate * (ahead @ gram - gram)
            shrunk = moved.sign() * (moved.abs() - rate * sparsity / 2).relu() * others
            faster = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
            ahead = shrunk + (momentum - 1) / faster * (shrunk - C)
            C, momentum = shrunk, faster
    return C


def expressing(p: SimpleNamespace) -> Callable[[Tensor], Tensor]:
    """Return how ``sparsity``, ``expression_steps`` and ``neighbours`` make C of embeddings (batch, time, D)."""
    return lambda Z: coefficients(compared(Z, p.neighbours), p.sparsity, p.expression_steps)


def expression_loss(Z: Tensor, C: Tensor, sparsity: float, neighbours: int = 0) -> Tensor:
    """Return L_SE = ||X - C X||^2 + sparsity ||C||_1 of X = compared(Z, neighbours), mean over days (paper, Eq. 5).

    It lies between 0 and 1, the share of the days' variance that other days leave unexplained. Since C makes it least,
    the gradient at Z with C held fixed is the whole gradient. The paper calls both this ``sparsity`` and the weight of
    the whole loss lambda_SE; here they have two names.
    """
    X = compared(Z, neighbours)
    n_days = X.shape[0] * X.shape[1]
    return ((X - C @ X).square().sum() + sparsity * C.abs().sum()) / n_days


def refined(C: np.ndarray, k: int, seed: int) -> np.ndarray:
    """Return the labels of spectral clustering of |C| + |C^T|, (n_days,) (paper, section 5.4)."""
    return cut(plain_affinity(C), k, seed)
