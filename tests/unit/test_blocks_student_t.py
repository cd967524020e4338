"""The Student-t head against the formulas of the DEC paper, in numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from methods.blocks.student_t import ClusterHead, kl_loss, soft_assignment, squared_euclidean, target_distribution


def q_reference(z: np.ndarray, centres: np.ndarray) -> np.ndarray:
    q = np.zeros((len(z), len(centres)))
    for i, code in enumerate(z):
        for j, centre in enumerate(centres):
            q[i, j] = (1 + np.sum((code - centre) ** 2)) ** -1.0
    return q / q.sum(axis=1, keepdims=True)


def p_reference(q: np.ndarray) -> np.ndarray:
    weight = q**2 / q.sum(axis=0)
    return weight / weight.sum(axis=1, keepdims=True)


@pytest.fixture
def codes() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    return rng.normal(size=(40, 10)), rng.normal(size=(7, 10))


def test_soft_assignment_and_target_equal_the_numpy_reference(codes):
    z, centres = codes
    q = soft_assignment(squared_euclidean(torch.as_tensor(z), torch.as_tensor(centres)))
    np.testing.assert_allclose(q, q_reference(z, centres), rtol=1e-12)
    np.testing.assert_allclose(target_distribution(q), p_reference(q_reference(z, centres)), rtol=1e-12)


def test_rows_sum_to_one_even_far_from_all_centres():
    z = torch.tensor([[0.0], [1e6], [1e15]], dtype=torch.float32)
    q = soft_assignment(squared_euclidean(z, torch.tensor([[0.0], [1.0], [2.0]])))
    p = target_distribution(q)
    assert torch.isfinite(p).all()
    torch.testing.assert_close(q.sum(dim=1), torch.ones(3))
    torch.testing.assert_close(p.sum(dim=1), torch.ones(3))


def test_target_survives_a_cluster_without_mass():
    p = target_distribution(torch.tensor([[1.0, 0.0], [1.0, 0.0]]))
    torch.testing.assert_close(p, torch.tensor([[1.0, 0.0], [1.0, 0.0]]))


def test_target_sharpens_and_uses_the_size_of_a_cluster_over_all_days():
    q = torch.tensor([[0.6, 0.4], [0.9, 0.1], [0.9, 0.1]])
    p = target_distribution(q)
    assert p[1, 0] > q[1, 0]
    assert p[0, 1] > q[0, 1], "the small cluster must gain from its small frequency"


def test_loss_is_summed_over_clusters_and_averaged_over_days(codes):
    z, centres = codes
    q = q_reference(z, centres)
    p = p_reference(q)
    expected = np.sum(p * np.log(p / q)) / len(z)
    assert kl_loss(torch.as_tensor(p), torch.as_tensor(q)).item() == pytest.approx(expected, rel=1e-12)
    assert torch.isfinite(kl_loss(torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 0.0]])))


def test_gradients_equal_the_closed_form_of_the_paper(codes):
    """DEC paper, Eq. 4 and 5 with alpha = 1, over the number of days because the loss is a mean."""
    z, centres = codes
    q = q_reference(z, centres)
    p = p_reference(q)
    difference = z[:, None] - centres
    pull = 2 * (p - q) / (1 + np.sum(difference**2, axis=2))
    to_z = np.einsum("ij,ijd->id", pull, difference) / len(z)
    to_centres = -np.einsum("ij,ijd->jd", pull, difference) / len(z)

    code = torch.tensor(z, requires_grad=True)
    head = ClusterHead(torch.as_tensor(centres))
    kl_loss(torch.as_tensor(p), head(code)).backward()
    np.testing.assert_allclose(code.grad, to_z, atol=1e-14)
    np.testing.assert_allclose(head.centres.grad, to_centres, atol=1e-14)


def test_autograd_agrees_with_finite_differences(codes):
    z, centres = (torch.tensor(part[:5], requires_grad=True) for part in codes)
    p = target_distribution(soft_assignment(squared_euclidean(z, centres))).detach()
    assert torch.autograd.gradcheck(lambda a, b: kl_loss(p, soft_assignment(squared_euclidean(a, b))), (z, centres))


def test_head_works_in_the_precision_of_the_codes_and_keeps_its_own_copy():
    start = torch.zeros(2, 3)
    head = ClusterHead(start)
    start += 1
    assert head.centres.sum() == 0
    assert head(torch.ones(4, 3, dtype=torch.float64)).dtype == torch.float64


def test_one_sgd_step_equals_numpy(codes):
    """A whole training step of DEC on centres and a linear encoder, written out."""
    x, centres = codes
    rng = np.random.default_rng(2)
    weight = rng.normal(size=(10, 10)) / 3
    z = x @ weight.T
    q = q_reference(z, centres)
    p = p_reference(q)
    difference = z[:, None] - centres
    pull = 2 * (p - q) / (1 + np.sum(difference**2, axis=2)) / len(x)
    new_weight = weight - 0.5 * np.einsum("ij,ijd->id", pull, difference).T @ x
    new_centres = centres + 0.5 * np.einsum("ij,ijd->jd", pull, difference)

    encoder = torch.nn.Linear(10, 10, bias=False, dtype=torch.float64)
    encoder.weight.data = torch.tensor(weight)
    head = ClusterHead(torch.as_tensor(centres))
    optimiser = torch.optim.SGD([*encoder.parameters(), *head.parameters()], lr=0.5, momentum=0.9)
    kl_loss(torch.as_tensor(p), head(encoder(torch.as_tensor(x)))).backward()
    optimiser.step()
    np.testing.assert_allclose(encoder.weight.detach(), new_weight, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(head.centres.detach(), new_centres, rtol=1e-10, atol=1e-14)
