"""Check the parameters that do not need a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

REDUCTIONS = ("mean", "sum", "min", "max")


def parameter_problems(params: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the parameters, one sentence each."""
    checks = (_box, _size, _coarsen, _period, _resample, _accumulated, _select)
    return [text for check in checks for text in check(params)]


def _numbers(value: Any, count: int, kinds: type | tuple[type, ...]) -> bool:
    listed = isinstance(value, Sequence) and not isinstance(value, str) and len(value) == count
    return listed and all(isinstance(item, kinds) and not isinstance(item, bool) for item in value)


def _box(params: Mapping[str, Any]) -> Iterator[str]:
    box = params["box"]
    if box is None:
        return
    if not _numbers(box, 4, (int, float)):
        yield f"box is {box!r}; it must be four numbers in degrees: [north, west, south, east]"
    elif not 90 >= box[0] >= box[2] >= -90:
        yield f"box is {box!r}; north must not lie south of south, both between -90 and 90: [north, west, south, east]"


def _size(params: Mapping[str, Any]) -> Iterator[str]:
    size = params["size"]
    if size is not None and not (_numbers(size, 2, int) and min(size) >= 1):
        yield f"size is {size!r}; it must be the numbers of rows and columns, as in [41, 41]"


def _coarsen(params: Mapping[str, Any]) -> Iterator[str]:
    if not (_numbers([params["coarsen"]], 1, int) and params["coarsen"] >= 1):
        yield f"coarsen is {params['coarsen']!r}; it must be a whole number of cells per block, 1 for none"


def _period(params: Mapping[str, Any]) -> Iterator[str]:
    year, months = params["year"], params["months"]
    if year is not None and not (_numbers([year], 1, int) or (_numbers(year, 2, int) and year[0] <= year[1])):
        yield f"year is {year!r}; it must be a year or the first and the last year, as in [2000, 2010]"
    days = []
    for key in ("start", "end"):
        try:
            days.append(None if params[key] is None else date.fromisoformat(str(params[key])))
        except ValueError:
            yield f"{key} is {params[key]!r}; it must be a day, as in 2005-01-31"
    if len(days) == 2 and None not in days and days[0] > days[1]:
        yield f"start is {params['start']} and end is {params['end']}; start must not be later"
    if months is not None:
        listed = isinstance(months, Sequence) and not isinstance(months, str) and len(months) > 0
        if not (listed and all(month in range(1, 13) for month in months)):
            yield f"months is {months!r}; it must be a list of numbers from 1 to 12, as in [12, 1, 2]"


def _resample(params: Mapping[str, Any]) -> Iterator[str]:
    resample = params["resample"]
    rules = resample if isinstance(resample, Mapping) else {None: resample}
    for name, rule in rules.items():
        if rule not in REDUCTIONS:
            key = "resample" if name is None else f"resample.{name}"
            allowed = ", ".join(REDUCTIONS)
            yield f"{key} is {rule!r}; allowed are {allowed}, or one of them per variable, as in {{tp: sum}}"


def _accumulated(params: Mapping[str, Any]) -> Iterator[str]:
    names = params["accumulated"]
    listed = isinstance(names, Sequence) and not isinstance(names, str)
    if names is not None and not (listed and all(isinstance(name, str) for name in names)):
        yield f"accumulated is {names!r}; it must be a list of variables, as in [tp, ssrd]"


def _select(params: Mapping[str, Any]) -> Iterator[str]:
    select = params["select"]
    if select is not None and not isinstance(select, Mapping):
        yield f"select is {select!r}; it must name dimensions and their values, as in {{number: 0}}"
