"""Which requests a configuration needs: one for each variable and month, u and v of the wind together."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Mapping, Sequence
from typing import Any

from datasets.blocks.fetched import first_and_last
from datasets.blocks.parts import Part
from datasets.carra.variables import EAST, KNOWN, NORTH, unknown
from datasets.carra.winds import CHOICES, COMPONENTS

SOURCE = "reanalysis-carra-means"
DOMAINS = {"west_domain": 1069, "east_domain": 789}  # cells along the shorter side (CARRA data user guide)
LONGER = {"west_domain": 1269, "east_domain": 989}
FIRST_YEAR = 1991  # of the daily and monthly means

Group = tuple[str, ...]


def problems(params: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the parameters, one sentence each."""
    found = []
    for key, allowed in (("domain", DOMAINS), ("wind", CHOICES)):
        if params[key] not in tuple(allowed):
            found.append(f"{key} is {params[key]!r}; allowed are {', '.join(allowed)}")
    for key, least in (("margin", 0), ("block", 1)):
        if not (_whole(params[key]) and params[key] >= least):
            found.append(f"{key} is {params[key]!r}; it must be a whole number of cells, {least} or more")
    if not found and 2 * params["margin"] + params["block"] > DOMAINS[params["domain"]]:
        found.append(
            f"margin is {params['margin']} and block is {params['block']}, which leaves no block on the "
            f"{DOMAINS[params['domain']]} cells along the shorter side of {params['domain']}; choose a smaller one"
        )
    if not isinstance(params["keep_grib"], bool):
        found.append(f"keep_grib is {params['keep_grib']!r}; allowed are true and false")
    return [*found, *_year_problems(params["year"]), *_variable_problems(params["variables"], params["wind"])]


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _year_problems(year: Any) -> list[str]:
    pair = list(year) if isinstance(year, Sequence) and not isinstance(year, str) else [year, year]
    if len(pair) == 2 and all(map(_whole, pair)) and FIRST_YEAR <= pair[0] <= pair[1]:
        return []
    return [
        f"year is {year!r}; it must be a year or the first and the last year, as in [2019, 2021], from {FIRST_YEAR} on"
    ]


def _variable_problems(variables: Any, wind: Any) -> list[str]:
    if not isinstance(variables, Sequence) or isinstance(variables, str) or not variables:
        return [f"variables is {variables!r}; it must be a list of names, as in [2m_temperature, surface_pressure]"]
    names = list(map(str, variables))
    found = [unknown(name) for name in names if name not in KNOWN]
    found += [f"variables: {name!r} is named twice" for name in dict.fromkeys(names) if names.count(name) > 1]
    alone = [name for name in COMPONENTS if name in names]
    if len(alone) == 1 and wind != "grid":
        other = NORTH if alone[0] == EAST else EAST
        found.append(f"variables has {alone[0]} without {other}; wind: {wind} needs both, wind: grid takes one")
    return found


def groups(variables: Sequence[str]) -> list[Group]:
    """Return the variables of each request, in order; v comes with u, which cannot be turned without it."""
    if not set(COMPONENTS) <= set(variables):
        return [(name,) for name in variables]
    first = min(COMPONENTS, key=variables.index)
    return [COMPONENTS if name == first else (name,) for name in variables if name == first or name not in COMPONENTS]


def parts(params: Mapping[str, Any]) -> dict[Group, list[Part]]:
    """Return the months of every request, in order of time.

    What is done to an answer (margin, block, wind) is part of the file's name: a file of other blocks is never taken
    for this one.
    """
    first, last = first_and_last(params["year"])
    months = [(number, month) for number in range(first, last + 1) for month in range(1, 13)]
    return {group: [_part(group, *when, params) for when in months] for group in groups(params["variables"])}


def _part(group: Group, year: int, month: int, params: Mapping[str, Any]) -> Part:
    request = {
        "domain": params["domain"],
        "time_aggregation": "daily",
        "level_type": "single_levels",
        "variable": list(group),
        "product_type": KNOWN[group[0]].product,
        "year": [str(year)],
        "month": [f"{month:02d}"],
        "day": [f"{day:02d}" for day in range(1, monthrange(year, month)[1] + 1)],
        "data_format": "grib",
    }
    label = f"wind10_{params['wind']}" if group == COMPONENTS else KNOWN[group[0]].name
    stem = f"{label}-{year}-{month:02d}-m{params['margin']}-b{params['block']}"
    return Part(stem, ".nc", SOURCE, request)
