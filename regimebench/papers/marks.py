"""Significance marks: each row against the proposed method and the best control, from the study of all seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from regimebench.stats.study import MetricStudy

__all__ = ["Mark", "against", "best_control"]


@dataclass(frozen=True)
class Mark:
    """One comparison: its Holm-adjusted p, NaN where there is none, and + or − where the row is told apart."""

    p: float
    sign: str


NONE = Mark(np.nan, "")


def against(study: MetricStudy, row: str, reference: str | None) -> Mark:
    """Compare ``row`` with ``reference``, both addresses; no mark for the reference itself and for twins."""
    if reference is None or row == reference or not {row, reference} <= set(study.summary.index):
        return NONE
    pair = study.pair(row, reference)
    sign = "" if not pair["differ"] else "+" if pair["superiority"] > 1 / 2 else "−"
    return Mark(float(pair["p_holm"]), sign)


def best_control(study: MetricStudy, controls: Sequence[str]) -> str | None:
    """Return the control of best rank (median, failed runs last); the first of equals."""
    ranked = study.summary["rank"].reindex(controls).dropna()
    return str(ranked.idxmin()) if len(ranked) else None
