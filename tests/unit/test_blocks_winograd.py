"""Minimal filtering against the convolution that it is."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import conv2d, interpolate

from methods.blocks.winograd import Kernel, add_products, kernel_of, products_of


def frames_of(products: torch.Tensor, *shape: int) -> torch.Tensor:
    """Return maps (n, channel, y, x) of planes of products."""
    frames = products.new_zeros(*shape, products.shape[3])
    add_products(products, frames)
    return frames.movedim(3, 1)


def numbers(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("coarse", [False, True], ids=["as they are", "up-sampled"])
@pytest.mark.parametrize("size", [(5, 7), (6, 4), (1, 2)])
def test_convolution_and_gradients_are_those_of_torch(size, coarse):
    x, weight = numbers(3, 5, *size, seed=0).requires_grad_(), numbers(7, 5, 3, 3, seed=1).requires_grad_()
    expected = conv2d(interpolate(x, scale_factor=2) if coarse else x, weight, padding=1)
    upstream = numbers(*expected.shape, seed=2)
    at_x, at_weight = torch.autograd.grad(expected, (x, weight), upstream)

    kernel, frames, gradient = Kernel(weight.detach(), coarse), x.detach().movedim(1, 3), upstream.movedim(1, 3)
    torch.testing.assert_close(frames_of(kernel.convolve(frames), *gradient.shape[:3]), expected.detach())
    products = products_of(gradient)
    torch.testing.assert_close(kernel.transposed(products, frames).movedim(3, 1), at_x)
    at_planes = kernel.kernel_gradient(products, frames)
    torch.testing.assert_close(kernel_of(at_planes), at_weight)
    torch.testing.assert_close(kernel.kernel_gradient(products, frames, at_planes.clone()), 2 * at_planes)


def test_products_of_two_sources_add_up():
    fine, coarse = numbers(2, 6, 4, 3, seed=0), numbers(2, 3, 2, 5, seed=1)
    weight = numbers(4, 8, 3, 3, seed=2)
    products = Kernel(weight[:, 5:]).convolve(fine)
    products = Kernel(weight[:, :5], coarse=True).convolve(coarse, products)
    both = torch.cat([interpolate(coarse.movedim(3, 1), scale_factor=2), fine.movedim(3, 1)], dim=1)
    expected = conv2d(both, weight, padding=1)
    torch.testing.assert_close(frames_of(products, 2, 6, 4), expected)


def test_up_sampled_frames_need_nine_of_sixteen_products():
    weight = numbers(1, 1, 3, 3, seed=0)
    assert Kernel(weight, coarse=True).planes.numel() == 9
    assert Kernel(weight).planes.numel() == 16


def test_rounding_is_no_larger_than_that_of_a_plain_convolution():
    x, weight = numbers(1, 64, 20, 20, seed=0), numbers(64, 64, 3, 3, seed=1)
    exact = conv2d(x, weight, padding=1)
    plain = conv2d(x.float(), weight.float(), padding=1)
    ours = frames_of(Kernel(weight.float()).convolve(x.float().movedim(1, 3)), 1, 20, 20)
    assert (ours - exact).abs().max() < 2 * (plain - exact).abs().max() < 1e-3 * exact.abs().max()


def test_gradients_in_bfloat16_add_up_in_the_precision_of_the_kernel():
    frames, upstream = (numbers(2, 6, 4, n, seed=n).bfloat16() for n in (5, 7))
    kernel = Kernel(numbers(7, 5, 3, 3, seed=1).float(), dtype=torch.bfloat16)
    assert kernel.planes.dtype == torch.bfloat16
    first = kernel.kernel_gradient(products_of(upstream), frames)
    found = first
    for _ in range(999):  # in bfloat16 the sum would stay where one more is less than half a digit
        found = kernel.kernel_gradient(products_of(upstream), frames, found)
    torch.testing.assert_close(found, 1000 * first.float())
