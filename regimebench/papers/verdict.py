"""Is a printed number reproduced? The rule, argued in docs/decisions/0023-verdicts.md."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import exp, lgamma

import numpy as np

from regimebench.evidence.published import Printed

__all__ = [
    "HIGHER",
    "LOWER",
    "MIN_RUNS",
    "NOT_COMPARABLE",
    "NO_DATA",
    "REPRODUCED",
    "SYMBOLS",
    "Judged",
    "interval",
    "judge",
    "widening",
]

REPRODUCED, HIGHER, LOWER = "reproduced within spread", "higher", "lower"
NOT_COMPARABLE, NO_DATA = "not comparable", "no data"
SYMBOLS = {REPRODUCED: "≈", HIGHER: "▲", LOWER: "▼", NOT_COMPARABLE: "×", NO_DATA: "–"}
MIN_RUNS = 5  # ok runs of a method with seeds; fewer have no spread to speak of
BEST_OF = 20  # runs behind a printed number where the paper does not say
TAIL = 0.025  # on each side
DRAWS = 40_000


@dataclass(frozen=True)
class Judged:
    """A verdict on ours against a printed number, and the interval that it rests on."""

    verdict: str
    low: float
    high: float


def judge(printed: Printed, runs: Sequence[float], best_of: int | None, selected: bool, deterministic: bool) -> Judged:
    """Return whether the printed number is one that further runs of ours could have printed.

    Parameters
    ----------
    printed : Printed
        As printed. It stands for one unit of its last digit to each side, because some tables round and others cut.
    runs : sequence of float
        Our finite values, one per ok run.
    best_of : int or None
        How many runs the printed one was chosen from; None if unknown.
    selected : bool
        True for the metric by which the run was chosen, of which more is better.
    deterministic : bool
        True if the seed changes nothing; the only value is then all there is.

    Returns
    -------
    Judged
        ``reproduced within spread`` if the printed number touches :func:`interval`, ``higher`` if ours lie above it,
        ``lower`` if ours lie below it; ``no data`` without runs, ``not comparable`` with fewer than :data:`MIN_RUNS`.
    """
    values = np.asarray(runs, dtype=float)
    if not values.size:
        return Judged(NO_DATA, np.nan, np.nan)
    if values.size < MIN_RUNS and not deterministic:
        return Judged(NOT_COMPARABLE, np.nan, np.nan)
    low, high = (values[0], values[0]) if deterministic else interval(values, best_of, selected)
    least, most = printed.interval
    verdict = HIGHER if low > most else LOWER if high < least else REPRODUCED
    return Judged(verdict, float(low), float(high))


def interval(values: np.ndarray, best_of: int | None, selected: bool) -> tuple[float, float]:
    """Return where the number of a second set of runs of the same method would lie, with 2.5 % beyond either end.

    The range of our runs, widened on both sides by :func:`widening`, so that it also holds the best (or worst) of
    ``best_of`` further runs. For the metric by which the printed run was chosen the lower end is exact and higher: the
    largest of our runs below which all ``best_of`` further runs lie with at most 2.5 %, whatever their distribution.
    """
    ordered = np.sort(values)
    n, more = len(ordered), best_of or BEST_OF
    wide = widening(n, more) * (ordered[-1] - ordered[0])
    low, high = ordered[0] - wide, ordered[-1] + wide
    if selected and best_of is not None:
        below = [value for rank, value in enumerate(ordered, start=1) if _all_below(rank, n, best_of) <= TAIL]
        low = max(below, default=low)
    return float(low), float(high)


@cache
def widening(n: int, more: int) -> float:
    """Return by what share of its length the range of ``n`` runs must be widened on one side.

    So that the largest of ``more`` further runs lies beyond it with 2.5 %, if runs scatter normally: a prediction limit
    in units of the range, found by simulation from a fixed seed (0.49 for 20 runs and the best of 20 more).
    """
    rng = np.random.default_rng(0)
    ours, theirs = rng.normal(size=(DRAWS, n)), rng.normal(size=(DRAWS, more))
    beyond = (theirs.max(axis=1) - ours.max(axis=1)) / np.ptp(ours, axis=1)
    return max(0.0, float(np.quantile(beyond, 1 - TAIL)))


def _all_below(rank: int, n: int, more: int) -> float:
    """Return the probability that ``more`` further runs all lie below the ``rank``-th smallest of ``n``."""
    return exp(lgamma(rank + more) - lgamma(rank) + lgamma(n + 1) - lgamma(n + more + 1))
