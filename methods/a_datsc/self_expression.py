"""The self-expressive temporal layer of A-DATSC (paper, section 5.1.4)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class TemporalSelfExpression(nn.Module):
    """C from queries and keys of the frames, shrunk towards zero, without a diagonal (paper, Eq. 5; form: SENet).

    ``C_ts = shrink((W_q z_t) . (W_k z_s) / D, beta) / T`` for two frames of one window of T, so that C Z begins no
    larger than Z. The paper leaves the form open but for "a shrinkage operator" and "the diagonal masked"; SENet, which
    it cites, has C from queries and keys, so that the number of weights does not grow with the days.

    Parameters
    ----------
    n_features : int
        D, of an embedding.
    shrink : float
        beta at the start; it is learnt and stays above 0.
    """

    def __init__(self, n_features: int, shrink: float) -> None:
        super().__init__()
        self.W_q = nn.Linear(n_features, n_features, bias=False)
        self.W_k = nn.Linear(n_features, n_features, bias=False)
        self.first_shrink = shrink
        self.log_shrink = nn.Parameter(torch.empty(()))

    def initialise(self, generator: torch.Generator) -> None:
        """Start with equal queries and keys, so that frames express those that are like them."""
        nn.init.orthogonal_(self.W_q.weight, generator=generator)
        with torch.no_grad():
            self.W_k.weight.copy_(self.W_q.weight)
            self.log_shrink.fill_(self.first_shrink).log_()

    def forward(self, Z: Tensor) -> Tensor:
        """Return C, (batch, time, time), of embeddings (batch, time, D); row t expresses frame t."""
        products = self.W_q(Z) @ self.W_k(Z).mT / Z.shape[-1]
        beta = self.log_shrink.exp()
        C = products.sign() * (products.abs() - beta).relu()
        return C * (1 - torch.eye(Z.shape[1], device=Z.device, dtype=Z.dtype)) / Z.shape[1]


def expression_loss(Z: Tensor, C: Tensor, sparsity: float) -> Tensor:
    """Return L_SE = ||Z - C Z||^2 + sparsity ||C||_1, divided by the numbers in Z (paper, Eq. 5; the mean is ours).

    The paper calls both this ``sparsity`` and the weight of the whole loss lambda_SE; here they have two names.
    """
    return ((Z - C @ Z).square().sum() + sparsity * C.abs().sum()) / Z.numel()
