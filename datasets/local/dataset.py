"""A user's own NetCDF, Zarr or GRIB files as a data set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

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
                if kind(path) != "grib" or path.stat().st_size < GRIB_BYTES_OPENED:
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
        """Return the chosen variables as daily fields, latitude descending and longitude ascending.

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
        return read_fields(paths, self.progress, **{name: self.params[name] for name in WHOLE})
