"""The study of a data set: what enters, what is written, and the tables made of it."""

import numpy as np
import pandas as pd
import pytest

from regimebench.across import over_data_sets
from regimebench.metrics import metrics_of
from regimebench.results import Results
from regimebench.schema import InvalidFile
from regimebench.stats.agreement import AGREEMENT_COLUMNS
from regimebench.stats.samples import samples
from regimebench.stats.study import Study, study
from regimebench.stats.tables import statistics_tables

RNG = np.random.default_rng(0)
SHIFTED = ["address", "seed", "protocol", "metric", "mean", "p95"]
KINDS = {"good": "method", "bad": "control", "fixed": "control", "twin": "twin", "never": "method"}


def settings(name="toy", of=None):
    rows = [
        {"address": a, "title": a, "kind": kind, "fidelity": "port", "published": None, "seeds": 5, "pairing": None}
        | {"deterministic": a == "fixed", "twin_of": "good" if kind == "twin" else None}
        for a, kind in KINDS.items()
    ]
    plain = {"published": None, "ours": None, "changed": {}, "preprocess": "standard", "n_clusters": 3}
    change = "phase_randomised" if of else None
    return {"dataset": name, "title": name.title(), "budget": "full", "rows": rows, "of": of, "change": change} | plain


def write_results(folder, shift=0.0, planted=True):
    """Write scores and runs: good is better than bad, a run of bad failed and one collapsed, never was skipped."""
    folder.mkdir(parents=True, exist_ok=True)
    scores, runs = [], []
    centre = {"good": 1.0 + shift, "bad": 0.0, "fixed": 0.5, "twin": 1.0, "never": 0.0}
    for address in KINDS:
        for seed in range(1 if address == "fixed" else 5):
            status = {("bad", 3): "error", ("bad", 4): "degenerate"}.get((address, seed), "ok")
            status = "skipped" if address == "never" else status
            runs.append((address, seed, status, "x", 3.0, 1.0))
            for protocol in ("paper", "standard", *(["truth"] if planted else [])):
                for metric in metrics_of(protocol):
                    sign = 1 if metric.better == "higher" else -1
                    if status in ("ok", "degenerate"):
                        value = sign * (centre[address] + 0.01 * RNG.random())
                        scores.append((address, seed, protocol, metric.key, value + 10 * (metric.key == "rmse")))
    if planted:
        scores += [("(truth)", 0, p, m.key, 1.0) for p in ("paper", "standard", "truth") for m in metrics_of(p)]
    pd.DataFrame(scores, columns=["address", "seed", "protocol", "metric", "value"]).to_csv(
        folder / "scores.csv", index=False
    )
    columns = ["address", "seed", "status", "message", "clusters_found", "epochs"]
    pd.DataFrame(runs, columns=columns).to_csv(folder / "runs.csv", index=False)


@pytest.fixture
def results(tmp_path):
    write_results(tmp_path / "toy")
    return Results.read(settings(), tmp_path / "toy" / "scores.csv", tmp_path / "toy" / "runs.csv")


def test_failed_and_collapsed_runs_enter_as_the_worst_and_twins_and_skipped_rows_do_not(results):
    for each in samples(results, "standard", ["silhouette", "rmse"]):
        assert each.addresses == ["good", "bad", "fixed"]
        assert each.tried.tolist() == [5, 5, 1]
        assert each.ok.tolist() == [5, 3, 1]
        assert np.isneginf(each.scores[1]).sum() == 2
        assert each.scores[0].min() > np.nanmax(each.scores[1])


