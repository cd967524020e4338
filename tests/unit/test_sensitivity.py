"""Sweeps of single parameters: what is fitted, what is measured, and the page from one file of fits."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from benchmarks import sensitivity
from benchmarks.fitted_rows import DOCS
from regimebench.method import Fit


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    """Return a sweep of k-means, which fits in no time."""
    text = (
        "{method: kmeans, seeds: [0, 1], values: {n_init: [1, 10]}, parameters: {}, "
        "data: {family: centroids, n_days: 72, height: 16, width: 16, n_variables: 3, n_clusters: 3, seed: 300}}"
    )
    (tmp_path / "quick.yaml").write_text(text)
    monkeypatch.setattr(sensitivity, "SWEEPS", tmp_path)
    sensitivity.planted.cache_clear()
    return sensitivity.read_sweep("quick")


def test_one_value_at_a_time_is_changed_and_what_all_share_is_fitted_once(sweep):
    usual = sweep.base()["n_init"]
    others = [value for value in (1, 10) if value != usual]
    assert sweep.points() == [("", ""), *(("n_init", json.dumps(value)) for value in others)]
    assert len(sweep.jobs()) == 2 * len(sweep.points())


def test_a_point_is_fitted_with_its_value(sweep):
    row = sensitivity.run("quick", "n_init", "1", 0)
    assert row["status"] == "ok"
    assert row["ari"] > 0
    assert len(row["labels"].split()) == 72


def test_a_fit_that_fails_is_a_row(sweep, monkeypatch, capsys):
    sensitivity.planted("quick")
    monkeypatch.setattr(sensitivity.registry, "load", lambda spec: lambda **settings: 1 / 0)
    row = sensitivity.run("quick", "n_init", "1", 0)
    assert row == {"parameter": "n_init", "value": "1", "seed": 0, "status": "error"}
    assert "quick, n_init 1, 0: ZeroDivisionError" in capsys.readouterr().err


def test_an_unknown_parameter_is_refused(sweep, tmp_path):
    (tmp_path / "wrong.yaml").write_text("{method: kmeans, seeds: [0], values: {rank: [1]}, parameters: {}, data: {}}")
    with pytest.raises(ValueError, match=r"wrong.yaml: kmeans has no parameter rank; it has .*n_init"):
        sensitivity.read_sweep("wrong")


def test_clusters_that_are_subspaces_leave_less_outside_than_random_ones():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 30)
    Z = np.zeros((60, 8))
    Z[labels == 0, :2], Z[labels == 1, 4:6] = rng.standard_normal((30, 2)), rng.standard_normal((30, 2))
    assert sensitivity.outside(Fit(labels=labels, embedding=Z), 2) == pytest.approx(0, abs=1e-12)
    noise = rng.standard_normal((600, 8))
    assert sensitivity.outside(Fit(labels=np.repeat([0, 1], 300), embedding=noise), 2) == pytest.approx(1, abs=0.05)


def test_the_table_shows_medians_failures_and_agreement_of_seeds(sweep):
    usual = sweep.base()["n_init"]
    other = next(value for value in (1, 10) if value != usual)
    rows = [
        {"parameter": "", "value": "", "seed": 0, "status": "ok", "ari": 0.4, "seconds": 2.0, "labels": "0 0 1 1"},
        {"parameter": "", "value": "", "seed": 1, "status": "ok", "ari": 0.6, "seconds": 2.0, "labels": "1 1 0 0"},
        {"parameter": "n_init", "value": json.dumps(other), "seed": 0, "status": "error"},
    ]
    lines = sensitivity.table(pd.DataFrame(rows), sweep).splitlines()[2:]
    cells = {tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines}
    assert cells == {
        ("`n_init`", f"**{usual}**", "ok", "1.00", "0.5 [0.4, 0.6]", "2"),
        ("`n_init`", str(other), "1 error, 1 not run", "", "", ""),
    }


@pytest.mark.parametrize("name", sorted(file.stem for file in sensitivity.SWEEPS.glob("*.yaml")))
def test_pages_are_made_from_their_files(name):
    made = sensitivity.page(DOCS / f"sensitivity-{name}.csv", sensitivity.read_sweep(name))
    assert (DOCS / f"sensitivity-{name}.md").read_text() == made, f"run python -m benchmarks.sensitivity {name}"
