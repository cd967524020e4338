"""The page on recovery: made from a results folder, complete, and nothing in it by hand."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from benchmarks import recovery
from regimebench import registry
from regimebench.config import make_plan, read_config

DATASETS = {f"{family}_{i}": family for family in ("centroids", "waves") for i in range(5)}


def write_results(folder, dataset, runs):
    """Write scores.csv and runs.csv of ``address -> (status, ari or None, seconds)``."""
    (folder / dataset).mkdir(parents=True)
    scores = [("(truth)", 0, "truth", "ari", 1.0), ("(oracle)", 0, "truth", "ari", 0.9)]
    for address, (_, ari, _) in runs.items():
        if ari is not None:
            scores += [
                (address, 0, "truth", "ari", ari),
                (address, 0, "truth", "nmi", 0.123),
                (address, 0, "paper", "rmse", 7.0),
            ]
    columns = ["address", "seed", "protocol", "metric", "value"]
    pd.DataFrame(scores, columns=columns).to_csv(folder / dataset / "scores.csv", index=False)
    rows = [(address, 0, status, seconds) for address, (status, _, seconds) in runs.items()]
    columns = ["address", "seed", "status", "seconds"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / dataset / "runs.csv", index=False)


@pytest.fixture
def runs(tmp_path):
    """Five data sets of centroids with one timeout and one collapse; of waves only the first was run."""
    for i in range(5):
        dec = ("timeout", None, 60.0) if i == 4 else ("ok", 0.5 + 0.12 * i, 20.0 + 2 * i)
        idec = ("degenerate", 0.0, 9.0) if i == 4 else ("ok", 0.9, 9.0)
        write_results(
            tmp_path,
            f"centroids_{i}",
            {
                "kmeans": ("ok", 0.4, 0.1),
                "dec": dec,
                "dec/idec": idec,
                "dec/untrained": ("ok", 0.3 + 0.06 * i, 0.2),
                "dec/published_code": ("ok", 0.45, 1.0),
            },
        )
    write_results(tmp_path, "waves_0", {"kmeans": ("ok", 0.2, 0.1), "dec": ("error", None, 0.5)})
    addresses = ["kmeans", "dec", "dec/idec", "dec/published_code", "dec/untrained", "random"]
    return recovery.collect(tmp_path, DATASETS, addresses)


def rows_of(table):
    """Return the cells of a Markdown table by its first column (and the second, if that repeats)."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    return {line[0]: line[1:] for line in lines}


def test_medians_failures_and_what_was_not_run_are_shown(runs):
    rows = rows_of(recovery.table(runs))
    assert list(rows) == ["(oracle)", "kmeans", "dec", "dec/idec", "dec/published_code", "dec/untrained", "random"]
    assert rows["(oracle)"] == ["0.90 (0.90 to 0.90)", "0.90 (0.90 to 0.90); 4 not run", ""]
    assert rows["dec"] == ["0.68 (0.59 to 0.77); 1 timeout", "4 not run, 1 error", "23"]
    assert rows["dec/idec"][0] == "0.90 (0.90 to 0.90); 1 degenerate"
    assert rows["random"] == ["5 not run", "5 not run", ""]


def test_claims_compare_the_same_data_sets(runs):
    rows = rows_of(recovery.claims(runs))
    assert list(rows) == ["dec", "dec/idec", "dec/published_code"]
    assert rows["dec"] == ["centroids", "no: +0.29, p = 0.062, n = 4", "no: +0.28, p = 0.062, n = 4"]
    assert rows["dec/idec"][2] == "no: +0.50, p = 0.062, n = 5"
    assert rows["dec/published_code"][2] == "yes: +0.05, p = 0.031, n = 5"


def test_sign_flip_p_is_the_share_of_flips_at_least_as_good():
    assert recovery.p_greater(np.array([1.0, 2.0, 3.0, 4.0, 5.0])) == 1 / 32
    assert recovery.p_greater(-np.array([1.0, 2.0, 3.0])) == 1
    assert recovery.p_greater(np.array([3.0, -1.0])) == 2 / 4
    assert recovery.p_greater(np.zeros(5)) == 1


def test_every_network_claims_a_family_of_the_configuration():
    plan = make_plan(read_config(recovery.CONFIG), str(recovery.CONFIG))
    families = {entry.params["family"] for entry in plan.datasets.values()}
    for address in filter(recovery.claimed, registry.addresses()):
        assert recovery.families_of(address), f"declare in benchmarks/recovery.py what {address} claims"
        assert set(recovery.families_of(address)) <= families


def test_configuration_draws_each_family_equally_often_with_seeds_of_their_own():
    plan = make_plan(read_config(recovery.CONFIG), str(recovery.CONFIG))
    drawn = pd.DataFrame([{**entry.params, "k": entry.n_clusters} for entry in plan.datasets.values()])
    assert (drawn.groupby("family")["seed"].nunique() == 5).all()
    assert (drawn["k"] == drawn["n_clusters"]).all()


def test_page_has_a_row_for_every_method_and_no_number_of_its_own():
    text = (recovery.DOCS / "recovery.md").read_text()
    assert text == recovery.page(recovery.DOCS / "recovery.csv"), "run python -m benchmarks.recovery"
    shown = re.findall(r"^\| (\S+) ", text.partition("## Does training")[0], flags=re.MULTILINE)
    assert shown == ["method", recovery.ORACLE, *recovery.ranked()], "run python -m benchmarks.recovery"
