"""The cost tables: sums, peaks, start-up and energy, by row and by data set."""

import json

import pandas as pd
import pytest

from regimebench.evaluate import RUN_COLUMNS
from regimebench.spent import NOT_TOLD, TOLD, cost_tables


def run(address, status="ok", **more):
    return {**dict.fromkeys(RUN_COLUMNS), "address": address, "status": status, **more}


@pytest.fixture
def tables(tmp_path):
    """Return a function that writes the cost tables of two data sets and returns them as Markdown and as numbers."""

    def make(**runs):
        for name, found in runs.items():
            (tmp_path / name).mkdir()
            pd.DataFrame(found, columns=list(RUN_COLUMNS)).to_csv(tmp_path / name / "runs.csv", index=False)
        rows = [{"address": address} for address in ("kmeans", "dec", "dec_tf")]
        settings = {"datasets": [{"dataset": name} for name in runs], "rows": rows}
        cost_tables(settings, tmp_path, tmp_path / "tables" / "cost")
        assert (tmp_path / "tables" / "cost.tex").read_text().count("begin{table}") == 2
        numbers = pd.read_csv(tmp_path / "tables" / "cost.csv").set_index(["of", "name"])
        return (tmp_path / "tables" / "cost.md").read_text(), numbers

    return make


def test_sums_peaks_and_the_share_of_start_up(tables, tmp_path):
    stage = tmp_path / "benchmarks" / "evaluate"
    stage.mkdir(parents=True)
    (stage / "one.jsonl").write_text(json.dumps({"s": 12.4}) + "\n")
    start = {"startup_seconds": 900, "startup_cpu_seconds": 360}
    dec = {
        "seconds": 2700.0,
        "cpu_seconds": 1440.0,
        "gpu_seconds": 2700.0,
        "peak_rss_mib": 500.0,
        "peak_gpu_mib": 900.0,
    }
    text, numbers = tables(
        one=[
            run("kmeans", seconds=36.0, cpu_seconds=36.0, peak_rss_mib=90.0),
            run("dec", **dec, **start),
            run("dec", "timeout", seconds=3600.0, peak_rss_mib=800.0, startup_seconds=0, startup_cpu_seconds=0),
            run("dec_tf", "skipped"),
        ],
        two=[run("kmeans", seconds=36.0, cpu_seconds=36.0, peak_rss_mib=95.0)],
    )
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| ")]
    assert ["kmeans", "2", "0.02", "0.02", "–", "–", "95", "–", "–", "–"] in cells
    assert ["dec", "2", "2", "0.5", "0.75", "20 %", "800", "900", "–", "–"] in cells
    assert ["two", "1", "0.01", "0.01", "–", "–", "95", "–", "–", "–"] in cells
    assert [row[1] for row in cells if row[0] == "all"] == ["4", "4"]
    assert "dec_tf" not in text
    assert NOT_TOLD in text
    assert "Other stages, wall time of their last jobs: evaluate 12 s." in text
    assert numbers.loc[("row", "dec"), "seconds"] == 6300
    assert numbers.loc[("data set", "all"), "fits"] == 4


def test_energy_is_shown_where_it_was_told(tables):
    text, _ = tables(one=[run("kmeans", seconds=1.0, cpu_seconds=1.0, cpu_joules=2.5e6), run("dec", seconds=1.0)])
    assert " 2.5 |" in text
    assert TOLD in text
