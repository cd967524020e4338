"""DEC and its variants on tiny cubes."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from method_cubes import fit, make_cube, planted, plugin
from scipy.special import rel_entr
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score

from methods.blocks.autoencoder import MLPAutoencoder
from methods.blocks.initialisers import INITIALISERS, initialise
from methods.blocks.student_t import ClusterHead
from regimebench import registry

ADDRESSES = registry.variants("dec")
SHORT = {"layer_steps": 20, "joint_steps": 20, "max_steps": 40}


def short(address: str) -> dict[str, int]:
    """Return step counts for tests that need no good clustering; phases that a variant leaves out stay out."""
    smoke = registry.method(address).smoke
    return {name: min(count, smoke[name]) for name, count in SHORT.items()}


@pytest.fixture(scope="module")
def clear():
    return planted(noise=0.5)


def test_dec_recovers_planted_means_and_lowers_its_losses(clear):
    cube, truth = clear
    found = fit("dec", cube, layer_steps=200, joint_steps=400, decay_steps=None, n_init=10)
    assert adjusted_rand_score(truth, found.labels) > 0.9
    assert list(found.history) == [
        "layer_1",
        "layer_2",
        "layer_3",
        "layer_4",
        "autoencoder",
        "labels_changed",
        "embedding_norm",
        "clustering",
    ]
    assert all(found.history[name][-1] < found.history[name][0] for name in ("layer_1", "autoencoder"))
    assert found.embedding.shape == (120, 10)


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_batch_of_seeds_equals_single_runs(address, clear):
    cube, _ = clear
    together = list(plugin(address, seed=0, **short(address)).fit_batch(cube, [5, 6]))
    for seed, found in zip([5, 6], together, strict=True):
        alone = fit(address, cube, seed=seed, **short(address))
        np.testing.assert_array_equal(found.labels, alone.labels)
        np.testing.assert_array_equal(found.embedding, alone.embedding)


def test_untrained_is_kmeans_on_the_initial_code(clear):
    cube, _ = clear
    found = fit("dec/untrained", cube, n_init=10)
    assert found.epochs == 0
    assert found.history == {}
    assert found.stop_reason == "no clustering steps asked for"
    centres = np.stack([found.embedding[found.labels == j].astype(float).mean(axis=0) for j in range(7)])
    distance = np.linalg.norm(found.embedding[:, None].astype(float) - centres, axis=2)
    assert np.mean(distance.argmin(axis=1) == found.labels) > 0.98


def test_authors_settings_hardly_train(clear):
    """At a rate of 1e-6 the labels of the first look stay, so the run ends at the second."""
    cube, _ = clear
    found = fit("dec/published_code", cube, max_steps=20000)
    assert found.history["labels_changed"] == [0, 0]
    assert found.stop_reason == "0.00% of the labels changed in 30 steps, below 1e-06"
    assert found.embedding.shape == (120, 16)


def test_parameters_are_those_of_encoder_and_centres(clear):
    cube, _ = clear
    sizes = [432, *registry.method("dec").smoke["hidden"], 10]
    expected = sum(n_in * n_out + n_out for n_in, n_out in pairwise(sizes)) + 7 * 10
    assert fit("dec", cube, **SHORT).n_parameters == expected


def test_the_notebooks_network_has_the_printed_number_of_parameters():
    """The notebook prints 7,437,700 for encoder and seven centres on 11,767 columns."""
    cube = make_cube(np.random.default_rng(0).random((8, 41, 41, 7)))
    full_size = {"hidden": [500, 500, 2000], "code": 150}
    found = fit("dec/published_code", cube, joint_steps=0, max_steps=0, **full_size)
    assert {name: registry.method("dec/published_code").parameters[name] for name in full_size} == full_size
    assert found.n_parameters == 7_437_700


def test_idec_lowers_reconstruction_error_plus_a_tenth_of_the_divergence(clear):
    """The logged terms of one step on all days are those of the start, computed here with plain numpy."""
    cube, _ = clear
    address = "dec/idec"
    method = plugin(address, **SHORT)
    x = torch.tensor(cube.table, dtype=torch.float32)
    torch.manual_seed(0)
    network = MLPAutoencoder(x.shape[1], [8, 3])
    initialise(network, INITIALISERS["glorot_uniform"], torch.Generator().manual_seed(0))
    with torch.no_grad():
        z, output = network.encoder(x).numpy().astype(float), network(x).numpy().astype(float)
    centres = z[:7] + 0.01
    p = np.random.default_rng(0).dirichlet(np.ones(7), len(z))
    q = 1 / (1 + np.square(z[:, None] - centres).sum(axis=2))
    q /= q.sum(axis=1, keepdims=True)

    head = ClusterHead(torch.tensor(centres, dtype=torch.float32))
    terms = method._loss(network, head, x, torch.tensor(p, dtype=torch.float32))
    assert list(terms) == ["clustering", "reconstruction"]
    assert terms["clustering"].item() == pytest.approx(0.1 * rel_entr(p, q).sum(axis=1).mean(), rel=1e-5)
    assert terms["reconstruction"].item() == pytest.approx(np.square(output - cube.table).mean(), rel=1e-5)


def test_idec_keeps_the_reconstruction_that_dec_gives_up(clear):
    """Both learn from the same pre-training at the same rate; only the weight of the reconstruction differs."""
    cube, _ = clear
    same = {**SHORT, "joint_steps": 400, "max_steps": 60, "tol": 0.0}
    found = fit("dec/idec", cube, **same)
    only_kl = fit("dec/idec", cube, **same, keep_decoder=False)
    pretrained = found.history["autoencoder"][-1]
    assert found.history["reconstruction"][-1] < 1.05 * pretrained
    assert "reconstruction" not in only_kl.history
    assert not np.array_equal(found.embedding, only_kl.embedding)
    assert found.n_parameters - only_kl.n_parameters == decoder_weights(cube.table.shape[1])


def decoder_weights(n_columns: int) -> int:
    """Return the number of parameters of the smoke network's decoder."""
    sizes = [10, *registry.method("dec").smoke["hidden"][::-1], n_columns]
    return sum(n_in * n_out + n_out for n_in, n_out in pairwise(sizes))


