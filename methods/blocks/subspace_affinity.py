"""The subspaces of EDESC: how near a code is to each, where they start, what keeps their bases in order."""

from __future__ import annotations

import numpy as np
import torch
from scipy.linalg import eigh
from torch import Tensor

from methods.blocks.kmeans import kmeans
from methods.blocks.streams import sub_seed

ROUNDS = 50  # of alternation at most; it settles after some ten


def captured(z: Tensor, D: Tensor, k: int) -> Tensor:
    """Return ||z_i' D_j||^2, shape (n_days, k); the bases D_j stand side by side in D, shape (n_z, k d)."""
    return (z @ D).square().reshape(len(z), k, -1).sum(dim=2)


def subspace_affinity(z: Tensor, D: Tensor, k: int, eta: float) -> Tensor:
    """Return s_ij = (||z_i' D_j||^2 + eta d) / ((eta + 1) d), rows divided by their sums."""
    d = D.shape[1] // k
    s = (captured(z, D, k) + eta * d) / ((eta + 1) * d)
    return s / s.sum(dim=1, keepdim=True)


def kl_elements(p: Tensor, s: Tensor) -> Tensor:
    """Return the mean over all n k elements of p log(p / s): the official code leaves the reduction at its default."""
    return (p * (p.log() - s.log())).mean()


def constraints(D: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return ||D'D o I - I||_F (columns have length 1) and ||D'D o O||_F (bases stand at right angles).

    O is 1 outside the k blocks on the diagonal. Neither norm is squared.
    """
    gram = D.T @ D
    d = len(gram) // k
    own = torch.block_diag(*[torch.ones(d, d, dtype=D.dtype, device=D.device)] * k)
    return safe_norm(gram.diagonal() - 1), safe_norm(gram * (1 - own))


def safe_norm(x: Tensor) -> Tensor:
    """Return the Frobenius norm, with a gradient of 0 where all is 0 (the derivative of a root is infinite there)."""
    return x.square().sum().clamp_min(torch.finfo(x.dtype).tiny).sqrt()


def svd_bases(z: np.ndarray, labels: np.ndarray, k: int, d: int) -> np.ndarray:
    """Return the first d left singular vectors of each cluster's codes as columns, side by side: (n_z, k d).

    From products of columns, which are as many as the code has, however many the days. A cluster without days, or with
    fewer than d directions, is filled up with other orthonormal ones.
    """
    members = (z[labels == j] for j in range(k))
    return np.concatenate([eigh(one.T @ one)[1][:, ::-1][:, :d] for one in members], axis=1)


def start(z: Tensor, k: int, d: int, seed: int, n_init: int, alternate: bool) -> tuple[np.ndarray, Tensor]:
    """Return first labels and bases: k-means on the codes, then the singular vectors of each cluster.

    Parameters
    ----------
    z : Tensor, shape (n_days, n_z)
        Codes.
    k, d, seed : int
        Clusters, dimensions of each subspace, and the seed.
    n_init : int
        Starts.
    alternate : bool
        False: the best of ``n_init`` starts of k-means, and its bases (official code). True: from each start of k-means
        go on to the nearest subspace and its new basis in turn until the labels stay, and keep the start whose
        subspaces capture most of the codes, ``sum_i max_j ||z_i' D_j||^2``.
    """
    codes = z.detach().double().cpu().numpy()
    if not alternate:
        labels, _ = kmeans(z, k, seed, n_init)
        bases = svd_bases(codes, labels, k, d)
    else:
        starts = (kmeans(z, k, sub_seed(seed, f"start {i}"), 1)[0] for i in range(n_init))
        _, labels, bases = max((alternation(codes, labels, k, d) for labels in starts), key=lambda found: found[0])
    return labels, torch.as_tensor(bases, dtype=z.dtype, device=z.device)


def alternation(z: np.ndarray, labels: np.ndarray, k: int, d: int) -> tuple[float, np.ndarray, np.ndarray]:
    """Return what k subspaces capture, their days, and their bases, alternating from labels until they stay."""
    for _ in range(ROUNDS):
        bases = svd_bases(z, labels, k, d)
        energy = np.square(z @ bases).reshape(len(z), k, d).sum(axis=2)
        before, labels = labels, energy.argmax(axis=1)
        if np.array_equal(before, labels):
            break
    return float(energy.max(axis=1).sum()), labels, bases
