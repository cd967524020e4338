"""The edge cases that docs/metrics.md defines."""

import numpy as np
import pytest
from sklearn.metrics import calinski_harabasz_score, davies_bouldin_score, silhouette_samples

from regimebench.metrics import score_partitions

UNDEFINED = {
    ("paper", "silhouette"),
    ("standard", "silhouette"),
    ("standard", "silhouette_cosine"),
    *((protocol, key) for protocol in ("paper", "standard") for key in ("davies_bouldin", "calinski_harabasz")),
}
ICD = {("paper", "icd"), ("paper", "icd_row_mean"), ("standard", "icd")}


def score(X, labels):
    found = score_partitions(np.asarray(X, np.float32), np.asarray(labels)[None])
    return found.set_index(["protocol", "metric"])["value"].to_dict()


def some_days(n=12, p=6, seed=0):
    return np.random.default_rng(seed).random((n, p)).astype(np.float32)


def undefined(scores):
    return {key for key, value in scores.items() if np.isnan(value)}


def test_a_day_alone_has_silhouette_0_and_no_extent():
    X = np.array([[0, 1], [0, 2], [0, 4], [9, 1]])
    labels = [0, 0, 0, 1]
    found = score(X, labels)
    assert silhouette_samples(X, labels)[3] == 0
    assert found["standard", "silhouette"] == pytest.approx(silhouette_samples(X, labels).mean())
    # rows of the matrix: (largest distance inside cluster 0, nearest to cluster 1) and (nearest, 0)
    assert found["paper", "icd"] == pytest.approx((3 + 0) / 2)
    assert found["paper", "icd_row_mean"] == pytest.approx((3 + 9 + 9 + 0) / 4)
    assert found["standard", "icd"] == pytest.approx(9)


@pytest.mark.parametrize("names", [[2, 9, 40], [-1, 0, 5]])
def test_empty_clusters_do_not_count(names):
    X, labels = some_days(), np.arange(12) % 3
    assert score(X, np.array(names)[labels]) == score(X, labels)


def test_one_cluster_has_only_rmse_and_variance():
    X = some_days()
    found = score(X, np.zeros(12, int))
    assert undefined(found) == UNDEFINED | ICD
    inertia = X.astype(float).var(axis=0).sum()
    assert found["standard", "rmse"] == pytest.approx(np.sqrt(inertia))
    assert found["standard", "variance"] == pytest.approx(inertia)
    assert found["paper", "variance"] == pytest.approx(X.astype(float).var())


def test_one_cluster_per_day_is_refused_by_the_indices_that_scikit_learn_refuses():
    X = some_days()
    found = score(X, np.arange(12))
    assert undefined(found) == UNDEFINED
    for index in (davies_bouldin_score, calinski_harabasz_score, silhouette_samples):
        with pytest.raises(ValueError, match="Number of labels is 12"):
            index(X, np.arange(12))
    assert found["standard", "rmse"] == 0
    assert found["standard", "variance"] == 0
    assert found["paper", "variance"] == pytest.approx(X.astype(float).var(axis=1).mean())
    assert found["paper", "icd"] == 0
    pairs = [np.linalg.norm(a - b) for i, a in enumerate(X) for b in X[:i]]
    assert found["standard", "icd"] == pytest.approx(np.mean(pairs))


def test_two_days_two_clusters_and_a_single_day():
    assert undefined(score(some_days(2), [0, 1])) == UNDEFINED
    assert undefined(score(some_days(1), [0])) == UNDEFINED | ICD


def test_clusters_of_equal_days_follow_scikit_learn():
    X = np.repeat(some_days(3), 4, axis=0)
    labels = np.repeat([0, 1, 2], 4)
    found = score(X, labels)
    assert found["paper", "davies_bouldin"] == davies_bouldin_score(X, labels) == 0
    assert found["paper", "calinski_harabasz"] == calinski_harabasz_score(X, labels) == 1
    assert found["standard", "rmse"] == 0
    assert found["standard", "silhouette"] == silhouette_samples(X, labels).mean() == 1
    assert found["paper", "silhouette"] == pytest.approx(1)
    assert found["paper", "icd"] == 0


