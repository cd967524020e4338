"""The papers' tables from a results folder that has all three data sets, and from one that has none."""

import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from regimebench import jobs
from regimebench.config import make_plan
from regimebench.evidence.published import DIFFERS
from regimebench.paper_tables import paper_tables
from regimebench.papers.build import build
from regimebench.papers.compare import compare, read_ours
from regimebench.papers.layouts import Layout, read_layouts
from regimebench.papers.verdict import SYMBOLS
from tests.unit.paper_results import FEW, PUBLISHED, settings_of, write_results

LAYOUTS = {layout.id: layout for layout in read_layouts()}
RESULTS = {name: layout for name, layout in LAYOUTS.items() if isinstance(layout, Layout)}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Run the stage on scores that scatter around the printed numbers; CARRA's data are said to differ."""
    folder = tmp_path_factory.mktemp("results")
    settings = settings_of(folder)
    write_results(settings, {"carra": DIFFERS})
    paper_tables(settings, folder / "tables")
    return folder / "tables"


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """Run the stage on a data set that stands for none of the papers', with the smoke budget."""
    folder = tmp_path_factory.mktemp("results")
    planted = {"demo": {"plugin": "synthetic", "title": "Demo"}}
    config = {"results": str(folder), "datasets": planted, "methods": ["kmeans", "dec"], "seeds": 6, "budget": "smoke"}
    settings = jobs.paper_settings(make_plan(config))
    write_results(settings)
    paper_tables(settings, folder / "tables")
    return folder / "tables"


class Cells(HTMLParser):
    """Counts what a table of HTML consists of, and checks that every tag is closed in order."""

    VOID = frozenset(["br", "img", "meta"])

    def __init__(self):
        super().__init__()
        self.open, self.rows, self.scopes = [], [], set()

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append(0)
        if tag in ("td", "th"):
            self.rows[-1] += int(attrs.get("colspan", 1))
        if tag == "th":
            self.scopes.add(attrs["scope"])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_printed_table_comes_in_four_formats(made, name):
    assert {path.suffix for path in made.glob(f"paper.{name}.*")} == {".md", ".tex", ".html", ".csv"}


@pytest.mark.parametrize("name", RESULTS)
def test_layouts_hold_every_printed_number_in_its_order(name):
    layout = RESULTS[name]
    for part in layout.parts:
        assert list(part.numbers) == [
            (row, metric) for row in layout.methods for metric in dict.fromkeys(m for _, m in part.numbers)
        ]
        assert {metric for _, metric in part.numbers} == set(layout.metrics)
        assert set(part.emphasis) <= set(part.numbers)


@pytest.mark.parametrize("name", RESULTS)
def test_rows_and_columns_stand_in_printed_order(made, name):
    layout = RESULTS[name]
    lines = [line for line in (made / f"paper.{name}.md").read_text().splitlines() if line.startswith("|")]
    header = [cell.strip() for cell in lines[0].strip("|").split("|")]
    first = [cell for line in lines[2:] if (cell := line.strip("|").split("|")[0].strip())]
    across, down = (layout.metrics, layout.methods) if layout.across == "metrics" else (layout.methods, layout.metrics)
    assert header[2 : 2 + len(across)] == list(across.values())
    titles = [title for title in first if title in down.values()]
    assert titles == list(down.values()) * len(layout.parts)
    if len(layout.parts) > 1:
        assert [title.strip("*") for title in first if title.startswith("**")] == [p.title for p in layout.parts]


def test_numbers_around_the_printed_ones_are_reproduced(made):
    table = pd.read_csv(made / "paper.dsc-2023-table-2.csv", dtype={"printed": str})
    assert set(table["verdict"]) == {"reproduced within spread"}
    assert table.loc[table["metric"] == "icd", "printed"].tolist()[0] == "7.00"
    others = table[table["metric"] != "silhouette"]  # by which the best is chosen, so that its interval lies higher
    assert others["median"].between(others["low"], others["high"]).all()


