"""Tables from scores: selection, medians, comparisons with printed numbers, failures."""

import numpy as np
import pandas as pd
import pytest
import yaml

from regimebench import jobs, notes
from regimebench.aggregate import aggregate, tables_of
from regimebench.config import make_plan
from regimebench.evidence.published import Published
from regimebench.metrics import metrics_of
from regimebench.results import best_of, wide

SETTINGS = {
    "dataset": "toy",
    "title": "Toy",
    "published": "toy_data",
    "ours": "the region, which no paper names.",
    "changed": {},
    "preprocess": "standard",
    "n_clusters": 3,
    "budget": "full",
    "rows": [
        {"address": name, "title": name, "kind": kind, "fidelity": "port", "published": key, "seeds": n}
        | {"deterministic": fixed, "twin_of": None}
        for name, kind, fixed, key, n in (
            ("alpha", "method", False, "printed_alpha", 3),
            ("beta", "method", False, "beta", 3),
            ("fixed", "control", True, None, 1),
            ("broken", "method", False, None, 2),
        )
    ],
}  # fmt: skip
PRINTED = [
    {
        "id": "table-9",
        "source": "A paper, Table 9",
        "protocol": "best of 20",
        "dataset": "toy_data",
        "n_clusters": 3,
        "rows": {"printed_alpha": {"silhouette": 0.25, "variance": 0.1}},
    },
    {
        "id": "table-8",
        "source": "Another",
        "protocol": "x",
        "dataset": "other",
        "n_clusters": 3,
        "rows": {"beta": {"rmse": 1.0}},
    },
]
SILHOUETTE = {"alpha": [0.1, 0.3, 0.2], "beta": [0.0, 0.05, 0.09], "fixed": [0.15]}
SILHOUETTE |= {"(truth)": [0.4], "(oracle)": [0.35]}


@pytest.fixture
def made(tmp_path):
    """Write scores in which every metric but the silhouette is seed + 1, and run the stage."""
    rows = [
        (address, seed, protocol, metric.key, value if metric.key.startswith("silhouette") else seed + 1.0)
        for address, values in SILHOUETTE.items()
        for seed, value in enumerate(values)
        for protocol in ("paper", "standard", "truth")
        for metric in metrics_of(protocol)
    ]
    columns = ["address", "seed", "protocol", "metric", "value"]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / "scores.csv", index=False)
    runs = [(address, seed, "ok") for address, values in SILHOUETTE.items() for seed in range(len(values))]
    runs = [run for run in runs if run[0][0] != "("] + [("broken", 0, "timeout"), ("broken", 1, "error")]
    frame = pd.DataFrame(runs, columns=["address", "seed", "status"])
    parameters = [1234 if address == "alpha" else None for address, *_ in runs]
    frame = frame.assign(
        message=None, seconds=2.0, peak_rss_mib=100.0, n_parameters=parameters, clusters_found=3.0, epochs=1.0
    )
    frame.loc[frame["status"] != "ok", ["seconds", "clusters_found"]] = [0.0, np.nan]
    frame.to_csv(tmp_path / "runs.csv", index=False)
    (tmp_path / "printed.yaml").write_text(yaml.safe_dump(PRINTED))
    aggregate(SETTINGS, tmp_path / "scores.csv", tmp_path / "runs.csv", tmp_path / "printed.yaml", tmp_path)
    return tmp_path


def row(text, name):
    line = next(line for line in text.splitlines() if line.startswith(f"| {name} "))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_best_run_is_the_one_of_highest_cosine_silhouette(made):
    best = best_of(wide(pd.read_csv(made / "scores.csv"), "paper"))
    assert best.loc["alpha", ["seed", "silhouette", "rmse"]].tolist() == [1, 0.3, 2.0]


def test_paper_table_marks_the_best_of_each_column_and_leaves_references_out(made):
    text = (made / "toy.paper.md").read_text()
    assert row(text, "alpha")[1:3] == ["3/3 ok", "**0.3000**"]
    assert row(text, "fixed")[4] == "1.0000"
    assert row(text, "(planted truth)")[2] == "0.4000"
    assert row(text, "broken")[1:3] == ["0/2 ok (1 timeout, 1 error)", "–"]


def test_printed_numbers_stand_beside_ours_with_the_difference(made):
    text = (made / "toy.paper.md").read_text()
    section = text[text.index("A paper, Table 9") :]
    assert row(section, "alpha")[1] == "0.3000 / 0.25 / +0.0500"
    assert "Another" not in text
    numbers = pd.read_csv(made / "toy.paper.csv").set_index("address")
    assert numbers.loc["alpha", "table-9:silhouette:difference"] == pytest.approx(0.05)
    assert np.isnan(numbers.loc["beta", "table-9:silhouette"])


