"""The GRU cell and the dilated layers against plain loops over steps."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
import torch

from methods.blocks.gru import GRU, DilatedGRU
from methods.blocks.seeding import generator


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def weights(layer: GRU) -> list[np.ndarray]:
    return [layer.kernel.detach().numpy(), layer.recurrent_kernel.detach().numpy(), layer.bias.detach().numpy()]


def cell(x: np.ndarray, h: np.ndarray, layer: GRU) -> np.ndarray:
    """Return the next state of TensorFlow 1's GRUCell, gate by gate."""
    (w_z, w_r, w_c), (u_z, u_r, u_c), (b_z, b_r, b_c) = (np.split(part, 3, axis=-1) for part in weights(layer))
    z = sigmoid(x @ w_z + h @ u_z + b_z)
    r = sigmoid(x @ w_r + h @ u_r + b_r)
    c = np.tanh(x @ w_c + (r * h) @ u_c + b_c)
    return z * h + (1 - z) * c


def layer_by_rows(x: np.ndarray, layer: GRU, rate: int) -> np.ndarray:
    """Return all states of a dilated layer as the official code finds them.

    Zeros are appended until the rate divides the number of steps; step t is row t mod rate of sub-step t // rate.
    """
    n, n_steps, _ = x.shape
    padded = np.pad(x, ((0, 0), (0, -n_steps % rate), (0, 0)))
    states = np.zeros((n, rate, layer.n_units))
    out = []
    for first in range(0, padded.shape[1], rate):
        states = cell(padded[:, first : first + rate], states, layer)
        out.append(states)
    return np.concatenate(out, axis=1)[:, :n_steps]


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=generator(seed, "data"), dtype=torch.float64)


def made(module: torch.nn.Module) -> torch.nn.Module:
    """Return a module in double precision whose weights are all different from what they start as."""
    module.initialise(generator(0, "weights"))
    with torch.no_grad():
        for i, parameter in enumerate(module.double().parameters()):
            parameter += 0.3 * random(*parameter.shape, seed=i + 1)
    return module


@pytest.mark.parametrize("start", [False, True])
def test_gru_is_the_cell_of_tensorflow_1(start):
    layer, x = made(GRU(3, 5)), random(4, 7, 3)
    h = random(4, 5, seed=9) if start else torch.zeros(4, 5, dtype=torch.float64)
    states, expected = layer(x, h if start else None).detach(), h.numpy()
    assert states.shape == (4, 7, 5)
    for t in range(7):
        expected = cell(x[:, t].numpy(), expected, layer)
        np.testing.assert_allclose(states[:, t].numpy(), expected, rtol=1e-12)


def test_torchs_own_gru_is_another_function():
    layer, x = made(GRU(3, 5)), random(2, 6, 3)
    other = torch.nn.GRU(3, 5, batch_first=True, dtype=torch.float64)
    z, r, c = (torch.arange(5 * gate, 5 * gate + 5) for gate in range(3))
    order = torch.cat([r, z, c])
    with torch.no_grad():
        other.weight_ih_l0.copy_(layer.kernel.T[order])
        other.weight_hh_l0.copy_(layer.recurrent_kernel.T[order])
        other.bias_ih_l0.copy_(layer.bias[order])
        other.bias_hh_l0.zero_()
    ours, theirs = layer(x), other(x)[0]
    torch.testing.assert_close(ours[:, 0], theirs[:, 0])  # from the state zero, where the reset gate has no effect
    assert (ours[:, 1:] - theirs[:, 1:]).abs().max() > 0.01


def test_gradients_of_the_gru_are_those_of_finite_differences():
    layer = made(GRU(2, 3))
    x, h = random(2, 4, 2).requires_grad_(), random(2, 3, seed=5).requires_grad_()

    def function(x, h, *parameters):
        names = ("kernel", "recurrent_kernel", "bias")
        return torch.func.functional_call(layer, dict(zip(names, parameters, strict=True)), (x, h))

    assert torch.autograd.gradcheck(function, (x, h, *layer.parameters()))


def test_initial_weights_are_those_of_the_cell():
    """One matrix for both gates, one for the candidate: their ranges differ."""
    layer = GRU(30, 50)
    layer.initialise(generator(0, "weights"))
    gates, candidate = sqrt(6 / (30 + 50 + 100)), sqrt(6 / (30 + 50 + 50))
    for part in (layer.kernel, layer.recurrent_kernel):
        assert 0.98 * gates < part[:, :100].abs().max() <= gates
        assert 0.98 * candidate < part[:, 100:].abs().max() <= candidate
    assert set(layer.bias[:100].tolist()) == {1.0}
    assert set(layer.bias[100:].tolist()) == {0.0}


@pytest.mark.parametrize("dilations", [[1, 4, 16], [1, 2, 4], [2, 2, 6], [1, 1, 1]])
@pytest.mark.parametrize("n_steps", [1, 3, 16, 17, 35])
def test_last_states_equal_those_of_the_layers_that_compute_every_step(n_steps, dilations):
    network, x = made(DilatedGRU(2, [5, 4, 3], dilations)), random(3, n_steps, 2)
    outputs, expected = x.numpy(), []
    for layer, rate in zip(network.layers, dilations, strict=True):
        outputs = layer_by_rows(outputs, layer, rate)
        expected.append(outputs[:, -1])
    np.testing.assert_allclose(network(x).detach().numpy(), np.concatenate(expected, axis=1), rtol=1e-11)


def test_every_step_matters_to_the_last_state_of_the_first_layer():
    network, x = made(DilatedGRU(1, [4, 3], [1, 4])), random(1, 11, 1).requires_grad_()
    network(x).sum().backward()
    assert (x.grad != 0).all()


@pytest.mark.parametrize("dilations", [[1, 2], [1, 4, 6], [0, 1, 2]])
def test_dilations_that_do_not_fit_end_with_a_sentence(dilations):
    with pytest.raises(ValueError, match=r"3 layers have dilations \[.*\]; each layer needs one, a multiple of"):
        DilatedGRU(2, [5, 4, 3], dilations)