def test_numbers_elsewhere_are_higher_or_lower(tmp_path):
    settings = settings_of(tmp_path, ("era5",), seeds=8, methods=FEW)
    write_results(settings, spread=0.001)
    scores = pd.read_csv(tmp_path / "era5" / "scores.csv")
    scores.loc[(scores["address"] == "dtc") & (scores["metric"] == "rmse"), "value"] *= 1.2
    scores.loc[(scores["address"] == "dtc") & (scores["metric"] == "icd"), "value"] *= 0.8
    scores.to_csv(tmp_path / "era5" / "scores.csv", index=False)
    records = compare(RESULTS["dsc-2023-table-2"], read_ours(settings))
    verdicts = {record.metric: record.verdict for record in records if record.row == "dtc"}
    assert (verdicts["rmse"], verdicts["icd"], verdicts["davies_bouldin"]) == (
        "higher",
        "lower",
        "reproduced within spread",
    )


def test_data_that_verify_tells_apart_are_not_compared(made):
    table = pd.read_csv(made / "paper.adatsc-2025-table-1.csv")
    verdicts = table.groupby("dataset")["verdict"].unique()
    assert list(verdicts["carra"]) == ["not comparable"]
    assert "reproduced within spread" in verdicts["era5"]
    text = (made / "paper.adatsc-2025-table-1.md").read_text()
    assert "× CARRA, not comparable: the data are not the papers' (docs/verify.md)." in text


def test_each_variance_is_compared_with_the_definition_of_its_family(made):
    table = pd.read_csv(made / "paper.adatsc-2025-table-1.csv").query("dataset == 'era5' and metric == 'variance'")
    definitions = table.drop_duplicates("row").set_index("row")["definition"]
    assert definitions["a_datsc"] == "Variance (pooled)"
    assert definitions["dtc"] == "Variance (pooled, without padding)"


def test_marks_say_who_is_better_than_the_proposed_method_and_the_best_control(made):
    table = pd.read_csv(made / "paper.dsc-2023-table-2.csv", keep_default_na=False)
    marks = table[table["metric"] == "silhouette"].set_index("address")
    assert marks.at["kmeans", "proposed"] == "−"
    assert marks.at["dsc", "proposed"] == ""
    assert marks.at["dsc", "control"] == "+"
    assert set(marks["control_row"]) == {"kmeans"}
    assert "−p" in (made / "paper.dsc-2023-table-2.md").read_text()


def test_twins_stand_for_no_row(made):
    assert not pd.read_csv(made / "paper.dsc-2023-table-2.csv")["address"].str.contains("_tf").any()
    assert "dec_tf" not in (made / "paper.dsc-2023-table-1.md").read_text()


@pytest.mark.parametrize("name", RESULTS)
def test_without_the_papers_data_sets_every_cell_says_no_data(empty, name):
    table = pd.read_csv(empty / f"paper.{name}.csv")
    assert set(table["verdict"]) == {"no data"}
    numbers = sum(len(part.numbers) for part in RESULTS[name].parts)
    assert len(table) == numbers
    assert "no data set of this run stands for it" in (empty / f"paper.{name}.md").read_text()


def test_the_table_of_methods_takes_cost_from_the_data_set_there_is(empty):
    text = (empty / "paper.dsc-2023-table-1.md").read_text()
    assert "Cost: medians over the ok runs on Demo. Smoke budget: training is cut short." in text
    assert re.search(r"\| dec +\| 2D \(days, values\) +\| dense layers +\| reconstruction, layer by layer", text)
    assert re.search(r"DTC +\| printed +\| 2D Matrix +\| Deep learning model with LSTM layers +\| Required", text)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"n_clusters": 5}, "k is 5 here, 7 in print"),
        ({"budget": "smoke"}, "smoke budget: training is cut short"),
        ({"seeds": 3}, "3 ok runs; a spread needs 5"),
    ],
)
def test_what_bars_a_comparison_is_said(tmp_path, change, reason):
    settings = settings_of(tmp_path, ("era5",), **{"seeds": 6, "methods": FEW, **change})
    write_results(settings)
    ours = read_ours(settings)
    records = compare(RESULTS["dsc-2023-table-2"], ours)
    (row,) = (record for record in records if (record.address, record.metric) == ("dec", "rmse"))
    assert (row.verdict, row.reason) == ("not comparable", reason)
    grid = build(RESULTS["dsc-2023-table-2"], records, ours)
    assert any(reason in note for note in grid.notes)


