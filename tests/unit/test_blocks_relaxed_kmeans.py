"""The trace term of DTCR and its F against plain numpy and linear algebra."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from methods.blocks.relaxed_kmeans import RelaxedKMeans, relaxed_indicator, relaxed_kmeans_loss
from methods.blocks.seeding import generator


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=generator(seed, "data"), dtype=torch.float64)


def orthonormal(n: int, k: int, seed: int) -> torch.Tensor:
    return torch.linalg.qr(random(n, k, seed=seed)).Q


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_term_is_the_papers_difference_of_traces(dtype):
    h, F = random(20, 6).to(dtype), random(20, 3, seed=1).to(dtype)
    H, f = h.numpy().T.astype(float), F.numpy().astype(float)
    expected = np.trace(H.T @ H) - np.trace(f.T @ H.T @ H @ f)
    assert relaxed_kmeans_loss(h, F).item() == pytest.approx(expected, rel=1e-6)


def test_gradient_of_the_term_is_that_of_finite_differences():
    assert torch.autograd.gradcheck(relaxed_kmeans_loss, (random(5, 4).requires_grad_(), orthonormal(5, 2, 1)))


@pytest.mark.parametrize(("n", "m", "k"), [(30, 8, 3), (8, 30, 3), (30, 40, 20)])
def test_indicator_has_orthonormal_columns_and_minimises_the_term(n, m, k):
    h = random(n, m)
    F = relaxed_indicator(h, k)
    torch.testing.assert_close(F.T @ F, torch.eye(k, dtype=torch.float64))
    least = relaxed_kmeans_loss(h, F).item()
    eigenvalues = np.linalg.eigvalsh(h.numpy() @ h.numpy().T)
    assert least == pytest.approx(eigenvalues[: n - k].sum(), rel=1e-9)
    assert all(relaxed_kmeans_loss(h, orthonormal(n, k, seed)).item() > least for seed in range(1, 20))


def test_hard_clusters_are_an_allowed_indicator_and_no_better():
    """With F the scaled membership of a partition, the term is the sum of squares within its clusters."""
    h, labels = random(12, 4), torch.arange(12) % 3
    F = torch.eye(3, dtype=torch.float64)[labels] / 2  # 4 members each, so that columns have length 1
    within = sum((h[labels == j] - h[labels == j].mean(dim=0)).square().sum().item() for j in range(3))
    assert relaxed_kmeans_loss(h, F).item() == pytest.approx(within)
    assert relaxed_kmeans_loss(h, relaxed_indicator(h, 3)).item() <= within


def test_more_clusters_than_columns_cost_nothing():
    h = random(30, 6)
    assert relaxed_kmeans_loss(h, relaxed_indicator(h, 20)).item() == pytest.approx(0, abs=1e-10)


def term(h: torch.Tensor, interval: int = 10) -> RelaxedKMeans:
    return RelaxedKMeans(h, 3, interval, generator(0, "first F"))


def test_first_indicator_is_orthonormal_and_from_the_seed():
    first = term(random(20, 6)).F
    torch.testing.assert_close(first.T @ first, torch.eye(3, dtype=torch.float64), atol=1e-6, rtol=0)
    assert torch.equal(first, term(random(20, 6)).F)
    assert not torch.equal(first, RelaxedKMeans(random(20, 6), 3, 10, generator(1, "first F")).F)


def test_indicator_is_refreshed_after_calls_10_and_20_and_no_other():
    relaxed, rows = term(random(20, 6)), torch.arange(20)
    refreshed = []
    for call in range(25):
        h, before = random(20, 6, seed=call), relaxed.F
        relaxed(h, rows)
        if relaxed.F is not before:
            refreshed.append(call)
            torch.testing.assert_close(relaxed.F, relaxed_indicator(h, 3))
    assert refreshed == [10, 20]


def test_rows_of_the_indicator_follow_the_days_or_stay_where_they_are():
    """Days come in a new order: by day the term is as low as it can be, by place it is that of strangers' rows."""
    h, order = random(20, 6), torch.randperm(20, generator=generator(0, "order"))
    by_day, by_place = term(h, interval=1), term(h, interval=1)
    for relaxed in (by_day, by_place):
        relaxed(h, torch.arange(20))
        relaxed(h, torch.arange(20))
    least = relaxed_kmeans_loss(h, relaxed_indicator(h, 3)).item()
    assert by_day(h[order], order).item() == pytest.approx(least)
    expected = relaxed_kmeans_loss(h[order], relaxed_indicator(h, 3)).item()
    assert by_place(h[order], torch.arange(20)).item() == pytest.approx(expected)
    assert expected > 1.5 * least


def test_batches_share_one_indicator_of_all_rows():
    h = random(20, 6)
    relaxed = term(h, interval=3)
    for _ in range(2):
        for rows in torch.arange(20).split(10):
            relaxed(h[rows], rows)
    torch.testing.assert_close(relaxed.F, relaxed_indicator(h, 3))


def test_no_gradient_flows_into_the_indicator_or_the_kept_codes():
    h = random(20, 6).requires_grad_()
    relaxed = term(h, interval=1)
    for _ in range(3):
        relaxed(h, torch.arange(20)).backward()
    assert not relaxed.F.requires_grad
    assert not relaxed.h.requires_grad
