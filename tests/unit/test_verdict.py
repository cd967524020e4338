"""The verdict on a printed number: what counts as reproduced, and how often it would be wrong."""

import numpy as np
import pytest

from regimebench.evidence.published import Printed
from regimebench.papers.verdict import (
    HIGHER,
    LOWER,
    MIN_RUNS,
    NO_DATA,
    NOT_COMPARABLE,
    REPRODUCED,
    SYMBOLS,
    interval,
    judge,
    widening,
)

RUNS = np.linspace(0.20, 0.30, 20)


@pytest.mark.parametrize(
    ("printed", "expected"),
    [("0.2500", REPRODUCED), ("0.3400", REPRODUCED), ("0.3600", LOWER), ("0.1600", REPRODUCED), ("0.1400", HIGHER)],
)
def test_a_number_that_further_runs_could_print_is_reproduced(printed, expected):
    assert judge(Printed(printed), RUNS, None, selected=True, deterministic=False).verdict == expected


def test_printed_as_the_best_of_20_it_must_not_be_what_ours_beat_almost_surely():
    # 16 of our 20 runs lie at or below 0.279: 20 further ones would all be below with 2.4 %.
    low, high = interval(RUNS, 20, selected=True)
    assert low == pytest.approx(RUNS[15])
    assert high == pytest.approx(0.30 + widening(20, 20) * 0.10)
    assert judge(Printed("0.2500"), RUNS, 20, selected=True, deterministic=False).verdict == HIGHER
    assert judge(Printed("0.2500"), RUNS, 20, selected=False, deterministic=False).verdict == REPRODUCED


def test_a_printed_number_stands_for_what_rounds_or_is_cut_to_it():
    for ours in (0.2354, 0.2261):
        assert judge(Printed("0.23"), [ours], 20, selected=True, deterministic=True).verdict == REPRODUCED
    assert judge(Printed("0.23"), [0.2401], 20, selected=True, deterministic=True).verdict == HIGHER
    assert judge(Printed("0.23"), [0.2199], 20, selected=True, deterministic=True).verdict == LOWER


def test_without_runs_there_is_no_data_and_with_few_no_verdict():
    assert judge(Printed("0.23"), [], 20, selected=True, deterministic=False).verdict == NO_DATA
    few = [0.23] * (MIN_RUNS - 1)
    assert judge(Printed("0.23"), few, 20, selected=True, deterministic=False).verdict == NOT_COMPARABLE


def test_runs_that_are_all_equal_have_no_room():
    assert interval(np.full(20, 0.5), 20, selected=False) == (0.5, 0.5)
    assert judge(Printed("0.5200"), [0.5] * 20, 20, selected=False, deterministic=False).verdict == LOWER


def test_every_verdict_has_a_symbol_of_its_own():
    assert len(set(SYMBOLS.values())) == len(SYMBOLS) == 5


@pytest.mark.parametrize("n", [10, 20])
@pytest.mark.parametrize(("name", "most"), [("normal", 0.04), ("uniform", 0.04), ("two groups", 0.04), ("gumbel", 0.2)])
def test_how_often_an_equal_method_would_be_told_apart(n, name, most):
    """Best of 20 against our n runs, on the side without an exact bound; 2.5 % are meant, for normal scatter."""
    rng = np.random.default_rng(1)
    draws = {
        "normal": rng.normal,
        "uniform": rng.uniform,
        "two groups": lambda size: rng.normal(scale=0.3, size=size) + 2 * (rng.random(size) < 0.3),
        "gumbel": rng.gumbel,
    }[name]
    wrong = np.mean([draws(size=20).max() > interval(draws(size=n), 20, selected=True)[1] for _ in range(1500)])
    assert wrong <= most


@pytest.mark.parametrize("n", [10, 20])
def test_the_lower_end_for_the_best_of_20_holds_whatever_the_distribution(n):
    rng = np.random.default_rng(2)
    wrong = [rng.gumbel(size=20).max() < interval(rng.gumbel(size=n), 20, selected=True)[0] for _ in range(1500)]
    assert np.mean(wrong) <= 0.04
