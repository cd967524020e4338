"""What a part's file holds: unpack it, give its variables our names, check it, and tell preliminary data."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from datasets.blocks.archives import is_zip, unpack
from datasets.blocks.arrival import arrival_problems
from datasets.blocks.files import NAMES, fields_of, kind, open_parts
from datasets.blocks.files import Part as Opened
from datasets.era5.plan import expected_axes, expected_times, requested_variables
from datasets.era5.variables import VARIABLES, ours
from regimebench.dataset import DataError

if TYPE_CHECKING:
    import xarray as xr

    from datasets.blocks.parts import Part

PRELIMINARY = "5"
WHOLE = "the answer"

log = logging.getLogger(__name__)


def accept(received: Path, target: Path, part: Part) -> None:
    """Check an answer of the Climate Data Store and keep its bytes as they came; an archive is unpacked beside them.

    Raises
    ------
    DataError
        If it is neither NetCDF nor a ZIP archive of NetCDF files, or does not hold what ``part`` asks for.
    """
    folder = unpacked_folder(target)
    try:
        problems, preliminary = _judged(received, folder, part)
        if problems:
            raise DataError(
                f"what arrived cannot be used: {'; '.join(problems)}. If the same comes back when you run again, see "
                f"https://cds.climate.copernicus.eu/datasets/{part.source} for known problems"
            )
    except (DataError, OSError, RuntimeError, ValueError) as error:  # the last three: of netCDF4, for damaged files
        shutil.rmtree(folder, ignore_errors=True)
        known = isinstance(error, DataError)
        text = str(error) if known else f"{received} is damaged ({type(error).__name__}: {error})"
        raise DataError(text.replace(str(received), WHOLE)) from error
    if preliminary:
        log.warning(
            "%s: %d steps are preliminary (ERA5T); final data follow in about three months", part.stem, preliminary
        )
    os.replace(received, target)


def _judged(received: Path, folder: Path, part: Part) -> tuple[list[str], int]:
    """Return what is wrong with an answer, and how many of its steps are preliminary."""
    zipped = is_zip(received)
    if not zipped and kind(received) != "netcdf":
        raise DataError(f"{received} is a {kind(received)} file; NetCDF was asked for")
    paths = unpack(received, folder) if zipped else [received]
    opened = [named(item) for path in paths for item in open_parts(path, {})]
    judged = list(_problems(opened, part)), max(map(preliminary_steps, opened), default=0)
    for item in opened:
        item.fields.close()
    return judged


def unpacked_folder(file: Path) -> Path:
    """Return where the members of a part's archive are."""
    return file.with_suffix("")


def member_files(file: Path) -> list[Path]:
    """Return the NetCDF files of a part: itself, or the members of the archive that it is.

    Raises
    ------
    DataError
        If it is not there or damaged.
    """
    if not file.is_file():
        raise DataError(f"{file} is missing; run the download stage again")
    return unpack(file, unpacked_folder(file)) if is_zip(file) else [file]


def named(part: Opened) -> Opened:
    """Return an open file with our names for the variables it holds, whatever it calls them."""
    renames = {}
    for name, array in part.fields.data_vars.items():
        key = ours(str(name), array.attrs.get("GRIB_shortName"), array.attrs.get("GRIB_paramId"))
        if key not in (None, name) and key not in part.fields.variables:
            renames[name] = key
    return replace(part, fields=part.fields.rename(renames)) if renames else part


def preliminary_steps(part: Opened) -> int:
    """Return at how many times a file holds preliminary data (ERA5T, experiment version 5).

    In the older layout with a dimension of versions, final and preliminary data exclude one another at each time.
    """
    if "expver" not in part.fields.variables:
        return 0
    versions = np.char.lstrip(np.atleast_1d(part.fields["expver"].values).astype(str), "0")
    if "expver" not in part.fields.dims:
        return int(np.sum(versions == PRELIMINARY))
    if PRELIMINARY not in versions:
        return 0
    name, _ = next(fields_of(part))
    array = part.fields[name].isel(expver=int(np.argmax(versions == PRELIMINARY)))
    clock = next(key for key in NAMES["time"] if key in array.coords)
    return int(array.notnull().any([dim for dim in array.dims if dim not in array[clock].dims]).sum())


def _problems(opened: Sequence[Opened], part: Part) -> Iterator[str]:
    """Yield what is wrong with the files of one part, one sentence each, whether in one file or in all."""
    wanted = list(requested_variables(part.request))
    times = expected_times(part.request)
    lat, lon = expected_axes(part.request["area"])
    seen: list[str] = []
    found: dict[str, list[str]] = {}
    for item in opened:
        here = [name for name in wanted if name in item.fields.data_vars]
        seen += here
        ranges = {name: VARIABLES[name].range for name in here}
        fields = _one_version(item.fields, here)
        for text in arrival_problems(fields, WHOLE, ranges=ranges, days=times, lat=lat, lon=lon) if here else []:
            found.setdefault(text, []).append(item.path.name)
    for text, files in found.items():
        one = len(files) == 1 < len(opened)
        yield text.replace(WHOLE, files[0], 1) if one else text
    yield from _absent(wanted, seen, opened)


def _absent(wanted: Iterable[str], seen: list[str], opened: Sequence[Opened]) -> Iterator[str]:
    held = sorted({str(name) for item in opened for name in item.fields.data_vars})
    for name in wanted:
        if name not in seen:
            found = ", ".join(held) or "no fields"
            yield f"{name} ({VARIABLES[name].name}) was asked for and is not there; the answer holds {found}"
        elif seen.count(name) > 1:
            yield f"{name} is in {seen.count(name)} files of the answer; it must be in one"


def _one_version(fields: xr.Dataset, names: Sequence[str]) -> xr.Dataset:
    """Return the variables with final and preliminary data combined."""
    if "expver" not in fields.dims:
        return fields[list(names)]
    import xarray as xr

    from datasets.blocks.choose import without_expver

    return xr.Dataset({name: without_expver(fields[name], []) for name in names})
