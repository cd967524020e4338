"""Questions with a yes or no, answered by tests: whether a method beats the best control, and its untrained self."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from regimebench.metrics import find
from regimebench.reporting.material import FIRST, Material

__all__ = ["Duel", "against", "against_control", "against_untrained", "best_row", "not_told_from"]

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
    superiority, low, high : float
        Probability that a run of ``row`` scores better than one of ``other``, ties half, with its 95 % interval.
    test : str
        Which test, ``none`` where none is possible.
    p : float
        Corrected for all pairs of rows (Holm), NaN without a test.
    differ : bool
        Whether the rows are told apart at 5 %.
    """

    row: str
    other: str
    medians: tuple[float, float]
    superiority: float
    low: float
    high: float
    test: str
    p: float
    differ: bool

    @property
    def verdict(self) -> str:
        """``better``, ``worse``, ``open`` (not told apart) or ``untested``."""
        if self.differ:
            return "better" if self.superiority > 0.5 else "worse"
        return "open" if np.isfinite(self.p) else "untested"

    @property
    def median_is_better(self) -> bool:
        """Whether ``row`` has the better median, told apart or not."""
        sign = 1 if find(*FIRST).better == "higher" else -1
        return sign * (self.medians[0] - self.medians[1]) > 0


def best_row(material: Material) -> str | None:
    """Return the row of best rank in the headline metric; of equals the first. Failed runs count as the worst."""
    summary = material.study.metric(*FIRST).summary
    ranks = summary.loc[summary["n"] > summary["n_failed"], "rank"].dropna()
    return str(ranks.idxmin()) if len(ranks) else None


def not_told_from(material: Material, best: str) -> tuple[list[str], list[str]]:
    """Return rows that are not told from ``best`` at 5 %, and rows that cannot be tested against it."""
    duels = [against(material, address, best) for address in _ranked(material) if address != best]
    verdicts = {verdict: [duel.row for duel in duels if duel.verdict == verdict] for verdict in ("open", "untested")}
    return verdicts["open"], verdicts["untested"]


def against_control(material: Material) -> tuple[str | None, list[Duel]]:
    """Return the control of best rank, and every method against it."""
    kinds = {row["address"]: row["kind"] for row in material.results.rows}
    ranked = _ranked(material)
    best = next((address for address in ranked if kinds[address] == "control"), None)
    if best is None:
        return None, []
    return best, [against(material, address, best) for address in ranked if kinds[address] == "method"]


def against_untrained(material: Material) -> list[Duel]:
    """Return every method, variants included, against the untrained self of its plugin, where both have ok runs."""
    kinds, ranked = {row["address"]: row["kind"] for row in material.results.rows}, _ranked(material)
    pairs = [(a, f"{a.partition('/')[0]}/{UNTRAINED}") for a in ranked if kinds[a] == "method"]
    return [against(material, a, other) for a, other in pairs if a != other and other in ranked]


def against(material: Material, row: str, other: str) -> Duel:
    """Return the comparison of two rows in the headline metric."""
    study = material.study.metric(*FIRST)
    pair, medians = study.pair(row, other), study.summary["median"]
    shares = {name: float(pair[name]) for name in ("superiority", "low", "high")}
    return Duel(
        row,
        other,
        (float(medians[row]), float(medians[other])),
        **shares,
        test=str(pair["test"]),
        p=float(pair["p_holm"]),
        differ=bool(pair["differ"]),
    )


def _ranked(material: Material) -> list[str]:
    """Return the rows that have a run that is ok, best rank first."""
    summary = material.study.metric(*FIRST).summary
    return [str(address) for address in summary[summary["n"] > summary["n_failed"]].sort_values("rank").index]
