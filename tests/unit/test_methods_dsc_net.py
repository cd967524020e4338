"""DSC-Net and its controls on tiny cubes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from method_cubes import fit, make_cube, padded, planted
from sklearn.metrics import adjusted_rand_score
from synthetic_plans import plan

from methods.blocks.conv_autoencoder import ConvAutoencoder
from methods.blocks.spectral import cut, plain_affinity, raw_least_squares, spectral_labels
from regimebench import registry

ADDRESSES = registry.variants("dsc_net")
TRAINED = ["dsc_net", "dsc_net/l1"]


@pytest.fixture(scope="module")
def days():
    return planted(n_days=40, noise=0.5)[0]


def official_loss(found, days, norm: str) -> dict[str, float]:
    """The loss of the paper, in the units of the data, from what a fit returns."""
    p = registry.method("dsc_net").parameters
    Z, C = found.embedding, found.self_expression
    return {
        "reconstruction": np.square(found.reconstruction - days.values).sum() / 2,
        "coefficients": p["lambda1"] * (np.abs(C).sum() if norm == "l1" else np.square(C).sum()),
        "self_expression": p["lambda2"] / 2 * np.square(Z - C @ Z).sum(),
    }


@pytest.mark.parametrize("norm", ["l1", "l2"])
def test_without_normalisation_the_terms_are_the_papers_sums(norm, days):
    """One step at no rate: what the fit returns is what the loss was taken of."""
    options = {"norm": norm, "normalise": False, "start": 0.02, "fine_tune_steps": 1, "learning_rate": 0.0}
    found = fit("dsc_net", days, pretrain_steps=0, **options)
    expected = official_loss(found, days, norm)
    assert set(found.history) == {*expected, "embedding_norm"}
    for term, value in expected.items():
        assert found.history[term] == pytest.approx([value], rel=1e-4)
    assert found.history["embedding_norm"] == pytest.approx([np.linalg.norm(found.embedding)] * 2, rel=1e-5)


@pytest.mark.parametrize("scale", [1.0, 0.1])
def test_with_normalisation_the_terms_have_no_units(scale, days):
    """The same days in a tenth of the range, so that every code is a tenth, too."""
    smaller = replace(days, values=(days.values * scale).astype(np.float32))
    options = {"pretrain_steps": 0, "fine_tune_steps": 1, "learning_rate": 0.0, "start": 0.02}
    found, plain = fit("dsc_net", smaller, **options), fit("dsc_net", days, **options)
    for term in ("reconstruction", "coefficients", "self_expression"):
        assert found.history[term] == pytest.approx(plain.history[term], rel=1e-3)
    assert np.linalg.norm(found.embedding) == pytest.approx(scale * np.linalg.norm(plain.embedding), rel=1e-3)


def test_training_lowers_each_term_and_brings_coefficients_to_life(days):
    found = fit("dsc_net", days, pretrain_steps=100, fine_tune_steps=50, learning_rate=0.01)
    assert found.history["autoencoder"][-1] < 0.7 * found.history["autoencoder"][0]
    for term in ("reconstruction", "self_expression"):
        assert found.history[term][-1] < 0.9 * found.history[term][0]
    Z, C = found.embedding, found.self_expression
    assert np.linalg.norm(C) > 1
    assert np.linalg.norm(Z - C @ Z) < 0.5 * np.linalg.norm(Z)
    variance = days.values.var(axis=0).sum()
    assert np.square(found.reconstruction - days.values).sum(axis=(1, 2, 3)).mean() < variance
    assert found.epochs == 150
    assert found.stop_reason == "all 150 steps were taken"
    assert len(found.history["embedding_norm"]) == 1 + len(found.history["reconstruction"])


def test_no_day_uses_itself_in_the_l1_form(days):
    assert not fit("dsc_net/l1", days).self_expression.diagonal().any()
    assert fit("dsc_net", days).self_expression.diagonal().all()


def test_untrained_is_the_least_of_the_loss_at_the_initial_codes(days):
    p = registry.method("dsc_net").parameters
    found = fit("dsc_net/untrained", days)
    start = fit("dsc_net", days, pretrain_steps=0, fine_tune_steps=1, learning_rate=0.0)
    np.testing.assert_array_equal(found.embedding, start.embedding)
    Z = found.embedding / np.sqrt(np.square(found.embedding).sum() / 40)
    gram = Z @ Z.T
    expected = np.linalg.solve(gram + 2 * p["lambda1"] / p["lambda2"] * np.eye(40), gram)
    np.testing.assert_allclose(found.self_expression, expected, atol=1e-4)
    assert found.epochs == 0


def test_raw_is_the_reading_that_every_method_records(days):
    raw = fit("dsc_net/raw", days)
    np.testing.assert_array_equal(raw.labels, spectral_labels(raw_least_squares(days.table), 7, 0))
    np.testing.assert_array_equal(raw.labels, fit("dsc_net", days).other_labels["raw_data"])
    np.testing.assert_array_equal(raw.embedding, days.table)


@pytest.mark.parametrize("address", ADDRESSES)
def test_labels_are_cuts_of_c(address, days):
    found = fit(address, days)
    np.testing.assert_array_equal(found.labels, spectral_labels(found.self_expression, 7, 0))
    np.testing.assert_array_equal(found.other_labels["plain_cut"], cut(plain_affinity(found.self_expression), 7, 0))


def test_parameters_are_those_of_network_and_c(days):
    network = ConvAutoencoder((12, 12, 3), [4, 6, 8])
    assert fit("dsc_net", days).n_parameters == 40**2 + sum(weight.numel() for weight in network.parameters())


def test_cells_without_data_and_padding_change_nothing(days):
    """Cells that are masked and zero are not counted; padding is cut off and comes back as zeros."""
    mask = days.mask.copy()
    mask[:3] = False
    holed = replace(days, values=days.values * mask, mask=mask)
    before = fit("dsc_net", holed, pretrain_steps=0, fine_tune_steps=1, learning_rate=0.0)
    error = np.square(before.reconstruction - holed.values)[:, mask].sum() / 2
    energy = np.square(holed.values - holed.values.mean(axis=0)).sum() / 40
    assert before.history["reconstruction"] == pytest.approx([error / energy], rel=1e-3)
    assert not before.reconstruction[:, ~mask].any()
    one, other = fit("dsc_net", holed), fit("dsc_net", padded(holed, 4, 8))
    np.testing.assert_array_equal(one.self_expression, other.self_expression)
    np.testing.assert_array_equal(np.pad(one.reconstruction, ((0, 0), (0, 4), (0, 8), (0, 0))), other.reconstruction)


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("grid", [(7, 10, 1), (41, 41, 1), (1, 2, 2)])
def test_any_grid(address, grid):
    cube = make_cube(np.random.default_rng(0).random((12, *grid)))
    found = fit(address, cube, n_clusters=2)
    assert found.reconstruction is None or found.reconstruction.shape == cube.values.shape


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("value", ["zero", "equal"])
def test_days_that_are_all_alike_have_labels(address, value, days):
    field = np.zeros_like(days.values[0]) if value == "zero" else days.values[0]
    found = fit(address, replace(days, values=np.broadcast_to(field, days.values.shape).copy()))
    if value == "zero" and address not in TRAINED:  # there C keeps its equal entries, and any cut is as good
        assert set(found.labels) == {0}


@pytest.mark.slow
def test_planted_subspaces_are_found_where_the_untrained_network_fails():
    subspaces = plan("subspaces", n_days=120, n_variables=2, n_clusters=3, land_fraction=0, height=12, width=12, seed=0)
    cube = make_cube(subspaces.anomalies())
    scores = {}
    for address in ("dsc_net", "dsc_net/untrained"):
        full = registry.method(address).parameters
        names = ("channels", "pretrain_steps", "fine_tune_steps", "learning_rate")
        found = fit(address, cube, n_clusters=3, **{name: full[name] for name in names})
        scores[address] = adjusted_rand_score(subspaces.labels, found.labels)
    assert scores["dsc_net"] > scores["dsc_net/untrained"] + 0.1
