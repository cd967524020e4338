"""What a yearly file holds: check it when it arrives, and give its fields our names when it is read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from datasets.blocks.arrival import arrival_problems
from datasets.blocks.files import Part as Opened
from datasets.blocks.files import levels, open_parts
from datasets.ncar.plan import asked, days_of, names_of
from datasets.ncar.variables import VARIABLES
from regimebench.dataset import DataError

if TYPE_CHECKING:
    from datasets.blocks.parts import Part


def accept(received: Path, target: Path, part: Part) -> None:
    """Keep a file as it came if it holds every day of its year, its variable on the whole grid, and possible values.

    Raises
    ------
    DataError
        If not.
    """
    try:
        opened = open_parts(received, {})
        problems = [text for item in opened for text in _problems(item, part)]
    except (DataError, RuntimeError, OSError) as error:  # netCDF4 raises RuntimeError for damaged blocks
        problems = [str(error).replace(str(received), f"{part.stem}.nc")]
    if problems:
        raise DataError(f"what arrived cannot be used: {'; '.join(problems)}")
    os.replace(received, target)


def _problems(item: Opened, part: Part) -> Iterator[str]:
    """Yield what is wrong with an open file, and close it."""
    name, year = asked(part)
    variable, where = VARIABLES[name], f"{part.stem}.nc"
    key = name.partition(".")[0]
    lat, lon = variable.axes
    with item.fields as fields:
        yield from arrival_problems(fields, where, ranges={key: variable.range}, days=days_of(year), lat=lat, lon=lon)
        held = [level for level in levels(fields[key]) if level] if key in fields else list(variable.levels)
        if absent := [str(level) for level in variable.levels if level not in held]:
            yield f"{where}: {key} lacks the levels {', '.join(absent)} hPa"


def named(wanted: Mapping[Path, tuple[str, Sequence[int | None]]]) -> Callable[[Opened], Opened]:
    """Return what makes of an open file the fields to read: one for each level, under our names.

    Parameters
    ----------
    wanted : mapping of path to (str, sequence of int or None)
        For each file the name that the provider gives it, and the levels to take.
    """

    def edit(item: Opened) -> Opened:
        name, chosen = wanted[item.path]
        key = name.partition(".")[0]
        fields = item.fields[[key]]
        if chosen != [None]:
            labels = zip(names_of(name, chosen), chosen, strict=True)
            fields = fields.assign({label: fields[key].sel(level=level, drop=True) for label, level in labels})
            fields = fields.drop_vars([key, "level"])
        return replace(item, fields=fields)

    return edit
