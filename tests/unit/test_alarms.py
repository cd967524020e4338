"""Alarms that diagnostics raise, and collapse of each kind through the path of a real run."""

import numpy as np
import pytest

from regimebench.alarms import ALARMS, collapse
from regimebench.method import Fit, Method
from regimebench.method_checks import tiny_cube
from regimebench.seeds import Seeds

N, K = 60, 3


class Scripted(Method):
    """Returns a fit that a test has made."""

    def fit(self, cube):
        return self.params["made"]


def run(folder, made, n_clusters=K):
    """Return what the worker says about a fit."""
    said = []
    job = {"n_clusters": n_clusters, "parameters": {"made": made}, "out": str(folder)}
    order = {"seeds": [0], "together": False, "device": "cpu"}
    Seeds(job, None, Scripted, tiny_cube(), order, lambda kind, **fields: said.append(fields), lambda: print).run()
    return said[-1]


def healthy(**parts):
    """Return a fit that nothing is wrong with, with some of its parts changed."""
    rng = np.random.default_rng(0)
    labels = rng.integers(K, size=N)
    Z = rng.standard_normal((N, 8)) + 4 * np.eye(8)[labels]
    C = (labels[:, None] == labels) / 20.0
    np.fill_diagonal(C, 0)
    own = {"code_occupancy": K, "nearest_generated": 1.0}
    norms = {"embedding_norm": [10.0, 9.0]}
    return Fit(**{**dict(labels=labels, embedding=Z, self_expression=C, diagnostics=own, history=norms), **parts})


def test_a_healthy_fit_raises_no_alarm(tmp_path):
    said = run(tmp_path, healthy(other_labels={"plain_cut": healthy().labels}))
    assert (said["status"], said["message"]) == ("ok", "")
    values = {**said["diagnostics"], "clusters_found": K, "n_clusters": K}
    assert [alarm.mark for alarm in ALARMS if alarm.raised(values)] == []


COLLAPSED = {
    "A": ({"labels": np.zeros(N, int)}, "all days are in one cluster: clusters_found is 1, below 2"),
    "E": (
        {"embedding": np.full((N, 5), 0.3, np.float32)},
        "the embedding is the same for all days: spread is 0, below 1e-06",
    ),
    "I": (
        {"self_expression": np.eye(N)},
        "every day expresses itself, C is the identity: residual is 0, below 0.001 and c_diagonal is 1, above 0.99",
    ),
    "Z": (
        {"self_expression": np.zeros((N, N))},
        "no day is expressed by others, C is dead: c_norm is 0, below 0.001",
    ),
    "M": (
        {"diagnostics": {"code_occupancy": 1}, "epochs": 9},
        "one code stands for all days: code_occupancy is 1, below 2",
    ),
}


@pytest.mark.parametrize("mark", COLLAPSED)
def test_a_collapsed_run_is_degenerate_and_keeps_its_labels(tmp_path, mark):
    parts, message = COLLAPSED[mark]
    said = run(tmp_path, healthy(**parts))
    assert (said["status"], said["message"]) == ("degenerate", message)
    with np.load(tmp_path / "seed-0000" / said["file"]) as arrays:
        np.testing.assert_array_equal(arrays["labels"], healthy(**parts).labels)


def test_every_kind_of_collapse_has_been_tried():
    assert {alarm.mark for alarm in ALARMS if alarm.collapse} == set(COLLAPSED)


def test_where_one_cluster_is_asked_for_one_is_no_collapse(tmp_path):
    fit = Fit(np.zeros(N, int), diagnostics={"code_occupancy": 1}, epochs=9)
    assert run(tmp_path, fit, n_clusters=1)["status"] == "ok"


@pytest.mark.parametrize(
    "parts",
    [
        {"embedding": np.full((N, 5), 0.3) + 4e-4 * np.random.default_rng(0).standard_normal((N, 5))},
        {"self_expression": np.full((N, N), 1e-3)},
        {"self_expression": 0.9 * np.eye(N)},
        {"diagnostics": {"code_occupancy": 2}, "epochs": 9},
        {"diagnostics": {"code_occupancy": 1}, "epochs": 0},
        {"embedding": None, "self_expression": None, "diagnostics": {}, "history": {}},
    ],
    ids=["untrained code", "weak C", "shrunk identity", "two codes", "untrained codes", "labels alone"],
)
def test_what_is_weak_is_no_collapse(tmp_path, parts):
    assert run(tmp_path, healthy(**parts))["status"] == "ok"


RAISED = {
    "n": {"norm_ratio": 0.09},
    "r": {"effective_rank_centred": 1.9, "n_clusters": 4},
    "t": {"twins": 0.6},
    "u": {"dead_units": 0.6},
    "g": {"c_components": 5, "n_clusters": 4},
    "x": {"empty_clusters": 1},
    "b": {"largest_cluster": 0.91},
    "p": {"agreement_plain_cut": 0.79},
    "w": {"agreement_raw_data": 0.91},
    "c": {"calendar_blocks": 0.91},
    "y": {"calendar_months": 0.91},
    "o": {"code_occupancy": 3, "n_clusters": 4},
    "v": {"nearest_generated": 2.1},
}
QUIET = {
    "norm_ratio": 0.11,
    "effective_rank_centred": 2.1,
    "twins": 0.5,
    "dead_units": 0.5,
    "c_components": 4,
    "n_clusters": 4,
    "empty_clusters": 0,
    "largest_cluster": 0.9,
    "agreement_plain_cut": 0.81,
    "agreement_raw_data": 0.89,
    "calendar_blocks": 0.89,
    "calendar_months": 0.89,
    "code_occupancy": 4,
    "nearest_generated": 1.9,
}


@pytest.mark.parametrize("mark", RAISED)
def test_each_alarm_is_raised_by_what_it_is_for_alone(mark):
    assert [alarm.mark for alarm in ALARMS if alarm.raised(QUIET)] == []
    values = QUIET | RAISED[mark]
    assert [alarm.mark for alarm in ALARMS if alarm.raised(values)] == [mark]
    assert collapse(values) == "", "a warning"


def test_every_warning_has_been_tried_and_no_letter_stands_for_two():
    marks = [alarm.mark for alarm in ALARMS]
    assert set(RAISED) | set(COLLAPSED) == set(marks)
    assert len({mark.lower() for mark in marks}) == len(marks)


def test_a_number_that_is_missing_raises_nothing():
    assert not any(alarm.raised({}) or alarm.raised(dict.fromkeys(QUIET, np.nan)) for alarm in ALARMS)


def test_few_clusters_fit_into_one_dimension():
    assert not any(alarm.raised({"effective_rank_centred": 1.0, "n_clusters": 3}) for alarm in ALARMS)
