"""The page on where regimes are lost: made from one file of fits, and nothing in it by hand."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from benchmarks import recovery_stages as stages
from benchmarks.fitted_rows import DOCS
from regimebench import registry


def test_a_readout_finds_what_a_code_holds_and_nothing_in_noise():
    rng = np.random.default_rng(0)
    truth = rng.integers(3, size=72)
    assert stages.readout(np.eye(3)[truth] + 0.1 * rng.standard_normal((72, 3)), truth) > 0.9
    assert stages.readout(rng.standard_normal((72, 3)), truth) < 0.2


def test_the_order_of_days_alone_is_not_read_from_a_code_that_does_not_hold_it():
    spells = np.repeat(np.arange(18) % 3, 4)
    assert stages.readout(np.arange(72.0)[:, None], spells) < 0.2


def test_a_stage_is_a_row():
    row = stages.run("dtcr/days", "untrained", "dynamics", 100)
    assert (row["address"], row["stage"], row["family"], row["draw"]) == ("dtcr/days", "untrained", "dynamics", 100)
    assert row["labels"] == pytest.approx(row["kmeans"])  # its labels are k-means of its code
    assert 0.5 < row["readout"] <= 1
    fields = stages.run(stages.FIELDS, "", "dynamics", 100)
    assert "labels" not in fields
    assert fields["readout"] < row["readout"]  # untrained windows of days hold more of the dynamics than days do
    assert "nearest_generated" in stages.run("clustergan", "untrained", "centroids", 100)


def test_stages_change_parameters_that_there_are():
    for address, each in stages.STAGES.items():
        if address != stages.FIELDS:
            assert stages.families(address)
            assert {name for changed in each.values() for name in changed} <= set(registry.method(address).parameters)


def test_rows_are_written_in_the_order_of_the_page_and_missing_ones_are_counted(tmp_path):
    rows = [
        ["infogan", "trained", "centroids", 101, 0.3, 0.2, 0.9, 1.5, 3.0],
        ["infogan", "untrained", "centroids", 100, 0.1, 0.2, 0.8, 2.5, 2.0],
        [stages.FIELDS, "", "centroids", 100, np.nan, 0.4, 1.0, np.nan, np.nan],
    ]
    csv = tmp_path / "rows.csv"
    stages.write(csv, pd.DataFrame(rows, columns=stages.COLUMNS))
    back = stages.read(csv)
    assert list(back["address"]) == [stages.FIELDS, "infogan", "infogan"]
    assert list(back["stage"]) == ["", "untrained", "trained"]
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in stages.table(back).splitlines()]
    assert lines[2][:2] == [stages.FIELDS, "centroids"]
    assert lines[2][4] == "0.40 (0.40 to 0.40)"
    trained = next(line for line in lines if line[0] == "infogan" and line[2].startswith("trained"))
    assert trained[2:5] == ["trained (4 not run)", "0.30 (0.30 to 0.30)", "0.20 (0.20 to 0.20)"]
    assert trained[6:] == ["1.50 (1.50 to 1.50)", "3.00 (3.00 to 3.00)"]


def test_page_is_that_of_the_rows():
    text = (DOCS / "recovery-stages.md").read_text()
    assert text == stages.page(DOCS / "recovery-stages.csv")
    assert not re.search(r"\(\d not run\)", text)
