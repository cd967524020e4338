"""The convolutional LSTM layer as Keras 2 defines it (Shi et al., NeurIPS 2015, Eq. 3, without peepholes).

Its gradient is written out: a step of the recurrence costs one convolution forwards and one backwards, and the
gradient of both kernels is taken once, over all frames, where automatic differentiation would take it frame by frame.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from methods.blocks.frame_convolution import Fast, Plain, beside, pays
from methods.blocks.initialisers import glorot_uniform

aten = torch.ops.aten


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
    recompute : bool
        Keep frames and states alone for the gradient, and compute gates and cells, five arrays of the size of the
        states, again from them: the forward pass is made twice, and the numbers are the same.

    Raises
    ------
    ValueError
        If the kernel size is even.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        kernel_size: int = 3,
        return_sequences: bool = True,
        go_backwards: bool = False,
        recompute: bool = False,
    ) -> None:
        super().__init__()
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size is {kernel_size}; it must be odd")
        self.return_sequences, self.go_backwards, self.recompute = return_sequences, go_backwards, recompute
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

    def forward(self, x: Tensor | None, coarse: Tensor | None = None) -> Tensor:
        """Return the states after frames of shape (batch, time, n_in, y, x): (batch, [time,] n_out, y, x).

        Parameters
        ----------
        x : Tensor, shape (batch, time, channel, y, x), optional
            Frames, or the rest of their channels.
        coarse : Tensor, shape (batch, time, channel, y / 2, x / 2), optional
            First channels of the frames, up-sampled by two (nearest) on the way.
        """
        some = x if x is not None else coarse
        device = some.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else some.dtype
        fast = pays(self.kernel, self.recurrent_kernel, dtype)
        if coarse is not None and not fast:
            x, coarse = beside(coarse, x), None
        weights = _lines(self.kernel), _lines(self.recurrent_kernel), _lines(self.bias, 0.5)
        with torch.autocast(device, enabled=False):
            states = _States.apply(self._read(x, dtype), self._read(coarse, dtype), *weights, self.recompute, fast)
        maps = states.movedim(-1, -3)
        return maps.transpose(0, 1) if self.return_sequences else maps[-1]

    def _read(self, x: Tensor | None, dtype: torch.dtype) -> Tensor | None:
        """Return frames in the order of reading, (time, batch, y, x, channel)."""
        if x is None:
            return None
        return (x.flip(1) if self.go_backwards else x).transpose(0, 1).movedim(2, 4).to(dtype).contiguous()


def _lines(weight: Tensor, offset: float = 0.0) -> Tensor:
    """Return weights that give 0.2 x + 0.5 of the three gates and the candidate itself, the candidate last."""
    i, f, c, o = weight.chunk(4)
    gates = [0.2 * gate + offset if offset else 0.2 * gate for gate in (i, f, o)]
    return torch.cat([*gates, c])


class _States(torch.autograd.Function):
    """All states of the recurrence, (time, batch, y, x, n_out), from frames and the weights of :func:`_lines`."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor | None, coarse: Tensor | None, kernel: Tensor, recurrent_kernel: Tensor, bias: Tensor,
        recompute: bool, fast: bool,
    ) -> Tensor:  # fmt: skip
        ctx.fast = fast
        gates, cells, hidden = _run(_way(x, coarse, kernel, recurrent_kernel, fast), (x, coarse), bias)
        kept = (None, None) if recompute else (gates, cells)
        ctx.save_for_backward(x, coarse, kernel, recurrent_kernel, bias, hidden, *kept)
        return hidden[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        x, coarse, kernel, recurrent_kernel, bias, hidden, gates, cells = ctx.saved_tensors
        way = _way(x, coarse, kernel, recurrent_kernel, ctx.fast)
        if gates is None:
            gates, cells, _ = _run(way, (x, coarse), bias)
            at_lines = gates  # in their place
        else:
            at_lines = torch.empty_like(gates)
        _gradient(gates, cells, upstream, way, at_lines)
        of_sources, *of_kernels = way.gradients(at_lines, (x, coarse), hidden[:-1], ctx.needs_input_grad[:2])
        return *of_sources, *of_kernels, at_lines.sum(dim=(0, 1, 2, 3), dtype=bias.dtype), None, None


def _way(x: Tensor | None, coarse: Tensor | None, kernel: Tensor, recurrent_kernel: Tensor, fast: bool) -> Plain | Fast:
    if not fast:
        return Plain(kernel, recurrent_kernel, x.dtype)
    some = x if x is not None else coarse
    return Fast(kernel, recurrent_kernel, some.dtype, 0 if coarse is None else coarse.shape[-1])


def _run(
    way: Plain | Fast, sources: tuple[Tensor | None, Tensor | None], bias: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return gates (time, batch, y, x, 4 n_out) after activation, cells, states and the one before them."""
    # The share of the frames does not depend on the state, so one convolution makes it for all of them.
    gates = way.of_frames(sources, bias)
    n_out = len(bias) // 4
    cells = torch.empty_like(gates[..., :n_out])
    hidden = gates.new_empty(len(gates) + 1, *cells.shape[1:])
    hidden[0] = 0
    add_convolved = way.step(hidden[0])
    for t, (clamped, i, f, o, c) in enumerate(zip(gates[..., : 3 * n_out].unbind(), *_each_gate(gates), strict=True)):
        if t:
            add_convolved(hidden[t], gates[t])
        clamped.clamp_(0, 1)
        c.tanh_()
        torch.mul(i, c, out=cells[t])
        if t:
            cells[t].addcmul_(f, cells[t - 1])
        torch.tanh(cells[t], out=hidden[t + 1]).mul_(o)
    return gates, cells, hidden


def _gradient(gates: Tensor, cells: Tensor, upstream: Tensor, way: Plain | Fast, at_lines: Tensor) -> None:
    """Put the gradient at the gates before their activation into ``at_lines``, which may be the gates themselves."""
    convolved = way.step_back(cells[0])
    of_state, of_cell = upstream[-1], 0
    steps = list(enumerate(zip(*_each_gate(gates), *_each_gate(at_lines), strict=True)))
    for t, (i, f, o, c, at_i, at_f, at_o, at_c) in reversed(steps):
        tanh = cells[t].tanh()
        of_cell = of_cell + aten.tanh_backward(of_state * o, tanh)
        before = cells[t - 1] if t else torch.zeros_like(cells[0])
        parts = (of_cell * c, i, at_i), (of_cell * before, f, at_f), (of_state * tanh, o, at_o)
        of_candidate, of_cell = of_cell * i, of_cell * f
        aten.tanh_backward.grad_input(of_candidate, c, grad_input=at_c)
        for of_gate, gate, at_gate in parts:
            aten.hardtanh_backward.grad_input(of_gate, gate, 0, 1, grad_input=at_gate)
        if t:
            of_state = upstream[t - 1] + convolved(at_lines[t])


def _each_gate(lines: Tensor) -> list[tuple[Tensor, ...]]:
    """Return i, f, o and c of lines (time, ..., 4 n_out), each a part for each step."""
    return [part.unbind() for part in lines.chunk(4, dim=-1)]
