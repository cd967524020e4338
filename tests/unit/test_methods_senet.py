"""SENet: its formulas against plain numpy, the exact solver against scikit-learn, and the label steps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from method_cubes import fit, make_cube, planted
from sklearn.linear_model import ElasticNet
from sklearn.metrics import adjusted_rand_score

from methods.blocks.components import unit_rows
from methods.blocks.seeding import generator
from methods.blocks.spectral import cut, plain_affinity
from methods.senet.graph import largest, neighbour_labels
from methods.senet.network import ROWS_AT_ONCE, SENet, _exact_rows, batch_loss, exact_coefficients
from regimebench import registry

K = 3


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def union(rng, n_days=60, noise=0.02):
    """Return days of length 1 in three planes of six dimensions, with the plane of each."""
    truth = np.arange(n_days) % K
    bases = np.linalg.qr(rng.standard_normal((6, 6)))[0].reshape(6, K, 2)
    days = np.einsum("dnr,nr->nd", bases[:, truth], rng.standard_normal((n_days, 2)))
    return unit_rows(days + noise * rng.standard_normal(days.shape)), truth


def network(n_inputs):
    return SENet(n_inputs, [8, 8], 5, generator(0, "weights"))


def loss_by_hand(x, C, gamma, share):
    """Return both terms of one day's loss, mean over days, for a C without diagonal."""
    expression = gamma / 2 * np.square(x - C @ x).sum() / len(x)
    return expression, (share * np.abs(C).sum() + (1 - share) / 2 * np.square(C).sum()) / len(x)


def test_coefficients_and_loss_are_the_formulas(rng):
    x = torch.tensor(unit_rows(rng.standard_normal((9, 4))), dtype=torch.float32)
    net = network(4)
    with torch.no_grad():
        net.b.fill_(0.1)
        q, k = net.query(x).numpy().astype(float), net.key(x).numpy().astype(float)
    products = q @ k.T
    C = np.sign(products) * np.maximum(np.abs(products) - 0.1, 0) / 5
    np.fill_diagonal(C, 0)
    np.testing.assert_allclose(net.matrix(x), C, atol=1e-6)
    terms = batch_loss(net, x, torch.arange(9), gamma=200, share=0.9)
    expected = loss_by_hand(x.numpy().astype(float), C, 200, 0.9)
    assert [terms[name].item() for name in ("expression", "elastic_net")] == pytest.approx(expected, rel=1e-4)


def test_batches_add_up_to_all_days(rng):
    x = torch.tensor(unit_rows(rng.standard_normal((9, 4))), dtype=torch.float32)
    net = network(4)
    whole = batch_loss(net, x, torch.arange(9), 200, 0.9)
    parts = [batch_loss(net, x, days, 200, 0.9) for days in torch.arange(9).split(3)]
    for name, value in whole.items():
        assert value.item() == pytest.approx(np.mean([part[name].item() for part in parts]), rel=1e-5)


def test_gradients_are_finite_for_days_that_coincide_or_are_zero():
    x = torch.tensor([[0.0, 0.0], [0.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    net = network(2)
    sum(batch_loss(net, x, torch.arange(4), 200, 0.9).values()).backward()
    assert all(torch.isfinite(weight.grad).all() for weight in net.parameters())


def test_exact_solution_is_that_of_scikit_learn(rng):
    x, _ = union(rng, 30, noise=0.2)
    C, _ = exact_coefficients(x, 200, 0.9, max_iter=20000, tol=1e-10)
    reference = ElasticNet(1 / (200 * x.shape[1]), l1_ratio=0.9, fit_intercept=False, max_iter=100_000, tol=1e-12)
    for day in (0, 7, 29):
        others = np.delete(np.arange(30), day)
        expected = reference.fit(x[others].T, x[day]).coef_
        np.testing.assert_allclose(C[day, others], expected, atol=1e-6)
    np.testing.assert_array_equal(np.diag(C), 0)


def test_rows_of_the_exact_solution_are_solved_apart(rng):
    x, _ = union(rng, 30)
    whole, _ = exact_coefficients(x, 200, 0.9, max_iter=50000, tol=1e-12)
    assert len(x) < ROWS_AT_ONCE
    steepest = 200 * np.linalg.norm(x, 2) ** 2 + 0.1
    last, _ = _exact_rows(x, 25, 200, 0.9, steepest, 50000, 1e-12)
    np.testing.assert_allclose(last, whole[25:], atol=1e-6)


def test_exact_self_expression_finds_planes(rng):
    x, truth = union(rng)
    C, _ = exact_coefficients(x, 200, 0.9, max_iter=5000, tol=1e-6)
    same = truth[:, None] == truth
    assert np.abs(C[same]).sum() > 0.9 * np.abs(C).sum()
    assert adjusted_rand_score(truth, cut(plain_affinity(C), K, 0)) > 0.9


def test_nearest_rows_of_a_block_matrix_are_those_of_the_block(rng):
    truth = np.arange(60) % K
    C = (truth[:, None] == truth) * (1 + 0.01 * rng.random((60, 60)))
    for non_zeros in (15, 1000):
        labels = neighbour_labels(C, K, 0, neighbours=3, n_vectors=K, non_zeros=non_zeros)
        assert adjusted_rand_score(truth, labels) > 0.9


def test_training_comes_near_the_exact_solution(rng):
    days, _ = union(rng)
    cube = make_cube((days @ rng.standard_normal((6, 24))).reshape(-1, 4, 3, 2))
    options = {"n_clusters": K, "n_components": 6, "gamma": 50}
    exact = fit("senet/exact", cube, max_iter=5000, **options)
    first, last = (fit("senet", cube, steps=steps, hidden=[64, 64], width=64, **options) for steps in (0, 300))
    losses = [sum(loss_by_hand(found.embedding, found.self_expression, 50, 0.9)) for found in (exact, last, first)]
    assert losses == sorted(losses)
    assert losses[1] - losses[0] < 0.3 * (losses[2] - losses[0])


def test_largest_keeps_so_many_of_each_row():
    C = np.array([[3.0, -4, 1, 2], [0, 1, 2, -3]])
    np.testing.assert_array_equal(largest(C, 2), [[3, -4, 0, 0], [0, 0, 2, -3]])
    assert largest(C, 9) is C


@pytest.mark.parametrize("address", registry.variants("senet"))
def test_the_diagonal_of_c_is_zero_and_both_controls_are_there(address):
    found = fit(address, planted(n_days=40, noise=0.5)[0])
    assert set(found.other_labels) == {"plain_cut", "raw_data"}
    np.testing.assert_array_equal(np.diag(found.self_expression), 0)
