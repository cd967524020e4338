"""The two convolutions of a convolutional recurrent layer, of all frames and of a step, and their gradients.

Two ways to the same numbers: :class:`Plain` calls torch's convolutions; :class:`Fast` needs fewer products
(``winograd.py``), which pays on the CPU where channels are many. Frames are (time, batch, y, x, channel) in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import conv2d, interpolate

from methods.blocks.packed_convolution import repeated
from methods.blocks.winograd import TILES_AT_ONCE, Kernel, frames_of, kernel_of, products_of

aten = torch.ops.aten
FEWEST_CHANNELS = 32  # of the state: with fewer, the tiles cost more than the products they save
FEWEST_TILES = 64  # of one step: with fewer, the time goes into reading the kernel, which is larger as 16 planes
Step = Callable[[Tensor], Tensor]
Gradients = tuple[list[Tensor | None], Tensor, Tensor]


def beside(coarse: Tensor, fine: Tensor | None) -> Tensor:
    """Return maps (..., channel, y, x) that are up-sampled by two (nearest), and others after them, if any."""
    up = interpolate(coarse.flatten(0, -4), scale_factor=2).unflatten(0, coarse.shape[:-3])
    return up if fine is None else torch.cat([up, fine], dim=-3)


def pays(recurrent_kernel: Tensor, dtype: torch.dtype) -> bool:
    """Say whether :class:`Fast` can be had and is faster."""
    n_out, size = recurrent_kernel.shape[1], recurrent_kernel.shape[-1]
    on_cpu = recurrent_kernel.device.type == "cpu" and dtype in (torch.float32, torch.float64)
    return on_cpu and size == 3 and n_out >= FEWEST_CHANNELS


class Plain:
    """torch's convolutions.

    Parameters
    ----------
    kernel, recurrent_kernel : Tensor, shapes (4 n_out, n_in, k, k) and (4 n_out, n_out, k, k)
        Odd k.
    """

    def __init__(self, kernel: Tensor, recurrent_kernel: Tensor) -> None:
        self.kernel, self.recurrent_kernel = kernel, recurrent_kernel

    def of_frames(self, sources: Sequence[Tensor | None], bias: Tensor) -> Tensor:
        """Return (time, batch, y, x, 4 n_out) of frames, which are ``sources[0]``."""
        x = sources[0]
        made = conv2d(_maps(x), self.kernel, bias, padding=self.kernel.shape[-1] // 2)
        return _frames(made, x)

    def step(self, state: Tensor) -> Step:
        """Return the recurrent convolution of states like this one, (batch, y, x, n_out)."""
        return _one_kernel(self.recurrent_kernel, state)

    def step_back(self, state: Tensor) -> Step:
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
        return [at_x, None], at_kernel, at_recurrent


class Fast:
    """Minimal filtering; a second source has half the rows and columns, and the first channels of the kernel.

    Parameters
    ----------
    kernel, recurrent_kernel : Tensor, shapes (4 n_out, n_in, 3, 3) and (4 n_out, n_out, 3, 3)
        See :class:`Plain`.
    n_coarse : int
        Channels of the second source.
    """

    def __init__(self, kernel: Tensor, recurrent_kernel: Tensor, n_coarse: int = 0) -> None:
        self.plain = Plain(kernel, recurrent_kernel)
        self.kernels = [
            Kernel(kernel[:, n_coarse:]) if n_coarse < kernel.shape[1] else None,
            Kernel(kernel[:, :n_coarse], coarse=True) if n_coarse else None,
        ]
        self.recurrent = Kernel(recurrent_kernel)

    def of_frames(self, sources: Sequence[Tensor | None], bias: Tensor) -> Tensor:
        """Return (time, batch, y, x, 4 n_out) of fine and coarse frames, of which one may be None."""
        shape = self._shape(sources)
        made = bias.new_empty(*shape, len(bias))
        for some, *parts in _together([made, *sources]):
            products = None
            for kernel, part in zip(self.kernels, parts, strict=True):
                products = products if kernel is None else kernel.convolve(part, products)
            torch.add(frames_of(products, some.shape[:3]), bias, out=some)
        return made

    def step(self, state: Tensor) -> Step:
        """See :meth:`Plain.step`."""
        if _n_tiles(state) < FEWEST_TILES:
            return self.plain.step(state)
        return lambda h: frames_of(self.recurrent.convolve(h), h.shape[:3])

    def step_back(self, state: Tensor) -> Step:
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
        sums = [None if kernel is None else kernel.zeros() for kernel in kernels]
        for some, *parts in _together([upstream, *frames, *found]):
            products = products_of(some)
            for kernel, so_far, part in zip(kernels, sums, parts[:3], strict=True):
                if kernel is not None:
                    kernel.kernel_gradient(products, part, so_far)
            for kernel, part, at in zip(kernels[:2], parts[:2], parts[3:], strict=True):
                if at is not None:
                    at.copy_(kernel.transposed(products, part))
        fine, coarse, recurrent = (None if each is None else kernel_of(each) for each in sums)
        return found, torch.cat([part for part in (coarse, fine) if part is not None], dim=1), recurrent

    @staticmethod
    def _shape(sources: Sequence[Tensor | None]) -> tuple[int, ...]:
        fine, coarse = sources
        if fine is not None:
            return fine.shape[:4]
        return (*coarse.shape[:2], *(2 * side for side in coarse.shape[2:4]))


def _together(parts: Sequence[Tensor | None]) -> zip:
    """Yield some frames of each of (time, batch, ...) at a time, so that their tiles stay in the processor's cache."""
    n = max(1, TILES_AT_ONCE // _n_tiles(parts[0][0, :1]))
    flat = [None if part is None else part.flatten(0, 1).split(n) for part in parts]
    turns = -(-len(parts[0].flatten(0, 1)) // n)
    return zip(*([None] * turns if part is None else part for part in flat), strict=True)


def _n_tiles(frames: Tensor) -> int:
    n, height, width, _ = frames.shape
    return n * -(-height // 2) * -(-width // 2)


def _one_kernel(kernel: Tensor, like: Tensor) -> Step:
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
