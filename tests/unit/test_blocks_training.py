"""Batches, the training loop, pre-training and the change of basis."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch
from torch import nn

from methods.blocks.autoencoder import MLPAutoencoder, project, reconstruction_loss
from methods.blocks.initialisers import INITIALISERS, initialise
from methods.blocks.kmeans import kmeans
from methods.blocks.precision import autocast
from methods.blocks.pretraining import dropout, pretrain_layers
from methods.blocks.seeding import generator
from methods.blocks.training import TrainingDivergedError, batches, train


def silent(name: str, done: int, total: int) -> None:
    """Ignore progress."""


@pytest.mark.parametrize("size", [1, 5, 73, 128, 256, 365, 1000])
def test_no_batch_is_empty_and_each_pass_holds_every_day_once(size):
    n_batches = -(-365 // size)
    parts = list(islice(batches(365, size), 2 * n_batches))
    assert all(len(part) > 0 for part in parts)
    for start in (0, n_batches):
        assert torch.equal(torch.cat(parts[start : start + n_batches]), torch.arange(365))


def test_shuffled_passes_differ_and_still_hold_every_day():
    parts = list(islice(batches(365, 128, generator(0, "order of days")), 6))
    first, second = torch.cat(parts[:3]), torch.cat(parts[3:])
    assert not torch.equal(first, second)
    assert torch.equal(first.sort().values, second.sort().values)


def line() -> tuple[nn.Parameter, torch.optim.SGD]:
    weight = nn.Parameter(torch.tensor(1.0))
    return weight, torch.optim.SGD([weight], lr=0.1)


def test_train_logs_the_mean_of_each_window_and_reports_progress():
    weight, optimiser = line()
    seen = []
    history = train(
        lambda days: weight**2,
        optimiser,
        batches(4, 2),
        5,
        name="line",
        progress=lambda *report: seen.append(report),
        log_every=2,
    )
    value, expected = 1.0, []
    for _ in range(5):
        expected.append(value**2)
        value -= 0.1 * 2 * value
    assert weight.item() == pytest.approx(value)
    assert history["line"] == pytest.approx([np.mean(expected[:2]), np.mean(expected[2:4]), expected[4]])
    assert seen == [("line", 2, 5), ("line", 4, 5), ("line", 5, 5)]


def test_train_divides_the_rate_by_ten():
    weight, optimiser = line()
    train(lambda days: weight, optimiser, batches(4, 2), 4, name="line", progress=silent, decay_steps=2)
    assert weight.item() == pytest.approx(1 - 2 * 0.1 - 2 * 0.01)


def test_terms_of_a_loss_are_summed_and_logged_one_by_one():
    weight, optimiser = line()
    history = train(
        lambda days: {"square": weight**2, "line": 3 * weight},
        optimiser,
        batches(4, 2),
        1,
        name="both",
        progress=silent,
    )
    assert history == {"square": [1], "line": [3]}
    assert weight.item() == pytest.approx(1 - 0.1 * (2 + 3))


def test_a_long_gradient_is_shortened_as_a_whole():
    weights = nn.Parameter(torch.tensor([3.0, 4.0]))
    optimiser = torch.optim.SGD([weights], lr=1.0)
    train(lambda days: weights.square().sum() / 2, optimiser, batches(4, 2), 1, name="x", progress=silent, clip_norm=1)
    torch.testing.assert_close(weights.detach(), torch.tensor([3 - 0.6, 4 - 0.8]), rtol=1e-5, atol=0)


def test_mixed_precision_is_for_the_forward_pass_alone():
    layer, seen = nn.Linear(2, 2), []

    def loss(days):
        seen.append(layer(torch.ones(2, 2)))
        return seen[-1].float().square().mean()

    train(loss, torch.optim.SGD(layer.parameters()), batches(2, 2), 1, name="x", progress=silent, precision="bfloat16")
    assert seen[0].dtype == torch.bfloat16
    assert layer.weight.dtype == layer.weight.grad.dtype == torch.float32
    with pytest.raises(ValueError, match="precision is 'half'; allowed are auto, float32, bfloat16"):
        autocast("half", "cpu")


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_ends_with_a_sentence(bad):
    weight, optimiser = line()
    with pytest.raises(
        TrainingDivergedError, match=r"the loss of line became (nan|inf).*lower the learning rate.*0\.1"
    ):
        train(lambda days: weight * bad, optimiser, batches(4, 2), 3, name="line", progress=silent)


def test_reconstruction_loss_refuses_to_broadcast():
    target = torch.rand(3, 1, 4)
    assert reconstruction_loss(target, target).item() == 0
    with pytest.raises(ValueError, match=r"shape \(3, 4\).*target \(3, 1, 4\)"):
        reconstruction_loss(target[:, 0], target)
    assert reconstruction_loss(target, target + 2).item() == pytest.approx(4)


def test_dropout_keeps_the_mean_and_the_input_at_rate_zero():
    x = torch.ones(200, 200)
    assert dropout(x, 0.0, generator(0, "corruption")) is x
    dropped = dropout(x, 0.2, generator(0, "corruption"))
    assert set(dropped.unique().tolist()) == {0.0, 1.25}
    assert dropped.mean().item() == pytest.approx(1, abs=0.01)


def test_parameter_count_of_the_authors_dec():
    """The authors' notebook prints 7,437,700 for the encoder on 11,767 columns and 7 centres of 150."""
    encoder = MLPAutoencoder(11767, [500, 500, 2000, 150]).encoder
    assert sum(weight.numel() for weight in encoder.parameters()) + 7 * 150 == 7_437_700


