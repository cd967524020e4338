"""The printed facts are complete and agree with each other."""

from pathlib import Path

import pandas as pd
import pytest
import yaml

from regimebench.metrics import metrics_of

FOLDER = Path(__file__).resolve().parents[2] / "published"
TABLES = yaml.safe_load((FOLDER / "tables.yaml").read_text())
NOTEBOOK = yaml.safe_load((FOLDER / "notebook_metrics.yaml").read_text())
LABELS = pd.read_csv(FOLDER / "era5_labels.csv", index_col="date", parse_dates=True)
# Days per cluster in the vectors that the notebooks print.
SIZES = {
    "kmeans": [67, 21, 56, 64, 79, 57, 21],
    "hierarchical": [112, 58, 20, 18, 96, 27, 34],
    "dec_trained": [78, 47, 65, 21, 20, 66, 68],
    "dec_reloaded": [72, 60, 71, 21, 42, 77, 22],
    "dtc": [12, 14, 57, 28, 144, 63, 47],
    "cnn_autoencoder": [49, 16, 47, 58, 63, 112, 20],
    "cnn_lstm_encoder": [66, 146, 13, 18, 38, 52, 32],
}


@pytest.mark.parametrize("entry", TABLES, ids=lambda entry: entry["id"])
def test_every_printed_metric_is_one_of_ours(entry):
    known = {metric.key for metric in metrics_of("paper")}
    assert all(set(row) <= known for row in entry["rows"].values())
    assert entry["dataset"] in ("era5", "carra", "ncar")
    assert entry["n_clusters"] == 7


def test_label_vectors_cover_2021_and_have_the_printed_sizes():
    assert (LABELS.index == pd.date_range("2021-01-01", "2021-12-31")).all()
    assert {name: column.value_counts().sort_index().tolist() for name, column in LABELS.items()} == SIZES


def test_notebook_metrics_name_label_vectors_that_exist():
    assert {entry["labels"] for entry in NOTEBOOK.values()} - {None} == set(LABELS.columns)


@pytest.mark.parametrize("name", ["kmeans", "hierarchical", "dtc", "dsc"])
def test_tables_are_the_notebooks_cut_to_two_digits(name):
    printed = next(entry for entry in TABLES if entry["id"] == "dsc-2023-table-2")["rows"][name]
    for metric, value in printed.items():
        digits = len(str(value).split(".")[1])
        assert abs(NOTEBOOK[name][metric] - value) < 10**-digits
