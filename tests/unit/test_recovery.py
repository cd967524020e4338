"""The page on recovery: made from one file of fits, complete, and nothing in it by hand."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_1samp

from benchmarks import recovery, recovery_page
from benchmarks import recovery_rows as planned
from benchmarks.fitted_rows import DOCS
from regimebench import registry


@pytest.fixture
def runs():
    """Five draws of centroids with one error and one collapse; of waves only the first was fitted."""
    rows = []
    for i, draw in enumerate(planned.DRAWS):
        dec = ("error", np.nan, np.nan) if i == 4 else ("ok", 0.5 + 0.12 * i, 20.0 + 2 * i)
        idec = ("degenerate", 0.0, 9.0) if i == 4 else ("ok", 0.9, 9.0)
        rows += [
            (planned.ORACLE, "centroids", draw, "ok", 0.9, np.nan),
            ("kmeans", "centroids", draw, "ok", 0.4, 0.1),
            ("dec", "centroids", draw, *dec),
            ("dec/idec", "centroids", draw, *idec),
            ("dec/untrained", "centroids", draw, "ok", 0.3 + 0.06 * i, 0.2),
            ("dec/published_code", "centroids", draw, "ok", 0.45, 1.0),
            (f"dec/published_code{planned.SELF}", "centroids", draw, "ok", 0.5, 1.0),
        ]
    rows += [("kmeans", "waves", planned.DRAWS[0], "ok", 0.2, 0.1)]
    return pd.DataFrame(rows, columns=planned.COLUMNS)


ADDRESSES = ["kmeans", "dec", "dec/idec", "dec/published_code", "dec/untrained", "random"]


def rows_of(table):
    """Return the cells of a Markdown table by its first column."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    return {line[0]: line[1:] for line in lines}


def test_medians_failures_and_what_was_not_run_are_shown(runs):
    rows = rows_of(recovery_page.table(runs, ADDRESSES))
    assert list(rows) == [planned.ORACLE, *ADDRESSES]
    assert rows[planned.ORACLE] == ["0.90 (0.90 to 0.90)", "5 not run", "5 not run", "5 not run", ""]
    assert rows["dec"] == ["0.68 (0.59 to 0.77); 1 error", "5 not run", "5 not run", "5 not run", "23"]
    assert rows["dec/idec"][0] == "0.90 (0.90 to 0.90); 1 degenerate"
    assert rows["kmeans"][2] == "0.20 (0.20 to 0.20); 4 not run"
    assert rows["random"] == ["5 not run"] * 4 + [""]


def test_claims_compare_the_same_data_sets(runs):
    rows = rows_of(recovery_page.claims(runs, ADDRESSES))
    assert list(rows) == ["dec", "dec/idec", "dec/published_code"]
    assert rows["dec"] == ["centroids", "no: +0.29, p = 0.062, n = 4", "no: +0.28, p = 0.062, n = 4"]
    assert rows["dec/idec"][1:] == ["not run", "no: +0.50, p = 0.062, n = 5"]
    assert rows["dec/published_code"][1:] == ["no: -0.05, p = 1.000, n = 5", "yes: +0.05, p = 0.031, n = 5"]


def test_the_untrained_self_of_a_variant_is_its_own_network():
    assert planned.untrained_self("dtcr") == "dtcr/untrained"
    own = planned.untrained_self("dtcr/days")
    assert own in planned.everything()
    assert planned.fitted_to(own) == planned.fitted_to("dtcr/days") == ("dynamics",)
    assert planned.untrained("dtcr/days") == {"max_iter": 0}
    found, others = (recovery.run(address, "dynamics", 100)[4] for address in (own, "dtcr/untrained"))
    assert found != others
    assert found == recovery.run(own, "dynamics", 100)[4]


def test_sign_flip_p_is_the_share_of_flips_at_least_as_good():
    assert recovery_page.p_greater(np.array([1.0, 2.0, 3.0, 4.0, 5.0])) == 1 / 32
    assert recovery_page.p_greater(-np.array([1.0, 2.0, 3.0])) == 1
    assert recovery_page.p_greater(np.array([3.0, -1.0])) == 2 / 4
    assert recovery_page.p_greater(np.zeros(5)) == 1
    many = np.random.default_rng(0).normal(0.3, 1, 40)  # of too many flips, some
    assert recovery_page.p_greater(many) == pytest.approx(ttest_1samp(many, 0, alternative="greater").pvalue, rel=0.1)


def test_a_fit_is_compared_with_the_planted_regimes():
    address, family, draw, status, ari, seconds = recovery.run("kmeans", "centroids", 100)
    assert (address, family, draw, status) == ("kmeans", "centroids", 100, "ok")
    assert 0.1 < ari < 0.9
    assert seconds > 0
    assert recovery.run(planned.ORACLE, "centroids", 100)[4] > 0.9


