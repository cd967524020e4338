"""Convolution, pooling and upsampling blocks against their definitions."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import conv2d, interpolate

from methods.blocks import convolution
from methods.blocks.convolution import UpsampledConv2d, conv3x3, pool_same
from methods.blocks.initialisers import glorot_uniform, initialise
from methods.blocks.seeding import generator


def made(n_in: int, n_out: int) -> UpsampledConv2d:
    layer = UpsampledConv2d(n_in, n_out)
    initialise(layer, glorot_uniform, generator(0, "weights"))
    torch.nn.init.normal_(layer.bias, generator=generator(0, "bias"))
    return layer.double()


@pytest.mark.parametrize(
    ("many_channels", "few_pixels"), [(6, 0), (6, 10**9), (5, 0)], ids=["transposed", "plain", "nine products"]
)
@pytest.mark.parametrize("size", [(3, 3), (6, 7), (1, 5)])
def test_upsampled_convolution_equals_upsampling_and_convolution(many_channels, few_pixels, size, monkeypatch):
    monkeypatch.setattr(convolution, "MANY_CHANNELS", many_channels)
    monkeypatch.setattr(convolution, "FEW_PIXELS", few_pixels)
    layer = made(5, 4)
    x = torch.randn(2, 5, *size, dtype=torch.float64, generator=generator(0, "x"), requires_grad=True)
    weights = x, layer.weight, layer.bias
    found = layer(x)
    plain = conv2d(interpolate(x, scale_factor=2, mode="nearest"), layer.weight, layer.bias, padding=1)
    torch.testing.assert_close(found, plain, rtol=1e-10, atol=1e-10)
    shape = torch.randn(plain.shape, dtype=torch.float64, generator=generator(0, "loss"))
    gradients = torch.autograd.grad((found * shape).sum(), weights)
    expected = torch.autograd.grad((plain * shape).sum(), weights)
    for one, other in zip(gradients, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


def test_upsampled_convolution_starts_like_a_convolution():
    layer, plain = UpsampledConv2d(3, 8), conv3x3(3, 8)
    for each in (layer, plain):
        initialise(each, glorot_uniform, generator(0, "weights"))
    assert torch.equal(layer.weight, plain.weight)
    assert torch.equal(layer.bias, torch.zeros(8))


def test_convolution_keeps_the_size():
    layer = conv3x3(2, 3)
    initialise(layer, glorot_uniform, generator(0, "weights"))
    assert layer(torch.zeros(1, 2, 7, 10)).shape == (1, 3, 7, 10)


def test_pooling_pads_the_high_end():
    row = torch.tensor([3.0, 1.0, 2.0, 5.0, -4.0]).expand(1, 1, 3, 5)
    assert pool_same()(row).tolist() == [[[[3.0, 5.0, -4.0], [3.0, 5.0, -4.0]]]]


def test_pooling_repeats_the_sizes_of_the_notebooks():
    x = torch.zeros(1, 1, 41, 41)
    sizes = []
    for _ in range(3):
        x = pool_same()(x)
        sizes.append(x.shape[-1])
    assert sizes == [21, 11, 6]
