"""Check the parameters of a planted data set, and list everything that is wrong with them at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np

from datasets.synthetic.families import FAMILIES
from datasets.synthetic.physical import VARIABLES
from datasets.synthetic.planting import Planting

__all__ = ["planting", "setting_problems"]

SMALLEST_GRID = 4


def _whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def _date(value: Any) -> bool:
    try:
        day = np.datetime64(str(value), "D")
    except ValueError:
        return False
    # nanoseconds since 1970, the usual clock of NetCDF readers, end in 1677 and 2262
    return np.datetime64("1700-01-01") <= day <= np.datetime64("2100-01-01")


def _proportions(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) > 0 and all(_number(p) and p > 0 for p in value)


RULES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "family": (f"one of {', '.join(FAMILIES)}", lambda v: isinstance(v, str) and v in FAMILIES),
    "n_days": ("a whole number from 2 to 50000", lambda v: _whole(v) and 2 <= v <= 50_000),
    "height": (f"a whole number from {SMALLEST_GRID}", lambda v: _whole(v) and v >= SMALLEST_GRID),
    "width": (f"a whole number from {SMALLEST_GRID}", lambda v: _whole(v) and v >= SMALLEST_GRID),
    "n_variables": (
        f"a whole number from 1 to {len(VARIABLES)} ({', '.join(v.name for v in VARIABLES)})",
        lambda v: _whole(v) and 1 <= v <= len(VARIABLES),
    ),
    "n_clusters": ("a whole number from 2 to n_days", lambda v: _whole(v) and v >= 2),
    "proportions": ("a list of positive numbers", _proportions),
    "noise": ("a number from 0", lambda v: _number(v) and v >= 0),
    "offset": ("a number from 0", lambda v: _number(v) and v >= 0),
    "land_fraction": ("a number from 0 to 0.5", lambda v: _number(v) and 0 <= v <= 0.5),
    "start": ("a date as YYYY-MM-DD between 1700 and 2100", _date),
    "seed": ("a whole number from 0", lambda v: _whole(v) and v >= 0),
}


def setting_problems(params: Mapping[str, Any]) -> list[str]:
    """Return one sentence for each parameter that is missing, unknown or impossible; empty if all are fine."""
    problems = [
        f"synthetic: parameter {name!r} is not known; allowed are {', '.join(RULES)}."
        for name in params
        if name not in RULES
    ]
    for name, (allowed, holds) in RULES.items():
        if name not in params:
            problems.append(f"synthetic: parameter {name!r} is missing; give {allowed}.")
        elif not holds(params[name]):
            problems.append(f"synthetic: parameter {name!r} is {params[name]!r}; it must be {allowed}.")
    n_days, n_clusters = params.get("n_days"), params.get("n_clusters")
    if (
        all(name in params and RULES[name][1](params[name]) for name in ("n_days", "n_clusters"))
        and n_clusters > n_days
    ):
        problems.append(
            f"synthetic: parameter 'n_clusters' is {n_clusters}, but there are only {n_days} days; "
            "every regime needs a day, so lower n_clusters or raise n_days."
        )
    return problems


def planting(params: Mapping[str, Any]) -> Planting:
    """Return the planted data set that valid parameters describe."""
    start = np.datetime64(str(params["start"]), "D")
    return Planting(
        family=params["family"],
        days=start + np.arange(params["n_days"]),
        shape=(int(params["height"]), int(params["width"]), int(params["n_variables"])),
        n_clusters=int(params["n_clusters"]),
        proportions=tuple(float(p) for p in params["proportions"]),
        noise=float(params["noise"]),
        offset=float(params["offset"]),
        land_fraction=float(params["land_fraction"]),
        seed=int(params["seed"]),
    )
