"""Convolutions of stride 2 in "SAME" geometry, by their definition, and the auto-encoder made of them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from methods.blocks.conv_autoencoder import ConvAutoencoder, SameConv2d, SameConvTranspose2d
from methods.blocks.initialisers import glorot_uniform, initialise
from methods.blocks.seeding import generator

GRIDS = {
    (41, 41): [(21, 21), (11, 11), (6, 6)],
    (7, 10): [(4, 5), (2, 3), (1, 2)],
    (73, 144): [(37, 72), (19, 36), (10, 18)],
    (48, 48): [(24, 24), (12, 12), (6, 6)],
    (1, 2): [(1, 1), (1, 1), (1, 1)],
}


def made(grid: tuple[int, int] = (9, 12), variables: int = 3, **options) -> ConvAutoencoder:
    network = ConvAutoencoder((*grid, variables), **options)
    initialise(network, glorot_uniform, generator(0, "weights"))
    return network


def filled(layer: torch.nn.Module) -> torch.nn.Module:
    for weight in layer.parameters():
        torch.nn.init.normal_(weight, generator=generator(0, "weights"))
    return layer.double()


def same(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The definition: of the zeros that the last window lacks, the smaller half comes before the first cell."""
    kernel = weight.shape[-1]
    sizes = [(size + 1) // 2 for size in x.shape[1:]]
    low = [max(2 * (out - 1) + kernel - size, 0) // 2 for out, size in zip(sizes, x.shape[1:], strict=True)]
    found = bias[:, None, None].expand(-1, *sizes).clone()
    for i in range(sizes[0]):
        for j in range(sizes[1]):
            for a in range(kernel):
                for b in range(kernel):
                    row, column = 2 * i + a - low[0], 2 * j + b - low[1]
                    if 0 <= row < x.shape[1] and 0 <= column < x.shape[2]:
                        found[:, i, j] += weight[:, :, a, b] @ x[:, row, column]
    return found


@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("size", [(4, 5), (7, 6), (1, 2)])
def test_convolution_is_same(kernel, size):
    layer = filled(SameConv2d(2, 3, kernel))
    x = torch.randn(2, *size, dtype=torch.float64, generator=generator(0, "x"))
    expected = same(x, layer.convolution.weight, layer.convolution.bias)
    torch.testing.assert_close(layer(x[None])[0], expected)


@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("size", [(4, 5), (7, 6), (1, 2)])
def test_transposed_convolution_is_the_transpose(kernel, size):
    """<conv(x), y> = <x, transpose(y)> for the same weights."""
    there, back = filled(SameConv2d(2, 3, kernel)), filled(SameConvTranspose2d(3, 2, kernel, size))
    for layer in (there, back):
        torch.nn.init.zeros_(layer.convolution.bias)
    x = torch.randn(1, 2, *size, dtype=torch.float64, generator=generator(0, "x"))
    maps = there(x)
    y = torch.randn(maps.shape, dtype=torch.float64, generator=generator(0, "y"))
    torch.testing.assert_close((maps * y).sum(), (x * back(y)).sum())


def test_transposed_convolution_adds_its_bias_to_every_cell():
    layer = filled(SameConvTranspose2d(2, 3, 1, (4, 6)))
    found = layer(torch.zeros(1, 2, 2, 3, dtype=torch.float64))
    torch.testing.assert_close(found, layer.convolution.bias[None, :, None, None].expand(1, 3, 4, 6))


@pytest.mark.parametrize(("grid", "expected"), GRIDS.items())
def test_sizes_halve_rounding_up_and_come_back(grid, expected):
    network = made(grid, 1)
    maps = torch.rand(2, 1, *grid, generator=generator(0, "x"))
    for layer, size in zip(network.encoder, expected, strict=True):
        maps = layer(maps)
        assert maps.shape[2:] == size
    assert network.maps == (30, *expected[-1])
    assert network.decode(maps.relu()).shape == (2, *grid, 1)


def test_a_code_of_the_papers_grid_is_as_large_as_that_of_its_faces():
    assert made((41, 41), 7).code_size == made((48, 42), 1).code_size == 1080


def test_codes_are_not_negative_and_may_come_flattened():
    network = made()
    days = torch.randn(4, 9, 12, 3, generator=generator(0, "x"))
    codes = network.encode(days)
    assert (codes >= 0).all()
    torch.testing.assert_close(network.decode(codes.flatten(1)), network(days))


@pytest.mark.parametrize("output", ["relu", "linear"])
def test_only_a_linear_output_has_negative_values(output):
    days = torch.rand(4, 9, 12, 3, generator=generator(0, "x"))
    assert bool((made(output=output)(days) < 0).any()) == (output == "linear")


def test_options_that_make_no_network_are_refused():
    with pytest.raises(ValueError, match="output is 'tanh'; allowed are relu, linear"):
        ConvAutoencoder((4, 4, 1), output="tanh")
    with pytest.raises(ValueError, match="2 layers of channels, but 1 kernels"):
        ConvAutoencoder((4, 4, 1), channels=[3, 4], kernels=[3])
