"""Self-expression against closed forms and a convex solver, and the two poor optima of its loss."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import Lasso
from subspace_days import subspace_days
from torch import Tensor
from torch.optim.lr_scheduler import ExponentialLR

from methods.blocks.seeding import generator
from methods.blocks.self_expression import SelfExpression, centred, residual, ridge, unit_energy


@pytest.fixture(scope="module")
def z() -> Tensor:
    return torch.tensor(subspace_days((10, 7, 4), width=12)[0])


@pytest.mark.parametrize("zero_diagonal", [False, True])
def test_training_with_fixed_codes_approaches_the_closed_form(z, zero_diagonal):
    lambda1, lambda2 = 1.0, 4.0
    layer = SelfExpression(len(z), 1e-4, zero_diagonal).double()
    optimiser = torch.optim.LBFGS(
        layer.parameters(), max_iter=200, tolerance_grad=1e-9, tolerance_change=0, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        optimiser.zero_grad()
        value = lambda1 * layer.penalty("l2") + lambda2 / 2 * residual(z, layer(z))
        value.backward()
        return value

    optimiser.step(loss)
    expected = ridge(z, 2 * lambda1 / lambda2, zero_diagonal)
    torch.testing.assert_close(layer.matrix.detach(), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("zero_diagonal", [False, True])
def test_closed_form_is_the_minimum(z, zero_diagonal):
    C = ridge(z, 0.5, zero_diagonal).requires_grad_()
    (gradient,) = torch.autograd.grad(residual(z, C @ z) + 0.5 * C.square().sum(), C)
    if zero_diagonal:
        assert not C.diagonal().any()
        gradient = gradient - torch.diag(gradient.diagonal())
    torch.testing.assert_close(gradient, torch.zeros_like(gradient), rtol=0, atol=1e-10)


def test_training_with_l1_approaches_a_convex_solver(z):
    lambda1, lambda2 = 1.0, 10.0
    layer = SelfExpression(len(z), 1e-4, zero_diagonal=True).double()
    adam = torch.optim.Adam(layer.parameters(), 0.02, betas=(0.9, 0.99))
    schedule = ExponentialLR(adam, 0.997)
    for _ in range(2000):
        adam.zero_grad()
        (lambda1 * layer.penalty("l1") + lambda2 / 2 * residual(z, layer(z))).backward()
        adam.step()
        schedule.step()
    found, days = layer.matrix.detach().numpy(), z.numpy()
    exact = np.zeros_like(found)
    for i in range(len(days)):
        others = np.arange(len(days)) != i
        solver = Lasso(lambda1 / lambda2 / days.shape[1], fit_intercept=False, max_iter=100_000, tol=1e-10)
        exact[i, others] = solver.fit(days[others].T, days[i]).coef_

    def loss(C: np.ndarray) -> float:
        return lambda1 * np.abs(C).sum() + lambda2 / 2 * np.square(days - C @ days).sum()

    assert not found.diagonal().any()
    assert loss(exact) <= loss(found) < (1 + 1e-4) * loss(exact)
    np.testing.assert_allclose(found, exact, atol=2e-3)
    assert (np.abs(exact) < 1e-12).mean() > 0.5  # sparse, so that a ridge would not pass


def test_layer_expresses_codes_of_any_shape():
    layer = SelfExpression(5, 0.5)
    maps = torch.rand(5, 2, 3, 4, generator=generator(0, "maps"))
    torch.testing.assert_close(layer(maps), (0.5 * maps.sum(dim=0)).expand(5, 2, 3, 4))


def test_an_unknown_penalty_is_refused():
    with pytest.raises(ValueError, match="the penalty is 'l3'; allowed are l1, l2"):
        SelfExpression(3).penalty("l3")


def cost(z: Tensor, weight: float = 1.0) -> float:
    """The least that self-expression of these codes costs, over all C."""
    C = ridge(z, weight)
    return float(residual(z, C @ z) + weight * C.square().sum()) / 2


def effective_rank(z: Tensor) -> float:
    share = torch.linalg.svdvals(z).square()
    share = share / share.sum()
    return float(torch.exp(-torch.xlogy(share, share).sum()))


def codes(n: int = 40, rank: int = 20) -> Tensor:
    return torch.randn(n, rank, generator=generator(0, "codes"), dtype=torch.float64)


def test_least_cost_is_a_concave_function_of_squared_singular_values():
    z = codes()
    squares = torch.linalg.svdvals(z).square()
    assert cost(z, 3.0) == pytest.approx(float((3.0 * squares / (3.0 + squares)).sum()) / 2)


def test_shrinking_the_codes_lowers_the_cost_unless_their_energy_is_fixed():
    z = codes()
    assert cost(0.01 * z) < 0.01 * cost(z)
    assert cost(unit_energy(0.01 * z)) == pytest.approx(cost(unit_energy(z)))


def test_at_equal_energy_rank_one_costs_least_and_fixing_the_energy_does_not_help():
    full = unit_energy(codes()) * 10
    lines = unit_energy(codes(rank=1)) * 10
    assert full.norm() == pytest.approx(float(lines.norm()))
    assert cost(lines) < cost(full) / 10
    assert cost(unit_energy(lines)) < cost(unit_energy(full))


@pytest.mark.parametrize("fixed", [False, True])
def test_codes_that_need_do_nothing_else_vanish_or_where_their_energy_is_fixed_become_one_line(fixed):
    z = codes(20, 6).requires_grad_()
    norm = z.detach().norm()
    layer = SelfExpression(20).double()
    adam = torch.optim.Adam([z, *layer.parameters()], 0.03)
    for _ in range(1400):
        adam.zero_grad()
        seen = 2 * unit_energy(z) if fixed else z
        (layer.penalty("l2") + residual(seen, layer(seen))).backward()
        adam.step()
    if fixed:
        assert z.detach().norm() > 0.9 * norm
        assert effective_rank(z.detach()) < 1.01
    else:
        assert z.detach().norm() < 1e-3 * norm


def test_normalised_codes_keep_their_directions_and_zeros():
    z = codes()
    assert float(unit_energy(z).square().sum(dim=1).mean()) == pytest.approx(1)
    torch.testing.assert_close(unit_energy(z) * (z.norm() / len(z) ** 0.5), z)
    assert not unit_energy(torch.zeros(3, 2)).any()
    torch.testing.assert_close(centred(z + 5), z - z.mean(dim=0))
