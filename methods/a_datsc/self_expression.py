"""The self-expressive temporal layer of A-DATSC (paper, section 5.1.4)."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import torch
from torch import Tensor

from methods.blocks.spectral import cut, plain_affinity


def compared(Z: Tensor, neighbours: float = 0.0) -> Tensor:
    """Return how embeddings (batch, time, D) differ from the mean of their window, in units of their usual length.

    In single precision or better. The mean day would express all others, and the weight of ||C||_1 has a meaning only
    beside a given length.

    Parameters
    ----------
    Z : Tensor, shape (batch, time, D)
        Embeddings.
    neighbours : float
        Weight of the days before and after, which stand beside each day; at the ends of a window the one neighbour
        stands on both sides. C has to express all three with the same coefficients, and so how days follow each other.

    Returns
    -------
    Tensor, shape (batch, time, D), or (batch, time, 3 D) with neighbours
    """
    Z = Z.float() if Z.dtype == torch.bfloat16 else Z
    X = Z - Z.mean(dim=1, keepdim=True)
    if neighbours and X.shape[1] > 1:
        around = torch.cat([X[:, 1:2], X, X[:, -2:-1]], dim=1)
        X = torch.cat([neighbours * around[:, :-2], X, neighbours * around[:, 2:]], dim=2)
    length = X.square().sum(dim=2).mean(dim=1).clamp_min(torch.finfo(Z.dtype).eps).sqrt()
    return X / length[:, None, None]


@torch.no_grad()
def coefficients(X: Tensor, sparsity: float, ridge: float, steps: int) -> Tensor:
    """Return the C with zero diagonal that makes L_SE of the days of each window least (paper, Eq. 5).

    The paper learns C "via a shrinkage operator": its steps are those of FISTA (Beck and Teboulle, 2009), a step along
    the gradient of the smooth terms, then a soft threshold that takes ||C||_1 into account. C has no weights that are
    trained.

    Parameters
    ----------
    X : Tensor, shape (batch, time, D)
        Of :func:`compared`.
    sparsity, ridge : float
        Weights of ||C||_1 and ||C||^2.
    steps : int
        From C = 0; some hundred are enough.

    Returns
    -------
    Tensor, shape (batch, time, time)
        Row t expresses frame t.
    """
    with torch.autocast(X.device.type, enabled=False):
        gram = X @ X.mT
        steepest = torch.linalg.eigvalsh(gram)[:, -1].clamp_min(torch.finfo(X.dtype).eps) + ridge
        rate = 1 / steepest[:, None, None]
        others = 1 - torch.eye(X.shape[1], device=X.device, dtype=X.dtype)
        C = ahead = torch.zeros_like(gram)
        momentum = 1.0
        for _ in range(steps):
            moved = ahead - rate * (ahead @ gram - gram + ridge * ahead)
            shrunk = moved.sign() * (moved.abs() - rate * sparsity / 2).relu() * others
            faster = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
            ahead = shrunk + (momentum - 1) / faster * (shrunk - C)
            C, momentum = shrunk, faster
    return C


def expressed(Z: Tensor, p: SimpleNamespace) -> Tensor | None:
    """Return C (batch, time, time) of embeddings (batch, time, D); None where there is to be no ``expression``."""
    return coefficients(compared(Z, p.neighbours), p.sparsity, p.ridge, p.expression_steps) if p.expression else None


def expression_loss(Z: Tensor, C: Tensor, p: SimpleNamespace) -> Tensor:
    """Return L_SE = ||X - C X||^2 + sparsity ||C||_1 + ridge ||C||^2, mean over days (paper, Eq. 5).

    X is that of :func:`compared`. L_SE lies between 0 and 1; without its last terms it is the share of the days'
    variance that other days leave unexplained. Since C makes it least, the gradient at Z with C held fixed is the whole
    gradient. Eq. 5 has no ||C||^2 (README); it calls both ``sparsity`` and the weight of the whole loss lambda_SE.

    Parameters
    ----------
    Z, C : Tensor, shapes (batch, time, D) and (batch, time, time)
        Embeddings, and what :func:`expressed` makes of them.
    p : SimpleNamespace
        ``neighbours``, ``sparsity`` and ``ridge``.
    """
    X = compared(Z, p.neighbours)
    penalty = p.sparsity * C.abs().sum() + p.ridge * C.square().sum()
    return ((X - C @ X).square().sum() + penalty) / (X.shape[0] * X.shape[1])


def refined(C: np.ndarray, k: int, seed: int) -> np.ndarray:
    """Return the labels of spectral clustering of |C| + |C^T|, (n_days,) (paper, section 5.4)."""
    return cut(plain_affinity(C), k, seed)
