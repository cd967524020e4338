"""The parts of A-DATSC against what its equations say."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from method_cubes import make_cube
from torch import nn

from methods.a_datsc.adversary import SubspaceJudge
from methods.a_datsc.bottleneck import DayBottleneck, SequenceBottleneck
from methods.a_datsc.clustering import annealed, balance, ramped, redundancy, tempered
from methods.a_datsc.generator import forget
from methods.a_datsc.graph_attention import BiTGAT, Embedding, TemporalTransformer, sinusoids
from methods.a_datsc.self_expression import coefficients, compared, expressed, expression_loss
from methods.a_datsc.sequences import Sequences
from methods.a_datsc.unet import ChannelNorm, Decoder, Encoder, Patches, ResTempBlock
from methods.blocks.initialisers import glorot_uniform, initialise
from methods.blocks.subspaces import residual_energy


@pytest.fixture
def noise():
    return torch.Generator().manual_seed(0)


def made(module: nn.Module) -> nn.Module:
    initialise(nn.ModuleList([module]), glorot_uniform, torch.Generator().manual_seed(1))
    return module.double()


def normal(*shape) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


# Eq. 1: the encoder, its levels, and the way back


def test_levels_halve_in_space_and_keep_all_frames():
    levels = made(Encoder(3, [2, 4, 5, 6]))(normal(2, 7, 3, 16, 24))
    assert [tuple(level.shape) for level in levels] == [
        (2, 7, 2, 16, 24), (2, 7, 4, 8, 12), (2, 7, 5, 4, 6), (2, 7, 6, 2, 3),
    ]  # fmt: skip


def test_a_frame_does_not_see_later_frames_in_the_encoder():
    encoder, x = made(Encoder(1, [2, 2, 2, 2])), normal(1, 5, 1, 8, 8)
    changed = x.clone()
    changed[:, 3] += 1
    before, after = encoder(x)[-1], encoder(changed)[-1]
    torch.testing.assert_close(before[:, :3], after[:, :3])
    assert not torch.allclose(before[:, 4], after[:, 4])


def test_a_block_adds_its_layers_to_a_linear_path():
    block, x = made(ResTempBlock(2, 3)), normal(2, 4, 2, 6, 6)
    way = block.projection(x.flatten(0, 1)).unflatten(0, (2, 4))
    torch.testing.assert_close(block(x) - way, block.second(block.norm(block.first(x))))
    assert (block(x) < 0).any()


def test_forget_gates_start_where_asked():
    block = made(ResTempBlock(2, 3))
    forget(block, -1.5)
    for layer in (block.first, block.second):
        assert layer.bias.tolist() == [0] * 3 + [-1.5] * 3 + [0] * 6


def test_channels_of_a_cell_have_mean_zero_and_variance_one():
    found = made(ChannelNorm(6))(10 * normal(2, 3, 6, 4, 5) + 3)
    np.testing.assert_allclose(found.mean(dim=2).detach(), 0, atol=1e-9)
    np.testing.assert_allclose(found.var(dim=2, unbiased=False).detach(), 1, atol=0.01)


def test_patches_are_tiles_row_by_row():
    patches = made(Patches(2, (2, 2)))
    H = normal(1, 3, 2, 4, 6)
    nodes = patches(H)
    assert nodes.shape == (1, 3, 6, 2)
    tile = H[0, 1, :, 2:4, 4:6]  # second row, third column
    by_hand = torch.einsum("oiyx,iyx->o", patches.tile.weight, tile)
    torch.testing.assert_close(nodes[0, 1, 5], by_hand)


@pytest.mark.parametrize("kind", [DayBottleneck, SequenceBottleneck])
def test_nodes_of_the_bottleneck_are_tiles_row_by_row(kind):
    bottleneck = made(kind(4, 2, (2, 3), (2, 2)))
    nodes, vectors = normal(1, 3, 6, 2), normal(1, 3, 4)
    maps = bottleneck(nodes, vectors)
    assert maps.shape == (1, 3, 2, 4, 6)
    other = nodes.clone()
    other[:, 1, 5] += 1  # second row, third column
    changed = (bottleneck(other, vectors) != maps).nonzero()
    if kind is DayBottleneck:
        assert len(changed) == 0
    else:
        assert {tuple(place) for place in changed[:, [1, 3, 4]].tolist()} == {(1, y, x) for y in (2, 3) for x in (4, 5)}


@pytest.mark.parametrize(("kind", "days"), [(DayBottleneck, {1}), (SequenceBottleneck, {0, 1, 2})])
def test_a_vector_draws_its_own_day_or_its_mean_draws_all(kind, days):
    bottleneck = made(kind(4, 2, (2, 3), (2, 2)))
    nodes, vectors = normal(1, 3, 6, 2), normal(1, 3, 4)
    other = vectors.clone()
    other[:, 1] += 1
    changed = (bottleneck(nodes, other) != bottleneck(nodes, vectors)).nonzero()
    assert set(changed[:, 1].tolist()) == days


@pytest.mark.parametrize("skips", [True, False])
def test_decoder_gives_frames_in_0_1_and_uses_skips_only_where_asked(skips):
    levels = [normal(1, 3, n, 16 // 2**i, 16 // 2**i) for i, n in enumerate([2, 3, 4, 5])]
    decoder = made(Decoder([2, 3, 4, 5], 6, skips))
    top = normal(1, 3, 5, 2, 2)
    frames = decoder(top, levels)
    assert frames.shape == (1, 3, 6, 16, 16)
    assert frames.min() > 0
    assert frames.max() < 1
    levels[0] = levels[0] + 1
    assert torch.equal(frames, decoder(top, levels)) != skips
    assert not torch.equal(frames, decoder(top + 1, levels))


# Eq. 2 and 3: attention


def test_messages_follow_the_equations():
    """One head, one node of one frame, written out."""
    layer, h = made(BiTGAT(4, 1, itself=False)), normal(1, 3, 5, 4)
    t, i, F = 1, 2, 4
    W_q, W_kv = layer.W_q.weight.detach(), layer.W_kv.weight.detach()
    messages = []
    for direction, other in ((0, t + 1), (1, t - 1)):
        query = W_q[direction * F : (direction + 1) * F] @ h[0, t, i]
        keys = h[0, other] @ W_kv[direction * F : (direction + 1) * F].T
        values = h[0, other] @ W_kv[(2 + direction) * F : (3 + direction) * F].T
        alpha = (keys @ query / 2).exp()
        messages.append((alpha / alpha.sum()) @ values)
    mixed = layer.W_o.weight @ torch.cat(messages)
    expected = (mixed - mixed.mean()) / (mixed.var(unbiased=False) + 1e-3).sqrt()
    torch.testing.assert_close(layer(h)[0, t, i], expected)


def test_attention_is_a_distribution_over_the_nodes_of_the_other_frame():
    layer, h = made(BiTGAT(6, 3, itself=False)), normal(2, 4, 5, 6)
    for alpha in layer.attention(h):
        assert alpha.shape == (2, 3, 3, 5, 5)
        torch.testing.assert_close(alpha.sum(dim=-1), torch.ones(2, 3, 3, 5, dtype=torch.float64))


@pytest.mark.parametrize(("changed", "seen_by"), [(0, {0, 1}), (2, {1, 2, 3}), (4, {3, 4})])
def test_frames_are_heard_by_their_neighbours_alone(changed, seen_by):
    layer, h = made(BiTGAT(4, 2, itself=False)), normal(1, 5, 3, 4)
    other = h.clone()
    other[:, changed] += normal(3, 4)
    moved = (layer(h) - layer(other)).abs().amax(dim=(0, 2, 3)) > 1e-12
    assert set(moved.nonzero()[:, 0].tolist()) == seen_by


def test_nothing_comes_from_outside_the_window():
    layer = made(BiTGAT(4, 2, itself=False))
    first = layer(normal(1, 2, 3, 4))
    one = layer(normal(1, 1, 3, 4))
    np.testing.assert_allclose(one.detach(), 0, atol=1e-9)  # no message from either side, and the bias starts at 0
    assert first.abs().sum() > 0


def test_with_itself_a_frame_alone_keeps_its_features():
    layer, h = made(BiTGAT(4, 2, itself=True)), normal(1, 1, 3, 4)
    torch.testing.assert_close(layer(h), layer.norm(h))


@pytest.mark.parametrize("pooling", ["linear", "mean"])
def test_only_the_linear_pooling_knows_which_node_is_which(pooling):
    embedding, h = made(Embedding(3, 4, 6, pooling)), normal(2, 5, 3, 4)
    z, mixed = embedding(h), embedding(h.flip(2))
    assert z.shape == (2, 5, 6)
    np.testing.assert_allclose(z.mean(dim=2).detach(), 0, atol=1e-9)
    assert torch.allclose(z, mixed) == (pooling == "mean")
    one = embedding.linear.weight @ (h.flatten(2) if pooling == "linear" else h.mean(dim=2))[1, 2]
    torch.testing.assert_close(z[1, 2], (one - one.mean()) / (one.var(unbiased=False) + 1e-3).sqrt())


def test_transformer_sees_all_frames_and_knows_their_order():
    layer, h = made(TemporalTransformer(4, 2)).eval(), normal(1, 6, 2, 4)
    other = h.clone()
    other[:, 5] += 1
    assert ((layer(h) - layer(other)).abs().amax(dim=(0, 2, 3)) > 1e-9).all()
    assert not torch.allclose(layer(h.flip(1)).flip(1), layer(h))
    assert sinusoids(4, 3, h).shape == (4, 3)


# Eq. 4 and 6: temperature, balance, redundancy and the schedules


def test_temperature_sharpens_and_softens():
    q = torch.tensor([[0.5, 0.3, 0.2]], dtype=torch.float64)
    torch.testing.assert_close(tempered(q, 1.0), q)
    torch.testing.assert_close(tempered(q, 0.5), q.square() / q.square().sum())
    np.testing.assert_allclose(tempered(q, 1e-3), [[1, 0, 0]], atol=1e-12)
    np.testing.assert_allclose(tempered(q, 1e6), [[1 / 3] * 3], atol=1e-6)


def test_balance_is_zero_for_equal_shares_and_log_k_for_one_cluster():
    equal, one = torch.eye(4, dtype=torch.float64), torch.eye(4, dtype=torch.float64)[[0, 0, 0, 0]]
    assert balance(equal).item() == pytest.approx(0, abs=1e-12)
    assert balance(one).item() == pytest.approx(np.log(4))


def test_redundancy_is_the_mean_squared_correlation_of_columns():
    q = normal(50, 3).softmax(dim=1)
    r = np.corrcoef(q.T)
    assert redundancy(q).item() == pytest.approx((np.square(r).sum() - 3) / 6)
    assert redundancy(torch.full((5, 3), 1 / 3)).item() == 0
    assert redundancy(torch.ones(5, 1)).item() == 0


def test_schedules_start_and_end_where_they_should():
    assert annealed(2.0, 0.5, 0) == 2.0
    assert annealed(2.0, 0.5, 1) == 0.5
    assert annealed(2.0, 0.5, 0.5) == 1.0
    assert [ramped(0.4, 0.0, 0.5, x) for x in (0, 0.25, 0.5, 1)] == [0, 0.2, 0.4, 0.4]
    assert [ramped(0.4, 0.2, 0.2, x) for x in (0, 0.19, 0.2, 1)] == [0, 0, 0.4, 0.4]


# Eq. 5: self-expression


PENALTIES = SimpleNamespace(expression=True, neighbours=0.5, sparsity=0.2, ridge=1.0, expression_steps=3000)


def test_coefficients_make_the_loss_least():
    """Conditions of a minimum: where C is not 0 the gradient undoes the threshold, elsewhere it stays below it."""
    X = compared(normal(2, 12, 5), 0.5)
    C = coefficients(X, 0.2, 1.0, 3000)
    slope = 2 * (X - C @ X) @ X.mT - 2 * C
    off = ~torch.eye(12, dtype=torch.bool).expand(2, 12, 12)
    used = (C != 0) & off
    assert not C[~off].any()
    assert 0.1 < used.double().mean() < 0.9
    torch.testing.assert_close(slope[used], 0.2 * C[used].sign(), atol=1e-6, rtol=0)
    assert (slope[~used & off].abs() <= 0.2 + 1e-6).all()


def test_the_gradient_of_the_least_loss_is_that_with_c_held_fixed():
    Z, direction, step = normal(1, 8, 3).requires_grad_(), normal(1, 8, 3).flip(1), 1e-5

    def least(Z):
        return expression_loss(Z, expressed(Z, PENALTIES), PENALTIES)

    (gradient,) = torch.autograd.grad(least(Z), Z)
    along = (least(Z + step * direction) - least(Z - step * direction)) / (2 * step)
    assert (gradient * direction).sum().item() == pytest.approx(along.item(), rel=1e-3)


def test_days_of_a_plane_are_made_of_days_of_that_plane():
    X = two_planes()[0][None]
    C = coefficients(compared(torch.cat([X, -X], dim=1)), 0.1, 0.0, 300)[0].abs()
    own = torch.tensor(([0] * 20 + [1] * 20) * 2)
    assert C[own[:, None] != own].sum() < 0.01 * C.sum()


def test_the_ridge_relates_days_that_one_of_each_other_would_do_for():
    """Of equal days, ||C||_1 alone may choose any; with ||C||^2 all of them have the same share."""
    Z = normal(1, 2, 5).repeat(1, 6, 1)
    C = coefficients(compared(Z), 0.1, 1.0, 300)[0]
    same = torch.arange(12)[:, None] % 2 == torch.arange(12) % 2
    same &= ~torch.eye(12, dtype=torch.bool)
    assert C[same].min() == pytest.approx(C[same].max(), rel=1e-6)
    assert C[same].min() > 0.05


def test_neighbours_stand_beside_a_day_mirrored_at_the_ends():
    X, alone = compared(normal(2, 6, 3), 0.5).unflatten(2, (3, 3)), compared(normal(2, 6, 3))
    own = X[:, :, 1]
    torch.testing.assert_close(own / own[:, :1, :1], alone / alone[:, :1, :1])
    torch.testing.assert_close(X[:, :, 0], 0.5 * own[:, [1, 0, 1, 2, 3, 4]])
    torch.testing.assert_close(X[:, :, 2], 0.5 * own[:, [1, 2, 3, 4, 5, 4]])
    torch.testing.assert_close(X.square().sum(dim=(2, 3)).mean(dim=1), torch.ones(2, dtype=torch.float64))
    assert compared(normal(2, 1, 3), 0.5).shape == (2, 1, 3)  # a window of one day


def test_with_neighbours_days_are_made_of_days_that_move_alike():
    """Two spells in one plane, one turning left and one right: days alone say nothing of the direction."""
    angle = torch.cat([torch.arange(20) * 0.9, torch.arange(20) * -0.9]).double()
    X = torch.stack([angle.cos(), angle.sin()], dim=1)[None]
    own = torch.tensor([0] * 20 + [1] * 20)
    strange = []
    for neighbours in (0.0, 1.0):
        C = coefficients(compared(X, neighbours), 0.1, 0.0, 300)[0].abs()
        strange.append((C[own[:, None] != own].sum() / C.sum()).item())
    assert strange[0] > 0.4
    assert strange[1] < 0.1


def test_what_days_are_made_of_does_not_depend_on_their_mean_and_scale():
    Z = normal(2, 9, 4)
    torch.testing.assert_close(compared(5 * Z + 3), compared(Z))
    torch.testing.assert_close(compared(Z).square().sum(dim=2).mean(dim=1), torch.ones(2, dtype=torch.float64))
    still = compared(torch.ones(1, 9, 4))
    assert not still.any()
    assert not coefficients(still, 0.1, 0.0, 5).any()


def test_expression_loss_is_the_equation_per_day_and_at_most_1():
    Z, C = normal(1, 4, 3), normal(1, 4, 4)
    X = compared(Z, 0.5)
    by_hand = ((X - C @ X).square().sum() + 0.2 * C.abs().sum() + C.square().sum()) / 4
    assert expression_loss(Z, C, PENALTIES).item() == pytest.approx(by_hand.item())
    assert 0 < expression_loss(Z, expressed(Z, PENALTIES), PENALTIES).item() < 1


# Section 5.2: the discriminator


def judge(noise, **options) -> SubspaceJudge:
    settings = {"n_days": 40, "n_fakes": 6, "margin": 0.1, "real_share": 0.5} | options
    return SubspaceJudge(2, 5, 2, noise=noise, **settings).double()


def two_planes() -> tuple[torch.Tensor, torch.Tensor]:
    """Return days of two planes of five dimensions, and their responsibilities."""
    Z = torch.zeros(40, 5, dtype=torch.float64)
    Z[:20, :2], Z[20:, 2:4] = normal(20, 2), normal(20, 2)
    return Z, torch.eye(2, dtype=torch.float64)[[0] * 20 + [1] * 20] * 0.9 + 0.05


def test_bases_start_as_the_directions_of_their_clusters(noise):
    D, (Z, q) = judge(noise), two_planes()
    D.start(Z, q.argmax(dim=1))
    U = D.subspaces.bases()
    torch.testing.assert_close(U.mT @ U, torch.eye(2, dtype=torch.float64).expand(2, 2, 2))
    np.testing.assert_allclose(residual_energy(Z[:20], U[0]).detach(), 0, atol=1e-12)
    assert residual_energy(Z[:20], U[1]).min() > 0


def test_energies_lie_between_0_and_1_and_bases_stay_orthonormal(noise):
    D, (Z, q) = judge(noise), two_planes()
    D.start(Z, q.argmax(dim=1))
    before = D.subspaces.U.detach().clone()
    with torch.no_grad():
        D.subspaces.U += 0.3 * normal(2, 5, 2)
    D.retract()
    U = D.subspaces.U
    torch.testing.assert_close(U.mT @ U, torch.eye(2, dtype=torch.float64).expand(2, 2, 2))
    assert (U * before).sum() > 0  # columns keep their direction
    for real, fake in D.energies(100 * Z, q, torch.arange(40)):
        for energies in (real, fake):
            assert (energies >= 0).all()
            assert (energies <= 1 + 1e-12).all()


def test_hinge_wants_real_below_fake_by_the_margin(noise):
    D = judge(noise)
    pairs = [(torch.tensor([0.0, 0.2]), torch.tensor([0.25, 0.25])), (torch.tensor([1.0]), torch.tensor([0.0]))]
    D.energies = lambda *_: iter(pairs)
    assert D.loss(torch.zeros(1), None, None).item() == pytest.approx(((0 + 0.05) / 2 + 1.1) / 2)
    assert D.fake_energy(torch.zeros(1), None, None).item() == pytest.approx(0.125)


def test_real_days_are_those_of_the_highest_responsibilities(noise):
    D, (Z, q) = judge(noise, real_share=0.25), two_planes()
    D.start(Z, q.argmax(dim=1))
    q[:20, 0] = torch.linspace(0.6, 0.99, 20)
    Z[:15] += 10 * normal(15, 5)  # days of low responsibility leave the plane
    real, _ = next(D.energies(Z, q, torch.arange(40)))
    assert len(real) == 5
    np.testing.assert_allclose(real.detach(), 0, atol=1e-12)


def test_fakes_are_fixed_combinations_and_clusters_with_few_days_are_left_out(noise):
    D, (Z, q) = judge(noise), two_planes()
    D.start(Z, q.argmax(dim=1))
    one, again = (D.fake_energy(Z, q, torch.arange(40)) for _ in range(2))
    assert torch.equal(one, again)
    few = torch.cat([q[:20], q[20:22]])
    assert len(list(D.energies(Z[:22], few, torch.arange(22)))) == 1
    assert D.loss(Z[:1], q[:1], torch.arange(1)).item() == 0


# Sequences


def days(n_days=7, **options) -> Sequences:
    settings = {"window": 3, "windows_per_batch": 2, "multiples": (8, 4), "count_padding": False} | options
    values = np.random.default_rng(0).random((n_days, 5, 6, 2), dtype=np.float32)
    return Sequences(make_cube(values), **settings)


def test_every_day_is_in_one_window():
    found = days()
    assert [group.tolist() for group in found.groups] == [[[0, 1, 2], [3, 4, 5]], [[6]]]
    assert [group.tolist() for group in days(window=365).groups] == [[list(range(7))]]
    assert found.n_batches == 2


@pytest.mark.parametrize(("n_days", "size"), [(7, 3), (7, 7), (7, 1), (12, 4)])
def test_stretches_are_equally_long_and_cover_the_record(n_days, size, noise):
    found = days(n_days).stretches(size, 2, noise)
    for _ in range(5):
        seen = set()
        while len(seen) < n_days:
            batch = next(found)
            assert batch.shape[1:] == (size,)
            assert len(batch) <= 2
            assert (batch.diff(dim=1) == 1).all()
            seen |= set(batch.flatten().tolist())
        assert seen == set(range(n_days))


def test_grids_are_filled_up_at_the_high_ends_and_padding_is_not_judged():
    found = days()
    assert found.frames.shape == (7, 2, 8, 8)
    assert found.seen.sum() == 2 * 5 * 6
    assert found.seen[:, :5, :6].all()
    guess = found.frames[torch.tensor([[0, 1]])].clone()
    guess[..., 5:, :] = 9
    assert found.error(guess, torch.tensor([[0, 1]])).item() == 0
    guess[..., 0, 0] += 1
    assert found.error(guess, torch.tensor([[0, 1]])).item() == pytest.approx(1 / 30)
    assert days(count_padding=True).seen.all()
