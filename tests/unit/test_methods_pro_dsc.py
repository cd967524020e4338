"""PRO-DSC: its formulas against plain numpy, finite gradients, and what it does on tiny cubes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from method_cubes import fit, make_cube, planted
from sklearn.metrics import adjusted_rand_score

from methods.blocks.components import unit_rows
from methods.blocks.kmeans_cut import kmeans_cut
from methods.pro_dsc import expression
from methods.pro_dsc.expression import block_diagonal, coding_rate, left_over, self_expression, smallest, unit_codes
from methods.pro_dsc.method import Heads
from regimebench import registry

K = 3


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def codes(rng, n_days=12, width=4):
    return unit_rows(rng.standard_normal((n_days, width)))


def by_hand(Y, eta):
    """Return C by the definition: Sinkhorn's first half, entry by entry."""
    products = Y @ Y.T
    sizes = np.exp(np.abs(products) / eta)
    C = len(Y) * (sizes / sizes.sum(axis=1, keepdims=True) / len(Y)) * np.sign(products)
    np.fill_diagonal(C, 0)
    return C


def test_coding_rate_is_half_the_log_determinant_in_either_order(rng):
    Z = codes(rng)
    n, d = Z.shape
    found = coding_rate(torch.tensor(Z), 0.1).item()
    for product in (Z.T @ Z, Z @ Z.T):
        expected = 0.5 * np.linalg.slogdet(np.eye(len(product)) + d / (n * 0.1) * product)[1]
        assert found == pytest.approx(expected, rel=1e-12)


def test_coefficients_are_the_formula(rng):
    Y = codes(rng)
    C = self_expression(torch.tensor(Y), 0.2).numpy()
    np.testing.assert_allclose(C, by_hand(Y, 0.2), rtol=1e-12, atol=1e-15)
    sizes = np.exp(1 / 0.2) / np.exp(np.abs(Y @ Y.T) / 0.2).sum(axis=1)  # what the diagonal held
    np.testing.assert_allclose(np.abs(C).sum(axis=1), 1 - sizes)


def test_left_over_is_the_formula(rng):
    Z, C = codes(rng), rng.standard_normal((12, 12))
    expected = np.square(Z - C @ Z).sum() / 24
    assert left_over(torch.tensor(Z), torch.tensor(C)).item() == pytest.approx(expected, rel=1e-12)


def test_regulariser_is_the_sum_of_the_smallest_eigenvalues_and_zero_for_blocks(rng):
    C = rng.standard_normal((12, 12))
    np.fill_diagonal(C, 0)
    A = (np.abs(C) + np.abs(C).T) / 2
    values = np.linalg.eigvalsh(np.diag(A.sum(axis=1)) - A)
    assert block_diagonal(torch.tensor(C), K).item() == pytest.approx(values[:K].sum() / 12, rel=1e-9)
    truth = np.arange(12) % K
    blocks = torch.tensor(C * (truth[:, None] == truth))
    assert block_diagonal(blocks, K).item() == pytest.approx(0, abs=1e-12)
    assert block_diagonal(blocks, K + 1).item() > 1e-3


def test_many_days_have_the_same_smallest_eigenvectors(rng, monkeypatch):
    A = rng.random((60, 60))
    A = A + A.T
    dense = smallest(A, K)
    L = np.diag(A.sum(axis=1)) - A
    np.testing.assert_allclose(np.diag(dense.T @ L @ dense), np.linalg.eigvalsh(L)[:K], atol=1e-8)
    monkeypatch.setattr(expression, "DENSE_DAYS", 10)
    monkeypatch.setattr("methods.blocks.spectral.DENSE_DAYS", 10)
    iterated = smallest(A, K)
    np.testing.assert_allclose(iterated @ iterated.T, dense @ dense.T, atol=1e-8)


def test_gradients_are_finite_for_days_that_coincide_or_are_zero():
    x = torch.tensor([[0.0, 0.0], [0.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    heads = Heads(2, 0, 3)
    with torch.no_grad():
        for weight in heads.parameters():
            weight.copy_(torch.linspace(-1, 1, weight.numel()).reshape(weight.shape) * (weight.ndim > 1))
    Z, C = heads.codes(x), self_expression(heads.expressing(x), 0.2)
    (left_over(Z, C) + block_diagonal(C, 2) - coding_rate(Z, 0.1)).backward()
    assert all(torch.isfinite(weight.grad).all() and weight.grad.abs().max() < 1e3 for weight in heads.parameters())


def test_codes_have_length_one_but_where_they_are_nearly_zero():
    lengths = unit_codes(torch.tensor([[3.0, 4.0], [0.02, 0.0], [0.005, 0.0], [0.0, 0.0]])).norm(dim=1)
    torch.testing.assert_close(lengths, torch.tensor([1.0, 1.0, 0.5, 0.0]))


def test_kmeans_cut_finds_blocks_and_days_without_edges_do_not_hurt(rng):
    truth = np.arange(30) % K
    A = rng.random((30, 30)) * (truth[:, None] == truth)
    A = A + A.T
    assert adjusted_rand_score(truth, kmeans_cut(A, K, 0)) == 1
    A[0] = A[:, 0] = 0
    assert adjusted_rand_score(truth[1:], kmeans_cut(A, K, 0)[1:]) > 0.9


def test_planes_are_found_and_days_express_each_other(rng):
    truth = np.arange(90) % K
    bases = np.linalg.qr(rng.standard_normal((40, 6)))[0].reshape(40, K, 2)
    days = np.einsum("dnr,nr->nd", bases[:, truth], rng.standard_normal((90, 2)))
    cube = make_cube((days + 0.01 * rng.standard_normal(days.shape)).reshape(-1, 5, 4, 2))
    found = fit("pro_dsc", cube, n_clusters=K, centred=True, subspace_dim=2, lr=0.0005, epochs=400, n_init=10)
    assert adjusted_rand_score(truth, found.labels) > 0.8
    for name in ("self_expression", "block_diagonal"):
        assert found.history[name][-1] < found.history[name][0]
    np.testing.assert_allclose(np.linalg.norm(found.embedding, axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("address", registry.variants("pro_dsc"))
def test_the_diagonal_of_c_is_zero_and_both_controls_are_there(address):
    found = fit(address, planted(n_days=40, noise=0.5)[0])
    assert set(found.other_labels) == {"plain_cut", "raw_data"}
    np.testing.assert_array_equal(np.diag(found.self_expression), 0)
