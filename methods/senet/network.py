"""SENet: coefficients of self-expression as a function of two days; its loss; the exact solution of what it solves."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import skip_init

ROWS_AT_ONCE = 500  # where nothing is trained


class SENet(nn.Module):
    """c_ij = T_b(q(x_i)' k(x_j)) / p: two networks, and a soft threshold T with one learnt b.

    Parameters
    ----------
    n_inputs : int
        Columns of the days.
    hidden : sequence of int
        Widths of the hidden layers of both networks.
    width : int
        Columns p of queries and keys.
    generator : torch.Generator
        Draws the weights: Kaiming-uniform in hidden layers, Glorot-uniform in the last; biases are 0.
    """

    def __init__(self, n_inputs: int, hidden: Sequence[int], width: int, generator: torch.Generator) -> None:
        super().__init__()
        sizes = [n_inputs, *hidden, width]
        self.query, self.key = tanh_mlp(sizes, generator), tanh_mlp(sizes, generator)
        self.b = nn.Parameter(torch.zeros(()))
        self.width = width

    def coefficients(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Return c for all pairs of queries (n, p) and keys (m, p), shape (n, m)."""
        return self._shrunk(queries @ keys.T)

    def own(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Return c_ii for queries and keys of the same days, shape (n, 1)."""
        return self._shrunk((queries * keys).sum(dim=1, keepdim=True))

    def _shrunk(self, products: Tensor) -> Tensor:
        return products.sign() * torch.relu(products.abs() - self.b) / self.width

    @torch.no_grad()
    def matrix(self, x: Tensor) -> Tensor:
        """Return C of all days, zeros on the diagonal, shape (n, n)."""
        keys = self.key(x)
        C = torch.cat([self.coefficients(self.query(rows), keys) for rows in x.split(ROWS_AT_ONCE)])
        return C.fill_diagonal_(0)


def tanh_mlp(sizes: Sequence[int], generator: torch.Generator) -> nn.Sequential:
    """Return linear layers with ReLU between them and tanh at the end, with their initial weights."""
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(sizes):
        layers += [skip_init(nn.Linear, n_in, n_out), nn.ReLU()]
    layers[-1] = nn.Tanh()
    linear = layers[::2]
    for layer in linear:
        nn.init.zeros_(layer.bias)
        fill = nn.init.xavier_uniform_ if layer is linear[-1] else nn.init.kaiming_uniform_
        fill(layer.weight, generator=generator)
    return nn.Sequential(*layers)


def elastic_net(c: Tensor, share: float) -> Tensor:
    """Return share ||c||_1 + (1 - share) / 2 ||c||^2."""
    return share * c.abs().sum() + (1 - share) / 2 * c.square().sum()


def batch_loss(net: SENet, x: Tensor, days: Tensor, gamma: float, share: float) -> dict[str, Tensor]:
    """Return gamma/2 ||x_i - sum_{j != i} c_ij x_j||^2 and the elastic net of c_i without c_ii, mean over the days.

    The diagonal is computed on its own and taken off both terms, as in the official code.
    """
    rows = x[days]
    q, keys = net.query(rows), net.key(x)
    c, own = net.coefficients(q, keys), net.own(q, keys[days])
    left = rows - (c @ x - own * rows)
    return {
        "expression": gamma / 2 * left.square().sum() / len(days),
        "elastic_net": (elastic_net(c, share) - elastic_net(own, share)) / len(days),
    }


def exact_coefficients(x: np.ndarray, gamma: float, share: float, max_iter: int, tol: float) -> tuple[np.ndarray, int]:
    """Return the C that minimises SENet's loss without any network, and the most iterations that any rows took.

    Parameters
    ----------
    x : ndarray of float, shape (n_days, r)
        Days.
    gamma, share : float
        As in :func:`batch_loss`.
    max_iter : int
        Iterations at most.
    tol : float
        Stop when no coefficient moves more than this in one iteration.
    """
    steepest = gamma * np.linalg.norm(x, 2) ** 2 + 1 - share
    blocks, most = [], 0
    for first in range(0, len(x), ROWS_AT_ONCE):
        rows, iterations = _exact_rows(x, first, gamma, share, steepest, max_iter, tol)
        blocks.append(rows)
        most = max(most, iterations)
    return np.concatenate(blocks), most


def _exact_rows(
    x: np.ndarray, first: int, gamma: float, share: float, steepest: float, max_iter: int, tol: float
) -> tuple[np.ndarray, int]:
    """Return some rows of the solution, which do not depend on the others.

    Proximal gradient descent with momentum that restarts where it turns uphill (Beck and Teboulle 2009; O'Donoghue and
    Candes 2015); the soft threshold is the proximal step of the absolute values.
    """
    rows = x[first : first + ROWS_AT_ONCE]
    own = np.arange(len(rows)), np.arange(first, first + len(rows))
    C = np.zeros((len(rows), len(x)))
    ahead, momentum, moved, iteration = C, 1.0, np.inf, 0
    while iteration < max_iter and np.abs(moved).max() >= tol:
        iteration += 1
        new = ahead - (gamma * ((ahead @ x - rows) @ x.T) + (1 - share) * ahead) / steepest
        new = np.sign(new) * np.maximum(np.abs(new) - share / steepest, 0)
        new[own] = 0
        moved = new - C
        if np.vdot(ahead - new, moved) > 0:
            momentum = 1.0
        later = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        ahead = new + (momentum - 1) / later * moved
        C, momentum = new, later
    return C, iteration
