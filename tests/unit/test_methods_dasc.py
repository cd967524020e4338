"""DASC on tiny cubes, and the game that it shares."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from method_cubes import fit, make_cube, padded, planted, plugin

from methods.blocks.expressive_autoencoder import ExpressiveAutoencoder
from methods.blocks.gan import Player
from methods.blocks.seeding import generator
from methods.blocks.spectral import raw_least_squares, spectral_labels
from methods.blocks.subspace_game import SubspaceDiscriminator, gradient_share, once_per_round, play
from methods.blocks.subspaces import qr_basis, residual_energy
from regimebench import registry

ADDRESSES = registry.variants("dasc")


@pytest.fixture(scope="module")
def days():
    return planted(n_days=40, n_clusters=3, noise=0.3)[0]


def discriminator(Z, labels, **changed):
    options = {"margin": 0.1, "normalised": True, "real_share": 1.0, "distinct": False, **changed}
    made = SubspaceDiscriminator(3, Z.shape[1], 2, generator(0, "fakes"), **options)
    made.start(Z, labels)
    return made


def codes(n=30, d=8):
    return torch.randn(n, d, generator=generator(0, "codes")), np.arange(n) % 3


def autoencoder(cube, **changed):
    options = {"input_scale": 255.0, "start": 0.01, "seed": 0, "device": "cpu", **changed}
    return ExpressiveAutoencoder(cube, [4, 6], [3, 3], "linear", **options)


def test_what_a_fit_returns(days):
    found = fit("dasc", days, n_clusters=3)
    assert found.self_expression.shape == (40, 40)
    assert found.reconstruction.shape == days.values.shape
    assert set(found.other_labels) == {"plain_cut", "raw_data"}
    expected = spectral_labels(raw_least_squares(days.table), 3, 0)
    np.testing.assert_array_equal(found.other_labels["raw_data"], expected)
    np.testing.assert_array_equal(found.labels, spectral_labels(found.self_expression, 3, 0))
    losses = {"reconstruction", "self_expression", "penalty", "discriminator", "overlap", "skewness", "adversarial"}
    assert set(found.history) == losses | {"autoencoder", "embedding_norm", "agreement_with_last_labels"}
    assert len(found.history["embedding_norm"]) == 2 + 2  # before and after C is trained, and in the game
    assert found.epochs == 10 + 6 + 4
    parameters = 2 * (3 * 9 * 4 + 4 * 9 * 6) + (4 + 6) + (4 + 3) + 40 * 40 + 3 * (6 * 3 * 3) * 10
    assert found.n_parameters == parameters


def test_training_brings_codes_and_their_combinations_together(days):
    found = fit("dasc", days, n_clusters=3, pretrain_steps=100, express_steps=100, learning_rate=0.01)
    before = fit("dasc", days, n_clusters=3, pretrain_steps=0, express_steps=1, adversarial_rounds=0)

    def unexplained(one):
        Z = one.embedding
        return np.linalg.norm(Z - one.self_expression @ Z) / np.linalg.norm(Z - Z.mean(axis=0))

    assert unexplained(found) < 0.5 * unexplained(before)
    assert np.mean((found.reconstruction - days.values) ** 2) < days.values.var(axis=0).mean()
    assert found.history["autoencoder"][-1] < 0.5 * found.history["autoencoder"][0]


def test_untrained_is_least_squares_on_the_initial_codes(days):
    found = fit("dasc/untrained", days, n_clusters=3)
    np.testing.assert_allclose(found.self_expression, raw_least_squares(found.embedding))
    network = autoencoder(days)
    np.testing.assert_array_equal(found.embedding, network.codes().numpy())
    assert found.epochs == 0
    assert set(found.history) == {"embedding_norm"}


def test_losses_are_sums_over_days_and_cells_with_data(days):
    network = autoencoder(days)
    network.seen[:4] = False
    Z = network.encode(network.X)
    weights = {"reconstruction": 1.0, "self_expression": 0.2, "penalty": 3.0}
    found = {name: term.item() for name, term in network.losses(Z, weights, "l1").items()}
    X, C = 255.0 * days.values, np.full((40, 40), 0.01, dtype=np.float32)
    decoded = 255 * network.reconstruction(days, expressed=True)
    np.testing.assert_allclose(network.X, X)
    codes = Z.detach().numpy()
    assert found["reconstruction"] == pytest.approx(((decoded - X)[:, 4:] ** 2).sum() / 2, rel=1e-4)
    assert found["self_expression"] == pytest.approx(0.1 * ((codes - C @ codes) ** 2).sum(), rel=1e-4)
    assert found["penalty"] == pytest.approx(3 * 0.01 * 40 * 40, rel=1e-4)


def test_discriminator_scores_codes_of_unit_length_on_the_basis_of_their_cluster():
    Z, labels = codes()
    made = discriminator(Z, labels)
    unit = Z / Z.norm(dim=1, keepdim=True)
    for (real, fake), k in zip(made.energies(Z), range(3), strict=True):
        basis = qr_basis(Z[labels == k], 2)
        torch.testing.assert_close(real, residual_energy(unit[labels == k], basis))
        assert fake.shape == real.shape
        assert fake.max() <= 1


def test_energy_of_fakes_does_not_reward_small_codes_when_they_are_normalised():
    Z, labels = codes()
    scaled, raw = (discriminator(Z, labels, normalised=normalised) for normalised in (True, False))
    assert [made.fake_energy(z).item() for made, z in ((scaled, Z), (raw, Z))] > [0.01, 1.0]
    for made in (scaled, raw):
        made.noise.manual_seed(0)
    large, large_raw = scaled.fake_energy(Z).item(), raw.fake_energy(Z).item()
    for made in (scaled, raw):
        made.noise.manual_seed(0)
    assert scaled.fake_energy(0.01 * Z).item() == pytest.approx(large, rel=1e-4)
    assert raw.fake_energy(0.01 * Z).item() == pytest.approx(1e-4 * large_raw, rel=1e-4)


def test_only_the_share_of_real_days_nearest_to_the_basis_counts():
    Z, labels = codes()
    everyone, nearest = (
        [real for real, _ in discriminator(Z, labels, real_share=share).energies(Z)] for share in (1.0, 0.8)
    )
    for all_days, some in zip(everyone, nearest, strict=True):
        torch.testing.assert_close(some.sort().values, all_days.sort().values[:8])


def test_relabelling_keeps_bases_with_their_days_and_makes_one_for_a_cluster_without():
    Z, labels = codes()
    made = discriminator(Z, labels, distinct=True)
    before = made.subspaces.U.detach().clone()
    made.relabel(Z, (labels + 1) % 3)  # new numbers for the same clusters
    assert [basis for _, basis in made.clusters] == [2, 0, 1]
    assert torch.equal(made.subspaces.U, before)
    members = torch.cat([Z[labels == 0], 0.5 * Z[labels == 0]])
    made.relabel(torch.cat([members, Z[labels == 1]]), np.repeat([0, 1, 2], 10))  # two clusters on one subspace
    assert [basis for _, basis in made.clusters] == [2, 0, 1]
    assert torch.equal(made.subspaces.U[:2], before[:2])
    torch.testing.assert_close(made.subspaces.U[2], qr_basis(Z[labels == 0], 2))


def test_a_look_that_finds_too_few_clusters_is_discarded():
    Z, labels = codes()
    made = discriminator(Z, labels)
    player = Player(lambda: {"discriminator": made.loss(Z)}, torch.optim.Adam(made.parameters(), 0.001))
    looks = iter([np.zeros(30, dtype=int), (labels + 1) % 3])
    history, diagnostics = play(
        [player], 5, 2, D=made, labels=labels, codes=lambda: Z, cut=lambda: next(looks), progress=lambda *_: None
    )
    assert diagnostics == {"discarded_labelings": 1}
    assert history["agreement_with_last_labels"] == [0, 1]
    assert len(history["discriminator"]) == len(history["embedding_norm"]) == 3


def test_codes_are_computed_once_per_round():
    calls = []
    latest = once_per_round(lambda: calls.append(None) or torch.tensor(len(calls)), 3)
    assert [latest().item() for _ in range(7)] == [1, 1, 1, 2, 2, 2, 3]


def test_gradient_share_compares_lengths_of_gradients():
    Z = torch.tensor([3.0, 4.0], requires_grad=True)
    assert gradient_share((2 * Z).sum(), Z.square().sum(), Z) == pytest.approx(2 * 2**0.5 / 10)


def test_g_lowers_the_energy_of_fakes_or_the_score_that_d_raises():
    Z, labels = codes()
    made = discriminator(Z, labels)
    for one_score, expected in ((False, made.fake_energy), (True, lambda z: -made.loss(z))):
        made.noise.manual_seed(5)
        found = plugin("dasc", n_clusters=3, one_score=one_score, adversarial_weight=2.0)._adversarial(made, Z)
        made.noise.manual_seed(5)
        assert found.item() == pytest.approx(2 * expected(Z).item())


def test_padding_and_masked_cells(days):
    cube = make_cube(np.random.default_rng(0).random((12, 7, 10, 1)))
    found = fit("dasc", cube, n_clusters=2)
    assert found.reconstruction.shape == cube.values.shape
    wide = padded(days, 4, 3)
    one, other = fit("dasc", days, n_clusters=3), fit("dasc", wide, n_clusters=3)
    np.testing.assert_array_equal(one.embedding, other.embedding)
    np.testing.assert_array_equal(one.reconstruction, other.reconstruction[:, :12, :12])
    assert not other.reconstruction[:, 12:].any()


@pytest.mark.parametrize("address", ["dasc", "dasc/paper"])
def test_days_that_are_all_zero_have_labels(address):
    values = np.zeros((20, 8, 8, 1), dtype=np.float32)
    cube = make_cube(np.random.default_rng(0).random((20, 8, 8, 1)))
    blank = type(cube)(**{**cube.__dict__, "values": values})
    found = fit(address, blank, n_clusters=3)
    assert np.isfinite(found.embedding).all()
    assert set(found.labels) <= {0, 1, 2}
