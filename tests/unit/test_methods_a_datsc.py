"""A-DATSC as a whole: what trains what, what a fit returns, and its variants."""

from __future__ import annotations

import method_cubes
import numpy as np
import pytest
import torch
from method_cubes import padded, planted

from methods.a_datsc.clustering import balance
from methods.a_datsc.generator import TabularGenerator
from methods.a_datsc.method import Plugin, Training
from methods.blocks.kmeans import kmeans
from methods.blocks.spectral import cut, plain_affinity
from methods.blocks.student_t import kl_loss, target_distribution
from regimebench import registry

ADDRESSES = registry.variants("a_datsc")
SHORT = {"warmup_epochs": 2}


@pytest.fixture(scope="module")
def days():
    return planted(n_days=24, n_clusters=3)[0]


def fit(address, cube, **values):
    """Return a fit with smoke parameters and hardly any warm-up: labels need not be good here."""
    return method_cubes.fit(address, cube, **(SHORT | values))


def training(cube, address="a_datsc", **options) -> Training:
    """Return a fit that has been warmed up and has centres and bases."""
    spec = registry.method(address)
    plugin = Plugin(n_clusters=3, seed=0, **{**spec.parameters, **spec.smoke, **SHORT, **options})
    found = Training(plugin, cube)
    found.warm_up()
    found.start()
    return found


def reached(found: Training, loss: torch.Tensor) -> set[str]:
    """Return the parts of G, head and D at whose weights a loss has a gradient."""
    names = {**dict(found.G.named_parameters()), "head": found.head.centres, "D": found.D.subspaces.U}
    gradients = torch.autograd.grad(loss, list(names.values()), allow_unused=True)
    return {
        name.split(".")[0]
        for name, gradient in zip(names, gradients, strict=True)
        if gradient is not None and gradient.abs().sum() > 0
    }


def test_each_term_of_the_generator_reaches_what_it_should(days):
    found = training(days, lambda_adv=1.0)
    terms = found.losses(found.days.groups[0], 1.0)
    embeds = {"encoder", "patches", "attention", "embedding"}
    assert reached(found, terms["reconstruction"]) == embeds | {"bottleneck", "decoder"}
    for term in ("kl", "balance", "redundancy"):
        terms = found.losses(found.days.groups[0], 1.0)
        assert reached(found, terms[term]) == embeds | {"head"}
    terms = found.losses(found.days.groups[0], 1.0)
    assert reached(found, terms["self_expression"]) == embeds
    terms = found.losses(found.days.groups[0], 1.0)
    assert reached(found, terms["adversarial"]) == embeds | {"D"}


@pytest.mark.parametrize("address", ["a_datsc", "a_datsc/edesc", "a_datsc/tabular"])
def test_the_network_alone_computes_in_bfloat16(days, address):
    """On every processor, also on one that only emulates it: losses, centres and bases stay in single precision."""
    found = training(days, address, precision="bfloat16")
    seen = []
    for part in found.G.modules():
        if not list(part.children()):
            part.register_forward_hook(lambda part, given, made: seen.append(made.dtype))
    made = found.generate(found.days.groups[0])
    assert torch.bfloat16 in seen
    assert {each.dtype for each in made if each is not None} == {torch.float32}
    history = found.train_jointly()
    assert all(np.isfinite(values).all() for values in history.values())


def test_alone_the_decoder_knows_the_embedding_and_nothing_else(days):
    G = training(days).G
    x = torch.rand(2, 12, 3, 12, 12)
    made, usual = G(x, torch.tensor([True, False])), G(x)
    known = torch.cat([made.Z, torch.zeros_like(made.Z)], dim=2)[:1]
    top = G.bottleneck(torch.zeros(1, 12, 1, 1), known)
    silent = [torch.zeros_like(level[:1]) for level in G.encoder(x)]
    torch.testing.assert_close(made.frames[:1], G.decoder(top, silent))
    torch.testing.assert_close(made.frames[1], usual.frames[1])
    assert not torch.allclose(made.frames[0], usual.frames[0])


def test_a_step_of_one_side_leaves_the_other_as_it_is(days):
    found = training(days)
    of_G, of_D = found.players(n_steps=4)
    U = found.D.subspaces.U.detach().clone()
    of_G.step()
    assert torch.equal(U, found.D.subspaces.U)
    weights = [weight.detach().clone() for weight in found.G.parameters()]
    of_D.step()
    assert not torch.equal(U, found.D.subspaces.U)
    for before, after in zip(weights, found.G.parameters(), strict=True):
        assert torch.equal(before, after)


def test_self_expression_and_adversary_wait_for_their_start(days):
    found = training(days)
    early, late = (found.losses(found.days.groups[0], progress) for progress in (0.1, 0.3))
    for term in ("self_expression", "adversarial"):
        assert early[term].item() == 0
        assert late[term].item() > 0


def test_what_a_fit_returns(days):
    found = fit("a_datsc", days, n_clusters=3)
    n = days.n_days
    assert found.embedding.shape == (n, 8)
    assert found.self_expression.shape == (n, n)
    assert found.reconstruction.shape == days.values.shape
    assert set(found.other_labels) == {"spectral", "raw_data"}
    terms = {"reconstruction", "kl", "balance", "redundancy", "self_expression", "adversarial"}
    of_D = {"discriminator", "skewness", "overlap"}
    looks = {"labels_changed", "embedding_norm", "temperature", *(f"share_of_cluster_{k}" for k in range(3))}
    assert set(found.history) == terms | of_D | looks
    assert all(len(found.history[name]) == 2 for name in (terms | of_D | looks) - {"reconstruction", "embedding_norm"})
    assert found.history["temperature"][-1] == pytest.approx(0.5)
    shares = np.array([found.history[f"share_of_cluster_{k}"] for k in range(3)])
    np.testing.assert_allclose(shares.sum(axis=0), 1)
    np.testing.assert_allclose(shares[:, -1], np.bincount(found.labels, minlength=3) / n)


