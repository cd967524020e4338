"""The page on a year of subspaces: made from one file of fits, and nothing in it by hand."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from benchmarks import recovery_subspaces as subspaces
from benchmarks.fitted_rows import DOCS
from benchmarks.recovery_rows import ORACLE


def test_a_fit_is_compared_with_the_planted_regimes_and_examined():
    row = subspaces.run("dsc_net/raw", 200)
    assert row["status"] == "ok"
    assert row["ari"] > 0.8
    assert row["ari_raw_data"] == row["ari"]
    assert row["agreement_raw_data"] == 1
    assert "w" in row["marks"].split()
    assert row["seconds"] > 0
    assert subspaces.run(ORACLE, 200)["ari"] > 0.8


def test_a_fit_that_fails_is_a_row(monkeypatch, capsys):
    subspaces.planted(200)  # before plugins fail to load
    monkeypatch.setattr(subspaces.registry, "load", lambda spec: lambda **settings: 1 / 0)
    assert subspaces.run("kmeans", 200) == {"address": "kmeans", "draw": 200, "status": "error"}
    assert "kmeans, 200: ZeroDivisionError" in capsys.readouterr().err


def test_medians_failures_and_what_was_not_run_are_shown():
    rows = [
        {
            "address": "dasc",
            "draw": 200,
            "status": "ok",
            "ari": 0.8,
            "ari_plain_cut": 0.9,
            "seconds": 7.0,
            "marks": "p",
        },
        {"address": "dasc", "draw": 201, "status": "error"},
        {"address": "dasc", "draw": 202, "status": "degenerate", "ari": 0.0, "marks": "p r", "twins": 0.5},
    ]
    runs = pd.DataFrame(rows)
    line = next(line for line in subspaces.table(runs).splitlines() if line.startswith("| dasc "))
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells == [
        "dasc",
        "0.40 (0.20 to 0.60); 1 error, 1 degenerate, 2 not run",
        "0.90 (0.90 to 0.90)",
        "",
        "7",
    ]
    (line,) = (line for line in subspaces.diagnostics(runs).splitlines() if line.startswith("| dasc "))
    assert line.split("|")[2].strip() == "p"
    assert line.split("|")[3 + subspaces.SHOWN.index("twins")].strip() == "0.5"


def test_fits_are_written_in_the_order_of_the_page(tmp_path):
    rows = [(address, draw, np.nan) for draw in subspaces.DRAWS for address in ("dsc_net", "kmeans", ORACLE)]
    subspaces.write(tmp_path / "all.csv", pd.DataFrame(rows, columns=["address", "draw", "ari"]))
    back = subspaces.read(tmp_path / "all.csv")
    assert list(dict.fromkeys(back["address"])) == [ORACLE, "kmeans", "dsc_net"]
    assert len(back) == len(rows)


def test_page_has_every_row_and_no_number_of_its_own():
    text = (DOCS / "recovery-subspaces.md").read_text()
    made = subspaces.page(DOCS / "recovery-subspaces.csv")
    assert text == made, "run python -m benchmarks.recovery_subspaces"
    shown = re.findall(r"^\| (\S+) ", text.partition("## Diagnostics")[0], flags=re.MULTILINE)
    assert shown == ["method", ORACLE, *subspaces.addresses()]