@pytest.mark.parametrize("address", ["dec", "dec/idec"])
def test_training_in_the_smaller_basis_is_the_same_training(address, clear):
    """All phases, the joint one of IDEC with its decoder included, give what all columns give."""
    cube, _ = clear
    steps = {"layer_steps": 10, "joint_steps": 20, "max_steps": 40, "tol": 0.0}
    method = plugin(address, **steps)
    smaller = method.fit(cube)
    method._smaller = lambda network, x: (network, x)
    everything = method.fit(cube)
    np.testing.assert_array_equal(smaller.labels, everything.labels)
    np.testing.assert_allclose(smaller.embedding, everything.embedding, rtol=2e-3, atol=2e-5)
    for name, series in everything.history.items():
        np.testing.assert_allclose(smaller.history[name], series, rtol=1e-3, err_msg=name)


def test_epochs_count_all_phases(clear):
    cube, _ = clear
    found = fit("dec", cube, batch_size=40, layer_steps=3, joint_steps=6, max_steps=3, update_interval=3)
    assert found.epochs == (4 * 3 + 6 + 3) / 3


def test_scale_of_the_input_does_not_matter_to_the_papers_settings(clear):
    cube, _ = clear
    halved = make_cube(cube.values.astype(float))
    halved.values[:] *= np.float32(0.5)
    one, other = (
        fit("dec", each, layer_steps=5, joint_steps=5) for each in (make_cube(cube.values.astype(float)), halved)
    )
    np.testing.assert_allclose(one.embedding, other.embedding, rtol=1e-3, atol=1e-6)


def test_corrupted_input_is_trained_on_all_columns(clear):
    cube, _ = clear
    found = fit("dec", cube, input_corruption=0.2, **SHORT)
    assert np.isfinite(found.history["layer_1"]).all()
    assert not np.array_equal(found.embedding, fit("dec", cube, **SHORT).embedding)


def test_days_that_are_all_zero_are_one_cluster(clear):
    cube, _ = clear
    blank = make_cube(cube.values.astype(float))
    blank.values[:] = 0
    with pytest.warns(ConvergenceWarning, match=r"distinct clusters \(1\)"):
        assert set(fit("dec", blank, **SHORT).labels) == {0}


def test_a_rate_that_is_too_high_ends_with_a_sentence(clear):
    cube, _ = clear
    with pytest.raises(RuntimeError, match=r"the loss of layer_1 became .* lower the learning rate"):
        fit("dec", cube, pretrain_lr=1e6)
