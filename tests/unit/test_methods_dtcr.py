"""DTCR and its variants on tiny cubes; its network, fake series and losses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from method_cubes import fit, make_cube, planted, plugin
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score

from methods.blocks.seeding import generator
from methods.dtcr.network import DTCR, classification_loss, fake_samples
from regimebench import registry

ADDRESSES = registry.variants("dtcr")
TERMS = ["reconstruction", "classification", "kmeans"]


def short(address: str) -> dict[str, int]:
    """Return an iteration count for tests that need no good clustering; what does not train stays so."""
    return {"max_iter": min(3, registry.method(address).smoke["max_iter"])}


@pytest.fixture(scope="module")
def clear():
    return planted(n_days=60, n_clusters=3, noise=0.5)


def series(n: int = 50, n_steps: int = 20, n_variables: int = 2) -> torch.Tensor:
    return torch.arange(n * n_steps * n_variables, dtype=torch.float32).reshape(n, n_steps, n_variables)


def origins(fake: torch.Tensor, real: torch.Tensor) -> np.ndarray:
    """Return the step from which each step of a fake series came; steps keep their variables together."""
    match = (fake[:, :, None] == real[:, None]).all(dim=3)
    assert (match.sum(dim=2) == 1).all()
    return match.int().argmax(dim=2).numpy()


def test_fake_series_of_the_paper_shuffle_a_fifth_of_the_steps():
    real = series()
    came_from = origins(fake_samples(real, 0.2, False, generator(0, "fake samples")), real)
    np.testing.assert_array_equal(np.sort(came_from, axis=1), np.tile(np.arange(20), (50, 1)))  # nothing is lost
    moved = (came_from != np.arange(20)).sum(axis=1)
    assert moved.max() == 4
    assert 2.5 < moved.mean() < 3.5  # of 4 shuffled steps one stays in place on average
    assert ((came_from != np.arange(20)).sum(axis=0) > 0).all()


def test_fake_series_of_the_code_write_the_first_draws_to_the_drawn_steps_in_ascending_order():
    real = series(40)
    fake = fake_samples(real, 0.2, True, generator(0, "fake samples"))
    drawn = torch.randint(20, (40, 4), generator=generator(0, "fake samples")).numpy()
    expected = real.clone()
    for day, steps in enumerate(drawn.tolist()):
        for position, source in zip(sorted(set(steps)), steps, strict=False):
            expected[day, position] = real[day, source]
    torch.testing.assert_close(fake, expected, rtol=0, atol=0)
    came_from = origins(fake, real)
    assert any(len(set(row)) < 20 for row in came_from)  # some values are doubled, others lost


@pytest.mark.parametrize("replacement", [False, True])
def test_fake_series_differ_at_each_call_and_come_from_the_seed(replacement):
    real, stream = series(), generator(0, "fake samples")
    first, second = (fake_samples(real, 0.2, replacement, stream) for _ in range(2))
    assert not torch.equal(first, second)
    assert torch.equal(first, fake_samples(real, 0.2, replacement, generator(0, "fake samples")))


def test_classifier_learns_to_tell_shuffled_series(clear):
    """Straight lines with a fifth of their steps shuffled are easy to tell; the loss ends far below chance."""
    made = network()
    optimiser, stream = torch.optim.Adam(made.parameters(), 0.02), generator(0, "fake samples")
    real = torch.linspace(-1, 1, 20)[None, :, None] * torch.rand(64, 1, 2, generator=generator(0, "x")).add(0.5)
    for _ in range(60):
        optimiser.zero_grad()
        fake = fake_samples(real, 0.2, False, stream)
        loss = classification_loss(made.classifier(made.encode(torch.cat([real, fake]))))
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.4


def test_series_too_short_to_draw_a_step_stay_as_they_are():
    real = series(n_steps=4)
    assert torch.equal(fake_samples(real, 0.2, False, generator(0, "fake samples")), real)


def test_classifier_is_asked_which_half_is_fake():
    certain = torch.tensor([[50.0, 0.0]] * 3 + [[0.0, 50.0]] * 3)
    assert classification_loss(certain).item() == pytest.approx(0, abs=1e-6)
    assert classification_loss(certain.flip(0)).item() == pytest.approx(50)
    assert classification_loss(torch.zeros(6, 2)).item() == pytest.approx(np.log(2))


def network() -> DTCR:
    found = DTCR(2, [4, 3], [1, 4], 5)
    found.initialise(generator(0, "weights"))
    return found


def test_decoder_starts_at_the_code_and_reads_its_own_output():
    decoder = network().decoder
    h, first = torch.randn(3, 14, generator=generator(0, "h")), torch.rand(3, 2, generator=generator(0, "x"))
    found = decoder(h, first, 4)
    inputs = torch.cat([first[:, None], found[:, :3]], dim=1)
    torch.testing.assert_close(found, decoder.output(decoder.gru(inputs, h)))


def test_code_is_the_last_states_in_both_directions():
    made, x = network(), torch.rand(3, 9, 2, generator=generator(0, "x"))
    h = made.encode(x)
    assert h.shape == (3, 14)
    torch.testing.assert_close(h[:, 7:], made.backwards(x.flip(1)))
    assert not torch.allclose(h[:, :7], made.encode(x.flip(1))[:, 7:])  # the directions have weights of their own
    torch.testing.assert_close(made.encode_all(x, batch_size=2), h)


def test_initial_weights_are_those_of_the_official_code():
    made = DTCR(2, [40, 30], [1, 4], 128)
    made.initialise(generator(0, "weights"))
    for parameter in made.decoder.output.parameters():
        assert parameter.abs().max() <= 0.04
    for layer in (made.classifier[0], made.classifier[2]):
        assert set(layer.bias.tolist()) == {np.float32(0.1)}
        assert 0.015 < layer.weight.abs().max() <= 0.02


def test_training_recovers_planted_means_lowers_its_losses_and_logs_each_by_name(clear):
    cube, truth = clear
    found = fit("dtcr", cube, n_clusters=3, max_iter=35, n_init=10)
    assert adjusted_rand_score(truth, found.labels) > 0.9
    assert list(found.history) == [*TERMS, "embedding_norm"]
    assert all(len(found.history[term]) == 4 for term in TERMS)
    assert found.history["reconstruction"][-1] < 0.5 * found.history["reconstruction"][0]
    assert found.history["kmeans"][-1] < 0.1 * found.history["kmeans"][0]
    assert found.history["classification"][0] == pytest.approx(np.log(2), rel=0.01)  # it starts undecided
    assert found.embedding.shape == (60, 32)
    assert found.epochs == 35
    assert found.stop_reason == "all iterations done"


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
    found = fit("dtcr/untrained", cube, n_clusters=3)
    assert (found.history, found.epochs, found.stop_reason) == ({}, 0, "no iterations asked for")
    centres = np.stack([found.embedding[found.labels == j].astype(float).mean(axis=0) for j in range(3)])
    distance = np.linalg.norm(found.embedding[:, None].astype(float) - centres, axis=2)
    np.testing.assert_array_equal(distance.argmin(axis=1), found.labels)


def test_parameters_are_those_of_encoder_decoder_and_classifier(clear):
    cube, _ = clear

    def gru(n_in: int, n_units: int) -> int:
        return 3 * n_units * (n_in + n_units + 1)

    encoder = 2 * (gru(3, 8) + gru(8, 4) + gru(4, 4))
    decoder, classifier = gru(3, 32) + 32 * 3 + 3, 32 * 16 + 16 + 16 * 2 + 2
    assert fit("dtcr", cube, max_iter=1).n_parameters == encoder + decoder + classifier


def test_full_batch_needs_no_order_and_the_indicator_follows_the_days(clear):
    """Aligned, one batch of all days is the same problem in any order; misaligned, the k-means term stays higher."""
    cube, _ = clear
    aligned, misaligned = (
        fit("dtcr", cube, n_clusters=3, max_iter=30, align_f=switch).history["kmeans"] for switch in (True, False)
    )
    assert aligned[0] == pytest.approx(misaligned[0], rel=0.05)
    assert aligned[2] < 0.5 * misaligned[2]


def test_loss_terms_scale_as_declared(clear):
    cube, _ = clear
    one = {"max_iter": 1, "lr": 0.0}
    plain = fit("dtcr", cube, **one).history
    mean = fit("dtcr", cube, **one, mean_over_steps=True).history
    heavier = fit("dtcr", cube, **one, kmeans_weight=0.1).history
    assert plain["reconstruction"][0] == pytest.approx(16 * 3 * mean["reconstruction"][0], rel=1e-5)
    assert heavier["kmeans"][0] == pytest.approx(10 * plain["kmeans"][0], rel=1e-5)


def test_batches_smaller_than_all_days_train_too(clear):
    cube, _ = clear
    found = fit("dtcr", cube, n_clusters=3, batch_size=20, max_iter=30)
    assert found.epochs == 10
    assert all(found.history[term][-1] < found.history[term][0] for term in ("reconstruction", "kmeans"))


def test_input_noise_changes_the_training_and_not_the_code_of_given_weights(clear):
    cube, _ = clear
    still = {"max_iter": 1, "lr": 0.0}
    plain, noisy = fit("dtcr", cube, **still), fit("dtcr", cube, **still, input_noise=0.1)
    np.testing.assert_array_equal(plain.embedding, noisy.embedding)
    assert plain.history["reconstruction"] != noisy.history["reconstruction"]


def test_variant_days_reads_the_days_around_each_day(clear):
    cube, _ = clear
    moved = make_cube(cube.values.astype(float))
    moved.values[40] = 1 - moved.values[40]
    changed = np.flatnonzero(
        (fit("dtcr/days", cube, max_iter=0).embedding != fit("dtcr/days", moved, max_iter=0).embedding).any(axis=1)
    )
    np.testing.assert_array_equal(changed, np.arange(37, 45))  # its windows of 8 days hold 4 before and 3 after the day


def test_constant_days_are_one_cluster(clear):
    cube, _ = clear
    blank = make_cube(cube.values.astype(float))
    blank.values[:] = 0
    with pytest.warns(ConvergenceWarning, match=r"distinct clusters \(1\)"):
        assert set(fit("dtcr", blank, max_iter=12).labels) == {0}


def test_twenty_clusters_of_thirty_days():
    cube, _ = planted(n_days=30)
    assert len(set(fit("dtcr", cube, n_clusters=20, max_iter=12).labels)) == 20
    assert len(set(fit("dtcr", cube, n_clusters=20, max_iter=12, units=[2, 2, 2]).labels)) == 20
