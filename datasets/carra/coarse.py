"""One month of CARRA as it arrived becomes a small CF file: checked, cut, averaged over blocks of cells."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from datasets.blocks.archives import is_zip, unpack
from datasets.blocks.arrival import arrival_problems
from datasets.blocks.grid import coarsen
from datasets.blocks.parts import is_complete, read_record, write_done
from datasets.carra import messages, winds
from datasets.carra.variables import KNOWN
from regimebench.dataset import DataError

if TYPE_CHECKING:
    import xarray as xr

    from datasets.blocks.parts import Part

KEPT = "grib"  # folder of the answers, where the user wants them
WIND_NAMES = {name for component in winds.COMPONENTS for name in KNOWN[component].grib}

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Coarsen:
    """Turns an answer into a part; see :class:`datasets.blocks.parts.Accept`.

    Parameters
    ----------
    margin : int
        Cells dropped at every edge.
    block : int
        Cells along each side of a block.
    wind : str
        See :func:`datasets.carra.winds.chosen`.
    keep : bool
        Whether the answer is moved to the folder ``grib`` instead of being deleted.
    """

    margin: int
    block: int
    wind: str
    keep: bool

    def __call__(self, received: Path, target: Path, part: Part) -> None:
        """Write ``target`` from the GRIB file ``received``; nothing but the coarse fields is ever held whole."""
        unpacked = received.with_name(f"{received.name}.unpacked")
        try:
            path = _only_member(received, unpacked, part.stem) if is_zip(received) else received
            month = self.month(path, part)
            _write(month, target)
            if self.keep:
                answer = kept(part, target.parent)
                answer.parent.mkdir(exist_ok=True)
                os.replace(path, answer)
        finally:
            shutil.rmtree(unpacked, ignore_errors=True)

    def month(self, path: Path, part: Part) -> xr.Dataset:
        """Return the coarse fields of one month, in memory.

        Raises
        ------
        DataError
            If the file is not what ``part`` asked for.
        """
        import dask
        import xarray as xr

        arrays, place, notes = checked(path, part)
        if set(arrays) <= set(winds.COMPONENTS):
            fields = winds.chosen(arrays, place, self.wind)
        else:
            fields = {KNOWN[name].name: array for name, array in arrays.items()}
        inner = {
            axis: _inside(values.size, self.margin, self.block, part.stem)
            for axis, values in (("y", place.y), ("x", place.x))
        }
        # Double precision, because a block adds up thousands of values; one thread, because each holds whole fields.
        whole = xr.Dataset(fields).isel(inner).astype(np.float64)
        with dask.config.set(scheduler="synchronous"):
            month = coarsen(whole, self.block).astype(np.float32).compute()
        return _described(month, place, part).assign_attrs(notes)


def kept(part: Part, folder: Path) -> Path:
    """Return where the answer to a part's request is kept; the same for all margins, blocks and winds."""
    request = part.request
    return folder / KEPT / f"{'+'.join(request['variable'])}-{request['year'][0]}-{request['month'][0]}.{part.key}.grib"


def again(parts: Iterable[Part], folder: Path, accept: Coarsen) -> None:
    """Make parts from answers that an earlier run kept, so that other blocks need no other download."""
    for part in parts:
        answer = kept(part, folder)
        if answer.is_file():
            try:
                accept(answer, part.file(folder), part)
            except DataError as error:
                raise DataError(f"{error}; {answer} was kept by an earlier run: delete it to fetch it again") from error
            write_done(part, folder, _same_answer(part, folder))


def _same_answer(part: Part, folder: Path) -> dict[str, Any]:
    """Return the record of another file that was made from the same answer."""
    for path in sorted(folder.glob(f"*.{part.key}{part.suffix}.json")):
        other = replace(part, stem=path.name.removesuffix(f".{part.key}{part.suffix}.json"))
        if is_complete(other, folder):
            return read_record(other, folder)
    return {}


