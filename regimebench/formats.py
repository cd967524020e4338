"""How numbers and headings look in tables."""

from __future__ import annotations

import numpy as np

from regimebench.metrics import find

__all__ = ["heading", "number", "p_value"]

SMALL_P = 0.001


def heading(protocol: str, metric: str) -> str:
    """Return the short name of a metric with an arrow to where it is better."""
    found = find(protocol, metric)
    return f"{found.short} {'↑' if found.better == 'higher' else '↓'}"


def number(value: float, protocol: str, metric: str) -> str:
    """Return a score with the digits of its protocol; a dash where there is none."""
    if not np.isfinite(value):
        return "–"
    digits = 4 if protocol == "paper" or metric == "variance" else 3
    return f"{value:.{digits}f}"


def p_value(value: float) -> str:
    """Return a p value; a dash where nothing was tested."""
    return "–" if np.isnan(value) else f"<{SMALL_P}" if value < SMALL_P else f"{value:.3f}"
