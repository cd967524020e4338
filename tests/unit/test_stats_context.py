"""Stability, redundancy, the truth's ranking, profiles, practical differences, and statistics over data sets."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau, spearmanr
from sklearn.metrics import adjusted_rand_score

from regimebench.metrics import score_partitions
from regimebench.stats.across import across, iqm_over_data_sets, limits, nemenyi_difference
from regimebench.stats.agreement import agreement, ari_matrix, stability_interval
from regimebench.stats.practical import practical, signed_rank_posterior
from regimebench.stats.profiles import profile
from regimebench.stats.redundancy import Oriented, identity_error, redundancy, truth_ranking
from regimebench.stats.samples import Samples

RNG = np.random.default_rng(0)
BAYCOMP = 0.94421, 0.043275, 0.012515


def rows(scores, deterministic=(), metric="silhouette", sign=1):
    width = max(map(len, scores))
    table = np.array([[*row, *[np.nan] * (width - len(row))] for row in scores], dtype=float)
    names = [chr(ord("a") + i) for i in range(len(scores))]
    fixed = np.array([name in deterministic for name in names])
    return Samples("standard", metric, sign, names, fixed, [None] * len(names), table)


def test_the_agreement_of_all_pairs_is_scikit_learns():
    labels = RNG.integers(0, 5, (300, 40))
    labels[3] = 0
    labels[4] = 0
    matrix = ari_matrix(labels)
    for i, j in [(0, 1), (3, 4), (3, 7), (10, 299), (255, 256), (8, 8)]:
        assert matrix[i, j] == pytest.approx(adjusted_rand_score(labels[i], labels[j]), abs=1e-12)


def test_agreement_is_over_pairs_of_seeds_within_rows_and_all_runs_between():
    one = np.arange(12) % 3
    labels = {("a", 0): one, ("a", 1): one, ("a", 2): one[::-1] * 0 + np.arange(12) // 4, ("b", 0): one}
    table = agreement(labels).set_index(["a", "b"])
    other = adjusted_rand_score(one, np.arange(12) // 4)
    assert table.at[("a", "a"), "pairs"] == 3
    assert table.at[("a", "a"), "mean"] == pytest.approx((1 + 2 * other) / 3)
    assert table.at[("a", "b"), "mean"] == pytest.approx((2 + other) / 3)
    assert table.at[("b", "b"), "pairs"] == 0
    assert np.isnan(table.at[("b", "b"), "mean"])
    assert len(agreement({})) == 0


def test_seeds_that_all_agree_may_hide_others():
    low, high = stability_interval(np.ones((20, 20)))
    assert high == 1
    assert low == pytest.approx(0.025**0.1)
    assert np.isnan(stability_interval(np.ones((2, 2)))[0])


def planted(n_rows=6, seeds=5):
    """Return scores of partitions of clustered days that are the worse the higher their row."""
    truth = np.arange(60) % 3
    X = (RNG.normal(0, 1, (3, 5))[truth] + RNG.normal(0, 0.2, (60, 5))).astype(np.float32)
    keys, partitions = [], []
    for row in range(n_rows):
        for seed in range(seeds):
            moved = RNG.random(60) < row / n_rows
            partitions.append(np.where(moved, RNG.integers(0, 3, 60), truth))
            keys.append((f"r{row}", seed))
    table = score_partitions(X, np.array(partitions), ["standard"]).pivot(
        index="partition", columns="metric", values="value"
    )
    table.index = pd.MultiIndex.from_tuples(keys, names=["address", "seed"])
    truths = pd.Series([adjusted_rand_score(truth, each) for each in partitions], index=table.index)
    return table, truths


RISES = {"silhouette": True, "davies_bouldin": False, "calinski_harabasz": True, "rmse": False}


def test_rmse_and_ch_are_one_metric():
    table, _ = planted()
    found = redundancy(Oriented(table, RISES))
    assert found["over_runs"]["rmse"]["calinski_harabasz"] == pytest.approx(1)
    expected = spearmanr(table["silhouette"], -table["davies_bouldin"]).statistic
    assert found["over_runs"]["silhouette"]["davies_bouldin"] == pytest.approx(expected)
    assert 1 <= found["effective"] < 3
    assert identity_error(table, pd.Series(3, index=table.index)) < 1e-6
    other = table.assign(rmse=table["rmse"] * RNG.uniform(0.9, 1.1, len(table)))
    assert identity_error(other, pd.Series(3, index=table.index)) > 1e-2


def test_a_metric_that_follows_the_truth_is_told_from_one_that_does_not():
    table, truth = planted()
    table["noise"] = RNG.normal(size=len(table))
    found = truth_ranking(Oriented(table, {**RISES, "noise": True}), truth).set_index("metric")
    medians = table["silhouette"].groupby("address").median(), truth.groupby("address").median()
    assert found.at["silhouette", "tau"] == pytest.approx(kendalltau(*medians).statistic)
    assert found.at["silhouette", "tau"] > 0.8
    assert found.at["silhouette", "first"] == "r0"
    assert found.at["silhouette", "agreement"] == found.at["silhouette", "best"] == 1
    assert found.at["silhouette", "low"] > found.at["noise", "low"]
    correlations = [
        spearmanr(table.loc[r, "silhouette"], truth.loc[r]).statistic for r in ("r1", "r2", "r3", "r4", "r5")
    ]
    assert found.at["silhouette", "within"] == pytest.approx(np.mean(correlations))


def test_a_profile_is_the_share_of_runs_that_reach_a_score():
    found = profile(rows([[1.0, 2, 3, -np.inf], [2.0]], deterministic="b"))
    thresholds = np.array(found["threshold"])
    assert (thresholds[0], thresholds[-1]) == (1, 3)
    assert found["share"]["a"][0] == 0.75
    assert found["share"]["a"][-1] == 0.25
    assert found["low"]["a"][0] < 0.75 < found["high"]["a"][0] < 1
    assert found["share"]["b"][thresholds <= 2].all()
    assert not found["share"]["b"][thresholds > 2].any()


def test_a_profile_of_a_metric_that_should_be_low_shows_its_own_values():
    found = profile(rows([[-4.0, -2.0]], metric="rmse", sign=-1))
    assert (found["threshold"][0], found["threshold"][-1]) == (4, 2)


def test_practical_differences_need_more_than_the_region():
    a = np.linspace(0.5, 0.52, 20)
    table = practical(rows([a, a + 0.002, a + 0.2, [-np.inf] * 20])).set_index(["a", "b"])
    assert table.at[("a", "b"), "p_equivalent"] > 0.7
    assert table.at[("a", "c"), "p_worse"] > 0.99
    assert table.at[("c", "d"), "p_better"] > 0.99
    few = practical(rows([[0.1, 0.11, 0.12], [0.5, 0.51, 0.52]])).iloc[0]
    assert 0.5 < few["p_worse"] < 0.9  # three seeds are not certain
    assert np.allclose(table.sum(axis=1), 1)
    assert len(practical(rows([a, a], metric="davies_bouldin"))) == 0


def test_the_bayesian_signed_rank_test_agrees_with_baycomp():
    """baycomp 1.0.3: SignedRankTest.probs(differences, zeros, rope=0.01, nsamples=200000, random_state=0)."""
    differences = np.array([0.021, 0.052, -0.011, 0.033, 0.001, 0.04, -0.03, 0.06, 0.016, 0.007])
    assert signed_rank_posterior(differences, 0.01) == pytest.approx(BAYCOMP, abs=0.01)


def test_what_a_number_of_data_sets_allows():
    """Demsar (2006), table 5: q = 3.268 for 12 rows; with 3 data sets the critical difference is 9.6 of 11 ranks."""
    assert nemenyi_difference(12, 3) == pytest.approx(3.268 * np.sqrt(12 * 13 / 18), rel=1e-3)
    assert nemenyi_difference(5, 30) == pytest.approx(1.113, abs=1e-3)
    three = limits(12, 3)
    assert "0.25" in three
    assert "9.6 of at most 11" in three
    assert "none is tested" in three
    assert "not after correction" in limits(12, 10)
    assert limits(3, 12).endswith("of at most 2.")
    assert limits(3, 1).startswith("One data set")


def sets_of(n, seeds=5):
    return {
        f"d{i}": {"good": RNG.normal(0.5, 0.01, seeds), "bad": RNG.normal(0.2, 0.01, seeds), "fixed": np.array([0.3])}
        for i in range(n)
    }


def test_few_data_sets_are_described_and_not_tested():
    found = across(sets_of(3), {f"d{i}": (0.0, 0.5) for i in range(3)})
    assert len(found.pairs) == 0
    assert found.summary["mean_rank"].to_dict() == {"good": 1, "bad": 3, "fixed": 2}
    assert found.summary["first"].to_dict() == {"good": 3, "bad": 0, "fixed": 0}
    assert found.summary.at["fixed", "iqm"] == pytest.approx(0.6)
    assert found.summary.at["fixed", "iqm_low"] == pytest.approx(0.6)
    assert found.summary.at["good", "iqm_low"] < 1 < found.summary.at["good", "iqm_high"]


def test_enough_data_sets_are_tested():
    found = across(sets_of(8), {f"d{i}": (0.0, 0.5) for i in range(8)})
    pair = found.pairs.iloc[0]
    assert (pair["a"], pair["b"]) == ("good", "bad")
    assert pair["p"] == pytest.approx(2 / 2**8)
    assert pair["p_holm"] == pytest.approx(3 * 2 / 2**8)
    assert pair["p_better"] > 0.99


def test_the_stratified_bootstrap_draws_within_data_sets():
    scores = [np.full(5, 0.1), np.full(5, 0.9)]
    assert iqm_over_data_sets(scores) == pytest.approx((0.5, 0.5, 0.5))
