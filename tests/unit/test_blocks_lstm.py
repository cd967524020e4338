"""The LSTM layer against torch's, and its Keras start and dropout."""

from __future__ import annotations

from math import sqrt

import pytest
import torch

from methods.blocks.initialisers import glorot_uniform, initialise
from methods.blocks.lstm import LSTM
from methods.blocks.seeding import generator


def made(**options) -> LSTM:
    layer = LSTM(5, 6, **options)
    layer.initialise(generator(0, "weights"))
    return layer


def days(n: int = 3, length: int = 4) -> torch.Tensor:
    return torch.randn(n, length, 5, generator=generator(0, "x"), dtype=torch.float64)


def test_output_and_gradient_equal_torchs_lstm():
    layer, other = made().double(), torch.nn.LSTM(5, 6, batch_first=True).double()
    torch.nn.init.normal_(layer.bias, generator=generator(0, "bias"))
    with torch.no_grad():  # torch has the same order of gates, transposed weights, and a second bias
        other.weight_ih_l0.copy_(layer.kernel.T)
        other.weight_hh_l0.copy_(layer.recurrent_kernel.T)
        other.bias_ih_l0.copy_(layer.bias)
        other.bias_hh_l0.zero_()
    x, y = (days().requires_grad_() for _ in range(2))
    found, expected = layer(x), other(y)[0]
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    for each in (found, expected):
        each.square().sum().backward()
    torch.testing.assert_close(x.grad, y.grad, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(layer.kernel.grad.T, other.weight_ih_l0.grad, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(layer.recurrent_kernel.grad.T, other.weight_hh_l0.grad, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(layer.bias.grad, other.bias_ih_l0.grad, rtol=1e-10, atol=1e-12)


def test_one_step_is_a_gated_dense_layer():
    """With a single day per sequence neither the recurrent weights nor the forget gate act."""
    layer, x = made().double(), days(length=1)
    gates = x[:, 0] @ layer.kernel + layer.bias
    i, _, g, o = gates.chunk(4, dim=1)
    expected = o.sigmoid() * (i.sigmoid() * g.tanh()).tanh()
    torch.testing.assert_close(layer(x)[:, 0], expected, rtol=0, atol=0)
    layer(x).sum().backward()
    assert layer.recurrent_kernel.grad is None


def test_start_is_that_of_keras():
    layer = made()
    bound = sqrt(6 / (5 + 24))
    assert 0.9 * bound < layer.kernel.abs().max() <= bound
    product = layer.recurrent_kernel @ layer.recurrent_kernel.T
    torch.testing.assert_close(product, torch.eye(6), rtol=0, atol=1e-5)
    assert layer.bias.tolist() == [0.0] * 6 + [1.0] * 6 + [0.0] * 12


def test_a_network_that_holds_one_leaves_the_start_to_it():
    network = torch.nn.Sequential(LSTM(5, 6))
    initialise(network, glorot_uniform, generator(0, "weights"))
    for one, other in zip(network.parameters(), made().parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(("dropout", "recurrent"), [(0.5, 0.0), (0.0, 0.5)])
def test_dropout_acts_in_training_alone_and_from_its_generator(dropout, recurrent):
    def run(seed: int) -> torch.Tensor:
        return made(dropout=dropout, recurrent_dropout=recurrent, noise=generator(seed, "noise")).double()(days())

    plain = made().double()(days())
    assert torch.equal(run(0), run(0))
    assert not torch.equal(run(0), run(1))
    assert not torch.allclose(run(0)[:, 1:], plain[:, 1:])
    layer = made(dropout=dropout, recurrent_dropout=recurrent).double().eval()
    assert torch.equal(layer(days()), plain)


def test_a_sequence_has_one_input_mask_for_all_its_steps():
    """With the identity as input and one gate open, the output shows which columns a step has lost."""
    layer = LSTM(6, 6, dropout=0.5, noise=generator(0, "noise"))
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
        layer.kernel[:, 12:18] = torch.eye(6)
        layer.bias[6:12] = -100  # forget at once
    lost = layer(torch.ones(40, 5, 6)) == 0
    assert torch.equal(lost, lost[:, :1].expand_as(lost))
    assert 0.4 < lost.float().mean() < 0.6
    assert len(torch.unique(lost[:, 0], dim=0)) > 10


def test_with_recurrent_dropout_each_gate_loses_columns_of_its_own():
    """A kernel of ones and a single step: the candidate and the output gate see other columns of the input."""
    layer = LSTM(1, 1, dropout=0.5, recurrent_dropout=0.5, noise=generator(0, "noise"))
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
        layer.kernel[0, 2:] = 1
    out = layer(torch.ones(200, 1, 1)).flatten()
    candidate, gate = (torch.tensor([0.0, 2.0]).tanh(), torch.tensor([0.0, 2.0]).sigmoid())
    expected = {round(float(o * (0.5 * g).tanh()), 5) for g in candidate for o in gate}
    assert {round(float(value), 5) for value in out.detach()} == expected
    assert len(expected) == 3


def test_dropout_keeps_the_mean():
    layer = made(dropout=0.1, noise=generator(0, "noise"))
    mask = layer._masks((20000, 5), 0.1, torch.zeros(1))
    torch.testing.assert_close(mask.unique(), torch.tensor([0, 1 / 0.9]))
    assert mask.mean() == pytest.approx(1, abs=0.01)
