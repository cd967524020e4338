"""Which planted regime each day belongs to: unequal sizes, in semi-Markov spells."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["order_days", "runs", "sizes"]

LONG_SPELL = (20, 45)
"""Shortest and longest spell, days, of regimes that are known only by how they move."""


def sizes(n_days: int, n_clusters: int, proportions: Sequence[float]) -> np.ndarray:
    """Divide the days among the regimes, exactly.

    Parameters
    ----------
    n_days, n_clusters : int
        Days and regimes; every regime gets at least one day.
    proportions : sequence of float
        Relative sizes. Where their number is not ``n_clusters`` they are interpolated, so that the profile stays.

    Returns
    -------
    ndarray of int, shape (n_clusters,)
        Sizes that sum to ``n_days``, by largest remainders.
    """
    profile = np.asarray(proportions, dtype=float)
    profile = np.interp(np.linspace(0, 1, n_clusters), np.linspace(0, 1, profile.size), profile)
    share = profile / profile.sum() * (n_days - n_clusters)
    if n_clusters == len(proportions) and n_days == profile.sum():
        return profile.astype(int)
    days = np.floor(share).astype(int)
    for regime in np.argsort(days - share, kind="stable")[: n_days - n_clusters - days.sum()]:
        days[regime] += 1
    return days + 1


def _short_spells(rng: np.random.Generator, days: int) -> list[int]:
    """Lengths 1 + Poisson(4) until ``days`` are used up; the last one is what remains."""
    lengths: list[int] = []
    while days > 0:
        lengths.append(min(1 + int(rng.poisson(4)), days))
        days -= lengths[-1]
    return lengths


def _long_spells(rng: np.random.Generator, days: int) -> list[int]:
    """Lengths in ``LONG_SPELL`` that sum to ``days``; a regime smaller than one spell is one spell."""
    shortest, longest = LONG_SPELL
    lengths: list[int] = []
    while days > longest:
        lengths.append(int(rng.integers(shortest, min(longest, days - shortest) + 1)))
        days -= lengths[-1]
    return [*lengths, days]


def order_days(rng: np.random.Generator, regime_sizes: np.ndarray, long: bool = False) -> np.ndarray:
    """Draw the sequence of regimes.

    Spells of one regime never touch unless no other regime is left, so a spell's length is the one that was drawn.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of the spell lengths and of their order.
    regime_sizes : ndarray of int, shape (k,)
        Days of each regime.
    long : bool
        Spells of 20 to 45 days instead of 1 + Poisson(4).

    Returns
    -------
    ndarray of int64, shape (days,)
        Regime of each day.
    """
    draw = _long_spells if long else _short_spells
    waiting = [draw(rng, int(days)) for days in regime_sizes]
    labels: list[int] = []
    last = -1
    while any(waiting):
        counts = np.array([len(lengths) for lengths in waiting])
        allowed = np.where(np.arange(counts.size) == last, 0, counts)
        if not allowed.any():
            allowed = counts
        most = int(counts.argmax())
        # a regime that holds more than half of the remaining spells must come now, or two of its spells meet later
        crowded = most != last and 2 * counts[most] > counts.sum()
        regime = most if crowded else int(rng.choice(counts.size, p=allowed / allowed.sum()))
        labels += [regime] * waiting[regime].pop()
        last = regime
    return np.array(labels, dtype=np.int64)


def runs(labels: np.ndarray) -> list[slice]:
    """Return the maximal stretches of equal labels, in order."""
    starts = np.flatnonzero(np.r_[True, np.diff(labels) != 0])
    return [slice(int(a), int(b)) for a, b in zip(starts, np.r_[starts[1:], len(labels)], strict=True)]
