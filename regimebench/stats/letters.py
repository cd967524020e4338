"""Compact letter display: rows share a letter if, and only if, they are not told apart."""

from __future__ import annotations

from itertools import combinations
from string import ascii_lowercase

import numpy as np

__all__ = ["letters"]


def letters(differ: np.ndarray) -> list[str]:
    """Return the letters of each row, best row first.

    Every letter is a largest group of rows of which no two differ; groups are added until each pair of rows that do
    not differ shares one (the aim of insert-and-absorb, Piepho 2004, reached without its exponential worst case: a
    clique cover as Gramm et al. 2007 describe it). "Not told apart" is not transitive: a row may have several letters.

    Parameters
    ----------
    differ : ndarray of bool, shape (R, R)
        Symmetric; True where two rows differ. Rows in the order in which letters shall be given.

    Returns
    -------
    list of str
        Letters in alphabetical order; after ``z`` they are doubled.
    """
    alike = ~np.asarray(differ, dtype=bool)
    np.fill_diagonal(alike, True)
    size, groups = len(alike), []
    open_pairs = np.triu(alike)
    for i, j in zip(*np.nonzero(open_pairs), strict=True):
        if open_pairs[i, j]:
            group = _grow(alike, open_pairs, [int(i), int(j)])
            open_pairs[np.ix_(group, group)] = False
            groups.append(group)
    groups = _needed(groups)
    names = {row: "" for row in range(size)}
    for name, group in zip(_names(len(groups)), sorted(groups), strict=True):
        for row in group:
            names[row] += name
    return [names[row] for row in range(size)]


def _grow(alike: np.ndarray, open_pairs: np.ndarray, members: list[int]) -> list[int]:
    """Return a largest group of rows alike that holds ``members``; rows that close more open pairs come first."""
    members = sorted(set(members))
    candidates = [row for row in range(len(alike)) if row not in members and alike[row, members].all()]
    while candidates:
        gains = [open_pairs[row, members].sum() + open_pairs[members, row].sum() for row in candidates]
        members.append(candidates[int(np.argmax(gains))])
        candidates = [row for row in candidates if row not in members and alike[row, members[-1]]]
    return sorted(members)


def _needed(groups: list[list[int]]) -> list[list[int]]:
    """Return the groups without those all of whose pairs stand in others, too (Piepho's sweep)."""
    counts: dict[tuple[int, int], int] = {}
    pairs = [[*combinations(group, 2), *((row, row) for row in group)] for group in groups]
    for pair in (pair for each in pairs for pair in each):
        counts[pair] = counts.get(pair, 0) + 1
    kept = []
    for group, each in sorted(zip(groups, pairs, strict=True), key=lambda both: len(both[0])):
        if all(counts[pair] > 1 for pair in each):
            for pair in each:
                counts[pair] -= 1
        else:
            kept.append(group)
    return kept


def _names(n: int) -> list[str]:
    return [ascii_lowercase[i % 26] * (i // 26 + 1) for i in range(n)]
