"""Bases of subspaces, residual energies, combinations and matching."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.linalg import lstsq, subspace_angles

from methods.blocks.seeding import generator
from methods.blocks.subspaces import (
    Subspaces,
    closest,
    hinge,
    match,
    positive_weights,
    qr_basis,
    residual_energy,
    share_of,
)

D, RANK = 12, 3


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def in_subspaces(rng, n_clusters=3, n_days=20):
    """Return days of shape (n_clusters, n_days, D), those of each cluster in a subspace of RANK dimensions."""
    return torch.tensor(
        rng.standard_normal((n_clusters, n_days, RANK)) @ rng.standard_normal((n_clusters, RANK, D))
    ).float()


def started(days, rank=RANK):
    made = Subspaces(len(days), days.shape[2], rank)
    for k, members in enumerate(days):
        made.start(k, members)
    return made


def test_residual_energy_is_the_squared_distance_from_a_projection_by_qr(rng):
    z, spanning = rng.standard_normal((7, D)), rng.standard_normal((D, RANK))
    Q, _ = np.linalg.qr(spanning)
    left = z.T - spanning @ lstsq(spanning, z.T)[0]  # least squares: no orthonormal basis involved
    found = residual_energy(torch.tensor(z), torch.tensor(Q))
    np.testing.assert_allclose(found, (left**2).sum(axis=0), rtol=1e-12)


def test_residual_energies_of_all_bases_are_computed_at_once(rng):
    z, U = torch.tensor(rng.standard_normal((7, D))), torch.tensor(rng.standard_normal((4, D, RANK)))
    together = residual_energy(z, U)
    assert together.shape == (4, 7)
    for one, basis in zip(together, U, strict=True):
        torch.testing.assert_close(one, residual_energy(z, basis))


def test_basis_by_qr_is_orthonormal_and_spans_the_members(rng):
    members = in_subspaces(rng)[0].double()
    Q = qr_basis(members, RANK)
    np.testing.assert_allclose(Q.T @ Q, np.eye(RANK), atol=1e-6)
    assert subspace_angles(Q.numpy(), members.numpy().T[:, :RANK]).max() < 1e-5
    assert residual_energy(members, Q).max() < 1e-8 * members.square().sum(dim=1).max()


@pytest.mark.parametrize("members", [torch.zeros(6, D), torch.ones(6, D)])
def test_days_that_are_all_alike_have_an_orthonormal_basis_too(members):
    Q = qr_basis(members, RANK)
    torch.testing.assert_close(Q.T @ Q, torch.eye(RANK), atol=1e-6, rtol=0)


def test_a_cluster_of_fewer_days_than_columns_has_a_smaller_basis_that_stays_small(rng):
    days = torch.tensor(rng.standard_normal((2, 2, D))).float()
    made = started(days, rank=5)
    assert made.used.sum(dim=2).flatten().tolist() == [2, 2]
    assert made.skewness().item() == pytest.approx(0, abs=1e-10)
    loss = residual_energy(torch.randn(9, D, generator=generator(0, "z")), made.bases()).sum()
    (loss + made.overlap() + made.skewness()).backward()
    assert made.U.grad[:, :, :2].abs().max() > 0
    assert not made.U.grad[:, :, 2:].any()


def test_no_basis_has_more_columns_than_features():
    assert Subspaces(2, 4, 10).U.shape == (2, 4, 4)


def test_penalties_are_the_papers_sums(rng):
    made = Subspaces(3, D, RANK)
    U = rng.standard_normal((3, D, RANK))
    made.used[:] = True
    made.U.data = torch.tensor(U)
    pairs = [(i, j) for i in range(3) for j in range(3) if i != j]
    assert made.overlap().item() == pytest.approx(sum(np.linalg.norm(U[i].T @ U[j]) ** 2 for i, j in pairs))
    assert made.skewness().item() == pytest.approx(sum(np.linalg.norm(u.T @ u - np.eye(RANK)) ** 2 for u in U))


def test_bases_stay_orthonormal_while_they_follow_their_days(rng):
    """Each basis moves from days of another cluster to its own; R2 keeps its columns at right angles."""
    days = in_subspaces(rng)
    days = days / days.norm(dim=2, keepdim=True)
    made = started(days.roll(1, dims=0))
    before = residual_energy(days, made.bases()).mean()
    optimiser = torch.optim.Adam(made.parameters(), 0.02, betas=(0.0, 0.999))
    for _ in range(200):
        optimiser.zero_grad()
        loss = residual_energy(days, made.bases()).mean() + 0.01 * (made.overlap() + made.skewness()) / len(days)
        loss.backward()
        optimiser.step()
    U = made.bases().detach()
    assert residual_energy(days, U).mean() < 0.1 * before
    torch.testing.assert_close(U.mT @ U, torch.eye(RANK).expand(3, RANK, RANK), atol=0.1, rtol=0)


def test_convex_weights_are_positive_and_sum_to_one_and_others_are_up_to_one():
    convex = positive_weights(50, 6, generator(0, "w"))
    torch.testing.assert_close(convex.sum(dim=1), torch.ones(50))
    assert convex.min() > 0
    plain = positive_weights(5000, 6, generator(0, "w"), convex=False)
    assert 0 < plain.min() < 0.01
    assert 0.99 < plain.max() <= 1
    assert plain.mean().item() == pytest.approx(0.5, abs=0.01)


def test_fakes_pass_gradients_to_their_days_and_not_to_the_weights(rng):
    members = torch.tensor(rng.standard_normal((6, D))).float().requires_grad_()
    U = qr_basis(torch.randn(RANK, D, generator=generator(0, "U")), RANK)
    weights = positive_weights(4, 6, generator(0, "w"))
    assert not weights.requires_grad
    energy = residual_energy(weights @ members, U).sum()
    energy.backward()
    outside = torch.eye(D) - U @ U.T
    torch.testing.assert_close(members.grad, 2 * weights.T @ weights @ members.detach() @ outside, atol=1e-5, rtol=1e-4)


def test_combinations_of_days_stay_in_their_subspace(rng):
    members = in_subspaces(rng)[0]
    fakes = positive_weights(30, len(members), generator(0, "w")) @ members
    assert residual_energy(fakes, qr_basis(members, RANK)).max() < 1e-8
    assert (fakes.norm(dim=1) < members.norm(dim=1).max()).all()


@pytest.mark.parametrize(("share", "expected"), [(1.0, 5), (0.5, 3), (0.01, 1)])
def test_the_real_days_are_those_with_the_smallest_residuals(share, expected):
    energies = torch.tensor([4.0, 0.0, 3.0, 1.0, 2.0])
    assert share_of(5, share) == expected
    assert sorted(closest(energies, expected).tolist()) == sorted([1, 3, 4, 2, 0][:expected])


def test_hinge_pulls_real_energies_down_and_pushes_fakes_up_to_the_margin():
    real, fake = torch.tensor([0.3, 0.1], requires_grad=True), torch.tensor([0.02, 0.5], requires_grad=True)
    loss = hinge(real, fake, 0.1)
    assert loss.item() == pytest.approx(0.2 + (0.08 + 0) / 2)
    loss.backward()
    assert real.grad.tolist() == [0.5, 0.5]
    assert fake.grad.tolist() == [-0.5, 0.0]


ENERGIES = np.array([[0.2, 0.9, 0.5], [0.1, 0.8, 0.7], [0.6, 0.9, 0.3]])


def test_clusters_share_a_basis_or_the_nearer_one_keeps_it():
    shared, anew = match(ENERGIES, distinct=False)
    assert shared.tolist() == [0, 0, 2]
    assert not anew.any()
    alone, anew = match(ENERGIES, distinct=True)
    assert alone.tolist() == [1, 0, 2]
    assert anew.tolist() == [True, False, False]


@pytest.mark.parametrize("distinct", [False, True])
def test_a_cluster_without_days_has_no_basis(distinct):
    energies = ENERGIES.copy()
    energies[1] = np.nan
    found, anew = match(energies, distinct)
    assert found.tolist() == [0, -1, 2]
    assert not anew.any()


def test_matching_undoes_a_new_numbering_of_the_clusters(rng):
    days = in_subspaces(rng)
    made = started(days)
    order = [2, 0, 1]
    energies = residual_energy(days[order].flatten(0, 1), made.bases()).detach().reshape(3, 3, -1).mean(dim=2).T
    found, anew = match(energies.numpy(), distinct=True)
    assert found.tolist() == order
    assert not anew.any()
