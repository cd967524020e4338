"""Agreement with planted labels, against brute force over pairs, matchings and entropies."""

from itertools import combinations, permutations

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from regimebench.metrics import metrics_of, score_against_truth


def brute_ari(a, b):
    """Return the Hubert-Arabie index, counted pair by pair."""
    pairs = list(combinations(range(len(a)), 2))
    in_a = np.array([a[i] == a[j] for i, j in pairs])
    in_b = np.array([b[i] == b[j] for i, j in pairs])
    expected = in_a.sum() * in_b.sum() / len(pairs)
    return ((in_a & in_b).sum() - expected) / ((in_a.sum() + in_b.sum()) / 2 - expected)


def brute_nmi(a, b):
    """Return the mutual information over the mean of the two entropies."""

    def entropy(*columns):
        share = np.unique(np.stack(columns), axis=1, return_counts=True)[1] / len(a)
        return -np.sum(share * np.log(share))

    return (entropy(a) + entropy(b) - entropy(a, b)) / ((entropy(a) + entropy(b)) / 2)


def brute_accuracy(a, b):
    """Return the best share of equal labels over all ways to rename clusters."""
    k = max(a.max(), b.max()) + 1
    return max(np.mean(np.array(names)[b] == a) for names in permutations(range(k)))


def one(truth, labels):
    """Return the scores of one partition."""
    return {name: values.item() for name, values in score_against_truth(truth, labels[None]).items()}


@pytest.mark.parametrize(("regimes", "clusters"), [(3, 3), (5, 3), (2, 5), (4, 4)])
def test_agrees_with_brute_force(regimes, clusters):
    rng = np.random.default_rng(regimes * 10 + clusters)
    truth = rng.integers(0, regimes, 40)
    labels = np.where(rng.random(40) < 0.6, truth % clusters, rng.integers(0, clusters, 40))
    found = one(truth, labels)
    assert list(found) == [metric.key for metric in metrics_of("truth")]
    assert found["ari"] == pytest.approx(brute_ari(truth, labels))
    assert found["nmi"] == pytest.approx(brute_nmi(truth, labels))
    assert found["accuracy"] == pytest.approx(brute_accuracy(truth, labels))


def test_many_partitions_agree_with_scikit_learn():
    rng = np.random.default_rng(5)
    truth = rng.integers(0, 7, 365)
    counts = rng.integers(1, 12, 60)
    many = np.array(
        [
            np.where(rng.random(365) < share, truth % k, rng.integers(0, k, 365))
            for share, k in zip(rng.random(60), counts, strict=True)
        ]
    )
    many = np.concatenate([many, many[:3] + 4, truth[None], np.arange(365)[None]])
    found = score_against_truth(truth, many)
    assert found["ari"] == pytest.approx([adjusted_rand_score(truth, labels) for labels in many], abs=1e-12)
    assert found["nmi"] == pytest.approx([normalized_mutual_info_score(truth, labels) for labels in many], abs=1e-12)


@pytest.mark.parametrize("labels", [np.zeros(9, int), np.arange(9)])
def test_trivial_partitions_agree_with_themselves(labels):
    assert one(labels, labels) == {"ari": 1, "nmi": 1, "accuracy": 1}


def test_names_do_not_matter():
    truth = np.array([0, 0, 1, 1, 2, 2])
    assert one(truth, np.array([7, 7, -1, -1, 3, 3])) == pytest.approx({"ari": 1, "nmi": 1, "accuracy": 1})


def test_one_cluster_is_right_about_the_largest_regime():
    truth = np.array([0, 0, 0, 1, 1, 2])
    assert one(truth, np.zeros(6, int)) == pytest.approx({"ari": 0, "nmi": 0, "accuracy": 0.5})


def test_splitting_a_regime_is_not_free():
    assert one(np.zeros(6, int), np.array([0, 0, 0, 0, 1, 1]))["accuracy"] == pytest.approx(4 / 6)


@pytest.mark.parametrize("partitions", [np.zeros((1, 5), int), np.zeros(6, int)])
def test_refuses_other_days(partitions):
    with pytest.raises(ValueError, match=r"the truth has shape \(6,\) and the partitions"):
        score_against_truth(np.zeros(6, int), partitions)
