"""Numbers behind the report's views, against what can be counted by hand or by another library."""

import itertools

import numpy as np
import pytest
from sklearn.decomposition import PCA

from regimebench.reporting.persistence import transitions
from regimebench.reporting.projection import principal_components, project
from regimebench.reporting.renaming import matched

DAYS = np.datetime64("2021-01-01") + np.arange(400)


def test_transitions_are_counted_and_spells_measured():
    labels = np.array([0, 0, 1, 1, 1, 0, 2])
    found = transitions(labels, DAYS[:7], 4)
    assert found.counts.tolist() == [[1, 1, 1, 0], [1, 2, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert found.sizes.tolist() == [3, 3, 1, 0]
    np.testing.assert_allclose(found.spell, [1.5, 3, 1, np.nan])
    np.testing.assert_allclose(found.probabilities[1], [1 / 3, 2 / 3, 0, 0])
    assert np.isnan(found.probabilities[2]).all(), "no day follows the only day of this cluster"
    assert found.stays[0] == 0.5


def test_days_on_both_sides_of_a_gap_are_no_pair():
    time = np.array(["2020-12-30", "2020-12-31", "2021-06-01", "2021-06-02"], dtype="datetime64[D]")
    found = transitions(np.array([0, 0, 0, 1]), time, 2)
    assert found.counts.tolist() == [[1, 1], [0, 0]]
    np.testing.assert_allclose(found.spell, [1.5, 1])


@pytest.mark.parametrize("gap", [0, 30])
def test_expectation_in_random_order_is_the_mean_over_all_orders(gap):
    labels, time = np.array([0, 0, 0, 1, 1, 2]), DAYS[:6] + np.array([0, 0, 0, 0, gap, gap])
    orders = set(itertools.permutations(labels))
    counts = [transitions(np.array(order), time, 3).counts for order in orders]
    np.testing.assert_allclose(transitions(labels, time, 3).expected, np.mean(counts, axis=0), rtol=1e-12)


def test_random_spells_are_what_shuffled_labels_give():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(4), [40, 60, 100, 200])
    spells = [transitions(rng.permutation(labels), DAYS, 4) for _ in range(300)]
    mean = np.mean([1 / each.spell for each in spells], axis=0)
    np.testing.assert_allclose(1 / transitions(labels, DAYS, 4).random_spell, mean, rtol=0.01)


def test_rows_that_agree_have_the_same_numbers():
    reference = np.array([0, 0, 0, 1, 1, 2])
    assert matched(np.array([2, 2, 2, 0, 0, 1]), reference).tolist() == reference.tolist()
    more = matched(np.array([0, 0, 1, 2, 2, 3]), np.array([0, 0, 0, 1, 1, 1]))
    assert len(set(more)) == 4
    assert more[0] == 0
    assert more[3] == 1


@pytest.mark.parametrize("shape", [(30, 8), (8, 30)])
def test_principal_components_are_scikit_learns(shape):
    X = np.random.default_rng(3).standard_normal(shape)
    scores, shares = principal_components(X, 3)
    theirs = PCA(3, svd_solver="full").fit(X)
    np.testing.assert_allclose(np.abs(scores), np.abs(theirs.transform(X)), atol=1e-9)
    np.testing.assert_allclose(shares, theirs.explained_variance_ratio_, rtol=1e-9)


def test_a_picture_is_the_same_each_time_and_few_days_have_no_tsne():
    X = np.random.default_rng(4).random((24, 5))
    np.testing.assert_array_equal(project(X)["tsne"], project(X)["tsne"])
    assert project(X[:8])["tsne"] is None
    assert project(np.zeros((9, 1)))["pca"].tolist() == [[0, 0]] * 9
