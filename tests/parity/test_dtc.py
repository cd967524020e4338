"""DTC: temporal auto-encoder with heat map, and the four distances between series."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("subject", ["DTC", "DTC, eucl", "DTC, cid", "DTC, cor", "DTC, acf"])
def test_torch_and_keras_agree(subject, agree):
    agree(subject)
