"""Distances between series against plain formulas, and their gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from methods.blocks.similarity import EPSILON, SIMILARITIES, autocorrelation, cid, cor, euclidean


def series(n: int, n_steps: int = 24, n_channels: int = 2, seed: int = 0) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    return torch.tensor(rng.standard_normal((n, n_steps, n_channels)).cumsum(axis=1))


def ed(x, y):
    return np.sqrt(((x - y) ** 2).sum())


def plain_cid(x, y):
    ce_x, ce_y = (np.sqrt((np.diff(s) ** 2).sum()) for s in (x, y))
    return ed(x, y) * max(ce_x, ce_y) / min(ce_x, ce_y)


def plain_cor(x, y):
    return np.sqrt(2 * (1 - np.corrcoef(x, y)[0, 1]))


def plain_acf(x, y):
    n = len(x)

    def r(s, lag):
        s = s - s.mean()
        return (s[:-lag] * s[lag:]).sum() / (s**2).sum()

    return np.sqrt(sum((1 - lag / n) * (r(x, lag) - r(y, lag)) ** 2 for lag in range(1, n)))


PLAIN = {"eucl": ed, "cid": plain_cid, "cor": plain_cor, "acf": plain_acf}


@pytest.mark.parametrize("name", SIMILARITIES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equals_the_plain_formula_added_over_channels(name, dtype):
    z, w = series(6), series(4, seed=1)
    plain = [[sum(PLAIN[name](a, b) for a, b in zip(x.T, y.T, strict=True)) for y in w.numpy()] for x in z.numpy()]
    found = SIMILARITIES[name](z.to(dtype), w.to(dtype))
    assert found.dtype == dtype
    np.testing.assert_allclose(found.numpy(), plain, rtol=1e-6 if dtype == torch.float64 else 1e-5)


@pytest.mark.parametrize("name", SIMILARITIES)
def test_gradient_equals_finite_differences(name):
    z, w = series(3, n_steps=7).requires_grad_(), series(2, n_steps=7, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(SIMILARITIES[name], (z, w))


@pytest.mark.parametrize("name", SIMILARITIES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_are_finite_for_constant_and_for_equal_series(name, dtype):
    """Rows: a series equal to a centroid, a constant, another constant, all zero, hardly more than constant."""
    z = series(5).to(dtype)
    w = z[:3].clone()
    z[1], z[2], z[3] = 0.5, -2.0, 0.0
    z[4] = 0.5 + 1e-7 * z[4]
    w[1], w[2] = 0.5, 0.0
    z.requires_grad_()
    w.requires_grad_()
    distance = SIMILARITIES[name](z, w)
    assert torch.isfinite(distance).all()
    for gradient in torch.autograd.grad(distance.sum(), (z, w)):
        assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("name", SIMILARITIES)
def test_equal_series_are_at_distance_zero_and_symmetric(name):
    z = series(5)
    distance = SIMILARITIES[name](z, z)
    np.testing.assert_array_equal(distance.diagonal(), np.zeros(5))
    np.testing.assert_allclose(distance, distance.T, rtol=1e-12)
    assert (distance + torch.eye(5) > 0).all()


def test_cid_multiplies_by_the_ratio_of_lengths():
    flat, steep = torch.zeros(1, 5, 1), torch.zeros(1, 5, 1)
    flat[0, :, 0] = torch.tensor([0.0, 1, 0, 1, 0])
    steep[0, :, 0] = torch.tensor([0.0, 3, 0, 3, 0])
    np.testing.assert_allclose(cid(flat, steep), 3 * euclidean(flat, steep), rtol=1e-6)
    np.testing.assert_allclose(cid(steep, flat), 3 * euclidean(flat, steep), rtol=1e-6)


def test_cor_sees_shape_alone_and_spans_zero_to_two():
    z = series(1, n_channels=1)
    others = torch.cat([5 * z + 3, -z, torch.full_like(z, 0.7)])
    np.testing.assert_allclose(cor(z, others), [[0, 2, 1]], atol=1e-9 + np.sqrt(EPSILON))
    assert cor(torch.full_like(z, 0.2), others[2:]).item() < 1e-9


def test_autocorrelation_of_an_alternating_series():
    """r_l of +1, -1, ... over T steps is (-1)^l (T - l) / T."""
    x = torch.tensor([1.0, -1] * 4, dtype=torch.float64)[None, :, None]
    expected = [(-1) ** lag * (8 - lag) / 8 for lag in range(1, 8)]
    np.testing.assert_allclose(autocorrelation(x)[0, :, 0], expected, rtol=1e-9)
