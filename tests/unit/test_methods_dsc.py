"""DSC, its ablations and their network on tiny cubes."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from method_cubes import fit, make_cube, padded, planted, plugin
from sklearn.exceptions import ConvergenceWarning
from torch.nn.functional import mse_loss

from methods.blocks.kmeans import kmeans
from methods.blocks.seeding import generator
from methods.dsc.network import DSC
from regimebench import registry

ADDRESSES = registry.variants("dsc")
PORTS = [address for address in ADDRESSES if registry.method(address).fidelity == "port"]


@pytest.fixture(scope="module")
def days():
    return planted(n_days=30, noise=0.5)[0]


def network(address: str, grid: tuple[int, int, int]) -> DSC:
    """Return a variant's network at full size, without memory for its weights."""
    p = registry.method(address).parameters
    with torch.device("meta"):
        return DSC(
            grid,
            p["filters"],
            p["units"],
            p["code"],
            recurrent=p["recurrent"],
            decoder=p["decoder"],
            dense_output=p["dense_output"],
            pooling=p["pooling"],
        )


def small(**options) -> DSC:
    """Return a small network with weights."""
    made = DSC((8, 8, 3), [6, "P", 8, "P"], [9, 10], 11, **{"decoder": [8, 6], **options})
    made.initialise(generator(0, "weights"))
    return made


