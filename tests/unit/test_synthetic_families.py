"""Each planted family is found by its own mechanism, and not by position where it says so."""

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from synthetic_plans import plan

from datasets.synthetic.oracles import LARGEST_AFFINITY, ORACLES, scaled_table
from datasets.synthetic.switching import switching_autoregression

SEEDS = range(3)


def fields_with_island(plans):
    """Return the fields, NaN over land in the second variable."""
    fields = plans.anomalies()
    fields[:, plans.land(), 1] = np.nan
    return fields


def mean_scores(family, **params):
    """Return the mean adjusted Rand index of raw k-means and of the family's oracle over a few seeds."""
    found = []
    for seed in SEEDS:
        plans = plan(family, seed=seed, **params)
        fields = fields_with_island(plans)
        raw = KMeans(plans.n_clusters, n_init=5, random_state=0).fit_predict(scaled_table(fields))
        found.append([adjusted_rand_score(plans.labels, raw)])
        found[-1].append(adjusted_rand_score(plans.labels, ORACLES[family](plans, fields)))
    return np.mean(found, axis=0)


@pytest.mark.parametrize(
    ("family", "params", "lowest", "highest", "oracle"),
    [
        ("centroids", {"offset": 2.0}, 0.95, 1.0, 0.95),
        ("centroids", {}, 0.6, 0.95, 0.95),
        ("centroids", {"offset": 0.5}, 0.1, 0.5, 0.9),
        ("subspaces", {}, 0.0, 0.1, 0.9),
        ("waves", {}, 0.1, 0.3, 0.8),
        ("waves", {"noise": 1.0}, 0.1, 0.3, 0.75),
        ("dynamics", {}, 0.0, 0.2, 0.9),
    ],
)
def test_kmeans_and_oracle_find_what_the_family_promises(family, params, lowest, highest, oracle):
    raw, told = mean_scores(family, **params)
    assert lowest <= raw <= highest
    assert told >= oracle


def test_subspaces_leave_the_means_alone_and_centroids_do_not():
    assert not plan("subspaces").mechanism.means.any()
    means = plan("centroids", noise=0.0).mechanism.means
    assert np.sqrt((means**2).mean()) == pytest.approx(1.1, abs=0.1)


def test_days_of_a_regime_lie_in_its_four_patterns():
    plans = plan("subspaces")
    signal = plans.mechanism.fields(np.random.default_rng(0), plans.labels).reshape(240, -1)
    for regime in range(5):
        singular = np.linalg.svd(signal[plans.labels == regime], compute_uv=False)
        assert singular[4] < 1e-4 * singular[3]


def test_waves_have_no_typical_place_and_distinct_wave_vectors():
    plans = plan("waves", n_days=3000)
    signal = plans.mechanism.fields(np.random.default_rng(0), plans.labels)
    for regime in range(5):
        own = signal[plans.labels == regime]
        assert np.abs(own.mean(axis=0)).mean() < 0.35 * own.std()
    assert len({tuple(vector) for vector in plans.mechanism.vectors.tolist()}) == 5


def test_dynamics_differ_in_motion_and_not_in_place():
    plans = plan("dynamics", n_days=20_000, height=6, width=6, n_variables=2)
    mechanism = plans.mechanism
    signal = mechanism.fields(np.random.default_rng(0), plans.labels).reshape(20_000, -1)
    amplitudes = signal @ np.linalg.pinv(mechanism.modes.reshape(6, -1))
    state = amplitudes[:, ::2] + 1j * amplitudes[:, 1::2]
    same = np.flatnonzero(plans.labels[1:] == plans.labels[:-1])
    for regime in range(5):
        days = same[plans.labels[same] == regime]
        variance = (np.abs(state[days]) ** 2).mean(axis=0)
        np.testing.assert_allclose(variance, 2, rtol=0.25)
        assert np.abs(state[days].mean(axis=0)).max() < 0.5
        seen = (state[days + 1] * state[days].conj()).mean(axis=0) / variance
        np.testing.assert_allclose(seen, mechanism.multipliers[regime], atol=0.08)


def test_patterns_and_order_do_not_depend_on_the_noise():
    quiet, loud = plan("subspaces", noise=0.1), plan("subspaces", noise=1.0)
    np.testing.assert_array_equal(quiet.labels, loud.labels)
    np.testing.assert_array_equal(quiet.mechanism.modes, loud.mechanism.modes)


def test_switching_autoregression_tells_rotation_from_persistence():
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1, 0, 1], 60)
    multipliers = 0.9 * np.exp(1j * np.array([0, np.pi / 3]))
    state = np.zeros((240, 1), dtype=complex)
    for day in range(1, 240):
        push = rng.standard_normal() + 1j * rng.standard_normal()
        state[day] = multipliers[truth[day]] * state[day - 1] + np.sqrt(0.19) * push
    assert adjusted_rand_score(truth, switching_autoregression(state, 2, seed=0)) > 0.85


def test_self_expression_declines_more_days_than_a_square_matrix_allows():
    plans = plan("subspaces")
    days = np.zeros((LARGEST_AFFINITY + 1, 1, 1, 1), dtype=np.float32)
    assert ORACLES["subspaces"](plans, days) is None


def test_scaled_table_is_in_zero_one_with_zeros_where_nothing_varies_or_is_known():
    fields = np.array([[1.0, 5.0, np.nan, 7.0], [3.0, 9.0, np.nan, 7.0], [2.0, 5.0, np.nan, 7.0]]).reshape(3, 1, 4, 1)
    np.testing.assert_array_equal(scaled_table(fields), [[0, 0, 0, 0], [1, 1, 0, 0], [0.5, 0, 0, 0]])