def checked(path: Path, part: Part) -> tuple[dict[str, xr.DataArray], messages.Grid, dict[str, str]]:
    """Return the lazy fields of the variables asked for, after all checks, their grid, and what should be noted.

    Raises
    ------
    DataError
        With every problem of variables, grid, days and values.
    """
    where, request = part.stem, part.request
    found = messages.headers(path, where)
    by_variable = {name: [one for one in found if one.name in KNOWN[name].grib] for name in request["variable"]}
    held = ", ".join(dict.fromkeys(header.name for header in found))
    problems = [
        f"{where}: there is no {name} (in GRIB {' or '.join(KNOWN[name].grib)}); the file holds {held}"
        for name, mine in by_variable.items()
        if not mine
    ]
    if not problems and sum(map(len, by_variable.values())) < len(found):
        problems.append(f"{where}: the file holds {held} where {', '.join(request['variable'])} was asked for")
    if problems:
        raise DataError("\n".join(problems))
    place = messages.grid(found, where)
    month = f"{request['year'][0]}-{request['month'][0]}"
    days = np.array([f"{month}-{day}" for day in request["day"]], dtype="datetime64[D]")
    arrays = {name: messages.fields(path, mine, place) for name, mine in by_variable.items()}
    for name, array in arrays.items():
        ranges = {KNOWN[name].name: KNOWN[name].allowed}
        problems += arrival_problems(array.to_dataset(name=KNOWN[name].name), where, ranges=ranges, days=days)
    if problems:
        raise DataError("\n".join(problems))
    return arrays, place, _notes(found, where)


def _notes(found: Sequence[messages.Header], where: str) -> dict[str, str]:
    """Return a comment if the messages call their winds eastward and northward, against CARRA's own documentation."""
    if all(header.along_grid for header in found if header.name in WIND_NAMES):
        return {}
    text = (
        "the GRIB messages say that u and v point east and north; CARRA's documentation says along the grid, and counts"
    )
    log.warning("%s: %s", where, text)
    return {"comment": text}


def _only_member(archive: Path, folder: Path, where: str) -> Path:
    """Return the one file of an archive, unpacked."""
    files = unpack(archive, folder)
    if len(files) != 1:
        raise DataError(f"{where}: the service sent an archive of {len(files)} files where one GRIB file was asked for")
    return files[0]


def _inside(count: int, margin: int, block: int, where: str) -> slice:
    """Return the cells of whole blocks inside the margin, what is left over dropped equally at both ends."""
    blocks, rest = divmod(count - 2 * margin, block)
    if blocks < 1:
        raise DataError(
            f"{where}: of {count} cells along one side, a margin of {margin} at both ends leaves no block of {block}; "
            "choose a smaller margin or block"
        )
    start = margin + rest // 2
    return slice(start, start + blocks * block)


def _described(month: xr.Dataset, place: messages.Grid, part: Part) -> xr.Dataset:
    """Add where the blocks are, and what CF wants to be said."""
    lat, lon = place.projection.inverse(*np.meshgrid(month["x"].values, month["y"].values))
    month = month.assign_coords(
        lat=(("y", "x"), lat, {"units": "degrees_north", "standard_name": "latitude"}),
        lon=(("y", "x"), lon, {"units": "degrees_east", "standard_name": "longitude"}),
        crs=((), 0, place.projection.attributes()),
    )
    for axis in ("x", "y"):
        month[axis].attrs = {"units": "m", "standard_name": f"projection_{axis}_coordinate"}
    statistic = KNOWN[part.request["variable"][0]].statistic
    for array in month.data_vars.values():
        array.attrs |= {"grid_mapping": "crs", "cell_methods": f"time: {statistic} area: mean"}
    return month.assign_attrs(Conventions="CF-1.11", source=f"{part.source}, {part.request['domain']}")


def _write(month: xr.Dataset, target: Path) -> None:
    temporary = target.with_name(f"{target.name}.tmp")
    encoding: dict[str, dict[str, Any]] = {str(name): {"zlib": True, "complevel": 1} for name in month.data_vars}
    encoding["time"] = {"units": "days since 1900-01-01", "dtype": "int32"}
    try:
        month.to_netcdf(temporary, engine="netcdf4", encoding=encoding)
        os.replace(temporary, target)
    except OSError as error:
        raise DataError(f"{target} could not be written ({error.strerror}); make room there") from error
    finally:
        temporary.unlink(missing_ok=True)
