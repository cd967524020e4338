"""DEC: auto-encoder, soft assignment, divergence, and the gradient of the centres."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("subject", ["DEC, pre-training", "DEC, clustering"])
def test_torch_and_keras_agree(subject, agree):
    agree(subject)
