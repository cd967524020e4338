"""Tests that need TensorFlow: the torch networks against Keras models with the same weights, and the twins."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest

MISSING = "TensorFlow is not installed: run make tensorflow"


@pytest.fixture(scope="session")
def parity() -> ModuleType:
    """Return the subjects of comparison and the comparison, or skip."""
    pytest.importorskip("tensorflow", reason=MISSING)
    from benchmarks import parity

    parity.start()
    return parity


@pytest.fixture
def agree(parity: ModuleType) -> Callable[[str], None]:
    """Return a test of one subject in all its sizes."""

    from benchmarks.side_by_side import TOLERANCE

    def test(subject: str) -> None:
        for size, make in parity.SUBJECTS[subject].items():
            found = parity.difference(make)
            assert found.largest < TOLERANCE, f"{subject}, {size}: {found}"
            assert found.moved > 0.04, f"{subject}, {size}: weights that hardly move agree anyway"

    return test
