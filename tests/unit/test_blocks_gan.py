"""The game of two players, the gradient penalty, and the networks of GANs."""

from __future__ import annotations

import math
from itertools import islice, pairwise

import pytest
import torch
from torch import nn

from methods.blocks.gan import (
    Player,
    alternate,
    code_occupancy,
    collect,
    full_batches,
    gradient_penalty,
    nearest_generated,
    random_days,
)
from methods.blocks.gan_networks import (
    BatchNorm,
    dcgan_normal,
    field_features,
    field_generator,
    measure,
    table_features,
    table_generator,
)
from methods.blocks.initialisers import glorot_uniform, initialise
from methods.blocks.seeding import generator
from methods.blocks.training import TrainingDivergedError


def silent(name, done, total):
    """Report nothing."""


def critic(n_columns=3, hidden=(16, 16), seed=0):
    """Return a smooth critic in double precision."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        layers = [part for a, b in pairwise([n_columns, *hidden]) for part in (nn.Linear(a, b), nn.Softplus())]
        return nn.Sequential(*layers, nn.Linear(hidden[-1], 1)).double()


@pytest.mark.parametrize("per_sample", [False, True])
def test_gradient_penalty_is_that_of_finite_differences(per_sample):
    D, rng = critic(), generator(0, "data")
    real, fake = (torch.rand(5, 3, generator=rng, dtype=torch.float64) for _ in range(2))
    found = gradient_penalty(D, real, fake, generator(0, "epsilon"), per_sample)

    epsilon = torch.rand((5 if per_sample else 1, 1), generator=generator(0, "epsilon"))
    x, h = epsilon * real + (1 - epsilon) * fake, 1e-6
    with torch.no_grad():
        slopes = torch.cat([(D(x + h * e) - D(x - h * e)) / (2 * h) for e in torch.eye(3, dtype=x.dtype)], dim=1)
    torch.testing.assert_close(found, (slopes.square().sum(dim=1).sqrt() - 1).square().mean(), rtol=1e-7, atol=0)


def test_gradient_of_the_penalty_is_that_of_finite_differences():
    D, rng = critic(), generator(0, "data")
    real, fake = (torch.rand(5, 3, generator=rng, dtype=torch.float64) for _ in range(2))

    def penalty():
        return gradient_penalty(D, real, fake, generator(0, "epsilon"))

    weight = D[0].weight
    (found,) = torch.autograd.grad(penalty(), weight)
    h = 1e-6
    for at in [(0, 0), (7, 2), (15, 1)]:
        values = []
        for sign in (1, -1):
            with torch.no_grad():
                weight[at] += sign * h
            values.append(penalty().item())
            with torch.no_grad():
                weight[at] -= sign * h
        assert (values[0] - values[1]) / (2 * h) == pytest.approx(found[at].item(), rel=1e-5, abs=1e-9)


def test_penalty_of_fields_is_that_of_their_rows_and_a_flat_critic_has_gradients():
    D, rng = critic(12), generator(0, "data")
    real, fake = (torch.rand(4, 2, 3, 2, generator=rng, dtype=torch.float64) for _ in range(2))
    as_rows = gradient_penalty(D, real.flatten(1), fake.flatten(1), generator(0, "epsilon"), per_sample=True)
    as_fields = gradient_penalty(lambda x: D(x.flatten(1)), real, fake, generator(0, "epsilon"), per_sample=True)
    torch.testing.assert_close(as_rows, as_fields, rtol=0, atol=0)
    for weight in D.parameters():
        nn.init.zeros_(weight)
    penalty = gradient_penalty(D, real.flatten(1), fake.flatten(1), generator(0, "epsilon"))
    assert penalty.item() == 1
    assert all(torch.isfinite(part).all() for part in torch.autograd.grad(penalty, list(D.parameters())[:-1]))


@pytest.mark.parametrize("distance", [0.0, 2.0])
def test_critic_finds_the_distance_of_two_gaussians(distance):
    """Wasserstein-1 of N(0, I) and N(m, I) is |m|; a penalty of weight 10 allows a slope of 1 + |m| / 20, not 1."""
    draw, noise = generator(0, "days"), generator(0, "noise")
    D = nn.Sequential(*table_features(2, [32, 32], 0.2), nn.Linear(32, 1))
    initialise(D, glorot_uniform, generator(0, "weights"))

    def loss():
        real, fake = torch.randn(2, 128, 2, generator=draw)
        fake[:, 0] += distance
        return {
            "critic": D(real).mean() - D(fake).mean(),
            "penalty": 10 * gradient_penalty(D, real, fake, noise, per_sample=True),
        }

    player = Player(loss, torch.optim.Adam(D.parameters(), 1e-2, (0.5, 0.9)))
    history = alternate([player], 200, name="critic", progress=silent)
    assert -history["critic"][-1] == pytest.approx(distance * (1 + distance / 20), abs=0.1)


class Duel:
    """Two players with one number each, whose losses hold both numbers, and a log of the order of moves."""

    def __init__(self, steps=3):
        self.a, self.b, self.other = (nn.Parameter(torch.tensor(1.0)) for _ in range(3))
        self.log = []
        self.players = [
            Player(self.loss("a"), torch.optim.SGD([self.a], 0.1), steps),
            Player(self.loss("b"), torch.optim.SGD([self.b], 0.1)),
        ]

    def loss(self, name):
        def terms():
            self.log.append(name)
            return {f"{name}_1": self.a * self.b * self.other, f"{name}_2": 2 * getattr(self, name)}

        return terms


def test_players_move_in_turn_and_each_moves_its_own_parameters_alone():
    duel = Duel()
    history = alternate(duel.players, 2, name="duel", progress=silent, log_every=1)
    assert "".join(duel.log) == "aaabaaab"
    assert set(history) == {"a_1", "a_2", "b_1", "b_2"}
    duel = Duel(steps=1)
    duel.players[0].step()
    assert duel.a.item() == pytest.approx(1 - 0.1 * 3)
    assert (duel.b.item(), duel.other.item()) == (1, 1)
    assert (duel.a.grad.item(), duel.b.grad, duel.other.grad) == (3, None, None)
    duel.players[1].step()
    assert duel.b.item() == pytest.approx(1 - 0.1 * (0.7 + 2))
    assert duel.a.grad.item() == 3


def test_history_is_the_mean_over_all_steps_of_a_window():
    duel, shown = Duel(steps=2), []
    history = alternate(duel.players, 3, name="duel", progress=lambda *report: shown.append(report), log_every=2)
    assert shown == [("duel", 2, 3), ("duel", 3, 3)]
    values, twin = [], Duel(steps=2)
    for n, player in enumerate(3 * [twin.players[0], twin.players[0], twin.players[1]]):
        terms = player.step()
        if n % 3 < 2:
            values.append(terms["a_2"].item())
    assert history["a_2"] == pytest.approx([sum(values[:4]) / 4, sum(values[4:]) / 2])
    assert alternate(duel.players, 0, name="duel", progress=silent) == {}


def test_a_loss_that_is_no_number_ends_the_game():
    weight = nn.Parameter(torch.tensor(-1.0))
    player = Player(lambda: {"root": weight.sqrt()}, torch.optim.SGD([weight], 0.1))
    with pytest.raises(TrainingDivergedError, match=r"duel \(root\) became nan"):
        alternate([player], 1, name="duel", progress=silent)


def test_batches_are_full_and_never_empty():
    sizes = [[len(batch) for batch in islice(full_batches(n, 4, generator(0, "days")), 6)] for n in (3, 4, 5, 9)]
    assert sizes == [[3] * 6, [4] * 6, [4] * 6, [4] * 6]
    first_pass = torch.cat(list(islice(full_batches(9, 4, generator(0, "days")), 2)))
    assert len(set(first_pass.tolist())) == 8
    drawn = torch.cat(list(islice(random_days(5, 4, generator(0, "days")), 50)))
    assert (len(drawn), set(drawn.tolist())) == (200, set(range(5)))


def test_nearest_generated_is_about_one_for_new_days_and_large_for_one_mode():
    draw = generator(0, "days")
    days = torch.randn(300, 8, generator=draw)
    new = nearest_generated(days, lambda: torch.randn(64, 8, generator=draw))
    assert new["nearest_generated"] == pytest.approx(1, abs=0.1)
    copies = nearest_generated(days, lambda: days[:100])["nearest_generated"]
    assert copies > 0.5
    mode = nearest_generated(days, lambda: days.mean(dim=0).expand(10, 8))["nearest_generated"]
    distances = (days - days.mean(dim=0)).norm(dim=1).median()
    nearest = torch.cdist(days, days).fill_diagonal_(99).amin(dim=1).median()
    assert mode == pytest.approx((distances / nearest).item(), rel=1e-4)
    assert nearest_generated(torch.ones(5, 8), lambda: torch.ones(5, 8)) == {}
    assert nearest_generated(torch.ones(1, 8), lambda: torch.ones(5, 8)) == {}


def test_a_thousand_days_are_compared_at_most():
    calls = []

    def generate():
        calls.append(1)
        return torch.randn(100, 2)

    found = nearest_generated(torch.randn(2500, 2, generator=generator(0, "days")), generate)
    assert len(calls) == 10
    assert math.isfinite(found["nearest_generated"])


def test_collect_and_occupancy():
    assert collect(lambda: torch.ones(3, 2), 7).shape == (7, 2)
    assert code_occupancy(torch.tensor([2, 2, 0])) == 2


def norm(n):
    return BatchNorm(n, 1e-5, scale=True)


@pytest.mark.parametrize("grid", [(7, 10, 1), (41, 41, 2), (5, 4, 3), (1, 1, 1)])
def test_fields_of_any_grid_go_through_and_rows_keep_the_order_of_the_table(grid):
    cells = math.prod(grid)
    features = field_features(grid, [4, 6], 8, 0.2, norm)
    G = field_generator(5, grid, [4, 6], 8, norm, norm_of_maps=True)
    for network in (features, G):
        initialise(network, dcgan_normal, generator(0, "weights"))
    x = torch.rand(3, cells, generator=generator(0, "x"))
    assert features(x).shape == (3, 8)
    made = G(torch.randn(3, 5, generator=generator(0, "z")))
    assert made.shape == (3, cells)
    assert 0 < made.min() <= made.max() < 1
    torch.testing.assert_close(G[-1](features[0](x)), x, rtol=0, atol=0)
    maps = features[0](x)
    assert [size % 4 for size in maps.shape[2:]] == [0, 0]
    torch.testing.assert_close(maps[:, :, : grid[0], : grid[1]].permute(0, 2, 3, 1).reshape(3, cells), x)
    assert maps.sum() == pytest.approx(x.sum().item(), rel=1e-6)


def test_official_sizes():
    """At 28 x 28 x 1: layers as in both official codes."""
    grid = (28, 28, 1)
    features = field_features(grid, [64, 128], 1024, 0.2)
    shapes = [tuple(weight.shape) for weight in features.parameters() if weight.ndim > 1]
    assert shapes == [(64, 1, 4, 4), (128, 64, 4, 4), (1024, 128 * 7 * 7)]
    for norm_of_maps, units in [(True, 128), (False, 7 * 7 * 128)]:
        G = field_generator(40, grid, [64, 128], 1024, norm, norm_of_maps)
        shapes = [tuple(weight.shape) for weight in G.parameters() if weight.ndim > 1]
        assert shapes == [(1024, 40), (7 * 7 * 128, 1024), (128, 64, 4, 4), (64, 1, 4, 4)]
        assert [len(part.beta) for part in G if isinstance(part, BatchNorm)] == [1024, units, 64]
    features = field_features(grid, [64, 128], 1024, 0.01, norm)
    kinds = [type(part).__name__ for part in features[1:]]
    assert kinds == [
        "Conv2d",
        "LeakyReLU",
        "Conv2d",
        "BatchNorm",
        "LeakyReLU",
        "Flatten",
        "Linear",
        "BatchNorm",
        "LeakyReLU",
    ]


def test_table_networks():
    G = table_generator(5, [8, 9], 12, 0.2)
    assert [tuple(part.weight.shape) for part in G if isinstance(part, nn.Linear)] == [(8, 5), (9, 8), (12, 9)]
    assert isinstance(G[-1], nn.Linear)


@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_is_torchs(training):
    own, theirs = BatchNorm(4, 1e-3, scale=True), nn.BatchNorm2d(4, eps=1e-3, momentum=0.1)
    initialise(nn.Sequential(own), dcgan_normal, generator(0, "weights"))
    theirs.weight.data.copy_(own.gamma.data)
    own.train(training), theirs.train(training)
    x = 3 + torch.rand(6, 4, 3, 2, generator=generator(0, "x"))
    torch.testing.assert_close(own(x), theirs(x), rtol=0, atol=0)
    torch.testing.assert_close(own.variance, theirs.running_var, rtol=0, atol=0)
    assert own.gamma.std() > 0
    plain = BatchNorm(4, 1e-3, scale=False)
    assert [name for name, _ in plain.named_parameters()] == ["beta"]
    assert plain(x).mean().item() == pytest.approx(0, abs=1e-5)


def test_measured_statistics_are_those_of_one_batch_of_all_days():
    grid = (6, 7, 2)
    network = nn.Sequential(field_features(grid, [4, 6], 8, 0.01, norm), nn.Linear(8, 5), norm(5), nn.ReLU())
    initialise(network, dcgan_normal, generator(0, "weights"))
    x = torch.rand(23, math.prod(grid), generator=generator(0, "x"))
    with torch.no_grad():
        expected = network.train()(x)
        measure(network, x.split(5))
        assert not network.training
        found = torch.cat([network(part) for part in x.split(4)])
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
