"""The page: what it says, what it shows, and that nothing from outside can break out of where it is written."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from fabricated_results import HOSTILE, ROWS, Row, fabricate
from published_world import make_fields

from regimebench.preprocess import preprocess
from regimebench.report import report
from regimebench.reporting import origins, regimes, summary, training, verdicts
from regimebench.reporting.material import Material
from regimebench.reporting.page import island, render
from regimebench.results import Results


class Links(HTMLParser):
    """Collects what a browser would load or go to."""

    def __init__(self):
        super().__init__()
        self.links = []

    def handle_starttag(self, tag, attrs):
        self.links += [value for name, value in attrs if name in ("src", "href", "srcset", "action", "data", "poster")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("made")


@pytest.fixture(scope="module")
def chosen(folder):
    return fabricate(folder, title=f"Made-up {HOSTILE}")


@pytest.fixture(scope="module")
def material(folder, chosen):
    return Material.read(chosen, folder)


@pytest.fixture(scope="module")
def page(folder, chosen):
    path = folder / "report" / "index.html"
    report({"results": str(folder), "datasets": [chosen]}, path)
    return path.read_text()


def test_the_page_asks_for_nothing_from_elsewhere(page):
    found = Links()
    found.feed(page)
    assert len(found.links) > 20
    assert {link for link in found.links if not link.startswith(("data:", "#", "../tables/"))} == set()
    assert not re.search(r"url\(|@import", page)
    assert "default-src &#39;none&#39;" in page


def test_text_from_outside_is_text_wherever_it_stands(page):
    assert "<img src=x" not in page
    assert page.count("</script>") == 2
    assert "&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;" in page


def test_the_data_come_back_from_their_island(page):
    text = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[1]
    (made,) = json.loads(text)["datasets"]
    assert HOSTILE in made["title"]
    assert [row["address"] for row in made["rows"]] == [row.address for row in ROWS]
    assert json.loads(str(island(["<!--<script>\u2028", "é"]))) == ["<!--<script>\u2028", "é"]


def test_scores_of_the_island_are_those_of_ok_runs_in_the_order_of_seeds(material, page):
    made = json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])["datasets"][0]
    row = next(row for row in made["rows"] if row["address"] == "alpha/other")
    assert row["status"] == ["ok", "error", "degenerate", "ok"]
    values = row["scores"]["standard.silhouette"]
    assert [value is None for value in values] == [False, True, True, False]
    scores = material.results.values.set_index(["address", "seed", "protocol", "metric"])["value"]
    assert values[3] == pytest.approx(scores["alpha/other", 3, "standard", "silhouette"], rel=1e-6)


def test_failures_stand_with_their_messages_and_seeds(material):
    rows = [[cell.text for cell in row] for row in origins.failures(material).rows]
    assert rows == [
        ["alpha/other", "error", "1", f"error: {HOSTILE}"],
        ["alpha/other", "degenerate", "2", f"degenerate: {HOSTILE}"],
    ]
    assert origins.spans([7, 0, 1, 2]) == "0\u20132, 7"


def test_a_collapsed_run_is_not_shown_whatever_it_scores(tmp_path):
    scores = [("dec", seed, "paper", "silhouette", value) for seed, value in ((0, 0.2), (1, 0.9), (2, 0.3))]
    columns = ["address", "seed", "protocol", "metric", "value"]
    pd.DataFrame(scores, columns=columns).to_csv(tmp_path / "scores.csv", index=False)
    runs = {"address": "dec", "seed": range(3), "status": ["ok", "degenerate", "ok"]}
    pd.DataFrame(runs).to_csv(tmp_path / "runs.csv", index=False)
    settings = {"rows": [{"address": "dec", "kind": "method"}]}
    found = Material(tmp_path, Results.read(settings, tmp_path / "scores.csv", tmp_path / "runs.csv"), None)
    assert found.best.loc["dec", "seed"] == 2


def test_a_twin_stands_last_and_has_no_maps(material):
    assert material.ranked[-1] == "beta_twin"
    assert list(material.matched)[-1] == "beta_twin"
    assert "beta_twin" not in regimes.shown_rows(material)


def test_the_best_control_is_among_the_maps_however_bad(tmp_path):
    rows = (*(Row(f"m{i}", noise=0.1) for i in range(9)), Row("poor", "control", noise=0.9))
    settings = fabricate(tmp_path, rows=rows, seeds=2, shape=(60, 4, 4, 1), embedding=2)
    assert regimes.shown_rows(Material.read(settings, tmp_path))[-1] == "poor"


def test_the_grid_is_told_from_the_zeros_around_it(material):
    for variant, shape in (("standard", "5 x 6 cells, "), ("paper", "5 x 6 cells (with zeros to 16 x 16), ")):
        cube = preprocess(make_fields(), variant, name="world")
        assert f", {shape}" in summary.facts(Material(material.folder, material.results, cube))


def test_the_summary_says_what_was_lost_and_what_cannot_be_said(material):
    text = " ".join(summary.sentences(material))
    assert "7 rows (3 methods and variants, 3 controls, 1 twin) with 25 runs, of which 23 are ok." in text
    assert "Not ok: 1 error, 1 degenerate" in text
    assert "no two rows that draw seeds can be told apart" in text, "with four seeds a row"
    assert "training noise" in " ".join(summary.limits(material))
    assert "no statement about methods in general" in summary.overall_limits(1)[0]
    assert "0.25" in summary.overall_limits(3)[0]


def test_training_helps_where_it_does(tmp_path):
    rows = (Row("good", noise=0.05), Row("good/untrained", "control", noise=0.6))
    rows += (Row("bad", noise=0.6), Row("bad/untrained", "control", noise=0.05), Row("alone", noise=0.2))
    settings = fabricate(tmp_path, rows=rows, seeds=8, shape=(80, 4, 4, 1), embedding=2)
    found = Material.read(settings, tmp_path)
    verdict = {duel.row: duel.verdict for duel in verdicts.against_untrained(found)}
    assert verdict == {"good": "better", "bad": "worse"}
    control, duels = verdicts.against_control(found)
    assert control == "bad/untrained"
    assert {duel.row: duel.verdict for duel in duels}["bad"] == "worse"


def test_one_run_is_not_tested(tmp_path):
    rows = (Row("m", noise=0.05), Row("fixed", "control", noise=0.6, deterministic=True))
    settings = fabricate(tmp_path, rows=rows, seeds=3, shape=(60, 4, 4, 1), embedding=2)
    found = Material.read(settings, tmp_path)
    (duel,) = verdicts.against_control(found)[1]
    assert duel.test == "sign"
    assert duel.verdict == "open", "three runs against a constant cannot show a difference"


def test_nothing_ok_is_a_page_all_the_same(tmp_path):
    rows = (Row("m", failed={0: "timeout", 1: "oom"}),)
    settings = fabricate(tmp_path, rows=rows, seeds=2, shape=(40, 4, 4, 1), planted=False)
    report({"results": str(tmp_path), "datasets": [settings]}, tmp_path / "report" / "index.html")
    assert "No run is ok, so nothing can be compared." in (tmp_path / "report" / "index.html").read_text()


def test_curves_begin_with_the_best_seed_and_keep_both_ends(material):
    rows = {row["address"]: row for row in training.curves(material)}
    assert set(rows) == {"alpha", "alpha/other", "beta"}
    assert rows["alpha"]["first"] == material.best.loc["alpha", "seed"]
    panel = next(panel for panel in rows["alpha/other"]["panels"] if panel["name"] == "loss")
    assert panel["length"] == 200
    assert panel["lines"][0].startswith("M0 ")
    assert re.search(r"L100 [\d.]+$", panel["lines"][0])
    assert rows["alpha/other"]["seeds"] == 3, "a run that failed has no curve"
    assert [len(panel["lines"]) for panel in rows["beta"]["panels"]] == [1, 1, 3]


def test_a_season_is_the_shortest_stretch_of_months_with_most_days():
    assert regimes._season(np.array([11, 0, 0, 1, 6])) == "Dec\u2013Feb"
    assert regimes._season(np.array([3, 3])) == "Apr"


def test_ticks_of_a_year_are_months_and_of_decades_years():
    year = np.datetime64("2021-01-01") + np.arange(365)
    assert [name for _, name in regimes.ticks(year)][:2] == ["Jan", "Feb"]
    decades = np.datetime64("1990-01-01") + np.arange(30 * 365)
    assert regimes.ticks(decades)[0] == (0, "1990")
    assert len(regimes.ticks(decades)) <= 13


def test_a_template_without_its_content_is_an_error():
    with pytest.raises(Exception, match="is undefined"):
        render(data={})
