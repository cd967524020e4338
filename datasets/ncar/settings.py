"""Check the parameters, one sentence for each that cannot be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any
from urllib.parse import urlsplit

from datasets.blocks.fetched import first_and_last
from datasets.blocks.settings import parameter_problems
from datasets.ncar.plan import levels_of, names_of
from datasets.ncar.variables import VARIABLES

FIRST_YEAR, LAST_YEAR = 1948, 2025


def setting_problems(params: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the parameters, one sentence each."""
    from datasets.blocks.reading import WHOLE

    shared = {key: params[key] for key in ("box", "coarsen", "year")}
    found = [*_names(params), *parameter_problems({**WHOLE, **shared}), *_address(params)]
    return found or [*_levels(params), *_years(params)]


def _names(params: Mapping[str, Any]) -> Iterator[str]:
    variables = params["variables"]
    if isinstance(variables, str) or not isinstance(variables, (Sequence, Mapping)) or not variables:
        yield f"variables is {variables!r}; it must list names of files, as in [air.sig995, slp]"
        return
    for name in variables:
        if name not in VARIABLES:
            close = get_close_matches(str(name), VARIABLES, n=1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            yield f"variables: there is no {name!r}; {hint}Known: {', '.join(VARIABLES)}"
    if isinstance(variables, Mapping):
        for name, options in variables.items():
            if not (options is None or (isinstance(options, Mapping) and set(options) <= {"level"})):
                yield f"variables.{name} is {options!r}; allowed is level, as in {{level: 500}}"
    elif len(set(map(str, variables))) < len(variables):
        yield "variables names one of them more than once; name each once"


def _levels(params: Mapping[str, Any]) -> Iterator[str]:
    chosen, wrong = levels_of(params), False
    for name, levels in chosen.items():
        known = VARIABLES[name].levels
        shown = ", ".join(map(str, known))
        if known and levels == [None]:
            yield f"variables: {name!r} has the levels {shown}; name one or several, as in {{{name}: {{level: 500}}}}"
        elif not known and levels != [None]:
            yield f"variables: {name!r} has no levels; leave level out"
        elif known and not (levels and set(levels) <= set(known)):
            wrong = True
            yield f"variables: level of {name!r} is {params['variables'][name]['level']!r}; there are {shown} hPa"
    grids = {"Gaussian" if "gauss" in VARIABLES[name].group else "2.5 degrees": name for name in chosen}
    if len(grids) > 1:
        named = " and ".join(f"{name!r} ({grid})" for grid, name in grids.items())
        yield f"variables: {named} have different grids; choose all from one"
    names = [] if wrong else [label for name, levels in chosen.items() for label in names_of(name, levels)]
    if twice := sorted({label for label in names if names.count(label) > 1}):
        yield f"variables: two of them would be called {twice[0]!r}; choose one"


def _years(params: Mapping[str, Any]) -> Iterator[str]:
    if params["year"] is None:
        yield "year is null; it must be a year, or the first and the last year, as in [2000, 2010]"
        return
    first, last = first_and_last(params["year"])
    if first < FIRST_YEAR or last > LAST_YEAR:
        yield (
            f"year is {params['year']!r}; Reanalysis 1 has complete years from {FIRST_YEAR} to {LAST_YEAR} "
            "(it ended on 18 March 2026)"
        )


def _address(params: Mapping[str, Any]) -> Iterator[str]:
    parts = urlsplit(str(params["base_url"]))
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.query or "@" in parts.netloc:
        yield (
            f"base_url is {str(params['base_url']).partition('?')[0].rpartition('@')[2]!r}; it must be an address such "
            "as https://downloads.psl.noaa.gov/Datasets, without user, password and query"
        )
