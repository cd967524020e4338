"""What must hold for any data: the RMSE-CH identity, renamed clusters, padding; and the audit of printed tables."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from regimebench.metrics import implied_inertia, score_partitions

PUBLISHED = Path(__file__).resolve().parents[2] / "published" / "tables.yaml"
ERA5_DAYS, ERA5_CLUSTERS, ERA5_INERTIA = 365, 7, 503.18


@st.composite
def clustered_days(draw):
    n, p = draw(st.integers(4, 30)), draw(st.integers(1, 12))
    X = draw(arrays(np.float32, (n, p), elements=st.floats(0, 1, width=32)))
    X += np.random.default_rng(draw(st.integers(0, 2**32 - 1))).random((n, p), dtype=np.float32)
    k = draw(st.integers(1, n - 1))
    labels = np.concatenate([np.arange(k), draw(arrays(np.int64, n - k, elements=st.integers(0, k - 1)))])
    return X, labels[np.array(draw(st.permutations(range(n))))]


def scores(X, labels):
    found = score_partitions(X, labels[None])
    return found.set_index(["protocol", "metric"])["value"].to_dict()


@settings(max_examples=80, deadline=None)
@given(clustered_days())
def test_rmse_and_ch_determine_the_total_inertia(case):
    X, labels = case
    found, k = scores(X, labels), labels.max() + 1
    inertia = X.astype(np.float64).var(axis=0).sum()
    for protocol in ("paper", "standard"):
        implied = implied_inertia(found[protocol, "rmse"], found[protocol, "calinski_harabasz"], len(X), k)
        assert implied == pytest.approx(inertia, rel=1e-6)


@settings(max_examples=40, deadline=None)
@given(clustered_days(), st.randoms(use_true_random=False))
def test_names_of_clusters_change_nothing(case, random):
    X, labels = case
    names = np.array(random.sample(range(-50, 50), int(labels.max()) + 1))
    assert scores(X, names[labels]) == pytest.approx(scores(X, labels), rel=0, abs=0, nan_ok=True)


@settings(max_examples=40, deadline=None)
@given(clustered_days(), st.integers(1, 9))
def test_zero_padding_changes_the_pooled_variance_alone(case, width):
    X, labels = case
    padded = np.hstack([X, np.zeros((len(X), width), np.float32)])
    before = scores(X, labels)
    mask = np.arange(padded.shape[1]) < X.shape[1]
    table = score_partitions(padded, labels[None], mask_columns=mask).set_index(["protocol", "metric"])["value"]
    after = table.to_dict()
    pooled_before, pooled_after = before.pop(("paper", "variance")), after.pop(("paper", "variance"))
    assert after == pytest.approx(before, rel=1e-6, abs=1e-9, nan_ok=True)
    assert after["paper", "variance_unpadded"] == pytest.approx(pooled_before)
    assert pooled_after != pytest.approx(pooled_before, rel=1e-6)


def printed(identifier):
    entries = {entry["id"]: entry for entry in yaml.safe_load(PUBLISHED.read_text())}
    return entries[identifier]["rows"]


def audit(row):
    return implied_inertia(row["rmse"], row["calinski_harabasz"], ERA5_DAYS, ERA5_CLUSTERS)


@pytest.mark.parametrize("identifier", ["adatsc-2025-table-1-era5", "adatsc-2025-table-2"])
def test_printed_rows_agree_on_the_inertia_of_era5_but_for_a_datsc(identifier):
    inertia = {name: audit(row) for name, row in printed(identifier).items()}
    assert inertia.pop("a_datsc") == pytest.approx(485.23, abs=0.01)
    assert len(inertia) >= 3
    assert inertia == pytest.approx(dict.fromkeys(inertia, ERA5_INERTIA), abs=0.01)


@pytest.mark.parametrize("days", [364, 366])
def test_the_printed_rows_need_365_days(days):
    rows = [row for name, row in printed("adatsc-2025-table-1-era5").items() if name != "a_datsc"]
    values = [implied_inertia(row["rmse"], row["calinski_harabasz"], days, ERA5_CLUSTERS) for row in rows]
    assert np.ptp(values) > 0.5


def test_one_cluster_implies_its_own_inertia():
    assert implied_inertia(3.0, float("nan"), 10, 1) == 9.0


@pytest.mark.parametrize("k", [0, 10, 11])
def test_refuses_impossible_numbers_of_clusters(k):
    with pytest.raises(ValueError, match="must be 1 to 9"):
        implied_inertia(1.0, 1.0, 10, k)


def test_refuses_undefined_values():
    with pytest.raises(ValueError, match="both must be numbers"):
        implied_inertia(1.0, float("nan"), 10, 3)
