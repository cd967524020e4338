"""InfoGAN on tiny cubes."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from method_cubes import fit, make_cube, planted, plugin
from sklearn.exceptions import ConvergenceWarning
from torch import nn
from torch.nn.functional import binary_cross_entropy

from methods.blocks.kmeans import kmeans
from regimebench import registry

NETWORKS = ["infogan", "infogan/conv"]


@pytest.fixture(scope="module")
def days():
    return planted(n_days=30, noise=0.5)[0]


def game(address="infogan", grid=(4, 5, 2), n_clusters=3, **values):
    """Return the two players of a variant on random days, and their networks."""
    method = plugin(address, n_clusters=n_clusters, **values)
    x = torch.rand(20, grid[0] * grid[1] * grid[2], generator=torch.Generator().manual_seed(0))
    make = sys.modules[type(method).__module__].Game
    return make(*method._networks(grid), x, n_clusters, 0, SimpleNamespace(**method.params))


def total(terms):
    return sum(terms.values())


@pytest.mark.parametrize("address", NETWORKS)
def test_codes_are_learned_in_the_step_of_the_discriminator_alone(address, days):
    """With no rate for a player its networks stay as they start, whatever the other does."""
    still = fit(address, days, lr_d=0.0)
    start = fit(address, days, steps=0)
    np.testing.assert_array_equal(still.embedding, start.embedding)
    assert not np.array_equal(fit(address, days, lr_g=0.0).embedding, start.embedding)
    made = game(address)
    theirs = [*made.T.parameters(), *made.D.parameters(), *made.Q.parameters()]
    reached = torch.autograd.grad(total(made.discriminator_loss()), theirs)
    # A bias before batch normalisation is subtracted again.
    assert sum(bool(part.abs().max() > 1e-7) for part in reached) >= 0.6 * len(theirs)
    unused = torch.autograd.grad(total(made.discriminator_loss()), list(made.G.parameters()), allow_unused=True)
    assert all(part is None for part in unused)
    information = [part for name, part in made.generator_loss().items() if "code" in name]
    last = list(made.G.parameters())[-2]
    assert torch.autograd.grad(sum(information), last)[0].abs().max() > 0


def test_losses_are_those_of_the_official_code():
    made, twin = game(), game()
    terms = made.discriminator_loss()
    z, category, continuous = twin.latent()
    fake, real = twin.T(twin.G(z)), twin.T(twin.x[next(twin.days)])
    ones = torch.ones(len(z), 1)
    expected = binary_cross_entropy(twin.D(real).sigmoid(), ones)
    expected = expected + binary_cross_entropy(twin.D(fake).sigmoid(), 0 * ones)
    assert terms["discriminator"].item() == pytest.approx(expected.item(), rel=1e-5)
    codes = twin.Q(fake)
    right = codes[:, :3].log_softmax(dim=1)[torch.arange(len(z)), category]
    assert terms["category_code_discriminator"].item() == pytest.approx(-right.mean().item(), rel=1e-5)
    gaussian = torch.distributions.Normal(codes[:, 3:], 1.0).log_prob(continuous).sum(dim=1)
    constant = math.log(2 * math.pi)  # of two codes
    expected = -gaussian.mean().item() - constant
    assert terms["continuous_code_discriminator"].item() == pytest.approx(expected, rel=1e-4)

    terms = made.generator_loss()
    z, *_ = twin.latent()
    expected = binary_cross_entropy(twin.D(twin.T(twin.G(z))).sigmoid(), ones)
    assert terms["generator"].item() == pytest.approx(expected.item(), rel=1e-5)
    assert set(terms) == {"generator", "category_code_generator", "continuous_code_generator"}


def test_latent_is_uniform_noise_a_category_and_continuous_codes():
    made = game(batch_size=20)
    draws = [made.latent() for _ in range(200)]
    z, category, continuous = (torch.cat(parts) for parts in zip(*draws, strict=True))
    assert z.shape == (4000, 8 + 3 + 2)
    assert torch.equal(z[:, 8:11].argmax(dim=1), category)
    assert torch.equal(z[:, 8:11].sum(dim=1), torch.ones(4000))
    assert torch.equal(z[:, 11:], continuous)
    uniform = torch.cat([z[:, :8], continuous], dim=1)
    assert -1 <= uniform.min() < -0.99
    assert 0.99 < uniform.max() <= 1
    assert uniform.var().item() == pytest.approx(1 / 3, rel=0.05)
    assert category.bincount(minlength=3).min() > 1200
    assert set(game(continuous=0).discriminator_loss()) == {"discriminator", "category_code_discriminator"}


def test_networks_have_the_official_sizes():
    """28 x 28 x 1, 10 categories and 2 codes; of each continuous code's two outputs only the mean is made."""
    p = registry.method("infogan/published_code").parameters
    method = plugin("infogan/published_code", n_clusters=10, **{name: p[name] for name in p if name != "steps"})
    networks = method._networks((28, 28, 1))
    shapes = [[tuple(w.shape) for w in network.parameters() if w.ndim > 1] for network in networks]
    assert shapes == [
        [(1024, 74), (7 * 7 * 128, 1024), (128, 64, 4, 4), (64, 1, 4, 4)],
        [(64, 1, 4, 4), (128, 64, 4, 4), (1024, 7 * 7 * 128)],
        [(1, 1024)],
        [(128, 1024), (12, 128)],
    ]
    kinds = [type(part).__name__ for part in networks[3]]
    assert kinds == ["Linear", "BatchNorm", "LeakyReLU", "Linear"]
    assert {part.negative_slope for part in networks[1] if isinstance(part, nn.LeakyReLU)} == {0.01}


