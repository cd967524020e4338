"""Random streams: reproducible, separate, and invisible to everybody else."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from methods.blocks.autoencoder import MLPAutoencoder
from methods.blocks.initialisers import INITIALISERS, initialise
from methods.blocks.seeding import generator, reproducible, sub_seed


def test_sub_seeds_differ_by_purpose_and_seed_and_fit_scikit_learn():
    seeds = {sub_seed(seed, purpose) for seed in range(50) for purpose in ("weights", "kmeans", "order of days")}
    assert len(seeds) == 150
    assert all(0 <= seed < 2**32 for seed in seeds)
    assert sub_seed(3, "weights") == sub_seed(3, "weights")


def test_generators_repeat():
    first, second = (torch.rand(5, generator=generator(4, "weights")) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, torch.rand(5, generator=generator(5, "weights")))


def test_reproducible_seeds_global_draws_and_gives_the_state_back():
    state = torch.get_rng_state()
    with reproducible(1):
        first = torch.rand(3)
        assert torch.are_deterministic_algorithms_enabled()
    assert torch.equal(state, torch.get_rng_state())
    torch.rand(7)
    with reproducible(1):
        assert torch.equal(first, torch.rand(3))
    assert not torch.are_deterministic_algorithms_enabled()


def test_reproducible_gives_the_state_back_after_an_error():
    state = torch.get_rng_state()
    with pytest.raises(RuntimeError), reproducible(1):
        torch.rand(3) @ torch.rand(4)
    assert torch.equal(state, torch.get_rng_state())
    assert not torch.are_deterministic_algorithms_enabled()


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(40, 50), nn.ReLU(), nn.Linear(50, 50), nn.Linear(50, 50), nn.Linear(50, 10))


@pytest.mark.parametrize(
    ("name", "bound"),
    [("variance_scaling", 1 / 40**0.5), ("glorot_uniform", (6 / (40 + 50)) ** 0.5)],
)
def test_uniform_initialisers_fill_their_range(name, bound):
    net = network()
    initialise(net, INITIALISERS[name], generator(0, "weights"))
    assert net[0].weight.abs().max() <= bound
    assert net[0].weight.abs().max() > 0.98 * bound
    assert all((layer.bias == 0).all() for layer in net if isinstance(layer, nn.Linear))


def test_fan_of_a_convolution_counts_its_kernel():
    convolution = nn.Conv2d(4, 8, 3)
    INITIALISERS["variance_scaling"](convolution.weight.data, generator(0, "weights"))
    bound = 1 / (4 * 9) ** 0.5
    assert 0.95 * bound < convolution.weight.abs().max() <= bound


def test_normal_initialiser_has_standard_deviation_001():
    weight = INITIALISERS["normal"](torch.empty(300, 300), generator(0, "weights"))
    assert weight.std().item() == pytest.approx(0.01, rel=0.02)
    assert abs(weight.mean().item()) < 1e-4


def test_a_shared_initialiser_repeats_itself_for_equal_shapes():
    net = network()
    initialise(net, INITIALISERS["variance_scaling"], generator(0, "weights"), shared=True)
    assert torch.equal(net[2].weight, net[3].weight)
    initialise(net, INITIALISERS["variance_scaling"], generator(0, "weights"))
    assert not torch.equal(net[2].weight, net[3].weight)


def test_both_square_layers_of_dec_start_equal_in_the_authors_settings():
    autoencoder = MLPAutoencoder(30, [50, 50, 20, 5])
    initialise(autoencoder, INITIALISERS["variance_scaling"], generator(0, "weights"), shared=True)
    assert torch.equal(autoencoder.encoder[2].weight, autoencoder.decoder[4].weight)


def test_building_a_network_draws_nothing_from_the_global_stream():
    state = torch.get_rng_state()
    initialise(MLPAutoencoder(30, [8, 4]), INITIALISERS["normal"], generator(0, "weights"))
    assert torch.equal(state, torch.get_rng_state())