def test_autoencoder_is_linear_at_code_and_output():
    autoencoder = MLPAutoencoder(6, [5, 4, 2])
    shapes = [tuple(layer.weight.shape) for layer in autoencoder.modules() if isinstance(layer, nn.Linear)]
    assert shapes == [(5, 6), (4, 5), (2, 4), (4, 2), (5, 4), (6, 5)]
    assert isinstance(autoencoder.encoder[-1], nn.Linear)
    assert isinstance(autoencoder.decoder[-1], nn.Linear)
    assert sum(isinstance(layer, nn.ReLU) for layer in autoencoder.modules()) == 4


def pretrain(autoencoder: MLPAutoencoder, x: torch.Tensor, n_steps: int, input_corruption: float = 0.0) -> dict:
    return pretrain_layers(
        autoencoder,
        x,
        n_steps=n_steps,
        optimiser=lambda weights: torch.optim.SGD(weights, lr=0.1, momentum=0.9),
        decay_steps=None,
        batch_size=16,
        corruption=0.2,
        input_corruption=input_corruption,
        shuffle=generator(0, "order of days"),
        noise=generator(0, "corruption"),
        progress=silent,
    )


def prepared(n_columns: int, x_seed: int = 0) -> tuple[MLPAutoencoder, torch.Tensor]:
    autoencoder = MLPAutoencoder(n_columns, [12, 8, 3])
    initialise(autoencoder, INITIALISERS["glorot_uniform"], generator(0, "weights"))
    return autoencoder, torch.rand(30, n_columns, generator=generator(x_seed, "data"))


def test_layerwise_pretraining_trains_every_layer_and_lowers_every_loss():
    autoencoder, x = prepared(20)
    before = [weight.clone() for weight in autoencoder.parameters()]
    history = pretrain(autoencoder, x, 300)
    assert list(history) == ["layer_1", "layer_2", "layer_3"]
    assert all(losses[-1] < losses[0] for losses in history.values())
    assert all(not torch.equal(old, new) for old, new in zip(before, autoencoder.parameters(), strict=True))


def test_the_pair_of_the_data_is_trained_on_clean_data_and_linear_output():
    """With one layer that is the code there is no corruption and no ReLU: a linear auto-encoder, by hand."""
    autoencoder = MLPAutoencoder(6, [2])
    initialise(autoencoder, INITIALISERS["glorot_uniform"], generator(0, "weights"))
    x = torch.rand(10, 6, generator=generator(0, "data")) - 0.5
    encode, decode = autoencoder.encoder[0], autoencoder.decoder[0]
    expected = ((x @ encode.weight.T @ decode.weight.T - x) ** 2).mean().item()
    assert pretrain(autoencoder, x, 1)["layer_1"] == pytest.approx([expected], rel=1e-5)


def test_training_in_the_smaller_basis_is_the_same_training():
    full, x = prepared(200)
    small, x_small = project(full, x)
    assert x_small.shape == (30, 30 + 12 + 1)
    assert small.n_columns == 200
    torch.testing.assert_close(small.encoder(x_small), full.encoder(x))
    full.double(), small.double()
    losses = [pretrain(network, data.double(), 60) for network, data in ((full, x), (small, x_small))]
    for name, series in losses[0].items():
        assert losses[1][name] == pytest.approx(series, rel=1e-4)
    for network, data in ((full, x.double()), (small, x_small.double())):
        train(
            lambda days, network=network, data=data: reconstruction_loss(
                network(data[days]), data[days], network.n_columns
            ),
            torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9),
            batches(30, 16),
            60,
            name="autoencoder",
            progress=silent,
        )
    start = prepared(200)[0].double().encoder(x.double())
    moved = (full.encoder(x.double()) - start).abs().max()
    assert moved > 0.1, "training must have changed the code"
    torch.testing.assert_close(small.encoder(x_small.double()), full.encoder(x.double()), rtol=0, atol=1e-4)


def test_few_columns_are_left_as_they_are():
    autoencoder, x = prepared(40)
    assert project(autoencoder, x) == (autoencoder, x)


def test_kmeans_resolves_codes_closer_than_single_precision_of_one():
    rng = np.random.default_rng(0)
    truth = np.arange(60) % 3
    codes = 1e-5 * (10 * truth[:, None] + rng.normal(size=(60, 2)))
    labels, centres = kmeans(torch.tensor(codes, dtype=torch.float32), 3, seed=0)
    assert centres.shape == (3, 2)
    assert centres.dtype == torch.float32
    assert all(len(set(labels[truth == j])) == 1 for j in range(3))


def test_kmeans_names_the_day_of_a_bad_code():
    z = torch.zeros(5, 2)
    z[3, 1] = float("nan")
    with pytest.raises(ValueError, match="day 3"):
        kmeans(z, 2, seed=0)
