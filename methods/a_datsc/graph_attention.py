"""Bidirectional temporal graph attention, Bi-TGAT (A-DATSC paper, section 5.1.2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from methods.a_datsc.unet import EPSILON


class BiTGAT(nn.Module):
    """Each node of a frame listens to the nodes of the next frame and of the one before (paper, Eq. 2 and 3).

    ``alpha = softmax_j((W_q h_{t,i}) . (W_k h_{t+delta,j}) / sqrt(size of a head))``, ``m = sum_j alpha W_v h``, and
    ``h' = LN(W_o [m(next) || m(previous)])``. The first frame has no message from before, the last none from after:
    zeros stand there.

    Parameters
    ----------
    n_features : int
        F, of a node.
    n_heads : int
        Divides F.
    itself : bool
        Add the node's own features before the norm, as transformers do. Eq. 3 as printed has none of frame t itself but
        its query.
    """

    def __init__(self, n_features: int, n_heads: int, itself: bool) -> None:
        super().__init__()
        self.n_heads, self.itself = n_heads, itself
        self.W_q = nn.Linear(n_features, 2 * n_features, bias=False)  # of both directions, side by side
        self.W_kv = nn.Linear(n_features, 4 * n_features, bias=False)
        self.W_o = nn.Linear(2 * n_features, n_features)
        self.norm = nn.LayerNorm(n_features, eps=EPSILON)

    def forward(self, h: Tensor) -> Tensor:
        """Map nodes (batch, time, N, F) to nodes of the same shape."""
        Q = self.W_q(h).chunk(2, dim=-1)
        K_next, K_before, V_next, V_before = self.W_kv(h).chunk(4, dim=-1)
        after = self._messages(Q[0][:, :-1], K_next[:, 1:], V_next[:, 1:])
        before = self._messages(Q[1][:, 1:], K_before[:, :-1], V_before[:, :-1])
        nothing = torch.zeros_like(h[:, :1])
        m = torch.cat([torch.cat([after, nothing], dim=1), torch.cat([nothing, before], dim=1)], dim=-1)
        return self.norm(self.W_o(m) + h if self.itself else self.W_o(m))

    def attention(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """Return alpha of both directions, (batch, time - 1, head, N, N): rows i of a frame, columns j of the other."""
        Q = self.W_q(h).chunk(2, dim=-1)
        K = self.W_kv(h).chunk(4, dim=-1)[:2]
        pairs = (Q[0][:, :-1], K[0][:, 1:]), (Q[1][:, 1:], K[1][:, :-1])
        return tuple(
            (self._heads(q) @ self._heads(k).mT / (q.shape[-1] // self.n_heads) ** 0.5).softmax(dim=-1)
            for q, k in pairs
        )

    def _messages(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return scaled_dot_product_attention(*map(self._heads, (q, k, v))).transpose(2, 3).flatten(3)

    def _heads(self, x: Tensor) -> Tensor:
        """Return (batch, time, head, N, features of a head)."""
        return x.unflatten(-1, (self.n_heads, -1)).transpose(2, 3)


class Embedding(nn.Module):
    """z_t of the nodes of a frame: pooled, then a linear map and layer norm (paper, section 5.1.2).

    Parameters
    ----------
    n_nodes, n_features, n_embedding : int
        N, F and D.
    pooling : str
        "linear": a weight for each feature of each node, so that z_t holds where something is. "mean": of all nodes.
    """

    def __init__(self, n_nodes: int, n_features: int, n_embedding: int, pooling: str) -> None:
        super().__init__()
        self.pool = {"linear": self._side_by_side, "mean": self._mean}[pooling]
        n_pooled = n_nodes * n_features if pooling == "linear" else n_features
        self.linear = nn.Linear(n_pooled, n_embedding)
        self.norm = nn.LayerNorm(n_embedding, eps=EPSILON)

    def forward(self, h: Tensor) -> Tensor:
        """Return embeddings (batch, time, D) of nodes (batch, time, N, F)."""
        return self.norm(self.linear(self.pool(h)))

    @staticmethod
    def _side_by_side(h: Tensor) -> Tensor:
        return h.flatten(2)

    @staticmethod
    def _mean(h: Tensor) -> Tensor:
        return h.mean(dim=2)


class TemporalTransformer(nn.Module):
    """Each node listens to itself in all frames: a plain transformer layer in place of Bi-TGAT.

    Parameters
    ----------
    n_features, n_heads : int
        See :class:`BiTGAT`.
    """

    def __init__(self, n_features: int, n_heads: int) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(n_features, n_heads, 2 * n_features, dropout=0.0, batch_first=True)

    def forward(self, h: Tensor) -> Tensor:
        """Map nodes (batch, time, N, F) to nodes of the same shape."""
        in_time = (h + sinusoids(h.shape[1], h.shape[3], h)[:, None]).transpose(1, 2)
        return self.layer(in_time.flatten(0, 1)).unflatten(0, in_time.shape[:2]).transpose(1, 2)


def sinusoids(n_frames: int, n_features: int, like: Tensor) -> Tensor:
    """Return the positions of frames as sines and cosines, (n_frames, n_features) (Vaswani et al., section 3.5)."""
    rates = 10000 ** (-torch.arange(0, n_features, 2, device=like.device) / n_features)
    angles = torch.arange(n_frames, device=like.device)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)[:, :n_features].to(like.dtype)
