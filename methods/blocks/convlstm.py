"""The convolutional LSTM layer as Keras 2 defines it (Shi et al., NeurIPS 2015, Eq. 3, without peepholes).

Its gradient is written out: a step of the recurrence costs one convolution forwards and one backwards, and the
gradient of both kernels is taken once, over all frames, where automatic differentiation would take it frame by frame.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import conv2d, unfold

from methods.blocks.initialisers import glorot_uniform
from methods.blocks.packed_convolution import repeated

aten = torch.ops.aten
SMALL_MAP = 144  # cells up to which matrix products give the gradient of a kernel sooner on the CPU
FRAMES_AT_ONCE = 16  # whose columns, nine times the frames, are in memory together


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

    def forward(self, x: Tensor) -> Tensor:
        """Return the states after frames of shape (batch, time, n_in, y, x): (batch, [time,] n_out, y, x)."""
        device = x.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype
        frames = (x.flip(1) if self.go_backwards else x).transpose(0, 1)
        weights = _lines(self.kernel), _lines(self.recurrent_kernel), _lines(self.bias, 0.5)
        with torch.autocast(device, enabled=False):
            states = _States.apply(frames.to(dtype), *(weight.to(dtype) for weight in weights), self.recompute)
        return states.transpose(0, 1) if self.return_sequences else states[-1]


def _lines(weight: Tensor, offset: float = 0.0) -> Tensor:
    """Return weights that give 0.2 x + 0.5 of the three gates and the candidate itself, the candidate last."""
    i, f, c, o = weight.chunk(4)
    return torch.cat([0.2 * torch.cat([i, f, o]) + offset, c])


class _States(torch.autograd.Function):
    """All states of the recurrence, (time, batch, n_out, y, x), from frames and the weights of :func:`_lines`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Tensor, recurrent_kernel: Tensor, bias: Tensor, recompute: bool) -> Tensor:
        gates, cells, hidden = _run(x, kernel, recurrent_kernel, bias)
        kept = (None, None) if recompute else (gates, cells)
        ctx.save_for_backward(x, kernel, recurrent_kernel, bias, hidden, *kept)
        return hidden

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        x, kernel, recurrent_kernel, bias, hidden, gates, cells = ctx.saved_tensors
        if gates is None:
            gates, cells, _ = _run(x, kernel, recurrent_kernel, bias)
        of_gates = _gradient_of_gates(upstream, gates, cells, recurrent_kernel)
        of_x, of_kernel = _gradients(of_gates, x, kernel, ctx.needs_input_grad[0])
        of_recurrent = torch.zeros_like(recurrent_kernel)
        if len(x) > 1:
            _, of_recurrent = _gradients(of_gates[1:], hidden[:-1], recurrent_kernel, False)
        return of_x, of_kernel, of_recurrent, of_gates.sum(dim=(0, 1, 3, 4)), None


def _run(x: Tensor, kernel: Tensor, recurrent_kernel: Tensor, bias: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return gates (time, batch, 4 n_out, y, x) after their activation, cells and states."""
    n_out = recurrent_kernel.shape[1]
    padding = kernel.shape[-1] // 2
    # The share of the frames does not depend on the state, so one convolution makes it for all of them.
    gates = conv2d(x.flatten(0, 1), kernel, bias, padding=padding).unflatten(0, x.shape[:2])
    cells = torch.empty_like(gates[:, :, :n_out])
    hidden = torch.empty_like(cells)
    convolved = repeated(recurrent_kernel, hidden[0].shape)
    for t, (lines, cell, state) in enumerate(zip(gates, cells, hidden, strict=True)):
        if t:
            lines += convolved(hidden[t - 1])
        lines[:, : 3 * n_out].clamp_(0, 1)
        lines[:, 3 * n_out :].tanh_()
        i, f, o, c = lines.chunk(4, dim=1)
        torch.mul(i, c, out=cell)
        if t:
            cell.addcmul_(f, cells[t - 1])
        torch.tanh(cell, out=state).mul_(o)
    return gates, cells, hidden


def _gradient_of_gates(upstream: Tensor, gates: Tensor, cells: Tensor, recurrent_kernel: Tensor) -> Tensor:
    """Return the gradient at the gates before their activation, (time, batch, 4 n_out, y, x)."""
    convolved = repeated(recurrent_kernel.flip(2, 3).transpose(0, 1), gates[0].shape)
    found, of_state, of_cell = torch.empty_like(gates), upstream[-1], 0
    for t in reversed(range(len(gates))):
        i, f, o, c = gates[t].chunk(4, dim=1)
        of_i, of_f, of_o, of_c = found[t].chunk(4, dim=1)
        tanh = cells[t].tanh()
        of_cell = of_cell + aten.tanh_backward(of_state * o, tanh)
        torch.mul(of_cell, c, out=of_i)
        torch.mul(of_cell, cells[t - 1], out=of_f) if t else of_f.zero_()
        torch.mul(of_state, tanh, out=of_o)
        of_c.copy_(aten.tanh_backward(of_cell * i, c))
        n_lines = 3 * len(c[0])
        lines = found[t, :, :n_lines]
        lines.copy_(aten.hardtanh_backward(lines, gates[t, :, :n_lines], 0, 1))
        of_cell = of_cell * f
        if t:
            of_state = upstream[t - 1] + convolved(found[t])
    return found


def _gradients(upstream: Tensor, x: Tensor, kernel: Tensor, of_x: bool) -> tuple[Tensor | None, Tensor]:
    """Return the gradient of a convolution at its input, where asked for, and at its kernel, over all frames."""
    padding = kernel.shape[-1] // 2
    if x.device.type == "cpu" and x.shape[3] * x.shape[4] <= SMALL_MAP:
        turned = kernel.flip(2, 3).transpose(0, 1)
        at_x = conv2d(upstream.flatten(0, 1), turned, padding=padding) if of_x else None
        at_kernel = _gradient_of_kernel(upstream.flatten(0, 1), x.flatten(0, 1), kernel)
    else:
        at_x, at_kernel, _ = aten.convolution_backward(
            upstream.flatten(0, 1), x.flatten(0, 1), kernel,
            None, [1, 1], [padding, padding], [1, 1], False, [0, 0], 1, [of_x, True, False],
        )  # fmt: skip
    return (at_x.unflatten(0, x.shape[:2]) if of_x else None), at_kernel


def _gradient_of_kernel(upstream: Tensor, x: Tensor, kernel: Tensor) -> Tensor:
    """Return the gradient at the kernel as matrix products over some frames at a time.

    On the CPU this is quicker than a convolution's own gradient where maps are small and channels many.
    """
    found = kernel.new_zeros(kernel.shape[0], kernel[0].numel())
    for of_some, some in zip(upstream.split(FRAMES_AT_ONCE), x.split(FRAMES_AT_ONCE), strict=True):
        columns = unfold(some, kernel.shape[-1], padding=kernel.shape[-1] // 2)  # (frame, n_in k k, cell)
        rows = of_some.flatten(2).transpose(0, 1).flatten(1)
        found.addmm_(rows, columns.transpose(0, 1).flatten(1).mT)
    return found.view_as(kernel)
