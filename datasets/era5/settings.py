"""Check the parameters, one sentence for each that cannot be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from difflib import get_close_matches
from math import isfinite
from typing import Any

from datasets.blocks.fetched import first_and_last
from datasets.era5.plan import COLLECTIONS, FIELDS_LIMIT, STEP, fields_per_request
from datasets.era5.variables import VARIABLES

FIRST_YEAR = 1940
FLUX_DAYS = ("01-24", "paper")
MONTHS_PER_REQUEST = (1, 2, 3, 4, 6, 12)


def setting_problems(params: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the parameters, one sentence each."""
    checks = (_product, _variables, _year, _area, _requests)
    found = [text for check in checks for text in check(params)]
    return found or list(_size(params))


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _listed(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _product(params: Mapping[str, Any]) -> Iterator[str]:
    product, flux_day = params["product"], params["flux_day"]
    if product not in COLLECTIONS:
        yield f"product is {product!r}; allowed are {', '.join(COLLECTIONS)}"
    if flux_day not in FLUX_DAYS:
        yield f"flux_day is {flux_day!r}; allowed are {', '.join(FLUX_DAYS)}"
    elif flux_day == "paper" and product == "daily-statistics":
        yield (
            "flux_day is 'paper', but with product 'daily-statistics' the service groups the hours itself, and takes "
            "01-24; set product to hourly"
        )


def _variables(params: Mapping[str, Any]) -> Iterator[str]:
    variables = params["variables"]
    if not _listed(variables) or not variables:
        yield f"variables is {variables!r}; it must be a list of names out of {', '.join(VARIABLES)}"
        return
    for name in variables:
        if name not in VARIABLES:
            aliases = {alias: key for key, item in VARIABLES.items() for alias in (key, item.short, item.name)}
            close = get_close_matches(str(name), aliases, n=1)
            hint = f"did you mean {aliases[close[0]]!r}? " if close else ""
            yield f"variables: there is no {name!r}; {hint}Known: {', '.join(VARIABLES)}"
    twice = sorted({str(name) for name in variables if variables.count(name) > 1})
    if twice:
        yield f"variables: {', '.join(twice)} more than once; name each variable once"


def _year(params: Mapping[str, Any]) -> Iterator[str]:
    year = params["year"]
    if not (_whole(year) or (_listed(year) and len(year) == 2 and all(map(_whole, year)))):
        yield f"year is {year!r}; it must be a year, or the first and the last year, as in [2000, 2010]"
        return
    first, last = first_and_last(year)
    newest = date.today().year - 1
    if first > last:
        yield f"year is {list(year)}; the first year must not be later than the last"
    elif first < FIRST_YEAR or last > newest:
        yield f"year is {year!r}; ERA5 begins in {FIRST_YEAR}, and {newest} is the last year that is complete"


def _area(params: Mapping[str, Any]) -> Iterator[str]:
    area = params["area"]
    numbers = (
        _listed(area) and len(area) == 4 and all(isinstance(edge, (int, float)) and isfinite(edge) for edge in area)
    )
    if not numbers or any(isinstance(edge, bool) for edge in area):
        yield f"area is {area!r}; it must be four numbers in degrees: [north, west, south, east]"
        return
    north, west, south, east = area
    if not 90 >= north >= south >= -90:
        yield (
            f"area is {list(area)}; north must not lie south of south, both between -90 and 90: "
            "[north, west, south, east]"
        )
    if not (-180 <= west <= east <= 360 and east - west <= 360):
        yield (
            f"area is {list(area)}; west must not lie east of east, both between -180 and 360 (an area across the date "
            "line ends beyond 180): [north, west, south, east]"
        )
    if any(edge / STEP != round(edge / STEP) for edge in area):
        yield f"area is {list(area)}; its edges must be multiples of {STEP}, or the service interpolates the fields"


def _requests(params: Mapping[str, Any]) -> Iterator[str]:
    months, variables = params["months_per_request"], params["variables_per_request"]
    if not _whole(months) or months not in MONTHS_PER_REQUEST:
        yield f"months_per_request is {months!r}; allowed are {', '.join(map(str, MONTHS_PER_REQUEST))}"
    if variables is not None and not (_whole(variables) and variables >= 1):
        yield f"variables_per_request is {variables!r}; it must be a whole number from 1, or null for all"


def _size(params: Mapping[str, Any]) -> Iterator[str]:
    count = fields_per_request(params)
    if count > FIELDS_LIMIT:
        yield (
            f"months_per_request is {params['months_per_request']}: one request would need {count:,} hourly fields, "
            f"and the service refuses more than {FIELDS_LIMIT:,}; lower months_per_request or variables_per_request"
        )
