"""The two convolutions of a convolutional recurrent layer, of all frames and of a step, and their gradients.

Two ways to the same numbers: :class:`Plain` calls torch's convolutions; :class:`Fast` needs fewer products
(``winograd.py``), which pays on the CPU where channels are many. Frames are (time, batch, y, x, channel) in memory.
Kernels are given in the precision in which they are trained, and their gradients returned in that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import conv2d, interpolate

from methods.blocks.packed_convolution import repeated
from methods.blocks.winograd import BYTES_AT_ONCE, Kernel, add_products, kernel_of, products_of

aten = torch.ops.aten
TYPES = (torch.float32, torch.float64, torch.bfloat16)
FEWEST_CHANNELS = 32  # of the state: with fewer, the tiles cost more than the products they save
FEWEST_READ = 32  # of the frames, in bfloat16, whose products cost half as much: 7 channels lose, 64 gain
FEWEST_TILES = 64  # of one step: with fewer, the time goes into reading the kernel, which is larger as 16 planes
Step, StepBack = Callable[[Tensor, Tensor], None], Callable[[Tensor], Tensor]
Gradients = tuple[list[Tensor | None], Tensor, Tensor]


def beside(coarse: Tensor, fine: Tensor | None) -> Tensor:
    """Return maps (..., channel, y, x) that are up-sampled by two (nearest), and others after them, if any."""
    up = interpolate(coarse.flatten(0, -4), scale_factor=2).unflatten(0, coarse.shape[:-3])
    return up if fine is None else torch.cat([up, fine], dim=-3)


def pays(kernel: Tensor, recurrent_kernel: Tensor, dtype: torch.dtype) -> bool:
    """Say whether :class:`Fast` can be had for frames of this type and is faster."""
    n_out, n_in, size = recurrent_kernel.shape[1], kernel.shape[1], kernel.shape[-1]
    wide = n_out >= FEWEST_CHANNELS and (dtype != torch.bfloat16 or n_in >= FEWEST_READ)
    return wide and size == 3 and kernel.device.type == "cpu" and dtype in TYPES


class Plain:
    """torch's convolutions.

    Parameters
    ----------
    kernel, recurrent_kernel : Tensor, shapes (4 n_out, n_in, k, k) and (4 n_out, n_out, k, k)
        Odd k.
    dtype : torch.dtype
        Of the frames.
    """

    def __init__(self, kernel: Tensor, recurrent_kernel: Tensor, dtype: torch.dtype) -> None:
        self.trained = kernel.dtype
        self.kernel, self.recurrent_kernel = kernel.to(dtype), recurrent_kernel.to(dtype)

    def of_frames(self, sources: Sequence[Tensor | None], bias: Tensor) -> Tensor:
        """Return (time, batch, y, x, 4 n_out) of frames, which are ``sources[0]``."""
        x = sources[0]
        made = conv2d(_maps(x), self.kernel, bias.to(x.dtype), padding=self.kernel.shape[-1] // 2)
        return _frames(made, x)

    def step(self, state: Tensor) -> Step:
        """Return what adds the convolution of a state like this one, (batch, y, x, n_out), to lines of its gates."""
        convolved = _one_kernel(self.recurrent_kernel, state)
        return lambda h, lines: lines.add_(convolved(h))

    def step_back(self, state: Tensor) -> StepBack:
        """Return what takes the gradient after :meth:`step` to the state before it."""
        shape = (*state.shape[:3], len(self.recurrent_kernel))
        return _one_kernel(self.recurrent_kernel.flip(2, 3).transpose(0, 1), state.new_empty(1).expand(shape))

    def gradients(
        self, upstream: Tensor, sources: Sequence[Tensor | None], before: Tensor, wanted: Sequence[bool]
    ) -> Gradients:
        """Return the gradients at the sources, where wanted, and at both kernels.

        Parameters
        ----------
        upstream : Tensor, shape (time, batch, y, x, 4 n_out)
            Gradient at the sum of both convolutions.
        sources : sequence of Tensor or None
            See :meth:`of_frames`.
        before : Tensor, shape (time, batch, y, x, n_out)
            State before each frame.
        wanted : sequence of bool
            One for each source.
        """
        at_x, at_kernel = _backward(upstream, sources[0], self.kernel, wanted[0])
        _, at_recurrent = _backward(upstream, before, self.recurrent_kernel, False)
        return [at_x, None], at_kernel.to(self.trained), at_recurrent.to(self.trained)


class Fast:
    """Minimal filtering; a second source has half the rows and columns, and the first channels of the kernel.

    Parameters
    ----------
    kernel, recurrent_kernel, dtype
        See :class:`Plain`; k is 3.
    n_coarse : int
        Channels of the second source.
    """

    def __init__(self, kernel: Tensor, recurrent_kernel: Tensor, dtype: torch.dtype, n_coarse: int = 0) -> None:
        fine, coarse = kernel[:, n_coarse:], kernel[:, :n_coarse]
        self.kernels = [
            Kernel(fine, dtype=dtype) if fine.shape[1] else None,
            Kernel(coarse, coarse=True, dtype=dtype) if n_coarse else None,
        ]
        self.recurrent = Kernel(recurrent_kernel, dtype=dtype)
        self.plain = Plain(kernel[:, :0], recurrent_kernel, dtype)

    def of_frames(self, sources: Sequence[Tensor | None], bias: Tensor) -> Tensor:
        """Return (time, batch, y, x, 4 n_out) of fine and coarse frames, of which one may be None."""
        made = bias.to(self.recurrent.dtype).repeat(*_shape(sources), 1)
        for some, *parts in _together([made, *sources]):
            products = None
            for kernel, part in zip(self.kernels, parts, strict=True):
                products = products if kernel is None else kernel.convolve(part, products)
            add_products(products, some)
        return made

    def step(self, state: Tensor) -> Step:
        """See :meth:`Plain.step`."""
        if _n_tiles(state) < FEWEST_TILES:
            return self.plain.step(state)
        return lambda h, lines: add_products(self.recurrent.convolve(h), lines)

    def step_back(self, state: Tensor) -> StepBack:
        """See :meth:`Plain.step_back`."""
        if _n_tiles(state) < FEWEST_TILES:
            return self.plain.step_back(state)
        return lambda upstream: self.recurrent.transposed(products_of(upstream), state)

    def gradients(
        self, upstream: Tensor, sources: Sequence[Tensor | None], before: Tensor, wanted: Sequence[bool]
    ) -> Gradients:
        """See :meth:`Plain.gradients`."""
        kernels, frames = [*self.kernels, self.recurrent], [*sources, before]
        found = [torch.empty_like(x) if want else None for x, want in zip(sources, wanted, strict=True)]
        sums: list[Tensor | None] = [None] * len(kernels)
        for some, *parts in _together([upstream, *frames, *found]):
            products = products_of(some)
            for i, (kernel, part) in enumerate(zip(kernels, parts[:3], strict=True)):
                if kernel is not None:
                    sums[i] = kernel.kernel_gradient(products, part, sums[i])
            for kernel, part, at in zip(kernels[:2], parts[:2], parts[3:], strict=True):
                if at is not None:
                    at.copy_(kernel.transposed(products, part))
        trained = self.recurrent.kernel.dtype
        fine, coarse, recurrent = (None if each is None else kernel_of(each).to(trained) for each in sums)
        return found, torch.cat([part for part in (coarse, fine) if part is not None], dim=1), recurrent


def _shape(sources: Sequence[Tensor | None]) -> tuple[int, ...]:
    """Return (time, batch, y, x) of fine frames, or of coarse ones when they are up-sampled."""
    fine, coarse = sources
    if fine is not None:
        return fine.shape[:4]
    return (*coarse.shape[:2], *(2 * side for side in coarse.shape[2:4]))


def _together(parts: Sequence[Tensor | None]) -> zip:
    """Yield some frames of each of (time, batch, ...) at a time, so that their tiles stay in the processor's cache."""
    n = max(1, BYTES_AT_ONCE // parts[0].element_size() // _n_tiles(parts[0][0, :1]))
    flat = [None if part is None else part.flatten(0, 1).split(n) for part in parts]
    turns = -(-len(parts[0].flatten(0, 1)) // n)
    return zip(*([None] * turns if part is None else part for part in flat), strict=True)


def _n_tiles(frames: Tensor) -> int:
    n, height, width, _ = frames.shape
    return n * -(-height // 2) * -(-width // 2)


def _one_kernel(kernel: Tensor, like: Tensor) -> StepBack:
    convolved = repeated(kernel, like.movedim(3, 1).shape)
    return lambda x: convolved(x.movedim(3, 1)).movedim(1, 3)


def _backward(upstream: Tensor, x: Tensor, kernel: Tensor, of_x: bool) -> tuple[Tensor | None, Tensor]:
    padding = [kernel.shape[-1] // 2] * 2
    at_x, at_kernel, _ = aten.convolution_backward(
        _maps(upstream), _maps(x), kernel, None, [1, 1], padding, [1, 1], False, [0, 0], 1, [of_x, True, False]
    )
    return (_frames(at_x, x) if of_x else None), at_kernel


def _maps(frames: Tensor) -> Tensor:
    """Return (n, channel, y, x) of (time, batch, y, x, channel)."""
    return frames.flatten(0, 1).movedim(3, 1)


def _frames(maps: Tensor, like: Tensor) -> Tensor:
    return maps.movedim(1, 3).unflatten(0, like.shape[:2])
