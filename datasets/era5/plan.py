"""Which requests are sent: one for each period and group of variables, each within the service's limits."""

from __future__ import annotations

import itertools
from calendar import monthrange
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from datasets.blocks.fetched import first_and_last
from datasets.era5.variables import VARIABLES

if TYPE_CHECKING:
    from datasets.blocks.parts import Part

COLLECTIONS = {
    "daily-statistics": "derived-era5-single-levels-daily-statistics",
    "hourly": "reanalysis-era5-single-levels",
}
HOURS = tuple(f"{hour:02d}:00" for hour in range(24))
STEP = 0.25  # degrees between cells
# Hourly fields in one request. The service's form has refused more than this; a month of seven variables has 5,208.
FIELDS_LIMIT = 60_000


def fields_per_request(params: Mapping[str, Any]) -> int:
    """Return how many hourly fields stand behind the largest request (daily means are computed from them)."""
    count = min(params["variables_per_request"] or len(params["variables"]), len(params["variables"]))
    leap = 2000
    days = (sum(monthrange(leap, month)[1] for month in months) for months in _months(params))
    return count * 24 * max(days)


def plan(params: Mapping[str, Any]) -> list[Part]:
    """Return the parts that the data set is made from, in the order of time.

    Variables are requested in the order of :data:`~datasets.era5.variables.VARIABLES`, so that another order in the
    cube asks for nothing new.
    """
    product, (first, last) = params["product"], first_and_last(params["year"])
    variables = [name for name in VARIABLES if name in params["variables"]]
    size = params["variables_per_request"] or len(variables)
    groups = [variables[start : start + size] for start in range(0, len(variables), size)]
    parts = []
    for year, months, group in itertools.product(range(first, last + 1), _months(params), groups):
        label = "-".join(["", *group]) if len(groups) > 1 else ""
        stem = f"{product}-{_period(year, months)}{label}"
        parts.append(_part(product, stem, _request(params, group, year, months)))
    if accumulated := ends_with_next_day(params):
        request = _request(params, accumulated, last + 1, [1])
        parts.append(_part(product, f"{product}-{last + 1}-01-01T00", {**request, "day": ["01"], "time": [HOURS[0]]}))
    return parts


def ends_with_next_day(params: Mapping[str, Any]) -> list[str]:
    """Return the variables whose last hour of a day is stamped 00:00 of the next (see ``flux_day``).

    The service's daily statistics are days already.
    """
    if params["product"] != "hourly" or params["flux_day"] != "01-24":
        return []
    return [name for name, variable in VARIABLES.items() if name in params["variables"] and variable.accumulated]


def expected_times(request: Mapping[str, Any]) -> np.ndarray:
    """Return the times a request asks for, increasing: days, or hours where it names hours."""
    days = [
        np.datetime64(f"{year}-{month}-{day}", "D")
        for year in request["year"]
        for month in request["month"]
        for day in request["day"]
        if int(day) <= monthrange(int(year), int(month))[1]
    ]
    stamps = np.sort(np.array(days))
    if "time" not in request:
        return stamps
    hours = np.array([int(time[:2]) for time in request["time"]]).astype("timedelta64[h]")
    return (stamps.astype("datetime64[h]")[:, None] + hours[None, :]).ravel()


def expected_axes(area: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Return latitudes (descending) and longitudes (ascending) of an area: north, west, south, east, edges included."""
    north, west, south, east = area
    columns = min(round((east - west) / STEP) + 1, round(360 / STEP))
    return north - STEP * np.arange(round((north - south) / STEP) + 1), west + STEP * np.arange(columns)


def requested_variables(request: Mapping[str, Any]) -> Iterator[str]:
    """Yield our names of the variables in a request."""
    for name, variable in VARIABLES.items():
        if variable.name in request["variable"]:
            yield name


def _months(params: Mapping[str, Any]) -> list[range]:
    """Return the months of each request for a year."""
    step = params["months_per_request"]
    return [range(start, start + step) for start in range(1, 13, step)]


def _period(year: int, months: Sequence[int]) -> str:
    if len(months) == 12:
        return str(year)
    ends = dict.fromkeys(f"{month:02d}" for month in (months[0], months[-1]))
    return f"{year}-{'-'.join(ends)}"


def _part(product: str, stem: str, request: dict[str, Any]) -> Part:
    from datasets.blocks.parts import Part

    # Several variables come as a ZIP archive, whatever the suffix; the reader looks at the content.
    return Part(stem, ".nc", COLLECTIONS[product], request)


def _request(params: Mapping[str, Any], variables: Sequence[str], year: int, months: Sequence[int]) -> dict[str, Any]:
    """Return one request in the service's own terms."""
    days = max(monthrange(year, month)[1] for month in months)
    common = {
        "variable": [VARIABLES[name].name for name in variables],
        "year": [str(year)],
        "month": [f"{month:02d}" for month in months],
        "day": [f"{day:02d}" for day in range(1, days + 1)],
        "area": list(params["area"]),
    }
    if params["product"] == "hourly":
        more = {"time": list(HOURS), "data_format": "netcdf", "download_format": "unarchived"}
        return {"product_type": ["reanalysis"], **common, **more}
    statistic = {"daily_statistic": "daily_mean", "time_zone": "utc+00:00", "frequency": "1_hourly"}
    return {"product_type": "reanalysis", **common, **statistic}