def test_refined_labels_are_the_spectral_ones(days):
    plain = fit("a_datsc", days, n_clusters=3)
    refined = fit("a_datsc/spectral", days, n_clusters=3)
    np.testing.assert_array_equal(refined.labels, plain.other_labels["spectral"])
    np.testing.assert_array_equal(refined.other_labels["argmax"], plain.labels)
    assert set(refined.other_labels) == {"argmax", "raw_data"}


@pytest.mark.parametrize(("window", "related"), [(10, False), (24, True), (365, True), (None, True)])
def test_days_of_several_windows_have_no_coefficients(days, window, related):
    found = fit("a_datsc", days, n_clusters=3, window=window)
    assert (found.self_expression is not None) == related
    assert bool(found.other_labels) == related
    assert found.embedding.shape == (24, 8)


def test_clusters_start_from_what_days_are_made_of(days):
    found = training(days)
    Z, C = found.days.embed(found.G)
    first = found.first_target.argmax(dim=1).numpy()
    np.testing.assert_array_equal(first, cut(plain_affinity(C.numpy()), 3, 0))
    torch.testing.assert_close(found.head.centres[1], Z[torch.from_numpy(first == 1)].mean(dim=0))
    for options in ({"clusters_from": "kmeans"}, {"window": 10}, {"expression": False}):
        found = training(days, **options)
        Z, _ = found.days.embed(found.G)
        np.testing.assert_array_equal(found.first_target.argmax(dim=1), kmeans(Z, 3, 0, 2)[0])


def test_the_first_clusters_are_the_target_until_it_comes_from_q(days):
    found = training(days, first_target=0.5)
    everyone, q = found.days.groups[0], found.q
    early, late = (found.losses(everyone, progress)["kl"].item() for progress in (0.5, 0.6))
    labels = found.first_target.argmax(dim=1)
    assert early == pytest.approx(-q[torch.arange(len(q)), labels].log().mean().item(), rel=1e-5)
    assert late == pytest.approx(kl_loss(target_distribution(q), q).item(), rel=1e-5)


def test_joint_training_moves_days_to_their_first_clusters(days):
    short = {"lambda_bal": 0.0, "lambda_se": 0.0, "lambda_adv": 0.0, "look_every": 40}
    found = training(days, joint_epochs=40, joint_lr=0.02, **short)
    labels = found.first_target.argmax(dim=1)
    before = found.q[torch.arange(len(labels)), labels].mean()
    found.train_jointly()
    after = found.head(found.days.embed(found.G)[0])[torch.arange(len(labels)), labels].mean()
    assert after > before


def test_training_lowers_the_reconstruction_error(days):
    history = fit("a_datsc", days, n_clusters=3, warmup_epochs=30, warmup_lr=0.01, look_every=5).history
    assert history["reconstruction"][5] < 0.9 * history["reconstruction"][0]


def test_balance_evens_the_mean_assignment(days):
    """What it weighs is the mean of q; sizes of the clusters of labels may differ all the same (README)."""
    short = {"warmup_epochs": 5, "joint_epochs": 60, "joint_lr": 0.01, "lambda_kl": 0.0, "temperature": [1.0, 1.0]}
    uneven = []
    for weight in (0.0, 1.0):
        found = training(days, lambda_bal=weight, **short)
        with torch.no_grad():  # one centre begins far away
            found.head.centres[0] += 3
        found.train_jointly()
        uneven.append(balance(found.head(found.days.embed(found.G)[0])).item())
    assert uneven[1] < 0.5 * uneven[0]


def test_padding_of_the_cube_is_what_the_plugin_would_add(days):
    one, other = fit("a_datsc", days, n_clusters=3), fit("a_datsc", padded(days, 4, 4), n_clusters=3)
    np.testing.assert_array_equal(one.embedding, other.embedding)
    np.testing.assert_array_equal(one.reconstruction, other.reconstruction[:, :12, :12])
    assert not other.reconstruction[:, 12:].any()


def test_tabular_days_do_not_see_each_other_but_through_the_bottleneck():
    found = TabularGenerator((2, 3, 3), registry_settings(expression=False)).double()
    x = torch.rand(1, 4, 2, 3, 3, dtype=torch.float64)
    other = x.clone()
    other[:, 0] += 0.1
    Z, changed = found.embed(x)[0], found.embed(other)[0]
    assert torch.equal(Z[:, 1:], changed[:, 1:])
    assert not torch.equal(Z[:, 0], changed[:, 0])


def registry_settings(**options):
    from types import SimpleNamespace

    spec = registry.method("a_datsc")
    return SimpleNamespace(**{**spec.parameters, **spec.smoke, **options})


def test_variants_are_different_networks(days):
    counts = {}
    for address in ADDRESSES:
        found = training(days, address, warmup_epochs=0)
        counts[address] = sum(weight.numel() for weight in found.G.parameters())
    for less in ("gat", "sel", "no_skips", "cnn_lstm", "mean_pooling"):
        assert counts[f"a_datsc/{less}"] < counts["a_datsc"]
    assert counts["a_datsc/messages"] == counts["a_datsc/no_adversary"] == counts["a_datsc"]
