"""DSC-DAG, reconstructed from its abstract, on tiny cubes."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from method_cubes import fit, make_cube, planted, plugin

from methods.blocks.expressive_autoencoder import ExpressiveAutoencoder
from methods.blocks.gan import alternate
from methods.blocks.seeding import generator
from methods.blocks.spectral import raw_least_squares, spectral_labels
from methods.blocks.subspace_game import SubspaceDiscriminator
from methods.blocks.subspaces import residual_energy
from regimebench import registry

ADDRESSES = registry.variants("dsc_dag")


@pytest.fixture(scope="module")
def days():
    return planted(n_days=40, n_clusters=3, noise=0.3)[0]


@pytest.fixture(scope="module")
def parts(days):
    """Return the plugin with its network, input game and bases, on three clusters of days in turn."""
    method = plugin("dsc_dag", n_clusters=3)
    p = SimpleNamespace(**method.params)
    options = {"input_scale": 255.0, "start": 0.01, "seed": 0, "device": "cpu"}
    network = ExpressiveAutoencoder(days, p.channels, p.kernels, p.output, **options)
    inputs = sys.modules[type(method).__module__].InputGame(network.X, p, 0, "cpu")
    bases = SubspaceDiscriminator(
        3,
        network.network.code_size,
        2,
        generator(0, "combinations"),
        margin=p.margin,
        normalised=True,
        real_share=1.0,
        distinct=False,
    )
    bases.start(network.codes(), np.arange(40) % 3)
    return method, network, inputs, bases


def test_it_says_that_it_is_reconstructed():
    assert {registry.method(address).fidelity for address in ADDRESSES} == {"reconstructed"}


def test_what_a_fit_returns(days):
    found = fit("dsc_dag", days, n_clusters=3)
    np.testing.assert_array_equal(found.labels, spectral_labels(found.self_expression, 3, 0))
    assert set(found.other_labels) == {"plain_cut", "raw_data"}
    assert set(found.diagnostics) == {"discarded_labelings", "adversary_share", "nearest_generated"}
    backbone = {"autoencoder", "reconstruction", "self_expression", "penalty", "embedding_norm"}
    on_inputs = {"critic", "gradient_penalty", "generator"}
    on_codes = {"bases", "overlap", "skewness", "combinations", "generated", "agreement_with_last_labels"}
    assert set(found.history) == backbone | on_inputs | on_codes
    assert found.reconstruction.shape == days.values.shape
    assert found.epochs == 10 + 6 + 4


def test_untrained_is_least_squares_on_the_initial_codes(days):
    found = fit("dsc_dag/untrained", days, n_clusters=3)
    np.testing.assert_allclose(found.self_expression, raw_least_squares(found.embedding))
    assert set(found.history) == {"embedding_norm"}


def test_made_up_codes_are_judged_by_the_nearest_basis(parts):
    method, network, _, bases = parts
    nearest = sys.modules[type(method).__module__].nearest_energy
    Z = network.codes()
    unit = Z / Z.norm(dim=1, keepdim=True)
    each = torch.stack([residual_energy(unit, U) for U in bases.subspaces.bases()])
    torch.testing.assert_close(nearest(bases, 3 * Z), each.min(dim=0).values)


def test_both_kinds_of_made_up_codes_move_the_encoder_and_neither_moves_the_generator(parts):
    method, network, inputs, bases = parts
    for name in ("combinations", "generated"):
        terms = method._adversarial(network, inputs, bases, network.encode(network.X))
        first = network.network.encoder[0].convolution.weight
        (gradient,) = torch.autograd.grad(terms[name], first, retain_graph=True)
        assert gradient.abs().max() > 0
        unused = torch.autograd.grad(terms[name], list(inputs.generator.parameters()), allow_unused=True)
        assert all(part is None for part in unused)


def test_adversarial_terms_are_in_units_of_the_self_expression_residual(parts):
    method, network, inputs, bases = parts
    Z = network.encode(network.X)
    bases.noise.manual_seed(1)
    found = method._adversarial(network, inputs, bases, Z)["combinations"].item()
    bases.noise.manual_seed(1)
    expected = 0.2 * Z.square().sum() / 2 * bases.fake_energy(Z)
    assert found == pytest.approx(expected.item(), rel=1e-5)


def test_generated_days_come_near_the_days(days):
    method = plugin("dsc_dag", n_clusters=3, hidden=[32, 32], gan_rate=0.003, critic_steps=5, gan_batch_size=32)
    X = torch.tensor(days.values) * 255
    inputs = sys.modules[type(method).__module__].InputGame(X, SimpleNamespace(**method.params), 0, "cpu")
    table = torch.tensor(days.table)

    def distance() -> float:
        return (inputs.rows(200).mean(dim=0) - table.mean(dim=0)).norm().item()

    before = distance()
    history = alternate(inputs.players, 100, name="generator", progress=lambda *_: None)
    assert distance() < 0.3 * before
    assert set(history) == {"critic", "gradient_penalty", "generator"}
    assert inputs.days(3).shape == (3, 12, 12, 3)


@pytest.mark.parametrize("grid", [(7, 10, 1), (5, 6, 2)])
def test_any_grid(grid):
    cube = make_cube(np.random.default_rng(0).random((12, *grid)))
    assert fit("dsc_dag", cube, n_clusters=2).reconstruction.shape == cube.values.shape
