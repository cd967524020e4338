"""A bidirectional LSTM whose two directions are added, with the initial weights of Keras."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from methods.blocks.initialisers import glorot_uniform


class SummedBiLSTM(nn.LSTM):
    """``torch.nn.LSTM`` in both directions, outputs added; Keras' ``Bidirectional(CuDNNLSTM, merge_mode="sum")``.

    Two bias vectors per direction, as cuDNN has them; gates in the order input, forget, cell, output. Series come with
    time first. torch's own layer, because a loop over the steps of a long series is slower (see
    :class:`methods.blocks.lstm.LSTM` for dropout inside the cell).

    Parameters
    ----------
    n_in, n_units : int
        Channels of the input and of the output.
    """

    def __init__(self, n_in: int, n_units: int) -> None:
        super().__init__(n_in, n_units, bidirectional=True)

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """Fill the weights as Keras does: Glorot uniform, orthogonal, zero, and 1 for one bias of the forget gate."""
        for w_in, w_recurrent, b_in, b_recurrent in self.all_weights:
            glorot_uniform(w_in, generator)
            nn.init.orthogonal_(w_recurrent, generator=generator)
            b_in.zero_()
            b_recurrent.zero_()
            b_recurrent[self.hidden_size : 2 * self.hidden_size] = 1

    def forward(self, x: Tensor) -> Tensor:
        """Map (time, batch, n_in) to (time, batch, n_units)."""
        both = super().forward(x)[0]
        return both[..., : self.hidden_size] + both[..., self.hidden_size :]
