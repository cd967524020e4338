"""The LSTM of Keras: one bias with 1 for the forget gate, orthogonal recurrent weights, dropout inside the cell."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from methods.blocks.initialisers import glorot_uniform


class LSTM(nn.Module):
    """Long short-term memory layer (Hochreiter and Schmidhuber 1997; with forget gate), as ``keras.layers.LSTM``.

    Weights are laid out as in Keras, gates in the order input, forget, cell, output, so that they can be copied.

    Parameters
    ----------
    n_in, n_units : int
        Columns of the input and of the output.
    dropout, recurrent_dropout : float
        Share of the input and of the previous output that is dropped in training, the same for all steps of a sequence.
        With recurrent dropout each gate has masks of its own, without it one serves all: so does Keras.
    noise : torch.Generator, optional
        Draws the masks, on the device of the input; torch's global stream without it.

    Attributes
    ----------
    kernel : Parameter, shape (n_in, 4 n_units)
        Not yet initialised, like the others: see :meth:`initialise`.
    recurrent_kernel : Parameter, shape (n_units, 4 n_units)
    bias : Parameter, shape (4 n_units,)
    """

    def __init__(
        self,
        n_in: int,
        n_units: int,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        noise: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.n_units = n_units
        self.dropout, self.recurrent_dropout, self.noise = dropout, recurrent_dropout, noise
        self.kernel = nn.Parameter(torch.empty(n_in, 4 * n_units))
        self.recurrent_kernel = nn.Parameter(torch.empty(n_units, 4 * n_units))
        self.bias = nn.Parameter(torch.empty(4 * n_units))

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """Fill the weights as Keras does: Glorot uniform, orthogonal, zero, and 1 for the bias of the forget gate."""
        glorot_uniform(self.kernel, generator)
        nn.init.orthogonal_(self.recurrent_kernel, generator=generator)
        self.bias.zero_()
        self.bias[self.n_units : 2 * self.n_units] = 1

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, time, n_in) to the outputs of all steps, (batch, time, n_units); the state starts at zero."""
        kept = self._masks((len(x), 1, x.shape[2]), self.dropout, x)
        kept_state = self._masks((len(x), self.n_units), self.recurrent_dropout, x)
        gates = _product(x, kept, self.kernel) + self.bias
        outputs: list[Tensor] = []
        h = c = None
        for step in gates.unbind(1):
            if h is not None:  # the state before the first step is zero and adds nothing
                step = step + _product(h, kept_state, self.recurrent_kernel)
            i, f, g, o = step.chunk(4, dim=1)
            new = i.sigmoid() * g.tanh()
            c = new if c is None else f.sigmoid() * c + new
            h = o.sigmoid() * c.tanh()
            outputs.append(h)
        return torch.stack(outputs, dim=1)

    def _masks(self, shape: tuple[int, ...], rate: float, like: Tensor) -> Tensor | None:
        """Return what to multiply by: 0 with probability ``rate``, else such that the mean is kept; None: nothing."""
        if rate == 0 or not self.training:
            return None
        n_masks = 4 if self.recurrent_dropout else 1
        kept = torch.rand((n_masks, *shape), generator=self.noise, device=like.device) >= rate
        return kept.to(like.dtype) / (1 - rate)


def _product(x: Tensor, masks: Tensor | None, kernel: Tensor) -> Tensor:
    """Return x times a kernel of four gates, whose columns see ``x`` through the mask of their gate."""
    if masks is None:
        return torch.matmul(x, kernel)
    columns = kernel.chunk(len(masks), dim=1)
    return torch.cat([torch.matmul(x * mask, part) for mask, part in zip(masks, columns, strict=True)], dim=-1)