@pytest.mark.parametrize("protocol", ["paper", "standard", "truth"])
def test_what_the_papers_do_not_say_is_marked_as_our_choice_under_every_table(made, protocol):
    tables = (made / f"toy.{protocol}.md").read_text().split("## ")[1:]
    assert all("- Our choice, not the papers': the region, which no paper names." in table for table in tables)


def test_what_the_configuration_changes_of_our_choice_stands_beside_it(made):
    entry = {"params": {"flux_day": "paper", "product": "hourly"}}
    plan = make_plan({"datasets": {"era5": entry}, "methods": ["random"]})
    changed = jobs.table_settings(plan, "era5")["changed"]
    for table in tables_of({**SETTINGS, "changed": changed}, made):
        assert table.notes[-1] == "Configured otherwise than by default: product = hourly, flux_day = paper."


def test_an_address_is_no_choice_of_data():
    entry = {"params": {"base_url": "https://user:word@mirror.example/Datasets"}}
    assert jobs.table_settings(make_plan({"datasets": {"ncar": entry}, "methods": ["random"]}), "ncar")["changed"] == {}


def test_data_that_the_papers_describe_carry_no_such_note(made):
    tables = tables_of({**SETTINGS, "ours": None}, made)
    assert not [note for table in tables for note in table.notes if note.startswith("Our choice")]


def test_a_printed_variance_is_set_beside_the_padded_and_the_unpadded_one(made):
    section = (made / "toy.paper.md").read_text().split("A paper, Table 9")[1]
    assert row(section, "alpha")[2:4] == ["2.0000 / 0.1 / +1.9000"] * 2


def test_standard_table_holds_medians_quartiles_tests_and_cost(made):
    text = (made / "toy.standard.md").read_text()
    alpha = row(text, "alpha")
    assert alpha[2] == "**0.200 [0.150, 0.250]**"
    assert alpha[-4:] == ["ref.", "2.00", "100", "1,234"]
    assert row(text, "fixed")[-4] == "1.000"
    assert row(text, "beta")[-4] == "0.600"
    assert row(text, "broken")[-4:] == ["1.000", "–", "–", "–"]
    assert "over all 6 pairs" in text
    assert "With so few runs no p below 0.6 can be reached" in text


def test_truth_table_leaves_out_the_truth_itself(made):
    text = (made / "toy.truth.md").read_text()
    assert "(oracle)" in text
    assert "(planted truth)" not in text


def test_latex_is_booktabs_and_escaped(made):
    text = (made / "toy.standard.tex").read_text()
    for part in (r"\toprule", r"\midrule", r"\bottomrule", r"\textbf{0.200 [0.150, 0.250]}", r"Silhouette $\uparrow$"):
        assert part in text
    assert not set(text) - set(map(chr, range(128)))


def test_the_report_shows_the_tables_of_the_files(made):
    assert next(table.title for table in tables_of(SETTINGS, made)) == "Toy: standard protocol"


def test_the_smoke_budget_is_named_in_the_caption(made):
    settings = {**SETTINGS, "budget": "smoke"}
    captions = [table.caption for table in tables_of(settings, made)]
    assert len(captions) == 9
    assert all("Smoke budget" in caption for caption in captions)


def change(made, address, **columns):
    """Return the standard table after changing columns of runs.csv for all runs of one row."""
    runs = pd.read_csv(made / "runs.csv")
    for name, value in columns.items():
        runs.loc[runs["address"] == address, name] = value
    runs.to_csv(made / "runs.csv", index=False)
    aggregate(SETTINGS, made / "scores.csv", made / "runs.csv", made / "printed.yaml", made)
    return (made / "toy.standard.md").read_text()


def test_a_row_with_fewer_clusters_than_asked_is_named_and_not_marked_best(made):
    text = change(made, "alpha", clusters_found=2)
    assert row(text, "alpha")[2] == "0.200 [0.150, 0.250]"
    assert row(text, "fixed")[2] == "**0.150**"
    assert "fewer clusters than asked (median): alpha (2)" in text


def test_only_runs_that_are_ok_have_a_say(made):
    runs = pd.read_csv(made / "runs.csv")
    runs.loc[(runs["address"] == "alpha") & (runs["seed"] > 0), "status"] = "degenerate"
    runs.to_csv(made / "runs.csv", index=False)
    text = change(made, "fixed", seconds=2.0)
    assert row(text, "alpha")[1:3] == ["1/3 ok (2 degenerate)", "0.100"]
    assert row(text, "alpha")[5] == "1.000"
    assert "fewer than half of the runs are ok: alpha, broken" in text
    assert row(text, "beta")[-4] == "ref."
    assert row(text, "alpha")[-4] == "1.000"