def count(module: torch.nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


@pytest.mark.parametrize("address", ["dsc", "dsc/published_code"])
def test_parameters_are_as_many_as_the_dsc_notebook_prints(address):
    made = network(address, (48, 48, 7))
    assert count(made.convolutions) + count(made.head) == 14_308_544
    assert count(made) + 7 * 256 == 19_407_175


def test_parameters_are_as_many_as_the_cnn_lstm_notebook_prints():
    assert count(network("dsc/cnn_lstm_encoder", (41, 41, 7))) + 7 * 256 == 66_910_528


def test_cnn_networks_have_the_maps_of_their_notebooks():
    made = network("dsc/cnn_autoencoder", (41, 41, 7))
    assert made.head.hidden[0].weight.shape == (2048, 6400)
    assert made.decoder.dense.weight.shape == (6400, 512)
    assert made.decoder.output.weight.shape == (11767, 11200)


def test_reported_parameters_include_the_centres(days):
    p = plugin("dsc", n_clusters=7)
    expected = DSC((12, 12, 3), **{name: p.params[name] for name in ("filters", "units", "code", "decoder")})
    assert fit("dsc", days, pretrain_steps=0, max_steps=0).n_parameters == count(expected) + 7 * 16


def test_a_large_grid_refuses_the_dense_output_layer():
    with (
        pytest.raises(ValueError, match=r"31,104 x 31,536 weights \(4 GiB\).*dense_output: false"),
        torch.device("meta"),
    ):
        DSC((73, 144, 3), [6, "P", 6, "P"], [4], 4, decoder=[8, 6], dense_output=True, pooling="valid")


@pytest.mark.parametrize(
    ("size", "pooling", "dense_output"),
    [((8, 8), "same", False), ((9, 11), "same", False), ((8, 8), "valid", False), ((9, 11), "valid", True)],
)
def test_reconstruction_has_the_shape_of_the_days(size, pooling, dense_output):
    made = DSC((*size, 3), [6, "P", 8, "P"], [9], 11, decoder=[8, 6], pooling=pooling, dense_output=dense_output)
    made.initialise(generator(0, "weights"))
    assert made(torch.rand(2, *size, 3)).shape == (2, *size, 3)


def test_days_that_windows_share_are_convolved_once_and_change_nothing():
    made = small()
    x = torch.rand(5, 8, 8, 3, generator=generator(0, "x"))
    windows = torch.tensor([[0, 1, 2], [1, 2, 3], [2, 3, 4]])
    alone = torch.cat([made.encode(x[window], torch.tensor([[0, 1, 2]])) for window in windows])
    torch.testing.assert_close(made.encode(x, windows), alone, rtol=1e-5, atol=1e-7)


def test_the_order_of_the_days_in_a_window_matters():
    made = small()
    x = torch.rand(3, 8, 8, 3, generator=generator(0, "x"))
    there, back = made.encode(x, torch.tensor([[0, 1, 2], [1, 0, 2]]))
    assert not torch.allclose(there, back, rtol=1e-6)


def test_maximum_before_tanh_is_maximum_after_it():
    made = small()
    first = made.convolutions[0]
    x = torch.rand(2, 3, 8, 8, generator=generator(0, "x"))
    expected = torch.nn.functional.max_pool2d(first(x).tanh(), 2)
    torch.testing.assert_close(made.convolutions[:3](x), expected, rtol=0, atol=0)


def test_every_pair_loss_is_what_broadcasting_computes():
    method = sys.modules[type(plugin("dsc")).__module__]
    output, target = (torch.rand(4, 8, 8, 3, generator=generator(0, name)).double() for name in ("output", "target"))
    output.requires_grad_()
    literal = mse_loss(output.expand(4, 4, 8, 8, 3), target[:, None].expand(4, 4, 8, 8, 3))
    found = method.every_pair_loss(output, target)
    torch.testing.assert_close(found, literal, rtol=1e-12, atol=0)
    torch.testing.assert_close(
        *(torch.autograd.grad(loss, output)[0] for loss in (found, literal)), rtol=1e-9, atol=1e-15
    )
    assert method.every_pair_loss(target, target) > 0.1  # perfect reconstructions are not the optimum


@pytest.mark.parametrize("address", PORTS)
def test_authors_settings_move_no_label(address, days):
    """At a rate of 1e-7 the run ends at the first look that may end it, with the labels of k-means."""
    interval = registry.method(address).parameters["update_interval"]
    found = fit(address, days, max_steps=20000, update_interval=interval)
    assert found.history["labels_changed"] == [0, 0]
    assert found.stop_reason == f"0.00% of the labels changed in {interval} steps, below 1e-07"
    before = fit(address, days, max_steps=0)
    np.testing.assert_array_equal(found.labels, before.labels)
    assert np.abs(found.embedding - before.embedding).max() < 1e-4
    assert max(found.history["kl"]) < 1e-4
    assert found.epochs > 0


def test_the_best_that_the_authors_loss_can_learn_is_the_mean_day(days):
    """In as many steps the loss of reconstruction more than halves each day's error (see below); here it stays."""
    train = {"pretrain_steps": 400, "pretrain_lr": 0.01, "sequence_days": 2, "max_steps": 0, "batch_size": 30}
    found = fit("dsc", days, broadcast_loss=True, **train)
    mean = days.values.mean(axis=0)
    variance = days.values.var(axis=0).mean()
    assert np.mean((found.reconstruction.mean(axis=0) - mean) ** 2) < 0.5 * variance
    assert np.mean((found.reconstruction - days.values) ** 2) > 0.9 * variance


def test_untrained_is_kmeans_on_the_initial_code(days):
    found = fit("dsc/untrained", days)
    assert found.epochs == 0
    assert found.history == {}
    labels, _ = kmeans(torch.tensor(found.embedding), 7, 0, n_init=2, init="random")
    np.testing.assert_array_equal(found.labels, labels)


def test_untrained_starts_where_the_default_starts(days):
    before = fit("dsc", days, pretrain_steps=0, max_steps=0)
    np.testing.assert_array_equal(before.embedding, fit("dsc/untrained", days).embedding)


def test_training_lowers_the_reconstruction_loss_and_spreads_the_codes(days):
    found = fit("dsc", days, pretrain_steps=400, pretrain_lr=0.01, sequence_days=2, max_steps=10)
    variance = days.values.var(axis=0).mean()
    assert found.history["autoencoder"][-1] < 0.5 * variance
    assert np.mean((found.reconstruction - days.values) ** 2) < 0.5 * variance
    assert found.embedding.std(axis=0).mean() > 20 * fit("dsc/untrained", days).embedding.std(axis=0).mean()
    assert set(found.history) == {"autoencoder", "reconstruction", "kl", "labels_changed", "embedding_norm"}


def test_padding_of_the_cube_is_what_the_network_would_add(days):
    """Unpadded days and the same days with masked zeros at the high ends are one input, at any size of padding."""
    wide = padded(days, 4, 8)
    one, other = (fit("dsc", cube, pad_to=16) for cube in (days, wide))
    np.testing.assert_array_equal(one.embedding, other.embedding)
    assert other.reconstruction.shape == wide.values.shape
    assert not other.reconstruction[:, 12:].any()
    np.testing.assert_array_equal(one.reconstruction, other.reconstruction[:, :12, :12])


def test_cells_without_data_count_in_the_authors_loss_alone(days):
    values = days.values.copy()
    values[:, :6] = 0
    mask = days.mask.copy()
    mask[:6] = False
    holed = replace(days, values=values, mask=mask)

    def loss(count_padding: bool, broadcast_loss: bool = False) -> float:
        switches = {"count_padding": count_padding, "broadcast_loss": broadcast_loss, "precision": "float32"}
        found = fit("dsc", holed, pretrain_steps=0, max_steps=1, batch_size=30, **switches)
        return found.history["reconstruction"][0]

    before = fit("dsc/untrained", holed).reconstruction
    assert loss(False) == pytest.approx(np.square(before - values)[:, 6:].mean(), rel=1e-4)
    assert loss(True) == pytest.approx(np.square(before - values).mean(), rel=1e-4)
    pairs = np.square(before[None] - values[:, None])
    assert loss(False, broadcast_loss=True) == pytest.approx(pairs[:, :, 6:].mean(), rel=1e-4)
    assert loss(True, broadcast_loss=True) == pytest.approx(pairs.mean(), rel=1e-4)


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("grid", [(7, 10, 1), (41, 41, 1), (5, 6, 2)])
def test_any_grid_is_padded_to_what_can_be_pooled(address, grid):
    cube = make_cube(np.random.default_rng(0).random((12, *grid)))
    found = fit(address, cube, n_clusters=2, max_steps=2)
    assert found.reconstruction is None or found.reconstruction.shape == cube.values.shape


@pytest.mark.parametrize("address", ADDRESSES)
def test_days_that_are_all_zero_are_one_cluster(address, days):
    blank = replace(days, values=np.zeros_like(days.values))
    with pytest.warns(ConvergenceWarning, match=r"distinct clusters \(1\)"):
        found = fit(address, blank, sequence_days=1)
    assert set(found.labels) == {0}


def test_epochs_count_both_phases(days):
    assert fit("dsc", days, batch_size=10, pretrain_steps=9, max_steps=6).epochs == 5


@pytest.mark.parametrize(("batch_size", "epochs"), [(8, 5), (30, 20), (366, 20)])
def test_a_batch_holds_no_more_than_all_days(batch_size, epochs, days):
    assert fit("dsc", days, batch_size=batch_size, pretrain_steps=8, max_steps=12, quiet_looks=9).epochs == epochs