def test_equal_days_in_different_clusters():
    X = np.repeat(some_days(3), 4, axis=0)
    labels = np.tile([0, 1], 6)
    found = score(X, labels)
    assert found["paper", "davies_bouldin"] == davies_bouldin_score(X, labels) == 0  # the means coincide
    assert found["standard", "icd"] == 0
    assert found["standard", "silhouette"] == pytest.approx(silhouette_samples(X.astype(float), labels).mean())


@pytest.mark.parametrize("value", [0, 0.25, 0.3, 1])
def test_all_days_equal(value):
    X, labels = np.full((10, 5), value), np.arange(10) % 3
    found = score(X, labels)
    assert found["standard", "silhouette"] == 0
    assert found["paper", "davies_bouldin"] == 0
    assert found["paper", "calinski_harabasz"] == 1
    assert found["standard", "rmse"] == found["paper", "variance"] == found["standard", "icd"] == 0
    exact = np.full((10, 5), 0.25)  # at 0.3 scikit-learn scores rounding errors
    assert davies_bouldin_score(exact, labels) == 0
    assert calinski_harabasz_score(exact, labels) == 1


def test_rounding_is_no_distance():
    """Wide tables of duplicated days, where inner products of equal days differ in the last digits."""
    X = np.repeat(some_days(20, 501) + np.float32(3), 4, axis=0)
    own, mixed = np.repeat(np.arange(20), 4), np.tile([0, 1], 40)
    found = score(X, own)
    assert found["standard", "rmse"] == found["standard", "variance"] == 0
    assert found["paper", "calinski_harabasz"] == 1
    assert found["standard", "silhouette"] == found["paper", "silhouette"] == 1
    found = score(X, mixed)
    assert found["standard", "icd"] == found["paper", "icd"] == 0
    twins = np.concatenate([X[:4], X[:4]])
    found = score(np.vstack([twins, X[40:44]]), [0] * 4 + [1] * 4 + [2] * 4)
    assert found["standard", "silhouette"] == found["paper", "silhouette"] == pytest.approx(4 / 12, abs=0)


def test_cluster_means_within_1e_8_coincide():
    X = np.array([[1e-3], [-1e-3], [1.00001e-3], [-1e-3]], np.float32)
    labels = [0, 0, 1, 1]
    assert score(X, labels)["paper", "davies_bouldin"] == davies_bouldin_score(X.astype(float), labels) == 0


def test_two_cluster_means_that_coincide_are_not_compared():
    X = np.array([[1, 0], [-1, 0], [0, 1], [0, -1], [5, 5], [5, 6]])
    labels = [0, 0, 1, 1, 2, 2]
    assert score(X, labels)["paper", "davies_bouldin"] == pytest.approx(davies_bouldin_score(X, labels))


def test_zero_days_are_at_cosine_distance_1():
    X, labels = some_days(), np.arange(12) % 3
    X[[0, 1, 3]] = 0
    expected = silhouette_samples(X.astype(float), labels, metric="cosine").mean()
    assert score(X, labels)["paper", "silhouette"] == pytest.approx(expected, rel=1e-9)


def test_constant_columns_are_no_distance():
    X = np.hstack([some_days(), np.full((12, 3), 0.7, np.float32)])
    labels = np.arange(12) % 3
    found, expected = score(X, labels), score(some_days(), labels)
    for key in ICD | UNDEFINED - {("paper", "silhouette"), ("standard", "silhouette_cosine")}:
        assert found[key] == pytest.approx(expected[key]), key
    cosine = silhouette_samples(X.astype(float), labels, metric="cosine").mean()
    assert found["paper", "silhouette"] == pytest.approx(cosine)


def test_no_partition_gives_no_row():
    found = score_partitions(some_days(), np.empty((0, 12), int))
    assert list(found.columns) == ["partition", "protocol", "metric", "value"]
    assert found.empty


def test_no_data_column_leaves_the_unpadded_variance_undefined():
    scores = score_partitions(some_days(), np.arange(12)[None] % 3, ["paper"], np.zeros(6, bool))
    found = scores.set_index("metric")["value"]
    assert found.index[found.isna()].tolist() == ["variance_unpadded"]
