"""The audit states known facts about the printed numbers, and notices when a number changes."""

import shutil
from pathlib import Path

import pytest

from regimebench.audit import as_html, as_markdown, findings
from regimebench.evidence.published import FOLDER, Printed

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def found():
    return {finding.key: finding for finding in findings()}


def sentence(finding, start):
    (text,) = [text for text in finding.sentences if text.startswith(start)]
    return text


def cells(finding, title):
    (table,) = [table for table in finding.tables if table.title == title]
    return [[cell.text for cell in row] for row in table.rows]


def test_the_page_is_what_the_command_writes(found):
    assert (ROOT / "docs" / "audit.md").read_text() == as_markdown(list(found.values())), (
        "run `python -m regimebench audit --out docs/audit.md`"
    )


@pytest.mark.parametrize(
    ("start", "rest"),
    [
        ("era5: 8 of 9", "rows agree on T/n = 503.18."),
        ("era5, a_datsc", "485.23. RMSE 13.764 would fit its CH; CH 104.69 would fit its RMSE."),
        ("era5: of all n", "most rows (8) agree for n = 365."),
        ("ncar, a_datsc", "151.27. RMSE 3.130 would fit its CH; CH 876.05 would fit its RMSE."),
        ("ncar, clustergan", "156.38."),
        ("carra: 3 of 6", "T/n = 64.82; of these dtc with 3 clusters that have days, dsc with 5 clusters"),
        ("carra: of all n", "most rows (3) agree for n = 365."),
        ("ncar: of all n", "most rows (4) agree for n = 365."),
    ],
)
def test_identity_of_rmse_and_ch(found, start, rest):
    assert rest in sentence(found["identity"], start)


def test_implied_inertia_of_every_row_is_the_one_worked_out_by_hand(found):
    rows = cells(found["identity"], "Inertia per day implied by the rows of era5")
    implied = {row[0]: float(row[4]) for row in rows}
    by_hand = {"clustergan": 503.184, "dtc": 503.180, "dsc": 503.181, "dec": 503.186, "dasc": 503.184}
    by_hand |= {"a_datsc/sel": 503.181, "a_datsc/cnn_lstm": 503.185, "a_datsc/gat": 503.176, "a_datsc": 485.230}
    assert implied == pytest.approx(by_hand, abs=6e-4)


def test_rows_with_fewer_clusters_are_worked_out_with_these(found):
    rows = cells(found["identity"], "Inertia per day implied by the rows of carra")
    assert {row[0]: (row[2], row[4]) for row in rows if row[5] == "agrees"} == {
        "dtc": ("3", "64.816"),
        "dsc": ("5", "64.815"),
        "dec": ("7", "64.817"),
    }


def test_calinski_harabasz_that_the_first_paper_does_not_print(found):
    rows = cells(found["identity"], "Rows of era5 printed without Calinski-Harabasz index")
    implied = {row[0]: float(row[3]) for row in rows}
    # From the notebooks' full digits 101.15, 93.77, 7.51; the table's two digits move them a little.
    assert implied["kmeans"] == pytest.approx(101.15, abs=0.2)
    assert implied["hierarchical"] == pytest.approx(93.77, abs=0.2)
    assert implied["dtcr"] == pytest.approx(7.51, abs=0.02)


def test_variance_families(found):
    text = sentence(found["variance"], "era5: 0.0430")
    assert text.index("dtcr)") < text.index("0.1032 to 0.1064")
    assert "s = 0.7296" in sentence(found["variance"], "era5: with 41 x 41")
    assert "0.04305" in sentence(found["variance"], "dsc: its notebook")
    assert "0.1770 in all 6 rows" in sentence(found["variance"], "ncar: 0.1770")
    assert "29,171 columns or more" in sentence(found["variance"], "carra: these numbers")


def test_tables_and_notebooks(found):
    finding = found["notebooks"]
    assert "1 neither" in sentence(finding, "40 numbers")
    assert sentence(finding, "kmeans icd") == "kmeans icd: 7.00 in the table, 7.018959673987815 in the notebook."


def test_rows_listed_and_not_printed(found):
    assert sentence(found["listed"], "arXiv 2510.18004").endswith(": InfoGAN, DSC-Net-L2, DSC-DAG.")
    assert sentence(found["listed"], "arXiv 2304.14541").endswith(": none.")


def test_emphasised_numbers_that_are_not_the_best(found):
    rows = cells(found["emphasis"], "Where they differ")
    assert ["arXiv 2510.18004, Table 1, NCAR Reanalysis 1", "I-CD ↑", "dasc 4.0097", "dec 0.9465"] in rows
    assert len(rows) == 4


def test_label_vectors(found):
    assert "adjusted Rand index is 0.681" in sentence(found["vectors"], "dec: its numbers")
    sizes = {row[0]: row[1:] for row in cells(found["vectors"], "Sizes")}
    assert sizes["kmeans"] == ["7", "67, 21, 56, 64, 79, 57, 21", "84"]
    assert sizes["dtc"][2] == "47"


def test_a_changed_digit_is_noticed(tmp_path):
    for path in FOLDER.iterdir():
        shutil.copy(path, tmp_path)
    tables = (tmp_path / "tables.yaml").read_text()
    (tmp_path / "tables.yaml").write_text(tables.replace("rmse: 15.0820", "rmse: 15.0920"))
    (identity, *_) = findings(tmp_path)
    assert sentence(identity, "era5: 7 of 9")
    assert sentence(identity, "era5, dtc: 503.85")


def test_words_are_neutral(found):
    text = as_markdown(list(found.values())).lower()
    for word in ("wrong", "error", "fabricat", "mistake", "fraud", "cheat", "suspicious", "manipulat"):
        assert word not in text.replace("root mean squared error", "")


def test_the_fragment_has_a_heading_for_every_check(found):
    html = as_html(list(found.values()))
    assert html.count("<h3>") == len(found)
    assert "<script" not in html
    assert "style=" not in html


@pytest.mark.parametrize(("value", "how"), [(0.2548, "rounded"), (0.2596, "cut"), (0.2448, "no")])
def test_how_a_number_becomes_a_printed_one(value, how):
    assert Printed("0.25").made_from(value) == how
