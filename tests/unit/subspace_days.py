"""Days in a union of noisy subspaces, for tests of self-expression."""

from __future__ import annotations

import numpy as np


def subspace_days(
    sizes: tuple[int, ...] = (40, 25, 15), d: int = 3, width: int = 20, noise: float = 0.1, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Return days (n, width) in random order and the subspace of each."""
    rng = np.random.default_rng(seed)
    truth = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    bases = [np.linalg.qr(rng.standard_normal((width, d)))[0] for _ in sizes]
    days = np.array([bases[i] @ rng.standard_normal(d) for i in truth])
    return days + noise * rng.standard_normal(days.shape), truth
