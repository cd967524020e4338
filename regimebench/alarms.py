"""Which diagnostics raise an alarm, and which of them mean that a fit collapsed.

Thresholds are ours; ``docs/diagnostics.md`` says why each is where it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["ALARMS", "Alarm", "collapse"]

Bound = tuple[str, str, float | str]
SETTING = ("n_clusters", "epochs")  # under which a rule holds, and nothing that was found
WORDS = {"<": "below", ">": "above"}


@dataclass(frozen=True)
class Alarm:
    """One alarm.

    Parameters
    ----------
    mark : str
        Letter that stands for it in tables; a capital where it is a collapse.
    sentence : str
        What it means.
    bounds : tuple of (diagnostic, "<" or ">", limit)
        All must be broken; a limit may be the name of another number.
    """

    mark: str
    sentence: str
    bounds: tuple[Bound, ...]

    @property
    def collapse(self) -> bool:
        """Whether such a fit is ``degenerate``: its labels say nothing about the data."""
        return self.mark.isupper()

    @property
    def rule(self) -> str:
        """The bounds as a formula."""
        return " and ".join(f"{name} {side} {limit}" for name, side, limit in self.bounds)

    def raised(self, values: Mapping[str, float]) -> bool:
        """Say whether all bounds are broken; a number that is missing, or NaN, breaks none."""
        return all(_broken(values, *bound) for bound in self.bounds)

    def explain(self, values: Mapping[str, float]) -> str:
        """Return the sentence with the diagnostics, their values and their thresholds."""
        parts = [
            f"{name} is {values[name]:.3g}, {WORDS[side]} {_limit(values, limit):g}"
            for name, side, limit in self.bounds
            if name not in SETTING
        ]
        return f"{self.sentence}: {' and '.join(parts)}"


ALARMS = (
    Alarm("A", "all days are in one cluster", (("clusters_found", "<", 2), ("n_clusters", ">", 1))),
    Alarm("E", "the embedding is the same for all days", (("spread", "<", 1e-6),)),
    Alarm("I", "every day expresses itself, C is the identity", (("residual", "<", 1e-3), ("c_diagonal", ">", 0.99))),
    Alarm("Z", "no day is expressed by others, C is dead", (("c_norm", "<", 1e-3),)),
    Alarm(
        "M",
        "one code stands for all days",
        (("code_occupancy", "<", 2), ("n_clusters", ">", 1), ("epochs", ">", 0)),
    ),
    Alarm("n", "the embedding shrank while it was trained", (("norm_ratio", "<", 0.1),)),
    Alarm(
        "r",
        "the embedding has hardly more than one dimension",
        (("effective_rank_centred", "<", 2), ("n_clusters", ">", 3)),
    ),
    Alarm("t", "most days have a twin that is no neighbour in time", (("twins", ">", 0.5),)),
    Alarm("u", "most units are constant", (("dead_units", ">", 0.5),)),
    Alarm("g", "C falls into more pieces than there are clusters", (("c_components", ">", "n_clusters"),)),
    Alarm("x", "a cluster is empty", (("empty_clusters", ">", 0),)),
    Alarm("b", "one cluster has nearly all days", (("largest_cluster", ">", 0.9),)),
    Alarm("p", "the labels are made by the post-processing", (("agreement_plain_cut", "<", 0.8),)),
    Alarm("w", "the raw data give the same labels without the network", (("agreement_raw_data", ">", 0.9),)),
    Alarm("c", "the labels are blocks of the calendar", (("calendar_blocks", ">", 0.9),)),
    Alarm("y", "the labels are the months", (("calendar_months", ">", 0.9),)),
    Alarm("o", "codes are not used", (("code_occupancy", "<", "n_clusters"),)),
    Alarm("v", "days are far from everything generated", (("nearest_generated", ">", 2),)),
)


def collapse(values: Mapping[str, float]) -> str:
    """Return why a fit with these numbers is degenerate, as a sentence; empty if it is not."""
    return next((alarm.explain(values) for alarm in ALARMS if alarm.collapse and alarm.raised(values)), "")


def _limit(values: Mapping[str, float], limit: float | str) -> float:
    return values.get(limit, float("nan")) if isinstance(limit, str) else limit


def _broken(values: Mapping[str, float], name: str, side: str, limit: float | str) -> bool:
    value, limit = values.get(name, float("nan")), _limit(values, limit)
    return value < limit if side == "<" else value > limit
