"""A user's own NetCDF, Zarr or GRIB files as a data set."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from datasets.blocks.archives import members, unpack
from datasets.blocks.files import kind, matched
from datasets.blocks.reading import WHOLE, read_fields, reading_problems
from datasets.blocks.settings import parameter_problems
from regimebench.dataset import DataError, Dataset

if TYPE_CHECKING:
    import xarray as xr

# problems() must answer in seconds: files beyond these limits are judged by their first bytes.
FILES_OPENED = 40
GRIB_BYTES_OPENED = 5_000_000


class Plugin(Dataset):
    """Daily fields from local files; ``dataset.yaml`` describes the parameters."""

    def problems(self, folder: Path) -> list[str]:
        """Return wrong parameters, missing or unreadable files and unknown variables, from metadata alone."""
        paths, problems = matched(self.params["files"])
        problems += parameter_problems(self.params)
        quick = []
        for path in paths:
            try:
                if _opens_quickly(path):
                    quick.append(path)
            except DataError as error:
                problems.append(str(error))
        return problems or reading_problems(
            quick[:FILES_OPENED], self.params, len(paths) <= min(len(quick), FILES_OPENED)
        )

    def sources(self) -> list[Path]:
        """Return the matched files and Zarr folders."""
        return matched(self.params["files"])[0]

    def open(self, folder: Path) -> xr.Dataset:
        """Return the chosen variables as daily fields, lazy, latitude descending and longitude ascending.

        ZIP archives are unpacked into ``folder``.

        Raises
        ------
        DataError
            For all that :meth:`problems` finds, and for what only times and grids show: incomplete days, a period
            without data, a time that occurs twice, files on different grids.
        """
        paths, problems = matched(self.params["files"])
        problems += parameter_problems(self.params)
        if problems:
            raise DataError("\n".join(problems))
        files = [file for path in paths for file in self._unpacked(path, folder)]
        return read_fields(files, self.progress, **{name: self.params[name] for name in WHOLE})

    def _unpacked(self, path: Path, folder: Path) -> list[Path]:
        """Return the members of a ZIP archive, unpacked; any other file as it is."""
        if kind(path) != "zip":
            return [path]
        self.progress(f"unpacking {path.name}", 0, 0)
        place = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]  # others may have the same name
        return unpack(path, folder / f"{path.name}.{place}")


def _opens_quickly(path: Path) -> bool:
    """Return whether a file's coordinates can be read in a moment; an archive is judged by its list of members.

    Raises
    ------
    DataError
        If the file is of no known kind, or an archive that may not be unpacked.
    """
    what = kind(path)
    if what == "zip":
        members(path)
    return what in ("netcdf", "zarr") or (what == "grib" and path.stat().st_size < GRIB_BYTES_OPENED)
