"""Pairwise tests against the reference row."""

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from regimebench.stats import against_reference, mann_whitney, smallest_p


def test_p_values_are_holm_corrected_mann_whitney():
    rng = np.random.default_rng(0)
    scores = {name: rng.normal(mean, 1, 20) for name, mean in {"a": 3, "b": 2, "c": 0}.items()}
    reference, p = against_reference(scores, higher_is_better=True)
    raw = {name: mannwhitneyu(scores[name], scores["a"], method="exact").pvalue for name in "bc"}
    small, large = sorted(raw, key=raw.get)
    assert reference == "a"
    assert np.isnan(p["a"])
    assert p[small] == pytest.approx(2 * raw[small])
    assert p[large] == pytest.approx(max(raw[large], 2 * raw[small]))


def test_direction_decides_which_row_is_the_reference():
    scores = {"low": np.array([1.0, 1.1]), "high": np.array([5.0, 5.1])}
    assert against_reference(scores, higher_is_better=False)[0] == "low"


def test_single_runs_are_neither_tested_nor_the_reference():
    scores = {"a": np.array([1.0, 2.0]), "b": np.array([0.5, 0.6]), "fixed": np.array([9.0]), "failed": np.array([])}
    reference, p = against_reference(scores, True)
    assert reference == "a"
    assert p["b"] == pytest.approx(1 / 3)
    assert np.isnan([p["fixed"], p["failed"], p["a"]]).all()


def test_nothing_to_test_is_not_an_error():
    assert against_reference({"fixed": np.array([1.0])}, True)[0] is None


@pytest.mark.parametrize(("runs", "floor"), [(5, 2 / 252), (3, 2 / 20), (20, 2 / 137846528820)])
def test_smallest_p_is_that_of_separated_samples(runs, floor):
    assert smallest_p(runs, runs) == pytest.approx(floor)
    assert mann_whitney(np.arange(runs) + 100.0, np.arange(runs) * 1.0) == pytest.approx(floor, rel=1e-6)
    assert smallest_p(runs, runs, 7) == pytest.approx(min(1, 7 * floor))


@pytest.mark.parametrize("runs", [2, 3, 5, 20])
def test_constant_samples_never_fall_below_the_floor(runs):
    assert mann_whitney(np.ones(runs), np.zeros(runs)) >= smallest_p(runs, runs)
    assert mann_whitney(np.ones(runs), np.ones(runs)) == pytest.approx(1)


def test_few_tied_runs_are_counted_exactly():
    """Of the 20 ways to choose 3 of (0, 0, 1, 1, 2, 2), 4 are at least as uneven as 0, 0, 1 against 1, 2, 2."""
    assert mann_whitney(np.array([0, 0, 1.0]), np.array([1, 2, 2.0])) == pytest.approx(4 / 20)
