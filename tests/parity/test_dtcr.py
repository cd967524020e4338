"""DTCR: dilated layers that compute last states alone, against layers that compute all of them."""

from __future__ import annotations

import pytest


@pytest.mark.slow
def test_torch_and_keras_agree(agree):
    agree("DTCR")