def test_a_study_comes_back_from_its_file(results, tmp_path):
    made = study(results)
    made.write(tmp_path / "study.json")
    read = Study.read(tmp_path / "study.json")
    assert read.metrics.keys() == made.metrics.keys()
    for key, each in made.metrics.items():
        pd.testing.assert_frame_equal(
            read.metrics[key].pairs, each.pairs, check_dtype=False, rtol=1e-5, check_column_type=False
        )
        pd.testing.assert_frame_equal(
            read.metrics[key].summary, each.summary, check_dtype=False, rtol=1e-5, check_index_type=False
        )
    agreement, shifted = pd.DataFrame(columns=AGREEMENT_COLUMNS), pd.DataFrame(columns=SHIFTED)
    again = [statistics_tables(results, each, agreement, shifted)[0] for each in (made, read)]
    assert [table.rows for table in again[0]] == [table.rows for table in again[1]]


def test_a_study_of_another_version_is_refused(tmp_path):
    (tmp_path / "study.json").write_text('{"schema_version": 99}')
    with pytest.raises(InvalidFile, match="run aggregate again"):
        Study.read(tmp_path / "study.json")


def test_a_pair_is_seen_from_either_side(results):
    found = study(results).metric("standard", "silhouette")
    one, other = found.pair("good", "bad"), found.pair("bad", "good")
    assert (one["superiority"], other["superiority"]) == (1, 0)
    assert (one["low"], one["n_a"], one["p"]) == (1 - other["high"], other["n_b"], other["p"])
    with pytest.raises(KeyError, match="not compared"):
        found.pair("good", "twin")


def test_tables_count_failures_and_show_what_scores_are_worth(results):
    agreement = pd.DataFrame([("good", "good", 10, 0.9, 0.8, 0.85, 0.95)], columns=AGREEMENT_COLUMNS)
    shifted = pd.DataFrame(
        [("good", seed, "standard", m.key, 0.5, 0.6) for seed in range(5) for m in metrics_of("standard")],
        columns=SHIFTED,
    )
    tables, numbers = statistics_tables(results, study(results), agreement, shifted)
    by_title = {table.title.partition(": ")[2]: table for table in tables}
    seeds = {row[0].text: [cell.text for cell in row] for row in by_title["Silhouette (Euclidean) over seeds"].rows}
    assert seeds["bad"][1:3] == ["5", "2"]
    assert seeds["good"][4] == "ref."
    assert seeds["fixed"][6] == "sign"
    assert by_title["stability over seeds"].rows[0][2].text == "0.90 [0.85, 0.95]"
    excess = by_title["scores as an excess over shifted labels"]
    assert [row[0].text for row in excess.rows] == ["good"]
    assert excess.rows[0][1].text.endswith("(1.00)")
    assert "which metric ranks as the truth does, standard protocol" in by_title
    assert set(numbers["metric"]) == {f"{p}.{m.key}" for p in ("paper", "standard", "truth") for m in metrics_of(p)}


def test_tables_over_data_sets_leave_changed_ones_out_and_show_the_excess(tmp_path):
    for name, shift in (("one", 0.0), ("two", 0.0), ("surrogate", -0.9)):
        write_results(tmp_path / name, shift, planted=False)
    sets = [settings("one"), settings("two"), settings("surrogate", of="one")]
    shared = {key: sets[0][key] for key in ("rows", "budget")}
    over_data_sets({"results": str(tmp_path), "datasets": sets, **shared}, tmp_path / "tables")
    text = (tmp_path / "tables" / "across.md").read_text()
    assert "2 data sets: the smallest two-sided p of a signed-rank test of two rows is 0.5" in text
    assert "| good" in text
    head = next(line for line in text.splitlines() if line.startswith("| method"))
    assert "surrogate" not in head
    numbers = pd.read_csv(tmp_path / "tables" / "across.csv")
    null = numbers[(numbers["table"] == "surrogate") & (numbers["metric"] == "silhouette")].set_index("address")
    assert null.at["good", "excess"] == pytest.approx(0.9, abs=0.02)
    assert null.at["good", "superiority"] == 1
    assert null.at["good", "p"] == pytest.approx(2 / 252)
    assert abs(null.at["bad", "excess"]) < 0.02
