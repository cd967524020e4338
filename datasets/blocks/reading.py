"""From files to daily fields: open them, choose variables, cells and days, reduce to days."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasets.blocks.files import Part, open_parts
from datasets.blocks.settings import parameter_problems
from regimebench.dataset import DataError, Progress, no_progress

if TYPE_CHECKING:
    import xarray as xr

    from datasets.blocks.choose import Catalogue, Wanted

# xarray is imported where files are opened: a dry run asks every data set for its files and should not pay for it.

# What to take from the files; the data set "local" offers all of them to its users and describes them.
WHOLE: Mapping[str, Any] = {
    "variables": None,
    "box": None,
    "size": None,
    "coarsen": 1,
    "year": None,
    "start": None,
    "end": None,
    "months": None,
    "resample": "mean",
    "accumulated": [],
    "select": {},
}

log = logging.getLogger(__name__)


def read_fields(
    paths: Sequence[Path],
    progress: Progress = no_progress,
    edit: Callable[[Part], Part] | None = None,
    **choice: Any,
) -> xr.Dataset:
    """Return the chosen variables as daily fields, lazy (dask), latitude descending and longitude ascending.

    Parameters
    ----------
    paths : sequence of path
        NetCDF or GRIB files and Zarr folders; they are read when the fields are.
    progress : Progress
        Told which file is being opened.
    edit : callable, optional
        Makes of each open file what is to be read instead, as with other names for its variables.
    **choice
        What to take, by the names in :data:`WHOLE`; the rest stays whole.

    Raises
    ------
    DataError
        For wrong settings, files that cannot be opened, unknown variables, incomplete days, a period without data, a
        time that occurs twice, files on different grids; and when the fields are read, for a file that is damaged.
    """
    from datasets.blocks.assemble import attributes, grid_mapping, prepare, read

    params = {**WHOLE, **choice}
    _refuse(parameter_problems(params))
    parts, problems = opened(paths, params, progress)
    _refuse(problems)
    if edit is not None:
        parts = [edit(part) for part in parts]
    chosen, held, problems = chosen_variables(parts, params)
    _refuse(problems)
    notes: list[str] = []
    fields = read(prepare(chosen, held, params, notes), params, notes)
    for note in notes:
        log.warning("%s", note)
    used = [part for choice in chosen for part in held[choice.source][choice.level]]
    fields = fields.assign_coords(grid_mapping(used)).assign_attrs(attributes(used, notes))
    for part in parts:
        part.fields.close()  # xarray opens it again to read
    return fields


def reading_problems(paths: Sequence[Path], params: Mapping[str, Any], complete: bool) -> list[str]:
    """Return what stands against reading files, judged by metadata and coordinates alone, one sentence each.

    Parameters
    ----------
    paths : sequence of path
        Files that open quickly.
    params : mapping
        What to take, by the names in :data:`WHOLE`.
    complete : bool
        Whether these are all the files, so that variables and days can be judged, too.
    """
    from datasets.blocks.assemble import prepare

    parts, problems = opened(paths, params)
    if problems or not complete:
        return problems
    chosen, held, problems = chosen_variables(parts, params)
    if problems:
        return problems
    try:
        prepare(chosen, held, params, [])
    except DataError as error:
        return [str(error)]
    return []


def opened(
    paths: Sequence[Path], params: Mapping[str, Any], progress: Progress = no_progress
) -> tuple[list[Part], list[str]]:
    """Return the open files and what is wrong with the others."""
    parts: list[Part] = []
    problems: list[str] = []
    for number, path in enumerate(paths):
        progress(f"opening {path.name}", number, len(paths))
        try:
            parts += open_parts(path, params["select"] or {})
        except DataError as error:
            problems.append(str(error))
    return parts, problems


def chosen_variables(parts: Sequence[Part], params: Mapping[str, Any]) -> tuple[list[Wanted], Catalogue, list[str]]:
    """Return the variables to take, what the files hold, and what is wrong with the choice."""
    from datasets.blocks.choose import catalogue, nothing_held, wanted

    held = catalogue(parts)
    if not held:
        return [], held, [nothing_held(parts)]
    chosen, problems = wanted(params["variables"], held)
    names = [choice.name for choice in chosen]
    if not problems:
        rules = params["resample"] if isinstance(params["resample"], Mapping) else ()
        problems = [
            f"{key}: no variable is called {name!r}; there are {', '.join(names)}"
            for key, named in (("resample", rules), ("accumulated", params["accumulated"] or ()))
            for name in named
            if name not in names
        ]
    return chosen, held, problems


def _refuse(problems: list[str]) -> None:
    if problems:
        raise DataError("\n".join(problems))
