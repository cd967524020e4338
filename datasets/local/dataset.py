"""A user's own NetCDF, Zarr or GRIB files as a data set."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasets.local.files import Part, kind, matched, open_parts
from datasets.local.settings import parameter_problems
from regimebench.dataset import DataError, Dataset

if TYPE_CHECKING:
    import xarray as xr

    from datasets.local.choose import Catalogue, Wanted

# xarray is imported where files are opened: a dry run asks every data set for its files and should not pay for it.

log = logging.getLogger(__name__)

# problems() must answer in seconds: files beyond these limits are judged by their first bytes.
FILES_OPENED = 40
GRIB_BYTES_OPENED = 5_000_000


class Plugin(Dataset):
    """Daily fields from local files; ``dataset.yaml`` describes the parameters."""

    def problems(self) -> list[str]:
        """Return wrong parameters, missing or unreadable files and unknown variables, from metadata alone."""
        paths, problems = matched(self.params["files"])
        problems += parameter_problems(self.params)
        quick = []
        for path in paths:
            try:
                if kind(path) != "grib" or path.stat().st_size < GRIB_BYTES_OPENED:
                    quick.append(path)
            except DataError as error:
                problems.append(str(error))
        if problems:
            return problems
        parts, problems = self._opened(quick[:FILES_OPENED])
        if problems or len(paths) > min(len(quick), FILES_OPENED):
            return problems
        chosen, held, problems = self._chosen(parts)
        return problems or self._unprepared(chosen, held)

    def sources(self) -> list[Path]:
        """Return the matched files and Zarr folders."""
        return matched(self.params["files"])[0]

    def open(self, folder: Path) -> xr.Dataset:
        """Return the chosen variables as daily fields, latitude descending and longitude ascending.

        Raises
        ------
        DataError
            For all that :meth:`problems` finds, and for what only times and grids show: incomplete days, a period
            without data, a time that occurs twice, files on different grids.
        """
        from datasets.local.assemble import attributes, grid_mapping, prepare, read

        paths, problems = matched(self.params["files"])
        _refuse(problems + parameter_problems(self.params))
        parts, problems = self._opened(paths)
        _refuse(problems)
        chosen, held, problems = self._chosen(parts)
        _refuse(problems)
        notes: list[str] = []
        fields = read(prepare(chosen, held, self.params, notes), self.params, notes, self.progress)
        for note in notes:
            log.warning("%s", note)
        used = [part for choice in chosen for part in held[choice.source][choice.level]]
        fields = fields.assign_coords(grid_mapping(used)).assign_attrs(attributes(used, notes))
        for part in parts:
            part.fields.close()
        return fields

    def _opened(self, paths: Sequence[Path]) -> tuple[list[Part], list[str]]:
        """Return the open files and what is wrong with the others."""
        parts: list[Part] = []
        problems: list[str] = []
        for path in paths:
            try:
                parts += open_parts(path, self.params["select"] or {})
            except DataError as error:
                problems.append(str(error))
        return parts, problems

    def _chosen(self, parts: Sequence[Part]) -> tuple[list[Wanted], Catalogue, list[str]]:
        """Return the variables to take, what the files hold, and what is wrong with the choice."""
        from datasets.local.choose import catalogue, wanted

        held = catalogue(parts)
        if not held:
            return [], held, ["files: none of them holds a field that changes in time over latitude and longitude"]
        chosen, problems = wanted(self.params["variables"], held)
        rules: Any = self.params["resample"]
        names = [choice.name for choice in chosen]
        if isinstance(rules, Mapping) and not problems:
            problems = [
                f"resample: no variable is called {name!r}; there are {', '.join(names)}"
                for name in rules
                if name not in names
            ]
        return chosen, held, problems

    def _unprepared(self, chosen: Sequence[Wanted], held: Catalogue) -> list[str]:
        """Return what stands against reading the chosen variables, judged by coordinates."""
        from datasets.local.assemble import prepare

        try:
            prepare(chosen, held, self.params, [])
        except DataError as error:
            return [str(error)]
        return []


def _refuse(problems: list[str]) -> None:
    if problems:
        raise DataError("\n".join(problems))
