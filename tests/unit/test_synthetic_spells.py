"""Planted regimes come in exact sizes and semi-Markov spells."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.synthetic.spells import order_days, runs, sizes

PROFILE = [100, 75, 60, 45, 35, 28, 22]


def test_sizes_of_a_year_are_the_profile():
    assert sizes(365, 7, PROFILE).tolist() == PROFILE


@settings(deadline=None)
@given(st.integers(2, 12).flatmap(lambda k: st.tuples(st.just(k), st.integers(k, 3000))), st.booleans())
def test_sizes_sum_exactly_and_every_day_is_used(k_and_days, long):
    k, n_days = k_and_days
    wanted = sizes(n_days, k, PROFILE)
    assert wanted.sum() == n_days
    assert wanted.min() >= 1
    assert (np.diff(wanted) <= 0).all()
    labels = order_days(np.random.default_rng(n_days), wanted, long)
    assert np.bincount(labels, minlength=k).tolist() == wanted.tolist()


def test_profile_stays_unequal_for_other_numbers_of_regimes():
    wanted = sizes(1000, 4, PROFILE)
    assert wanted[0] / wanted[-1] == pytest.approx(100 / 22, rel=0.05)
    assert sizes(9, 3, [1]).tolist() == [3, 3, 3]


def test_short_spells_are_one_plus_poisson_four():
    labels = order_days(np.random.default_rng(0), sizes(20_000, 7, PROFILE))
    lengths = np.array([run.stop - run.start for run in runs(labels)])
    assert lengths.mean() == pytest.approx(5, abs=0.15)
    assert lengths.var() == pytest.approx(4, abs=0.4)
    assert (lengths == 1).mean() == pytest.approx(np.exp(-4), abs=0.01)


def test_length_of_a_spell_says_nothing_about_the_next():
    labels = order_days(np.random.default_rng(1), sizes(20_000, 7, PROFILE))
    lengths = np.array([run.stop - run.start for run in runs(labels)])
    assert abs(np.corrcoef(lengths[1:], lengths[:-1])[0, 1]) < 0.06


@pytest.mark.parametrize("seed", range(5))
def test_long_spells_last_20_to_45_days(seed):
    labels = order_days(np.random.default_rng(seed), sizes(365, 7, PROFILE), long=True)
    lengths = [run.stop - run.start for run in runs(labels)]
    assert min(lengths) >= 20
    assert max(lengths) <= 45


def test_regimes_are_spread_over_the_year_and_not_sorted():
    labels = order_days(np.random.default_rng(2), sizes(365, 7, PROFILE))
    middle = [np.flatnonzero(labels == regime).mean() for regime in range(7)]
    assert np.ptp(middle) < 200
    assert len(runs(labels)) > 50


def test_runs_cover_the_days_in_order():
    assert runs(np.array([2, 2, 0, 1, 1, 1])) == [slice(0, 2), slice(2, 3), slice(3, 6)]