def test_labels_are_the_likeliest_categories_and_kmeans_stands_beside_them(days):
    found = fit("infogan", days)
    labels, _ = kmeans(torch.tensor(found.embedding), 7, 0, n_init=2)
    np.testing.assert_array_equal(found.other_labels["kmeans"], labels)
    assert found.embedding.shape == (30, 16)
    assert found.diagnostics["code_occupancy"] == len(set(found.labels))
    assert set(found.other_labels) == {"kmeans"}
    assert set(fit("infogan/conv", days).other_labels) == {"kmeans", "running_averages"}


def test_days_are_read_with_the_statistics_of_all_days_together():
    made = game("infogan/conv")
    for _ in range(3):
        made.discriminator_loss()  # running averages of batches of days and of generated days
    averaged, _ = made.read_days(measured=False)
    features, category = made.read_days()
    with torch.no_grad():
        expected = made.Q[:-1](made.T(made.x))  # training mode: one batch of all days
    torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(category, made.Q[-1](features)[:, :3].argmax(dim=1))
    assert not torch.allclose(averaged, expected, rtol=1e-2)


def test_training_makes_codes_that_are_found_again_and_the_bound_is_ln_k():
    cube, _ = planted(n_days=60, n_clusters=3, noise=0.2)
    found = fit("infogan", cube, n_clusters=3, steps=150, lr_d=5e-3, lr_g=5e-3, information=10.0)
    without = fit("infogan", cube, n_clusters=3, steps=50, lr_d=5e-3, lr_g=5e-3, information=0.0)
    assert 0.8 * math.log(3) < found.diagnostics["mutual_information"] <= math.log(3)
    assert without.diagnostics["mutual_information"] < 0.1
    assert fit("infogan/untrained", cube, n_clusters=3).diagnostics["mutual_information"] < 0.01


def test_what_the_record_says(days):
    found, untrained = fit("infogan", days, steps=60), fit("infogan/untrained", days)
    codes = {
        f"{code}_code_{player}" for code in ("category", "continuous") for player in ("discriminator", "generator")
    }
    losses = codes | {"discriminator", "generator"}
    assert set(found.history) == losses | {"embedding_norm"}
    assert {len(found.history[name]) for name in losses} == {2}
    assert found.history["embedding_norm"][-1] == pytest.approx(np.linalg.norm(found.embedding), rel=1e-5)
    assert set(found.diagnostics) == {"critic_gap", "code_occupancy", "nearest_generated", "mutual_information"}
    assert abs(found.diagnostics["critic_gap"]) <= 1
    assert found.epochs == 60  # a batch of 32 is all 30 days
    columns = 12 * 12 * 3
    generator = (8 + 7 + 2 + 1) * 32 + 33 * 32 + 33 * columns
    trunk, heads = (columns + 1) * 32 + 33 * 32, 33 + 33 * 16 + 17 * 9
    assert found.n_parameters == generator + trunk + heads
    assert (untrained.epochs, untrained.stop_reason, list(untrained.history)) == (0, "not trained", ["embedding_norm"])
    np.testing.assert_array_equal(fit("infogan", days, steps=0).embedding, untrained.embedding)


@pytest.mark.parametrize("address", NETWORKS)
@pytest.mark.parametrize("grid", [(7, 10, 1), (1, 1, 2), (41, 41, 1)])
def test_any_grid_and_any_batch(address, grid):
    cube = make_cube(np.random.default_rng(0).random((13, *grid)))
    for batch_size in (4, 12):
        assert fit(address, cube, n_clusters=13, steps=4, batch_size=batch_size).embedding.shape == (13, 16)


@pytest.mark.parametrize("address", NETWORKS)
def test_days_that_are_all_zero_have_one_category(address, days):
    blank = replace(days, values=np.zeros_like(days.values))
    with pytest.warns(ConvergenceWarning, match=r"distinct clusters \(1\)"):
        found = fit(address, blank)
    assert len(set(found.labels)) == 1
    assert found.diagnostics["code_occupancy"] == 1
