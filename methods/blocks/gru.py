"""The GRU of TensorFlow 1, whose reset gate acts before the recurrent product, and dilated layers of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from methods.blocks.initialisers import glorot_uniform


class GRU(nn.Module):
    """Gated recurrent unit (Cho et al. 2014) as TensorFlow 1's ``GRUCell`` and ``keras.layers.GRU(reset_after=False)``.

    With update gate z, reset gate r and candidate c, all from input x and state h:
    z, r = sigmoid(x W + h U + b), c = tanh(x W_c + (r * h) U_c + b_c), h' = z * h + (1 - z) * c.
    torch's own GRU applies r after the product with U_c, which is another function. Weights are laid out as in Keras,
    in the order update, reset, candidate, so that they can be copied.

    Parameters
    ----------
    n_in, n_units : int
        Columns of the input and of the state.

    Attributes
    ----------
    kernel : Parameter, shape (n_in, 3 n_units)
        Not yet initialised, like the others: see :meth:`initialise`.
    recurrent_kernel : Parameter, shape (n_units, 3 n_units)
    bias : Parameter, shape (3 n_units,)
    """

    def __init__(self, n_in: int, n_units: int) -> None:
        super().__init__()
        self.n_units = n_units
        self.kernel = nn.Parameter(torch.empty(n_in, 3 * n_units))
        self.recurrent_kernel = nn.Parameter(torch.empty(n_units, 3 * n_units))
        self.bias = nn.Parameter(torch.empty(3 * n_units))

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """Fill the weights as ``GRUCell`` does: Glorot uniform, 1 for the biases of the gates, 0 for the candidate's.

        ``GRUCell`` has one matrix for both gates and one for the candidate, each on input and state side by side; their
        sizes set the range of the numbers.
        """
        n_in = len(self.kernel)
        gates = slice(0, 2 * self.n_units)
        candidate = slice(2 * self.n_units, 3 * self.n_units)
        for columns in (gates, candidate):
            both = torch.empty(n_in + self.n_units, columns.stop - columns.start)
            glorot_uniform(both, generator)
            self.kernel[:, columns] = both[:n_in]
            self.recurrent_kernel[:, columns] = both[n_in:]
        self.bias[gates] = 1
        self.bias[candidate] = 0

    def recurrence(self) -> Callable[[Tensor, Tensor], Tensor]:
        """Return the step (x W + b, h) -> h', which loops call; it holds the weights ready."""
        u = self.n_units
        of_gates, of_candidate = self.recurrent_kernel.split([2 * u, u], dim=1)

        def step(projected: Tensor, h: Tensor) -> Tensor:
            gates, candidate = projected.split([2 * u, u], dim=1)
            z, r = torch.addmm(gates, h, of_gates).sigmoid().chunk(2, dim=1)
            c = torch.addmm(candidate, r * h, of_candidate).tanh()
            return torch.lerp(c, h, z)

        return step

    def project(self, x: Tensor) -> Tensor:
        """Return x W + b for inputs of shape (..., n_in)."""
        return torch.matmul(x, self.kernel) + self.bias

    def forward(self, x: Tensor, h: Tensor | None = None) -> Tensor:
        """Map (batch, time, n_in) to the states after all steps, (batch, time, n_units), from ``h`` or zero."""
        step = self.recurrence()
        if h is None:
            h = x.new_zeros(len(x), self.n_units)
        states: list[Tensor] = []
        for projected in self.project(x).unbind(1):
            h = step(projected, h)
            states.append(h)
        return torch.stack(states, dim=1)


class DilatedGRU(nn.Module):
    """Stack of dilated GRU layers (Chang et al., NeurIPS 2017) that returns the last state of each layer.

    A layer of dilation s advances from step t - s to step t. What its last state depends on are the steps T, T - s,
    T - 2 s and so on, so only these are computed. Codes that compute all steps (as extra rows of the batch, with zeros
    appended until s divides T) find the same last states.

    Parameters
    ----------
    n_in : int
        Columns of the input.
    units, dilations : sequence of int
        Size and dilation of each layer, the first layer first.

    Raises
    ------
    ValueError
        If the two differ in number, or a dilation is no multiple of the one before.
    """

    def __init__(self, n_in: int, units: Sequence[int], dilations: Sequence[int]) -> None:
        super().__init__()
        before = [1, *dilations[:-1]]
        if len(units) != len(dilations) or any(s < 1 or s % last for s, last in zip(dilations, before, strict=True)):
            needed = "each layer needs one, a multiple of the one before"
            raise ValueError(f"{len(units)} layers have dilations {list(dilations)}; {needed}")
        self.strides = [s // last for s, last in zip(dilations, before, strict=True)]
        self.layers = nn.ModuleList(GRU(*sizes) for sizes in zip([n_in, *units[:-1]], units, strict=True))

    def initialise(self, generator: torch.Generator) -> None:
        """Fill the weights of all layers in order, see :meth:`GRU.initialise`."""
        for layer in self.layers:
            layer.initialise(generator)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, time, n_in) to the last states of all layers side by side, (batch, sum of units)."""
        last = []
        for layer, stride in zip(self.layers, self.strides, strict=True):
            x = layer(x[:, (x.shape[1] - 1) % stride :: stride])
            last.append(x[:, -1])
        return torch.cat(last, dim=1)
