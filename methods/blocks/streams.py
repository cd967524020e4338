"""Independent random streams of one run, for any framework."""

from __future__ import annotations

import numpy as np


def sub_seed(seed: int, purpose: str) -> int:
    """Return an independent 32-bit seed for one purpose, for scikit-learn's ``random_state`` and the like.

    Parameters
    ----------
    seed : int
        The run's seed, not negative.
    purpose : str
        What the numbers are for, such as ``"weights"``; another purpose gives an unrelated stream.
    """
    return int(np.random.SeedSequence([seed, *purpose.encode()]).generate_state(1)[0])
