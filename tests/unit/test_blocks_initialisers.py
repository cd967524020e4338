"""Initial weights: who fills what."""

from __future__ import annotations

import torch
from torch import nn

from methods.blocks.initialisers import glorot_uniform, initialise


class Own(nn.Module):
    """A part that fills its own weights, also those of a layer inside it."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(2, 2)

    def initialise(self, generator):
        nn.init.constant_(self.inner.weight, 7)
        nn.init.constant_(self.inner.bias, 8)


def test_parts_that_fill_their_own_weights_are_left_alone_and_norms_keep_their_scale():
    network = nn.Sequential(nn.Linear(3, 2), Own(), nn.LayerNorm(2), nn.Linear(2, 1))
    with torch.no_grad():
        for weight in network.parameters():
            weight.fill_(5)
    initialise(network, glorot_uniform, torch.Generator().manual_seed(0))
    own, norm = network[1].inner, network[2]
    assert (own.weight == 7).all()
    assert (own.bias == 8).all()
    assert (norm.weight == 1).all()
    assert (norm.bias == 0).all()
    for layer in (network[0], network[3]):
        assert (layer.bias == 0).all()
        assert (layer.weight.abs() < 2).all()
        assert layer.weight.any()


def test_layers_are_filled_in_the_order_in_which_they_stand():
    network = nn.Sequential(nn.Sequential(nn.Linear(3, 2)), nn.Linear(2, 1))
    initialise(network, glorot_uniform, torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(0)
    for layer in (network[0][0], network[1]):
        expected = glorot_uniform(torch.empty_like(layer.weight), generator)
        assert torch.equal(layer.weight, expected)


def test_shared_layers_of_equal_shape_start_equal():
    network = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    initialise(network, glorot_uniform, torch.Generator().manual_seed(0), shared=True)
    assert torch.equal(network[0].weight, network[1].weight)
