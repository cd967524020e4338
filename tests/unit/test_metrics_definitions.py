"""The table of metrics: complete, and the same in the code, the documentation and the printed tables."""

from pathlib import Path

import pytest
import yaml

from regimebench.metrics import METRICS, PROTOCOLS, find, markdown_table, metrics_of

ROOT = Path(__file__).resolve().parents[2]
SIX = ["silhouette", "davies_bouldin", "calinski_harabasz", "rmse", "variance", "icd"]


@pytest.mark.parametrize("protocol", ["paper", "standard"])
def test_six_headline_metrics(protocol):
    assert [metric.key for metric in metrics_of(protocol) if not metric.extra] == SIX


def test_every_metric_is_described_once():
    keys = [(metric.protocol, metric.key) for metric in METRICS]
    assert len(set(keys)) == len(keys)
    assert {metric.protocol for metric in METRICS} == set(PROTOCOLS)
    assert {metric.better for metric in METRICS} == {"higher", "lower"}
    assert all(metric.title and metric.source and metric.quantity for metric in METRICS)


def test_the_documentation_shows_this_table():
    assert markdown_table() in (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")


def test_printed_tables_use_these_keys():
    tables = yaml.safe_load((ROOT / "published" / "tables.yaml").read_text())
    used = {key for entry in tables for row in entry["rows"].values() for key in row}
    assert used <= {metric.key for metric in metrics_of("paper")}


def test_finding_a_metric():
    assert find("paper", "icd").better == "higher"
    with pytest.raises(KeyError, match="no metric 'sil'; it has silhouette"):
        find("paper", "sil")
    with pytest.raises(ValueError, match="protocols are paper, standard, truth"):
        find("papers", "icd")
