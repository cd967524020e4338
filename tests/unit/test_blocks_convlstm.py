"""The convolutional LSTM against its equations, one pixel and one number at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import conv2d

from methods.blocks import convlstm, frame_convolution
from methods.blocks.convlstm import ConvLSTM2d, hard_sigmoid
from methods.blocks.frame_convolution import beside
from methods.blocks.packed_convolution import repeated


def layer(n_in=2, n_out=3, **options) -> ConvLSTM2d:
    made = ConvLSTM2d(n_in, n_out, **options).double()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in made.parameters():
            weight.normal_(0, 0.5, generator=generator)
    return made


def frames(n_days=2, n_steps=4, n_in=2, height=5, width=4) -> torch.Tensor:
    return torch.randn(n_days, n_steps, n_in, height, width, generator=torch.Generator().manual_seed(1)).double()


def by_hand(made: ConvLSTM2d, x: np.ndarray) -> np.ndarray:
    """Return the state after each frame of one day (time, n_in, y, x), written out over pixels."""
    kernel, recurrent, bias = (weight.detach().numpy() for weight in made.parameters())
    n_out, size = recurrent.shape[1], kernel.shape[-1]

    def convolved(field, weights):
        padded = np.pad(field, ((0, 0), (size // 2, size // 2), (size // 2, size // 2)))
        out = np.zeros((len(weights), *field.shape[1:]))
        for y, x in np.ndindex(field.shape[1:]):
            out[:, y, x] = (weights * padded[:, y : y + size, x : x + size]).sum(axis=(1, 2, 3))
        return out

    def gate(values):
        return np.clip(0.2 * values + 0.5, 0, 1)

    hidden = cell = np.zeros((n_out, *x.shape[2:]))
    states = []
    for frame in x:
        z = convolved(frame, kernel) + convolved(hidden, recurrent) + bias[:, None, None]
        i, f, c, o = z.reshape(4, n_out, *x.shape[2:])
        cell = gate(f) * cell + gate(i) * np.tanh(c)
        hidden = gate(o) * np.tanh(cell)
        states.append(hidden)
    return np.stack(states)


@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_states_follow_the_equations(kernel_size):
    made, x = layer(kernel_size=kernel_size), frames()
    expected = np.stack([by_hand(made, day) for day in x.numpy()])
    np.testing.assert_allclose(made(x).detach().numpy(), expected, rtol=1e-12, atol=1e-12)


def test_without_sequences_the_last_state_is_returned():
    made, x = layer(), frames()
    alone = layer(return_sequences=False)
    torch.testing.assert_close(alone(x), made(x)[:, -1])


def test_backwards_is_forwards_over_reversed_frames():
    made, x = layer(), frames()
    torch.testing.assert_close(layer(go_backwards=True)(x), made(x.flip(1)))


def test_gradients_are_finite_differences():
    made, x = layer(n_in=1, n_out=2), frames(1, 2, 1, 3, 3)
    weights = [weight.detach().requires_grad_() for weight in made.parameters()]
    names = [name for name, _ in made.named_parameters()]

    def states(x, *weights):
        return torch.func.functional_call(made, dict(zip(names, weights, strict=True)), x)

    assert torch.autograd.gradcheck(states, (x.requires_grad_(), *weights))


def test_gates_are_straight_lines_between_their_limits():
    x = torch.tensor([-9.0, -2.5, -1.0, 0.0, 1.0, 2.5, 9.0])
    torch.testing.assert_close(hard_sigmoid(x), torch.tensor([0, 0, 0.3, 0.5, 0.7, 1, 1]))


def test_new_weights_are_those_of_keras():
    made = ConvLSTM2d(5, 6)
    made.initialise(torch.Generator().manual_seed(0))
    bound = (6 / (9 * 5 + 9 * 24)) ** 0.5
    assert 0.95 * bound < made.kernel.abs().max() <= bound
    table = made.recurrent_kernel.permute(2, 3, 1, 0).reshape(9 * 6, 24)
    torch.testing.assert_close(table.T @ table, torch.eye(24))
    torch.testing.assert_close(made.bias, torch.tensor([0.0] * 6 + [1.0] * 6 + [0.0] * 12))
    again = ConvLSTM2d(5, 6)
    again.initialise(torch.Generator().manual_seed(0))
    assert torch.equal(made.kernel, again.kernel)
    assert torch.equal(made.recurrent_kernel, again.recurrent_kernel)


def test_an_even_kernel_is_refused():
    with pytest.raises(ValueError, match="kernel_size is 2; it must be odd"):
        ConvLSTM2d(1, 1, kernel_size=2)


@pytest.mark.parametrize("size", [5, 13])
def test_gradients_are_those_of_the_plain_loop(size):
    made, x = layer().float(), torch.randn(2, 20, 2, size, size, generator=torch.Generator().manual_seed(2))
    weigh = torch.randn(2, 20, 3, size, size, generator=torch.Generator().manual_seed(3))

    def loop(x):
        gates_of_x = torch.stack([conv2d(frame, made.kernel, made.bias, padding=1) for frame in x.unbind(1)], dim=1)
        hidden = cell = x.new_zeros(2, 3, size, size)
        states = []
        for gates in gates_of_x.unbind(1):
            i, f, c, o = (gates + conv2d(hidden, made.recurrent_kernel, padding=1)).chunk(4, dim=1)
            cell = hard_sigmoid(f) * cell + hard_sigmoid(i) * torch.tanh(c)
            hidden = hard_sigmoid(o) * torch.tanh(cell)
            states.append(hidden)
        return torch.stack(states, dim=1)

    inputs = [x.requires_grad_(), *made.parameters()]
    ours, plain = (torch.autograd.grad((run(x) * weigh).sum(), inputs) for run in (made, loop))
    for a, b in zip(ours, plain, strict=True):
        assert (a - b).abs().max() < 1e-5 * b.abs().max()


def test_gates_computed_again_give_the_same_numbers():
    x = frames().requires_grad_()
    for a, b in zip(
        *(
            torch.autograd.grad(made(x).square().sum(), [x, *made.parameters()])
            for made in (layer(), layer(recompute=True))
        ),
        strict=True,
    ):
        assert torch.equal(a, b)


def test_one_frame_has_no_recurrence():
    made, x = layer(), frames(n_steps=1)
    made(x).sum().backward()
    assert not made.recurrent_kernel.grad.any()
    assert made.kernel.grad.any()


def test_frames_need_no_gradient_and_may_go_through_twice():
    made, x = layer(), frames()
    made(made.eval()(x)[:, :, :2]).sum().backward()
    assert all(weight.grad.abs().sum() > 0 for weight in made.parameters())


def test_autocast_computes_in_bfloat16():
    made, x = layer().float(), frames().float()
    with torch.autocast("cpu", torch.bfloat16):
        found = made(x)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), made(x), atol=0.05, rtol=0.05)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_repeated_convolutions_are_convolutions(dtype):
    generator = torch.Generator().manual_seed(4)
    x, kernel = (torch.randn(*shape, generator=generator, dtype=dtype) for shape in ((2, 3, 5, 6), (7, 3, 3, 3)))
    convolved = repeated(kernel, x.shape)
    for each in (x, 2 * x + 1):
        torch.testing.assert_close(convolved(each), conv2d(each, kernel, padding=1))


def test_a_second_derivative_is_refused():
    x = frames().requires_grad_()
    (gradient,) = torch.autograd.grad(layer()(x).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


@pytest.mark.parametrize("fewest_tiles", [1, 10**6], ids=["all of it", "all but the recurrence"])
@pytest.mark.parametrize("recompute", [False, True], ids=["gates kept", "gates again"])
@pytest.mark.parametrize("sources", [(2, 0), (2, 3), (0, 3)], ids=["fine", "both", "coarse"])
def test_fewer_products_give_the_same_numbers(sources, recompute, fewest_tiles, monkeypatch):
    n_fine, n_coarse = sources
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(2, 3, n_fine, 6, 8, generator=generator).double() if n_fine else None
    coarse = torch.randn(2, 3, n_coarse, 3, 4, generator=generator).double() if n_coarse else None
    made = layer(n_fine + n_coarse, recompute=recompute)
    inputs = [each.requires_grad_() for each in (x, coarse) if each is not None] + list(made.parameters())
    weigh = torch.randn(2, 3, 3, 6, 8, generator=generator).double()

    def found():
        states = made(x, coarse)
        return [states, *torch.autograd.grad((states * weigh).sum(), inputs)]

    plain = found()
    monkeypatch.setattr(frame_convolution, "FEWEST_CHANNELS", 1)
    monkeypatch.setattr(frame_convolution, "FEWEST_TILES", fewest_tiles)
    for a, b in zip(found(), plain, strict=True):
        torch.testing.assert_close(a, b)


def test_coarse_frames_are_up_sampled_and_come_first():
    made, x, coarse = layer(5), frames(n_in=2, height=6), frames(n_in=3, height=3, width=2)
    up = coarse.repeat_interleave(2, dim=3).repeat_interleave(2, dim=4)
    torch.testing.assert_close(made(x, coarse), made(torch.cat([up, x], dim=2)))
    assert torch.equal(beside(coarse, None), up)


def test_the_gradient_may_be_asked_for_twice():
    made, x = layer(), frames().requires_grad_()
    loss = made(x).square().sum()
    first = torch.autograd.grad(loss, x, retain_graph=True)[0]
    assert torch.equal(first, torch.autograd.grad(loss, x)[0])


def test_fewer_products_in_bfloat16_round_little_more(monkeypatch):
    generator = torch.Generator().manual_seed(6)
    x, coarse = torch.randn(2, 5, 32, 12, 8, generator=generator), torch.randn(2, 5, 32, 6, 4, generator=generator)
    weigh = torch.randn(2, 5, 32, 12, 8, generator=generator)
    made = ConvLSTM2d(64, 32)
    made.initialise(generator)

    def found(dtype=torch.float32):
        moved = [x.to(dtype).requires_grad_(), coarse.to(dtype).requires_grad_()]
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.float32):
            states = made.to(dtype)(*moved)
        gradients = torch.autograd.grad((states * weigh).sum(), [*moved, *made.parameters()])
        assert all(weight.dtype == dtype for weight in gradients)
        return [states.detach(), *gradients]

    def error(ours, exact):
        return ((ours.double() - exact).square().mean() / exact.square().mean()).sqrt()

    exact, tiles = found(torch.float64), found()
    monkeypatch.setattr(convlstm, "pays", lambda *_: False)
    for ours, plain, true in zip(tiles, found(), exact, strict=True):
        assert not torch.equal(ours, plain)
        assert error(ours, true) < 2 * error(plain, true) < 0.04