def test_a_printed_table_for_another_k_is_left_out_and_named(made):
    settings = {**SETTINGS, "n_clusters": 4}
    aggregate(settings, made / "scores.csv", made / "runs.csv", made / "printed.yaml", made)
    text = (made / "toy.paper.md").read_text()
    assert "ours beside" not in text
    assert "printed for another k: A paper, Table 9" in text


def test_a_printed_table_without_a_row_of_ours_is_not_shown(made):
    rows = [{**each, "published": None} for each in SETTINGS["rows"]]
    titles = [table.title for table in tables_of({**SETTINGS, "published": "carra", "n_clusters": 7}, made)]
    assert "Toy: ours beside arXiv 2510.18004, Table 1" not in titles
    rows[0]["published"] = "dec"
    with_one = tables_of({**SETTINGS, "published": "carra", "n_clusters": 7, "rows": rows}, made)
    assert [len(table.rows) for table in with_one if "ours beside" in table.title] == [1]


def test_a_twin_stands_last_and_is_compared_with_nothing(made):
    before = (made / "toy.standard.md").read_text()
    twin = {"kind": "twin", "twin_of": "delta"}
    rows = [{**each, **(twin if each["address"] == "alpha" else {})} for each in SETTINGS["rows"]]
    tables = {table.title: table for table in tables_of({**SETTINGS, "rows": rows}, made)}
    standard, truth = tables["Toy: standard protocol"], tables["Toy: agreement with the planted regimes"]
    for table in (standard, truth):
        names = [row[0].text for row in table.rows]
        assert names[:4] == ["beta", "fixed", "broken", "alpha ‡"]
        assert not any(cell.best for cell in table.rows[3])
        assert any(cell.best for row in table.rows[:3] for cell in row)
        assert any(note.startswith("Twins (‡)") and note.endswith(": alpha (delta).") for note in table.notes)
    assert [row[-4].text for row in standard.rows[:4]] == ["ref.", "0.600", "0.600", "–"]
    assert "over all 3 pairs" in standard.notes[-2]
    assert not any(
        "alpha" in row[0].text for table in tables.values() if "told apart" in table.title for row in table.rows
    )
    assert row(before, "alpha")[2] == f"**{standard.rows[3][2].text}**"


def test_twins_are_named_by_plugin_and_said_to_be_smaller_in_a_smoke_run(made):
    twin = {**SETTINGS["rows"][1], "kind": "twin", "twin_of": "alpha"}
    rows = [*SETTINGS["rows"], {**twin, "address": "t"}, {**twin, "address": "t/wide", "twin_of": "alpha/wide"}]
    for budget, found in (("full", False), ("smoke", True)):
        (table, *_) = tables_of({**SETTINGS, "rows": rows, "budget": budget}, made)
        (note,) = (note for note in table.notes if note.startswith("Twins"))
        assert note.endswith(": t (alpha).")
        assert ("rows need not agree" in note) is found


def test_rows_that_were_not_tried_are_named_below_the_tables(made):
    rows = [
        *SETTINGS["rows"],
        {**SETTINGS["rows"][0], "address": "broken/wide"},
        {**SETTINGS["rows"][0], "address": "x"},
    ]
    runs = pd.read_csv(made / "runs.csv")
    broken = runs[runs["address"] == "broken"].assign(status="skipped", message="Y is not installed")
    alpha = runs[(runs["address"] == "alpha") & (runs["seed"] == 0)].assign(seed=3, status="skipped", message="Y")
    more = [broken, broken.assign(address="broken/wide"), broken.assign(address="x", message="Z is not installed")]
    runs = pd.concat([runs[runs["address"] != "broken"], alpha, *more])
    runs.to_csv(made / "runs.csv", index=False)
    for table in tables_of({**SETTINGS, "rows": rows}, made):
        if table.header[1] == "runs":
            names = [row[0].text for row in table.rows if "(" not in row[0].text]
            assert names == ["alpha", "beta", "fixed"]
            assert table.rows[0][1].text == "3/4 ok (1 skipped)"
            assert {note for note in table.notes if note.startswith("Skipped")} == {
                "Skipped: broken (2 rows). Y is not installed.",
                "Skipped: x (1 row). Z is not installed.",
            }


