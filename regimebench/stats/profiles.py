"""Performance profiles: the share of runs of each row that reach a score, over all scores."""

from __future__ import annotations

from typing import Any

import numpy as np

from regimebench.stats.effect import wilson
from regimebench.stats.samples import Samples

__all__ = ["profile"]

THRESHOLDS = 41


def profile(samples: Samples) -> dict[str, Any]:
    """Return the performance profile (Agarwal et al. 2021) of every row.

    A failed run reaches no score. One score of a deterministic row is all of its runs, so that its profile is a step
    without an interval.

    Returns
    -------
    dict
        ``threshold``: scores from the worst to the best of all rows; ``share``, ``low``, ``high``: address -> share of
        runs that are at least as good, with its 95 % interval (Wilson) at each threshold.
    """
    finite = samples.scores[np.isfinite(samples.scores)]
    if not finite.size:
        return {"threshold": [], "share": {}, "low": {}, "high": {}}
    thresholds = np.linspace(finite.min(), finite.max(), THRESHOLDS)
    found: dict[str, Any] = {"threshold": samples.sign * thresholds, "share": {}, "low": {}, "high": {}}
    rounding = 1e-9 * max(np.ptp(finite), np.abs(finite).max())
    for row, address in enumerate(samples.addresses):
        runs = samples.scores[row][~np.isnan(samples.scores[row])]
        if not runs.size:
            continue
        share = (runs[:, None] >= thresholds - rounding).mean(axis=0)
        low, high = (share, share) if samples.deterministic[row] else wilson(share, np.full(THRESHOLDS, runs.size))
        found["share"][address], found["low"][address], found["high"][address] = share, low, high
    return found
