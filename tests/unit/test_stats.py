"""Pairwise tests against the best row."""

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from regimebench.stats import against_best, smallest_p


def test_p_values_are_holm_corrected_mann_whitney():
    rng = np.random.default_rng(0)
    scores = {name: rng.normal(mean, 1, 20) for name, mean in {"a": 3, "b": 2, "c": 0}.items()}
    best, p = against_best(scores, higher_is_better=True)
    raw = {name: mannwhitneyu(scores[name], scores["a"]).pvalue for name in "bc"}
    small, large = sorted(raw, key=raw.get)
    assert best == "a"
    assert np.isnan(p["a"])
    assert p[small] == pytest.approx(2 * raw[small])
    assert p[large] == pytest.approx(max(raw[large], 2 * raw[small]))


def test_direction_decides_which_row_is_best():
    scores = {"low": np.array([1.0, 1.1]), "high": np.array([5.0, 5.1])}
    assert against_best(scores, higher_is_better=False)[0] == "low"


def test_a_single_run_is_not_tested():
    best, p = against_best({"a": np.array([1.0, 2.0]), "fixed": np.array([0.0]), "failed": np.array([])}, True)
    assert best == "a"
    assert all(np.isnan(value) for value in p.values())


@pytest.mark.parametrize(("runs", "floor"), [(5, 2 / 252), (3, 2 / 20)])
def test_smallest_p_is_reached_by_separated_samples(runs, floor):
    p = against_best({"a": np.arange(runs) + 100.0, "b": np.arange(runs) * 1.0}, True)[1]["b"]
    assert p == pytest.approx(floor)
    assert smallest_p(runs, 1) == pytest.approx(floor)
    assert smallest_p(runs, 7) == pytest.approx(min(1, 7 * floor))
