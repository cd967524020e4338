"""Windows of days."""

from __future__ import annotations

import pytest

from methods.blocks.day_windows import centred_windows, trailing_windows


def test_trailing_windows_end_with_the_day_and_repeat_the_first():
    assert trailing_windows(4, 3).tolist() == [[0, 0, 0], [0, 0, 1], [0, 1, 2], [1, 2, 3]]


def test_centred_windows_repeat_both_ends():
    assert centred_windows(4, 3).tolist() == [[0, 0, 1], [0, 1, 2], [1, 2, 3], [2, 3, 3]]


def test_even_windows_look_further_back_than_ahead():
    assert centred_windows(5, 4)[2].tolist() == [0, 1, 2, 3]
    assert centred_windows(5, 4)[:, 2].tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("windows", [trailing_windows, centred_windows])
def test_a_window_may_be_one_day_or_longer_than_the_record(windows):
    assert windows(3, 1).tolist() == [[0], [1], [2]]
    long = windows(2, 7)
    assert long.shape == (2, 7)
    assert set(long.flatten().tolist()) == {0, 1}


@pytest.mark.parametrize("windows", [trailing_windows, centred_windows])
def test_a_window_without_days_is_refused(windows):
    with pytest.raises(ValueError, match="a window of 0 days"):
        windows(3, 0)
