"""PRO-DSC, a principled framework for deep subspace clustering (Meng et al., ICLR 2025), from the paper's formulas."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import torch
from torch import Tensor, nn

from methods.blocks.autoencoder import mlp
from methods.blocks.components import components, unit_rows
from methods.blocks.initialisers import initialise, variance_scaling
from methods.blocks.kmeans_cut import kmeans_cut
from methods.blocks.seeding import generator, reproducible
from methods.blocks.spectral import cut, plain_affinity, raw_least_squares
from methods.blocks.training import batches, train
from methods.pro_dsc.expression import block_diagonal, coding_rate, left_over, self_expression, unit_codes
from regimebench.method import Cube, Fit, Method


class Heads(nn.Module):
    """Two linear heads on shared features: codes Z, and Y, from which the coefficients come; both of length 1.

    Parameters
    ----------
    n_inputs, hidden, width : int
        Columns of the days, of the shared layer (0 for none) and of the codes.
    """

    def __init__(self, n_inputs: int, hidden: int, width: int) -> None:
        super().__init__()
        self.shared = nn.Sequential(mlp([n_inputs, hidden]), nn.ReLU()) if hidden else nn.Identity()
        self.to_z, self.to_y = (mlp([hidden or n_inputs, width]) for _ in range(2))

    def codes(self, x: Tensor) -> Tensor:
        """Return Z, shape (n_days, width)."""
        return unit_codes(self.to_z(self.shared(x)))

    def expressing(self, x: Tensor) -> Tensor:
        """Return Y, shape (n_days, width)."""
        return unit_codes(self.to_y(self.shared(x)))


class Plugin(Method):
    """Codes that fill their space yet express each other by the days of their own block; all days at once."""

    def fit(self, cube: Cube) -> Fit:
        """Cluster the days of ``cube``."""
        with reproducible(self.seed, self.device):
            return self._fit(cube)

    def _fit(self, cube: Cube) -> Fit:
        p, k = SimpleNamespace(**self.params), self.n_clusters
        x = unit_rows(components(cube.table, k * p.subspace_dim, p.centred).scores)
        x = torch.tensor(x, dtype=torch.float32, device=self.device)
        heads = Heads(x.shape[1], p.hidden, k * p.subspace_dim)
        initialise(heads, variance_scaling, generator(self.seed, "weights"))
        heads = heads.to(self.device)
        norms, history = [heads.codes(x).norm().item()], {}

        def loss() -> dict[str, Tensor]:
            Z, C = heads.codes(x), self_expression(heads.expressing(x), p.eta)
            return {
                "rate": -coding_rate(Z, p.eps),
                "self_expression": p.gamma * left_over(Z, C),
                "block_diagonal": p.beta * block_diagonal(C, k),
            }

        if p.warm_up:
            history |= self._train(heads, len(x), lambda: {"warm_up": -coding_rate(heads.codes(x), p.eps)}, p.warm_up)
        heads.to_y.load_state_dict(heads.to_z.state_dict())
        if p.epochs:
            history |= self._train(heads, len(x), loss, p.epochs)
        with torch.no_grad():
            Z, C = heads.codes(x), self_expression(heads.expressing(x), p.eta)
        norms.append(Z.norm().item())
        C = C.double().cpu().numpy()
        labels, raw = (
            kmeans_cut(plain_affinity(matrix), k, self.seed, n_init=p.n_init)
            for matrix in (C, raw_least_squares(cube.table))
        )
        return Fit(
            labels=labels,
            embedding=Z.cpu().numpy(),
            self_expression=C,
            other_labels={"plain_cut": cut(plain_affinity(C), k, self.seed), "raw_data": raw},
            history={**history, "embedding_norm": norms},
            n_parameters=sum(weight.numel() for weight in heads.parameters()),
            epochs=p.warm_up + p.epochs,
            stop_reason="number of epochs reached",
        )

    def _train(
        self, heads: Heads, n_days: int, loss: Callable[[], dict[str, Tensor]], epochs: int
    ) -> dict[str, list[float]]:
        """Take one step per epoch, on all days."""
        p = SimpleNamespace(**self.params)
        groups = [
            {"params": [*heads.shared.parameters(), *heads.to_z.parameters()], "weight_decay": p.weight_decay},
            {"params": list(heads.to_y.parameters()), "weight_decay": p.weight_decay_y},
        ]
        return train(
            lambda _: loss(),
            torch.optim.SGD(groups, p.lr, p.momentum),
            batches(n_days, n_days, device=self.device),
            epochs,
            name="codes",
            progress=self.progress,
        )
