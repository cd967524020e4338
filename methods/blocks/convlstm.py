"""The convolutional LSTM layer as Keras 2 defines it (Shi et al., NeurIPS 2015, Eq. 3, without peepholes)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from methods.blocks.initialisers import glorot_uniform


def hard_sigmoid(x: Tensor) -> Tensor:
    """Return clip(0.2 x + 0.5, 0, 1), Keras 2's ``hard_sigmoid``; torch's and Keras 3's is relu6(x + 3) / 6."""
    return (0.2 * x + 0.5).clamp(0, 1)


class ConvLSTM2d(nn.Module):
    """Keras 2's ``ConvLSTM2D(padding="same")``: convolutions in place of the LSTM's matrix products.

    The four gates stand in Keras' order: input, forget, candidate, output. Gates are hard sigmoids, candidate and cell
    pass through tanh, the state starts at zero. ``kernel`` (4 n_out, n_in, k, k), ``recurrent_kernel``
    (4 n_out, n_out, k, k) and ``bias`` (4 n_out) are Keras' weights with the axes in torch's order; :meth:`initialise`
    draws them.

    Parameters
    ----------
    n_in, n_out : int
        Channels of a frame, and of the state.
    kernel_size : int
        Odd, so that "same" padding is symmetric.
    return_sequences : bool
        Return the state after every frame, not after the last one alone.
    go_backwards : bool
        Read the frames from the last to the first. As in Keras, the output is in the order of reading.

    Raises
    ------
    ValueError
        If the kernel size is even.
    """

    def __init__(
        self, n_in: int, n_out: int, kernel_size: int = 3, return_sequences: bool = True, go_backwards: bool = False
    ) -> None:
        super().__init__()
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size is {kernel_size}; it must be odd")
        self.return_sequences, self.go_backwards = return_sequences, go_backwards
        self.kernel = nn.Parameter(torch.empty(4 * n_out, n_in, kernel_size, kernel_size))
        self.recurrent_kernel = nn.Parameter(torch.empty(4 * n_out, n_out, kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.empty(4 * n_out))

    def initialise(self, generator: torch.Generator) -> None:
        """Draw new weights as Keras does: Glorot-uniform, recurrent orthogonal, bias 1 for the forget gate, else 0."""
        n_gates, n_out, height, width = self.recurrent_kernel.shape
        with torch.no_grad():
            glorot_uniform(self.kernel, generator)
            table = torch.empty(height * width * n_out, n_gates)  # Keras' layout, in which the rows are orthogonal
            nn.init.orthogonal_(table, generator=generator)
            self.recurrent_kernel.copy_(table.view(height, width, n_out, n_gates).permute(3, 2, 0, 1))
            self.bias.zero_()[n_out : 2 * n_out] = 1

    def forward(self, x: Tensor) -> Tensor:
        """Return the states after frames of shape (batch, time, n_in, y, x): (batch, [time,] n_out, y, x)."""
        n, n_steps, _, height, width = x.shape
        padding = self.kernel.shape[-1] // 2
        if self.go_backwards:
            x = x.flip(1)
        # The share of the frames does not depend on the state, so one convolution makes it for all of them.
        gates_of_x = conv2d(x.flatten(0, 1), self.kernel, self.bias, padding=padding).unflatten(0, (n, n_steps))
        hidden = cell = x.new_zeros(n, self.recurrent_kernel.shape[1], height, width)
        states = []
        for step in range(n_steps):
            gates = gates_of_x[:, step] + conv2d(hidden, self.recurrent_kernel, padding=padding)
            i, f, c, o = gates.chunk(4, dim=1)
            cell = hard_sigmoid(f) * cell + hard_sigmoid(i) * torch.tanh(c)
            hidden = hard_sigmoid(o) * torch.tanh(cell)
            states.append(hidden)
        return torch.stack(states, dim=1) if self.return_sequences else hidden