def test_rows_that_find_fewer_clusters_are_not_compared(tmp_path):
    settings = settings_of(tmp_path, ("era5",), seeds=6, methods=FEW)
    write_results(settings)
    runs = pd.read_csv(tmp_path / "era5" / "runs.csv")
    runs.loc[runs["address"] == "dtc", "clusters_found"] = 6
    runs.to_csv(tmp_path / "era5" / "runs.csv", index=False)
    records = compare(RESULTS["dsc-2023-table-2"], read_ours(settings))
    reasons = {record.address: record.reason for record in records}
    assert reasons["dtc"] == "it finds 6 clusters (median)"
    assert reasons["dec"] == ""


def test_failed_runs_are_counted(tmp_path):
    settings = settings_of(tmp_path, ("era5",), seeds=8, methods=FEW)
    write_results(settings)
    runs = pd.read_csv(tmp_path / "era5" / "runs.csv")
    runs.loc[(runs["address"] == "dtc") & (runs["seed"] < 2), "status"] = "timeout"
    runs.to_csv(tmp_path / "era5" / "runs.csv", index=False)
    records = compare(RESULTS["dsc-2023-table-2"], read_ours(settings))
    (dtc,) = (record for record in records if (record.address, record.metric) == ("dtc", "rmse"))
    assert (dtc.status, dtc.n_ok) == ("6/8 ok (2 timeout)", 6)


@pytest.mark.parametrize("name", LAYOUTS)
def test_html_is_a_sound_fragment_whose_rows_are_equally_long(made, name):
    text = (made / f"paper.{name}.html").read_text()
    parser = Cells()
    parser.feed(text)
    assert not parser.open
    assert {"col", "row", "rowgroup"} <= parser.scopes
    assert "<caption>" in text
    assert not re.search(r"<(script|style|html|body)|style=|https?://", text)


@pytest.mark.parametrize("name", LAYOUTS)
def test_latex_is_balanced_plain_and_has_as_many_cells_in_each_row(made, name):
    text = (made / f"paper.{name}.tex").read_text()
    assert not set(text) - set(map(chr, range(128)))
    assert text.count("{") == text.count("}")
    assert re.findall(r"\\begin\{(\w+)\}", text).count("tabular") == text.count(r"\bottomrule")
    for body in re.findall(r"\\midrule\n(.*?)\\bottomrule", text, re.DOTALL):
        rows = [line for line in body.splitlines() if line.endswith(r"\\")]
        assert len({row.count(" & ") for row in rows}) == 1
        assert not re.search(r"(?<!\\)[#%_]", body)


def test_symbols_of_the_legend_are_those_of_the_cells(made):
    text = (made / "paper.adatsc-2025-table-1.md").read_text()
    used = {symbol for symbol in SYMBOLS.values() if f"{symbol} |" in text}
    assert {"≈", "×"} <= used
    legend = next(line for line in text.splitlines() if line.startswith("- ≈"))
    assert all(symbol in legend for symbol in SYMBOLS.values())


def test_settings_of_all_methods_fit_on_a_command_line():
    plan = make_plan({"datasets": {name: {"published": name} for name in PUBLISHED}, "methods": "all"})
    assert len(jobs.text(jobs.paper_settings(plan))) < 60_000


def test_the_chosen_run_is_the_one_of_highest_cosine_silhouette(made):
    table = pd.read_csv(made / "paper.dsc-2023-table-2.csv")
    scores = pd.read_csv(made.parent / "era5" / "scores.csv").query("protocol == 'paper' and address == 'dec'")
    wide = scores.pivot(index="seed", columns="metric", values="value")
    chosen = wide["silhouette"].idxmax()
    row = table[(table["address"] == "dec") & (table["metric"] == "rmse")].iloc[0]
    assert row["best_seed"] == chosen
    assert row["best"] == pytest.approx(wide.at[chosen, "rmse"])
    assert row["median"] == pytest.approx(np.median(wide["rmse"]))
