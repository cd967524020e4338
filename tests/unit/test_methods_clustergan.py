"""ClusterGAN on tiny cubes."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from method_cubes import fit, make_cube, padded, planted, plugin
from sklearn.exceptions import ConvergenceWarning

from methods.blocks.kmeans import kmeans
from regimebench import registry


@pytest.fixture(scope="module")
def days():
    return planted(n_days=30, noise=0.5)[0]


def game(address="clustergan", grid=(4, 5, 2), n_clusters=3, **values):
    """Return the two players of a variant on random days, and their networks by name."""
    method = plugin(address, n_clusters=n_clusters, **values)
    x = torch.rand(20, grid[0] * grid[1] * grid[2], generator=torch.Generator().manual_seed(0))
    make = sys.modules[type(method).__module__].Game
    return make(*method._networks(grid), x, n_clusters, 0, SimpleNamespace(**method.params))


def weights(*networks):
    return [weight.detach().clone() for network in networks for weight in network.parameters()]


def same(before, after):
    return [torch.equal(a, b) for a, b in zip(before, after, strict=True)]


@pytest.mark.parametrize("address", ["clustergan", "clustergan/conv"])
def test_gradients_reach_the_player_that_moves_and_all_of_it(address):
    made = game(address)
    networks = {"G": made.G, "E": made.E, "D": made.D}
    for loss, moving in [(made.critic_loss, "D"), (made.generator_loss, "GE")]:
        own = [weight for name in moving for weight in networks[name].parameters()]
        reached = torch.autograd.grad(sum(loss().values()), own)
        # A bias before batch normalisation is subtracted again, and that of the critic's last layer scores all alike.
        assert sum(bool(part.abs().max() > 1e-7) for part in reached) >= 0.6 * len(own)
    others = list(made.G.parameters()) + list(made.E.parameters())
    unused = torch.autograd.grad(sum(made.critic_loss().values()), others, allow_unused=True)
    assert all(part is None for part in unused)


@pytest.mark.parametrize("address", ["clustergan", "clustergan/conv"])
def test_players_move_their_own_networks(address, days):
    """With 0 critic steps D stays, and the fit moves G and E only; the initial weights follow from the seed."""
    made, method = game(address), sys.modules[type(plugin(address)).__module__]
    before = weights(made.G, made.E), weights(made.D)
    player = method.Player(made.critic_loss, torch.optim.Adam(made.D.parameters(), 0.1))
    player.step()
    assert all(same(before[0], weights(made.G, made.E)))
    assert not all(same(before[1], weights(made.D)))
    critic = weights(made.D)
    method.Player(made.generator_loss, torch.optim.Adam([*made.G.parameters(), *made.E.parameters()], 0.1)).step()
    assert all(same(critic, weights(made.D)))
    moved = [not kept for kept in same(before[0], weights(made.G, made.E))]
    assert sum(moved) >= 0.9 * len(moved)


def test_losses_are_those_of_the_official_code():
    made, twin = game(critic_steps=1), game(critic_steps=1)
    terms = made.critic_loss()
    real = twin.x[next(twin.days)]
    fake = twin.G(twin.latent()[0])
    assert terms["critic"].item() == pytest.approx((twin.D(real).mean() - twin.D(fake).mean()).item(), abs=1e-7)
    between = torch.rand(1, 1, generator=twin.noise) * (real - fake) + fake
    gradient = torch.autograd.grad(twin.D(between).sum(), between)[0]
    expected = 10 * ((gradient.square().sum(dim=1).sqrt() - 1) ** 2).mean()
    assert terms["gradient_penalty"].item() == pytest.approx(expected.item(), rel=1e-5)

    terms = made.generator_loss()
    z, z_n, category = twin.latent()
    codes = twin.E(twin.G(z))
    assert terms["generator"].item() == pytest.approx(twin.D(twin.G(z)).mean().item(), abs=1e-7)
    assert terms["noise_code"].item() == pytest.approx(10 * (codes[:, :4] - z_n).square().mean().item(), rel=1e-5)
    right = codes[:, 4:].log_softmax(dim=1)[torch.arange(len(z)), category]
    assert terms["category_code"].item() == pytest.approx(-10 * right.mean().item(), rel=1e-5)


def test_latent_is_narrow_noise_and_a_uniform_category():
    z, z_n, category = game(batch_size=6000, sigma=0.1).latent()
    assert torch.equal(z[:, :4], z_n)
    assert z_n.std().item() == pytest.approx(0.1, rel=0.02)
    assert torch.equal(z[:, 4:].argmax(dim=1), category)
    assert torch.equal(z[:, 4:].sum(dim=1), torch.ones(6000))
    assert category.bincount(minlength=3).min() > 1800


def test_networks_have_the_official_sizes():
    """720 genes, 8 classes: three networks of 256-256."""
    p = registry.method("clustergan").parameters
    sizes = {name: p[name] for name in ("hidden", "noise", "filters")}
    made = game(grid=(8, 9, 10), n_clusters=8, **sizes)
    shapes = [[tuple(w.shape) for w in network.parameters() if w.ndim > 1] for network in (made.G, made.E, made.D)]
    assert shapes == [
        [(256, 38), (256, 256), (720, 256)],
        [(256, 720), (256, 256), (38, 256)],
        [(256, 720), (256, 256), (1, 256)],
    ]
    for layer in (made.G[0], made.E[0], made.D[-1]):
        assert layer.weight.std().item() == pytest.approx(0.02, rel=0.15)
        assert not layer.bias.any()
    bound = (6 / (256 + 38)) ** 0.5  # Xavier
    assert 0.95 * bound < made.E[-1].weight.abs().max().item() <= bound


def test_labels_are_kmeans_on_the_codes_or_their_likeliest_category(days):
    found, other = fit("clustergan", days), fit("clustergan/argmax", days)
    labels, _ = kmeans(torch.tensor(found.embedding), 7, 0, n_init=2)
    np.testing.assert_array_equal(found.labels, labels)
    assert found.embedding.shape == (30, 4 + 7)
    np.testing.assert_allclose(found.embedding[:, 4:].sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(found.other_labels["argmax"], found.embedding[:, 4:].argmax(axis=1))
    np.testing.assert_array_equal(other.labels, found.other_labels["argmax"])
    np.testing.assert_array_equal(other.other_labels["kmeans"], found.labels)
    assert found.diagnostics["code_occupancy"] == len(set(other.labels))
    free = fit("clustergan", days, beta_n=0.0)
    assert free.embedding.shape == (30, 7)
    assert max(free.history["noise_code"]) == 0


def test_training_brings_generated_days_near_the_days_with_codes_that_are_found_again():
    cube, _ = planted(n_days=60, n_clusters=3, noise=0.2)
    before = fit("clustergan/untrained", cube, n_clusters=3)
    found = fit("clustergan", cube, n_clusters=3, learning_rate=1e-3, steps=300, critic_steps=3, batch_size=32)
    assert before.diagnostics["nearest_generated"] > 3
    assert found.diagnostics["nearest_generated"] < 0.6 * before.diagnostics["nearest_generated"]
    assert found.history["category_code"][-1] < 0.2 * found.history["category_code"][0]


def test_critic_gap_is_that_of_scores(days):
    """A critic that learns alone scores generated days above the days."""
    made = game()
    player = sys.modules[type(plugin("clustergan")).__module__].Player
    side = player(made.critic_loss, torch.optim.Adam(made.D.parameters(), 1e-2))
    assert abs(made.critic_gap()) < 0.05
    for _ in range(30):
        terms = side.step()
    assert made.critic_gap() == pytest.approx(-terms["critic"].item(), rel=0.2)
    assert made.critic_gap() > 0.5


def test_untrained_is_where_the_default_starts(days):
    start, untrained = fit("clustergan", days, steps=0), fit("clustergan/untrained", days)
    np.testing.assert_array_equal(start.labels, untrained.labels)
    np.testing.assert_array_equal(start.embedding, untrained.embedding)
    assert (untrained.epochs, untrained.stop_reason, list(untrained.history)) == (0, "not trained", ["embedding_norm"])


def test_what_the_record_says(days):
    found = fit("clustergan", days, steps=60, critic_steps=2, batch_size=16)
    losses = {"critic", "gradient_penalty", "generator", "noise_code", "category_code"}
    assert set(found.history) == losses | {"embedding_norm"}
    assert {len(found.history[name]) for name in losses} == {2}
    assert found.history["embedding_norm"][-1] == pytest.approx(np.linalg.norm(found.embedding), rel=1e-5)
    assert found.epochs == round(60 * 2 * 16 / 30)
    assert set(found.diagnostics) == {"critic_gap", "code_occupancy", "nearest_generated"}
    columns, wide = 12 * 12 * 3, 32 * 32 + 32
    expected = (
        (11 + 1) * 32 + wide + 33 * columns + (columns + 1) * 32 + wide + 33 * 11 + (columns + 1) * 32 + wide + 33
    )
    assert found.n_parameters == expected


@pytest.mark.parametrize("address", ["clustergan", "clustergan/conv"])
@pytest.mark.parametrize("grid", [(7, 10, 1), (1, 1, 2), (41, 41, 1)])
def test_any_grid_and_more_clusters_than_days_find(address, grid):
    cube = make_cube(np.random.default_rng(0).random((12, *grid)))
    found = fit(address, cube, n_clusters=12, steps=2)
    assert found.embedding.shape == (12, 16)


def test_days_that_are_all_zero_have_one_code(days):
    blank = replace(days, values=np.zeros_like(days.values))
    with pytest.warns(ConvergenceWarning, match=r"distinct clusters \(1\)"):
        found = fit("clustergan", blank)
    assert set(found.labels) == {0}
    assert found.diagnostics["code_occupancy"] == 1
    assert "nearest_generated" not in found.diagnostics


def test_padding_is_not_seen(days):
    wide = padded(days, 4, 8)
    for address in ("clustergan", "clustergan/conv"):
        np.testing.assert_array_equal(fit(address, days).embedding, fit(address, wide).embedding)