def test_a_fit_that_fails_is_a_row(monkeypatch, capsys):
    monkeypatch.setattr(planned, "SCALED", {"eof_kmeans": {"variance_fraction": "much"}})
    assert recovery.run("eof_kmeans", "centroids", 100)[3] == "error"
    assert "eof_kmeans, centroids 100: " in capsys.readouterr().err


def test_wide_networks_are_narrower_on_small_maps_and_others_as_declared():
    assert planned.scaled("dsc")["filters"] == [16, 16, "P", 32, "P", 64, "P", 128, "P"]
    assert planned.scaled("dsc/untrained")["code"] == 64
    assert planned.scaled("dec")["layer_steps"] == 200
    assert planned.scaled("dtc") == {}


def test_only_what_is_missing_is_fitted(runs):
    jobs = recovery.missing(runs, ["dec", "random"], ["centroids", "waves"])
    assert len(jobs) == 5 + 10
    assert ("dec", "waves", planned.DRAWS[0]) in jobs
    assert not any(job[:2] == ("dec", "centroids") for job in jobs)


def test_a_network_with_more_data_sets_has_rivals_on_all_of_them(runs):
    assert planned.draws_of("dec", "dynamics") == planned.DRAWS
    for address in ("a_datsc", planned.untrained_self("a_datsc"), planned.REFERENCE):
        assert planned.draws_of(address, "waves") == planned.MANY_DRAWS
        assert planned.draws_of(address, "dynamics") == planned.MOST_DRAWS["dynamics"]
    jobs = recovery.missing(runs, ["a_datsc"], ["waves", "dynamics"])
    assert {family: sum(job[1] == family for job in jobs) for family in ("waves", "dynamics")} == {
        "waves": 10,
        "dynamics": 50,
    }
    more = pd.DataFrame([("kmeans", "centroids", planned.MANY_DRAWS[-1], "ok", 1.0, 0.1)], columns=planned.COLUMNS)
    shown = [rows_of(recovery_page.table(found, ["kmeans"]))["kmeans"] for found in (runs, pd.concat([runs, more]))]
    assert shown[0] == shown[1]  # the table is of the data sets that all methods have


def test_variants_are_fitted_to_what_they_claim_and_all_else_to_every_family(runs):
    assert planned.fitted_to("dtc/days") == ("dynamics",)
    for address in ("dtc", "dtc/untrained", "dsc_net/raw", "kmeans", planned.ORACLE):
        assert planned.fitted_to(address) == tuple(planned.FAMILIES)
    assert {job[1] for job in recovery.missing(runs, ["dtc/days"], list(planned.FAMILIES))} == {"dynamics"}
    shown = recovery_page.table(runs, ["dtc/days"]).splitlines()[-1]
    assert [cell.strip() for cell in shown.split("|")[2:6]] == ["", "", "", "5 not run"]


def test_rows_are_kept_in_the_order_of_the_registry(runs, tmp_path):
    recovery.write(tmp_path / "all.csv", runs.sample(frac=1, random_state=0))
    back = recovery.read(tmp_path / "all.csv")
    assert len(back) == len(runs)
    assert list(dict.fromkeys(back["address"])) == [planned.ORACLE, *_in_registry_order(runs)]
    assert recovery.read(tmp_path / "none.csv").empty


def _in_registry_order(runs):
    return [address for address in planned.everything()[1:] if address in set(runs["address"])]


def test_every_network_claims_a_family():
    for address in filter(planned.claimed, registry.addresses()):
        assert planned.families_of(address), f"declare in benchmarks/recovery_rows.py what {address} claims"
        assert set(planned.families_of(address)) <= set(planned.FAMILIES)


def test_page_has_a_row_for_every_method_and_no_number_of_its_own():
    text = (DOCS / "recovery.md").read_text()
    csv = DOCS / "recovery.csv"
    assert text == recovery_page.page(csv), "run python -m benchmarks.recovery"
    shown = re.findall(r"^\| (.+?) +\|", text.partition("## Does training")[0], flags=re.MULTILINE)
    assert shown == ["method", planned.ORACLE, *planned.shown()], "run python -m benchmarks.recovery"
    assert set(planned.ranked()) < set(planned.shown())


def test_a_longer_warm_up_is_a_row_of_its_own():
    row = f"a_datsc/messages{planned.LONG}"
    assert planned.fitted_as(row) == ("a_datsc/messages", {"warmup_epochs": 320})
    assert planned.fitted_as("a_datsc/messages") == ("a_datsc/messages", {})
    assert planned.scaled("a_datsc/messages")["warmup_epochs"] * 4 == 320
    assert planned.fitted_to(row) == ("subspaces",)
    nothing = pd.DataFrame(columns=planned.COLUMNS)
    assert [job[2] for job in recovery.missing(nothing, [row], list(planned.FAMILIES))] == list(planned.DRAWS)