def with_diagnostics(made, **values):
    """Return the tables by title when runs have diagnostics: name -> one value per run of runs.csv."""
    runs = pd.read_csv(made / "runs.csv")
    runs = runs.assign(**{f"diagnostics.{name}": column for name, column in values.items()})
    runs.to_csv(made / "runs.csv", index=False)
    aggregate(SETTINGS, made / "scores.csv", made / "runs.csv", made / "printed.yaml", made)
    return {table.title.partition(": ")[2]: table for table in tables_of(SETTINGS, made)}


def cells(table, column):
    """Return a column of a table by the first cell of its rows."""
    return {row[0].text: row[table.header.index(column)].text for row in table.rows if row[0].text[0] != "("}


def test_a_mark_is_shown_where_half_of_the_runs_with_labels_raise_the_alarm(made):
    # alpha, beta: three runs each; fixed: one; broken: two without labels
    tables = with_diagnostics(
        made,
        twins=[0.9, 0.9, 0.1, 0.9, 0.1, 0.1, None, 0.9, 0.9],
        agreement_raw_data=[1, 1, 1, None, None, None, 0.95, None, None],
    )
    expected = {"alpha": "t w", "beta": "", "fixed": "w", "broken": ""}
    for name in ("standard protocol", "diagnostics, labels"):
        assert cells(tables[name], "marks") == expected
        (note,) = (note for note in tables[name].notes if note.startswith("Marks"))
        assert "t: most days have a twin that is no neighbour in time (twins > 0.5); w:" in note
        assert "u:" not in note
    assert r"twins $>$ 0.5" in (made / "toy.standard.tex").read_text()
    numbers = pd.read_csv(made / "toy.diagnostics.csv").set_index("address")
    assert numbers["marks"].fillna("").to_dict() == expected
    assert numbers.at["alpha", "twins"] == 0.9
    assert numbers.at["beta", "twins"] == 0.1


def test_a_degenerate_run_has_a_say_in_diagnostics_and_in_nothing_else(made):
    change(made, "fixed", status="degenerate")
    tables = with_diagnostics(made, c_norm=[0.5] * 6 + [1e-9] + [None] * 2)
    assert cells(tables["diagnostics, self-expression"], "c_norm") == {"alpha": "0.5", "beta": "0.5", "fixed": "1e-09"}
    assert cells(tables["standard protocol"], "marks")["fixed"] == "Z"
    assert cells(tables["standard protocol"], "seconds")["fixed"] == "–"
    assert "Z: no day is expressed by others, C is dead (c_norm < 0.001)" in tables["standard protocol"].notes[-3]


def test_runs_without_diagnostics_have_no_marks_and_one_short_table(made):
    titles = [table.title for table in tables_of(SETTINGS, made) if "diagnostics" in table.title]
    assert titles == ["Toy: diagnostics, labels"]
    assert "Marks" not in (made / "toy.standard.md").read_text()


def test_no_scores_at_all_give_tables_without_numbers(made):
    scores = pd.read_csv(made / "scores.csv")
    scores[:0].to_csv(made / "scores.csv", index=False)
    for address in ("alpha", "beta", "fixed"):
        text = change(made, address, status="error")
    assert row(text, "alpha")[1:4] == ["0/3 ok (3 error)", "–", "–"]
    assert not (made / "toy.truth.md").exists()
    assert row((made / "toy.paper.md").read_text(), "fixed")[1] == "0/1 ok (1 error)"


def test_a_reconstructed_method_is_marked_and_explained(made):
    rows = [dict(each, fidelity="reconstructed" if each["address"] == "beta" else "port") for each in SETTINGS["rows"]]
    table = tables_of({**SETTINGS, "rows": rows}, made)[0]
    assert [row[0].text for row in table.rows][:2] == ["alpha", "beta †"]
    assert any(note.startswith("Reconstructed") and "beta" in note for note in table.notes)


def test_a_printed_row_that_contradicts_the_others_is_named_beside_ours():
    """In the A-DATSC paper, RMSE and CH of one row imply other data than those of all other rows (docs/verify.md)."""
    about = Published("era5")
    source = "arXiv 2510.18004, Table 1"
    (note,) = notes.unlike(source, ["a_datsc", "dec", "dsc"], about)
    assert "agree on 503.18; not so: a_datsc 485.23 (RMSE 13.764 would fit its CH" in note
    assert notes.unlike(source, ["dec", "dsc"], about) == []
    assert notes.unlike("another table", ["a_datsc"], about) == []
    assert notes.unlike(source, ["a_datsc"], Published("toy")) == []
