"""The bidirectional LSTM against the plain one, direction by direction, and its initial weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from methods.blocks.bilstm import SummedBiLSTM
from methods.blocks.initialisers import glorot_uniform, initialise
from methods.blocks.lstm import LSTM
from methods.blocks.seeding import generator


def layer(n_in, n_units, seed=0):
    network = nn.Sequential(SummedBiLSTM(n_in, n_units))
    initialise(network, glorot_uniform, generator(seed, "weights"))
    return network[0]


def test_is_the_sum_of_a_keras_lstm_forwards_and_one_backwards():
    both = layer(3, 4).double()
    x = torch.randn(7, 5, 3, dtype=torch.float64, generator=generator(0, "x"))
    forwards, backwards = LSTM(3, 4).double(), LSTM(3, 4).double()
    with torch.no_grad():
        for one, (w_in, w_recurrent, b_in, b_recurrent) in zip((forwards, backwards), both.all_weights, strict=True):
            one.kernel.copy_(w_in.T)
            one.recurrent_kernel.copy_(w_recurrent.T)
            one.bias.copy_(b_in + b_recurrent)
        expected = forwards(x.transpose(0, 1)) + backwards(x.flip(0).transpose(0, 1)).flip(1)
        torch.testing.assert_close(both(x).transpose(0, 1), expected, rtol=1e-9, atol=1e-12)


def test_initial_weights_are_those_of_keras():
    found = layer(6, 8)
    assert len(found.all_weights) == 2
    for w_in, w_recurrent, b_in, b_recurrent in found.all_weights:
        bound = np.sqrt(6 / (6 + 32))
        assert w_in.abs().max() <= bound
        assert w_in.std().item() == pytest.approx(bound / np.sqrt(3), rel=0.15)
        torch.testing.assert_close(w_recurrent.T @ w_recurrent, torch.eye(8), rtol=0, atol=1e-6)
        np.testing.assert_array_equal(b_in.detach(), np.zeros(32))
        np.testing.assert_array_equal(b_recurrent.detach(), np.repeat([0, 1, 0, 0], 8))
    assert not torch.equal(found.all_weights[0][0], found.all_weights[1][0])
