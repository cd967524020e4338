"""Every metric against a slow, independent computation: scikit-learn, scipy, or loops over clusters."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.metrics import calinski_harabasz_score, davies_bouldin_score, silhouette_samples

from regimebench.metrics import distances, metrics_of, partitions, score_partitions

N_DAYS, N_COLUMNS = 83, 57
CLUSTERS = (2, 3, 7, 7, 7, 20)


def table(seed=0):
    """Days in [0, 1] with a season, so that clusters differ, and constant columns, as padding and masks leave them."""
    rng = np.random.default_rng(seed)
    season = np.sin(np.arange(N_DAYS) / 9)[:, None] * rng.normal(size=N_COLUMNS)
    X = season + rng.normal(size=(N_DAYS, N_COLUMNS))
    X = (X - X.min(axis=0)) / np.ptp(X, axis=0)
    X[:, ::11] = 0
    X[:, 5] = 1
    return X.astype(np.float32)


def random_partitions(seed=1):
    rng = np.random.default_rng(seed)
    return np.array([rng.permutation(np.arange(N_DAYS) % k) for k in CLUSTERS])


def reference(X, labels):
    """Return (protocol, metric) -> value, from definitions and other people's code, in float64."""
    X = X.astype(np.float64)
    n, k = len(X), labels.max() + 1
    clusters = [X[labels == c] for c in range(k)]
    errors = [np.sum((rows - rows.mean(axis=0)) ** 2) for rows in clusters]
    matrix = np.array([[cdist(a, b).max() if a is b else cdist(a, b).min() for b in clusters] for a in clusters])
    shared = {
        "davies_bouldin": davies_bouldin_score(X, labels),
        "calinski_harabasz": calinski_harabasz_score(X, labels),
        "rmse": np.sqrt(sum(errors) / n),
    }
    cosine = silhouette_samples(X, labels, metric="cosine").mean()
    pooled = sum(len(rows) * np.var(rows) for rows in clusters) / n
    data = X.any(axis=0)
    paper = {
        "silhouette": cosine,
        "variance": pooled,
        "icd": matrix.min(axis=1).mean(),
        "icd_row_mean": matrix.mean(axis=1).mean(),
        "variance_unpadded": sum(len(rows) * np.var(rows[:, data]) for rows in clusters) / n,
    }
    standard = {
        "silhouette": silhouette_samples(X, labels).mean(),
        "silhouette_cosine": cosine,
        "variance": np.mean([e / len(rows) for e, rows in zip(errors, clusters, strict=True)]),
        "icd": np.mean([matrix[a, b] for a in range(k) for b in range(a)]),
    }
    found = {("paper", key): value for key, value in (shared | paper).items()}
    return found | {("standard", key): value for key, value in (shared | standard).items()}


def check(X, many):
    scores = score_partitions(X, many, mask_columns=X.any(axis=0))
    for index, labels in enumerate(many):
        got = scores[scores["partition"] == index].set_index(["protocol", "metric"])["value"].to_dict()
        expected = reference(X, labels)
        assert set(got) == set(expected)
        for key, value in expected.items():
            assert got[key] == pytest.approx(value, rel=1e-6, abs=1e-9), (index, key)


def test_agrees_with_independent_code():
    check(table(), random_partitions())


def test_agrees_far_from_the_origin():
    check(table() + np.float32(100), random_partitions())


@pytest.mark.parametrize("days_per_block", [1, 7, 82])
def test_blocks_and_chunks_do_not_show(monkeypatch, days_per_block):
    monkeypatch.setattr(distances, "BLOCK_ENTRIES", days_per_block * N_DAYS)
    monkeypatch.setattr(partitions, "ONE_HOT_ENTRIES", 9 * N_DAYS)
    labels = partitions.canonical(random_partitions())
    assert [(c.start, c.stop) for c in partitions.chunks(labels)] == [(0, 2), (2, 3), (3, 4), (4, 5), (5, 6)]
    check(table(), random_partitions())


def test_rows_follow_the_partitions_and_the_metric_table():
    many = random_partitions()
    both = score_partitions(table(), many)
    keys = [(m.protocol, m.key) for protocol in ("paper", "standard") for m in metrics_of(protocol)]
    assert list(both.columns) == ["partition", "protocol", "metric", "value"]
    assert list(zip(both["protocol"], both["metric"], strict=True)) == keys * len(many)
    assert both["partition"].tolist() == [index for index in range(len(many)) for _ in keys]
    one = score_partitions(table(), many, protocols=("standard",))
    expected = both[both["protocol"] == "standard"].reset_index(drop=True)
    assert one.equals(expected)


def test_equal_partitions_have_equal_scores_and_are_scored_once(monkeypatch):
    many = random_partitions()
    renamed = np.array([3, 9, 0, 5, 1, 2, 8])[many[2]]
    seen = []
    original = partitions.Stack.__init__
    monkeypatch.setattr(
        partitions.Stack, "__init__", lambda self, labels: (seen.append(len(labels)), original(self, labels))[1]
    )
    scores = score_partitions(table(), np.stack([many[2], many[3], renamed, many[2]]))
    assert seen == [2]
    values = scores["value"].to_numpy().reshape(4, -1)
    assert np.array_equal(values[0], values[2])
    assert np.array_equal(values[0], values[3])
    assert not np.array_equal(values[0], values[1])


@pytest.mark.parametrize(
    ("X", "many", "options", "message"),
    [
        (table()[0], random_partitions(), {}, "days by columns"),
        (table(), random_partitions()[:, 1:], {}, r"\(number of partitions, 83 days\)"),
        (table(), random_partitions()[0], {}, r"\(number of partitions, 83 days\)"),
        (table(), random_partitions() * 1.0, {}, "an integer type is required"),
        (table(), random_partitions(), {"mask_columns": np.ones(5, bool)}, "one bool per column"),
        (table(), random_partitions(), {"mask_columns": np.ones(N_COLUMNS)}, "one bool per column"),
        (table(), random_partitions(), {"protocols": ["papers"]}, "protocols are paper, standard, truth"),
        (table(), random_partitions(), {"protocols": ["truth"]}, "score_against_truth"),
        (np.where(np.arange(N_DAYS)[:, None] == 4, np.nan, table()), random_partitions(), {}, "day 4 of X"),
    ],
)
def test_refuses_what_cannot_be_scored(X, many, options, message):
    with pytest.raises(ValueError, match=message):
        score_partitions(X, many, **options)
