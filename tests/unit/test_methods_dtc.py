"""DTC, its networks and its variants on tiny cubes."""

from __future__ import annotations

import warnings
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from method_cubes import fit, make_cube, planted, plugin
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score

from methods.blocks.initialisers import glorot_uniform, initialise
from methods.blocks.seeding import generator
from methods.blocks.similarity import SIMILARITIES, euclidean
from methods.blocks.student_t import ClusterHead, kl_loss
from methods.dtc import network as networks
from methods.dtc.method import complete_linkage, kernel_distance
from methods.dtc.network import HeatMap, TemporalAutoencoder, UpsampledDeconvolution
from regimebench import registry

ADDRESSES = registry.variants("dtc")


@pytest.fixture(scope="module")
def clear():
    return planted(n_days=60, n_clusters=3, noise=0.3)


@pytest.fixture(scope="module")
def smoke_fits(clear):
    return {address: fit(address, clear[0], n_clusters=3) for address in ADDRESSES}


def autoencoder(n_channels=2, n_filters=5, kernel_size=5, pool=3, units=(6, 1)):
    network = TemporalAutoencoder(n_channels, n_filters, kernel_size, pool, units)
    initialise(network, glorot_uniform, generator(0, "weights"))
    return network


def test_parameters_are_as_many_as_the_notebook_of_the_dsc_paper_prints():
    """52,082 with one channel, 11,768 steps, P = 8 and seven centroids."""
    p = SimpleNamespace(**registry.method("dtc/published_code").parameters)
    network = TemporalAutoencoder(1, p.filters, p.kernel_size, p.pool, p.units)
    parts = [*network.parameters(), ClusterHead(torch.zeros(7, 11768 // p.pool, 1)).centres]
    assert sum(part.numel() for part in parts) == 52_082
    assert [name for name, _ in network.named_parameters() if name.startswith("level_1.bias")] == [
        f"level_1.bias_{source}_l0{way}" for way in ("", "_reverse") for source in ("ih", "hh")
    ]


def test_authors_series_has_all_values_and_one_zero():
    cube = make_cube(np.random.default_rng(0).standard_normal((3, 41, 41, 7)))
    assert plugin("dtc/published_code")._series(cube).shape == (3, 11767, 1)
    found = fit("dtc/published_code", cube, n_clusters=2, pretrain_epochs=0, epochs=0, filters=1, units=[1, 1])
    assert found.embedding.shape == (3, 1471)


def test_latent_series_have_fewer_than_100_steps_by_default():
    cube = make_cube(np.random.default_rng(0).standard_normal((4, 20, 20, 1)))
    found = fit("dtc", cube, n_clusters=2, max_cells=2048, pool=None, pretrain_epochs=0, epochs=0)
    assert found.embedding.shape == (4, 80)


def test_pooling_before_the_activation_in_parts_changes_nothing(monkeypatch):
    network = autoencoder()
    x = torch.rand(7, 12, 2, generator=generator(0, "x"))
    features = torch.nn.functional.conv1d(
        x.transpose(1, 2), network.convolution.weight, network.convolution.bias, padding="same"
    )
    plain = torch.nn.functional.max_pool1d(torch.nn.functional.leaky_relu(features, 0.3), 3).transpose(1, 2)
    results = []
    for limit in (2**20, 120):
        monkeypatch.setattr(networks, "MAX_ELEMENTS", limit)
        network.zero_grad()
        pooled = network._short_term(x)
        torch.testing.assert_close(pooled, plain)
        network(x)[0].square().sum().backward()
        results.append([parameter.grad.clone() for parameter in network.parameters()])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("limit", [2**20, 1])
def test_gradients_of_pooled_convolution_agree_with_finite_differences(monkeypatch, limit):
    monkeypatch.setattr(networks, "MAX_ELEMENTS", limit)
    draw = partial(torch.randn, generator=generator(0, "draw"), dtype=torch.float64, requires_grad=True)
    x, weight, bias = draw(3, 2, 12 + 4), draw(4, 2, 5), draw(4)
    assert torch.autograd.gradcheck(lambda *some: networks.PooledConvolution.apply(*some, 3), (x, weight, bias))


@pytest.mark.parametrize("kernel_size", [3, 5, 10])
def test_deconvolution_is_the_adjoint_of_a_same_convolution_of_the_repeated_series(kernel_size):
    layer = UpsampledDeconvolution(2, 3, kernel_size, repeats=3)
    initialise(layer, glorot_uniform, generator(0, "weights"))
    z, y = (torch.randn(4, *shape, generator=generator(0, "z")) for shape in ((5, 2), (15, 3)))
    output = layer(z)
    assert output.shape == (4, 15, 3)
    same = torch.nn.functional.pad(y.transpose(1, 2), ((kernel_size - 1) // 2, kernel_size // 2))
    adjoint = torch.nn.functional.conv1d(same, layer.weight)
    repeated = z.repeat_interleave(3, dim=1)
    torch.testing.assert_close((output * y).sum(), (repeated.transpose(1, 2) * adjoint).sum(), rtol=1e-4, atol=1e-4)


def test_heat_maps_are_averaged_over_time_into_probabilities():
    layer = HeatMap(1, 4, 3, repeats=2)
    initialise(layer, glorot_uniform, generator(0, "weights"))
    z = torch.randn(6, 5, 1, generator=generator(0, "z"))
    means = layer(z).detach().numpy().mean(axis=1)
    expected = np.exp(means) / np.exp(means).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(layer.probabilities(z).detach(), expected, rtol=1e-5)
    assert layer(z).shape == (6, 10, 4)


def test_share_of_the_heat_maps_loss_is_switched_after_eta_epochs(clear, smoke_fits):
    """A share of 0 trains the clustering alone, a share of 1 the heat maps alone."""
    before = fit("dtc/heatmap", clear[0], n_clusters=3, eta=[0.0, 1.0], eta_epochs=2, epochs=3)
    clustering, heat = (np.array(before.history[name]) for name in ("clustering", "heat_map"))
    assert (clustering[:2] > 0).all()
    assert (heat[:2] == 0).all()
    assert clustering[2] == 0
    assert heat[2] > 0
    assert {"reconstruction", "clustering", "heat_map"} <= set(smoke_fits["dtc/heatmap"].history)
    assert "heat_map" not in smoke_fits["dtc"].history


@pytest.mark.parametrize("name", SIMILARITIES)
@pytest.mark.parametrize("squared", [False, True])
def test_soft_assignment_and_loss_equal_the_plain_formulas(name, squared):
    siml = SIMILARITIES[name]
    draw = generator(0, "series")
    z, w, p = (torch.rand(*shape, dtype=torch.float64, generator=draw) for shape in ((5, 9, 1), (3, 9, 1), (5, 3)))
    p /= p.sum(dim=1, keepdim=True)
    q = 1 / (1 + siml(z, w).numpy() ** (2 if squared else 1))
    q /= q.sum(axis=1, keepdims=True)
    head = ClusterHead(w, kernel_distance(siml, squared))
    np.testing.assert_allclose(head(z).detach(), q, rtol=1e-6)
    expected = (p.numpy() * np.log(p.numpy() / q)).sum(axis=1).mean()
    np.testing.assert_allclose(kl_loss(p, head(z)).item(), expected, rtol=1e-6)
    assert torch.autograd.gradcheck(lambda z: kl_loss(p, head(z)), z.requires_grad_())


def test_centroids_are_the_means_of_complete_linkage():
    z = torch.randn(20, 6, 1, generator=generator(0, "z"))
    found = complete_linkage(z, 4, euclidean)
    flat = z.flatten(1).double().numpy()
    labels = fcluster(linkage(flat, "complete"), 4, "maxclust")
    expected = np.stack([flat[labels == j].mean(axis=0) for j in range(1, 5)])
    assert found.shape == (4, 6, 1)
    order = np.lexsort(expected.T), np.lexsort(found.flatten(1).double().numpy().T)
    np.testing.assert_allclose(found.flatten(1)[order[1]], expected[order[0]], rtol=1e-5)


def test_linkage_of_some_days_still_labels_all(clear):
    cube, _ = clear
    found = fit("dtc/untrained", cube, n_clusters=3, linkage_days=20)
    assert found.labels.shape == (60,)
    assert set(found.labels) == {0, 1, 2}


def test_recovers_planted_means_and_lowers_its_losses(clear):
    cube, truth = clear
    short = {"batch_size": 16, "pretrain_epochs": 40, "epochs": 5, "learning_rate": 5e-3}
    found = [fit("dtc", cube, seed=seed, n_clusters=3, **short) for seed in range(3)]
    assert np.median([adjusted_rand_score(truth, one.labels) for one in found]) > 0.8
    for one in found:
        assert one.history["autoencoder"][-1] < 0.5 * one.history["autoencoder"][0]
        assert one.history["reconstruction"][-1] < one.history["autoencoder"][0]


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_labels_are_those_of_all_days_at_the_end_whatever_the_batch(similarity, clear):
    """The last look assigns days a batch at a time; with centroids still, it equals the nearest centroid of each."""
    still = {"pretrain_epochs": 0, "epochs": 1, "learning_rate": 0.0, "similarity": similarity, "batch_size": 7}
    found = fit("dtc", clear[0], n_clusters=3, **still)
    z, siml = torch.tensor(found.embedding)[..., None], SIMILARITIES[similarity]
    nearest = siml(z.double(), complete_linkage(z, 3, siml).double()).argmin(dim=1)
    np.testing.assert_array_equal(found.labels, nearest)
    assert len(set(found.labels)) == 3


def test_untrained_labels_are_those_of_the_nearest_initial_centroid(clear, smoke_fits):
    found = smoke_fits["dtc/untrained"]
    assert found.epochs == 0
    assert found.history == {}
    z = torch.tensor(found.embedding)[..., None]
    nearest = euclidean(z, complete_linkage(z, 3, euclidean)).argmin(dim=1)
    np.testing.assert_array_equal(found.labels, nearest)


def test_epochs_and_parameters_count_everything(smoke_fits):
    found = smoke_fits["dtc"]
    assert found.epochs == 5 + len(found.history["labels_changed"]) - 1
    assert found.history["labels_changed"][0] == 0
    n_latent = found.embedding.shape[1]
    own = sum(weight.numel() for weight in TemporalAutoencoder(3, 8, 10, 4, [8, 1]).parameters())
    assert found.n_parameters == own + 3 * n_latent
    assert smoke_fits["dtc/heatmap"].n_parameters == found.n_parameters + 10 * 3 + 3


@pytest.mark.parametrize("address", ADDRESSES)
def test_days_that_are_all_zero_get_one_label(address, clear):
    blank = make_cube(clear[0].values.astype(float))
    blank.values[:] = 0
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        found = fit(address, blank, n_clusters=3)
    assert len(set(found.labels)) == 1


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("layout", "cells, days and flattened"),
        ("init", "hierarchical and kmeans"),
        ("similarity", "acf, cid, cor and eucl"),
    ],
)
def test_unknown_choices_are_refused(clear, name, allowed):
    with pytest.raises(ValueError, match=f"{name} is 'other'; allowed are {allowed}"):
        fit("dtc", clear[0], n_clusters=3, **{name: "other"})
