"""The comparison itself: it finds differences, and all subjects are compared."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest


def test_a_weight_that_is_one_thousandth_off_is_found(parity):
    pair = parity.SUBJECTS["DEC, clustering"]["small"]()
    in_torch = pair.in_torch
    pair.in_torch = lambda x, p: in_torch(1.001 * x, p)
    assert parity.compare(pair).output > 1e-4


def test_a_loss_of_another_scale_is_found_in_loss_gradient_and_steps(parity):
    pair = parity.SUBJECTS["LSTM"]["small"]()
    in_torch = pair.in_torch
    pair.in_torch = lambda *inputs: (in_torch(*inputs)[0], 1.1 * in_torch(*inputs)[1])
    found = parity.compare(pair)
    assert found.output < 1e-4
    assert min(found.loss, found.gradient) == pytest.approx(0.1, rel=1e-2)
    assert found.weights > 1e-4


def test_relative_difference(parity):
    from benchmarks.side_by_side import relative

    assert relative(np.array([1.0, 4.0]), np.array([1.0, 5.0])) == 0.2
    assert relative(np.zeros(3), np.zeros(3)) == 0
    assert relative(np.array([1e-9]), np.zeros(1)) == np.inf
    with pytest.raises(ValueError, match=r"torch has shape \(2,\), Keras \(1, 2\)"):
        relative(np.zeros(2), np.zeros((1, 2)))
    with pytest.raises(ValueError, match="NaN"):
        relative(np.array([np.nan]), np.array([np.nan]))


def test_every_subject_of_the_table_has_a_test(parity):
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    assert [name for name in parity.SUBJECTS if not re.search(f'"{re.escape(name)}"', tests)] == []
