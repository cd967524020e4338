"""EDESC: its formulas against plain numpy, its start, and what it does on tiny cubes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from method_cubes import fit, make_cube, planted
from scipy.special import rel_entr
from sklearn.metrics import adjusted_rand_score

from methods.blocks.components import components, unit_rows
from methods.blocks.subspace_affinity import constraints, kl_elements, start, subspace_affinity, svd_bases
from methods.edesc.method import directions
from regimebench import registry

K, DIM = 3, 2


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def union(rng, n_days=90, noise=0.02):
    """Return days in three planes of six dimensions, with the plane of each."""
    truth = np.arange(n_days) % K
    bases = np.linalg.qr(rng.standard_normal((6, 6)))[0].reshape(6, K, DIM)
    days = np.einsum("dnr,nr->nd", bases[:, truth], rng.standard_normal((n_days, DIM)))
    return days + noise * rng.standard_normal(days.shape), truth


def test_affinity_is_the_formula(rng):
    z, D, eta = rng.standard_normal((7, 6)), rng.standard_normal((6, 6)), 5
    s = np.array([[np.sum((day @ D[:, 2 * j : 2 * j + 2]) ** 2) for j in range(K)] for day in z])
    s = (s + eta * DIM) / ((eta + 1) * DIM)
    s /= s.sum(axis=1, keepdims=True)
    found = subspace_affinity(torch.tensor(z), torch.tensor(D), K, eta)
    np.testing.assert_allclose(found, s, rtol=1e-12)


def test_divergence_is_the_mean_over_elements(rng):
    p, s = rng.dirichlet(np.ones(K), 5), rng.dirichlet(np.ones(K), 5)
    found = kl_elements(torch.tensor(p), torch.tensor(s)).item()
    assert found == pytest.approx(rel_entr(p, s).sum() / p.size, rel=1e-12)


def test_constraints_are_norms_that_are_not_squared(rng):
    D = rng.standard_normal((6, 6))
    gram = D.T @ D
    off = gram.copy()
    for j in range(K):
        off[2 * j : 2 * j + 2, 2 * j : 2 * j + 2] = 0
    lengths, angles = constraints(torch.tensor(D), K)
    assert lengths.item() == pytest.approx(np.linalg.norm(np.diag(gram) - 1), rel=1e-12)
    assert angles.item() == pytest.approx(np.linalg.norm(off), rel=1e-12)


def test_gradients_are_finite_where_bases_are_in_order_and_days_coincide_or_are_zero():
    z = torch.zeros(4, 6, requires_grad=True)
    D = torch.eye(6, requires_grad=True)
    s = subspace_affinity(z + torch.tensor([0.0, 0.0, 1.0, 1.0])[:, None], D, K, 5)
    (kl_elements(torch.full_like(s, 1 / K), s) + sum(constraints(D, K))).backward()
    assert torch.isfinite(z.grad).all()
    assert torch.isfinite(D.grad).all()


def test_bases_are_singular_vectors_of_the_clusters(rng):
    z, labels = rng.standard_normal((30, 6)), np.arange(30) % K
    D = svd_bases(z, labels, K, DIM)
    for j in range(K):
        own, U = D[:, 2 * j : 2 * j + 2], np.linalg.svd(z[labels == j].T)[0][:, :DIM]
        np.testing.assert_allclose(own @ own.T, U @ U.T, atol=1e-10)
        np.testing.assert_allclose(own.T @ own, np.eye(DIM), atol=1e-12)


def test_a_cluster_without_days_has_an_orthonormal_basis(rng):
    D = svd_bases(rng.standard_normal((5, 6)), np.zeros(5, dtype=int), K, DIM)[:, 2:4]
    np.testing.assert_allclose(D.T @ D, np.eye(DIM), atol=1e-12)


def test_alternation_finds_planes_that_kmeans_does_not(rng):
    days, truth = union(rng)
    z = torch.tensor(days)
    plain, _ = start(z, K, DIM, seed=0, n_init=10, alternate=False)
    found, D = start(z, K, DIM, seed=0, n_init=10, alternate=True)
    assert adjusted_rand_score(truth, plain) < 0.5
    assert adjusted_rand_score(truth, found) > 0.9
    np.testing.assert_array_equal(found, subspace_affinity(z, D, K, 5).argmax(dim=1))


def test_linear_variant_finds_planes_and_keeps_the_columns_at_length_one(rng):
    days, truth = union(rng)
    field = days @ rng.standard_normal((6, 5 * 4 * 2))
    cube = make_cube(field.reshape(-1, 5, 4, 2))
    found = fit("edesc/linear", cube, n_clusters=K, subspace_dim=DIM, lr=0.01, pretrain_steps=200, epochs=50, n_init=5)
    assert adjusted_rand_score(truth, found.labels) > 0.9
    assert found.history["column_lengths"][-1] < 0.001 * 0.1
    assert found.history["autoencoder"][-1] < found.history["autoencoder"][0]
    assert found.embedding.shape == (90, K * DIM)


def test_components_are_a_rotation_of_the_days_about_their_mean(rng):
    for shape in ((12, 40), (40, 12)):
        x = rng.random(shape)
        found = components(x)
        np.testing.assert_allclose(found.mean + found.scores @ found.axes, x, atol=1e-10)
        np.testing.assert_allclose(found.scores @ found.scores.T, (x - x.mean(0)) @ (x - x.mean(0)).T, atol=1e-10)
        np.testing.assert_allclose(
            components(x, centred=False).scores @ components(x, centred=False).axes, x, atol=1e-10
        )
        few = components(x, 3)
        U, S, _ = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
        np.testing.assert_allclose(np.abs(few.scores), np.abs(U[:, :3] * S[:3]), atol=1e-7)


def test_days_have_a_mean_square_of_one_but_for_the_mean_day(rng):
    x = rng.random((9, 20))
    x[4] = x[[0, 1, 2, 3, 5, 6, 7, 8]].mean(axis=0)
    mean_square = np.square(directions(x)).sum(axis=1) / 20
    np.testing.assert_allclose(np.delete(mean_square, 4), 1)
    np.testing.assert_array_equal(unit_rows(np.zeros((2, 3))), 0)


@pytest.mark.parametrize("address", registry.variants("edesc"))
def test_norm_of_the_embedding_is_recorded_before_and_after(address):
    assert len(fit(address, planted(n_days=40, noise=0.5)[0]).history["embedding_norm"]) == 2
