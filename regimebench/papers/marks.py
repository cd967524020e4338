"""Significance marks: each row against the proposed method and against the best control, over all seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from statsmodels.stats.multitest import multipletests

from regimebench.stats import mann_whitney

__all__ = ["ALPHA", "Against", "against", "best_control"]

ALPHA = 0.05
MIN_RUNS = 2


@dataclass(frozen=True)
class Against:
    """Tests of rows against one reference row.

    Parameters
    ----------
    reference : str or None
        Its address; None where there is none that can be tested.
    p : mapping of str to float
        Holm-adjusted p value of each row; NaN where it was not tested.
    better : mapping of str to bool
        Whether the row's median is the better one.
    """

    reference: str | None
    p: Mapping[str, float]
    better: Mapping[str, bool]

    def mark(self, address: str, letter: str) -> str:
        """Return ``letter`` with + or − where the row is better or worse at :data:`ALPHA`, nothing elsewhere."""
        if not self.p.get(address, np.nan) <= ALPHA:
            return ""
        return f"{'+' if self.better[address] else '−'}{letter}"


def against(
    samples: Mapping[str, np.ndarray], rows: Sequence[str], reference: str | None, higher_is_better: bool
) -> Against:
    """Compare ``rows`` with ``reference``: two-sided Mann-Whitney tests over seeds, Holm-corrected over the rows.

    Parameters
    ----------
    samples : mapping of str to ndarray, shape (runs,)
        Finite scores by address.
    rows : sequence of str
        Addresses to compare; those with fewer than two runs, and the reference itself, are not tested.
    reference : str or None
    higher_is_better : bool
    """
    p, better = dict.fromkeys(rows, np.nan), dict.fromkeys(rows, False)
    if reference is None or len(samples.get(reference, ())) < MIN_RUNS:
        return Against(None, p, better)
    tested = [row for row in dict.fromkeys(rows) if row != reference and len(samples.get(row, ())) >= MIN_RUNS]
    if tested:
        raw = [mann_whitney(samples[row], samples[reference]) for row in tested]
        p |= dict(zip(tested, map(float, multipletests(raw, method="holm")[1]), strict=True))
    middle = float(np.median(samples[reference]))
    for row in tested:
        better[row] = bool((np.median(samples[row]) > middle) == higher_is_better)
    return Against(reference, p, better)


def best_control(samples: Mapping[str, np.ndarray], controls: Sequence[str], higher_is_better: bool) -> str | None:
    """Return the control of best median among those with at least two runs."""
    medians = {name: np.median(samples[name]) for name in controls if len(samples.get(name, ())) >= MIN_RUNS}
    return (max if higher_is_better else min)(medians, key=medians.__getitem__) if medians else None
