"""Questions with a yes or no, answered by tests: whether a method beats the best control, and its untrained self."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import mannwhitneyu
from statsmodels.stats.multitest import multipletests

from regimebench.metrics import find
from regimebench.reporting.material import FIRST, Material
from regimebench.stats import mann_whitney

__all__ = ["ALPHA", "Duel", "against_control", "against_untrained"]

ALPHA = 0.05
MIN_RUNS = 2
UNTRAINED = "untrained"  # name of the variant that leaves out the training


@dataclass(frozen=True)
class Duel:
    """One row against another in the headline metric.

    Parameters
    ----------
    row, other : str
        Addresses.
    medians : tuple of float
        Of both, over ok runs.
    better : float
        Probability that a run of ``row`` is better than one of ``other``, ties counted half.
    p : float
        Two-sided Mann-Whitney p, Holm-adjusted within the question; NaN where a row has a single run.
    """

    row: str
    other: str
    medians: tuple[float, float]
    better: float
    p: float = float("nan")

    @property
    def verdict(self) -> str:
        """``better`` or ``worse`` where significant, ``open`` where not, ``untested`` where no test is possible."""
        if np.isnan(self.p):
            return "untested"
        return "open" if self.p >= ALPHA else "better" if self.better > 0.5 else "worse"


def against_control(material: Material) -> tuple[str | None, list[Duel]]:
    """Return the control of best median, and every method that is no twin against it."""
    medians = material.medians(*FIRST).dropna()
    kinds = {row["address"]: row["kind"] for row in material.results.rows}
    controls = [address for address in medians.index if kinds[address] == "control"]
    if not controls:
        return None, []
    best = _best(controls, medians)
    return best, _duels(material, [(a, best) for a in medians.index if kinds[a] == "method"])


def against_untrained(material: Material) -> list[Duel]:
    """Return every method, variants included, against the untrained self of its plugin, where both have ok runs."""
    medians = material.medians(*FIRST).dropna()
    kinds = {row["address"]: row["kind"] for row in material.results.rows}
    pairs = [(a, f"{a.partition('/')[0]}/{UNTRAINED}") for a in medians.index if kinds[a] == "method"]
    return _duels(material, [(a, other) for a, other in pairs if a != other and other in medians.index])


def _best(addresses: Sequence[str], medians) -> str:
    return (max if find(*FIRST).better == "higher" else min)(addresses, key=lambda address: medians[address])


def _duels(material: Material, pairs: Sequence[tuple[str, str]]) -> list[Duel]:
    scores = material.scores[FIRST]
    samples = {address: values.to_numpy() for address, values in scores.groupby(level="address")}
    sign = 1 if find(*FIRST).better == "higher" else -1
    duels = []
    for row, other in pairs:
        a, b = sign * samples[row], sign * samples[other]
        better = float(mannwhitneyu(a, b).statistic / (len(a) * len(b)))
        p = mann_whitney(a, b) if min(len(a), len(b)) >= MIN_RUNS else float("nan")
        duels.append(Duel(row, other, (float(np.median(samples[row])), float(np.median(samples[other]))), better, p))
    return _corrected(duels)


def _corrected(duels: list[Duel]) -> list[Duel]:
    """Return duels with Holm-adjusted p values."""
    tested = [duel.p for duel in duels if np.isfinite(duel.p)]
    adjusted = iter(multipletests(tested, method="holm")[1] if tested else ())
    return [replace(duel, p=float(next(adjusted))) if np.isfinite(duel.p) else duel for duel in duels]
