"""Stage 2, preprocess: daily fields in physical units become a cube in [0, 1].

Two variants, of equal use to every distance between days (see ``docs/preprocess.md``):

``standard``
    The grid as it is, missing cells masked, each column (cell x variable) scaled to [0, 1] over the days.
``paper``
    The authors' published code: zeros appended at the high-index end of both axes, every missing value filled with
    the mean of everything in physical units, then the same scaling.
"""

from __future__ import annotations

import csv
import logging
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from regimebench.cube import refuse_beyond_memory, write_cube
from regimebench.dataset import Cube, DataError, Dataset, Progress, no_progress
from regimebench.fields import Layout, check_values, layout, refuse
from regimebench.files import replacing
from regimebench.scaling import OverallMean, Scaling
from regimebench.units import cf_units

__all__ = ["prepare", "preprocess"]

VARIANTS = ("standard", "paper")
GAPS = ("error", "mask", "mean")
# The U-Nets of the papers halve the grid four times; the authors' notebooks pad 41 to 48 (DSC, published notebook).
MULTIPLE = 16
POLE = 90.0
OPEN_FILES = 4
PROVENANCE = ("title", "source", "institution", "license", "references", "comment")

log = logging.getLogger(__name__)


def prepare(
    dataset: Dataset, name: str, raw: Path, variant: str, out_cube: Path, out_truth: Path | None, gaps: str = "error"
) -> Cube:
    """Open a data set, write its cube, and write what it knows beyond the cube to a place no method reads.

    Parameters
    ----------
    dataset : Dataset
        The plugin, with its parameters.
    name : str
        Name of the data set in the configuration.
    raw : path
        What the download stage fetched.
    variant, gaps : str
        See :func:`preprocess`.
    out_cube : path
        The cube file.
    out_truth : path or None
        A table ``date,truth[,oracle]``, written only if the data set knows the truth.

    Returns
    -------
    Cube
        What was written.
    """
    cube = preprocess(dataset.open(raw), variant, name=name, gaps=gaps, progress=dataset.progress)
    columns = {"truth": dataset.truth(raw), "oracle": dataset.oracle(raw)}
    columns = {key: np.asarray(labels) for key, labels in columns.items() if labels is not None}
    for key, labels in columns.items():
        if labels.shape != (cube.n_days,) or labels.dtype.kind not in "iu":
            raise DataError(
                f"data set {name!r}: {key} has shape {labels.shape} and type {labels.dtype}; "
                f"it must hold one whole number for each of the {cube.n_days} days"
            )
    if out_truth is not None:
        out_truth.unlink(missing_ok=True)  # of an earlier configuration
        if "truth" in columns:
            _write_truth(cube.time, columns, out_truth)
    out_cube.parent.mkdir(parents=True, exist_ok=True)
    return write_cube(cube, out_cube)


def preprocess(
    fields: xr.Dataset,
    variant: str,
    *,
    name: str,
    gaps: str = "error",
    multiple: int = MULTIPLE,
    progress: Progress = no_progress,
) -> Cube:
    """Scale daily fields to [0, 1].

    Parameters
    ----------
    fields : xarray.Dataset
        What :meth:`regimebench.dataset.Dataset.open` returns; lazy fields are read one variable at a time.
    variant : {"standard", "paper"}
        See the module's description.
    name : str
        Name of the data set, for messages and provenance.
    gaps : {"error", "mask", "mean"}
        What to do with cells that miss some days but not all (``standard`` only; ``paper`` fills them as the authors
        do): refuse the data, mask the cell, or fill it with its own mean over the other days.
    multiple : int
        ``paper`` pads both axes to the next multiple of this.
    progress : Progress
        Told which variable is being read.

    Returns
    -------
    Cube
        Days in the order given.

    Raises
    ------
    DataError
        If the fields cannot be used; every problem is named.
    """
    for option, value, allowed in (("preprocess", variant, VARIANTS), ("gaps", gaps, GAPS)):
        if value not in allowed:
            raise DataError(f"data set {name!r}: {option} is {value!r}; allowed are {', '.join(allowed)}")
    place = layout(fields, name)
    rows, columns = (fields.sizes[dim] for dim in place.dims[1:])
    refuse_beyond_memory((len(place.days), rows, columns, len(place.variables)), f"data set {name!r}")
    padding = (-rows % multiple, -columns % multiple) if variant == "paper" else (0, 0)
    scaling = _scaled(fields, place, name, variant, gaps, padding, progress)
    attrs = {
        "dataset": name,
        "preprocessing": variant,
        "gaps": "overall mean" if variant == "paper" else gaps,
        "padded_cells": list(padding),
        **_provenance(fields, place, name, variant),
    }
    if place.projection is not None:
        y, x = (_extend(place.projection[key], count) for key, count in zip("yx", padding, strict=True))
        attrs["projection"] = {**place.projection, "y": y, "x": x}
    attrs |= {"filled_columns": scaling.filled_columns, "constant_columns": scaling.constant_columns}
    return Cube(
        scaling.values,
        scaling.mask,
        place.days,
        *_padded_places(place, padding),
        place.variables,
        tuple(cf_units(fields[key].attrs.get("units")) for key in place.variables),
        scaling.minimum,
        scaling.scale,
        attrs,
    )


def _scaled(
    fields: xr.Dataset,
    place: Layout,
    name: str,
    variant: str,
    gaps: str,
    padding: tuple[int, int],
    progress: Progress,
) -> Scaling:
    """Return the scaled fields: each variable is read, checked and scaled in turn, so that one is held at a time.

    What ``paper`` puts in place of missing values is known when all variables have been read; those that need it are
    read a second time.
    """
    problems: list[str] = []
    later: list[int] = []
    overall = OverallMean(padding)
    scaling = Scaling((place.days.size, *(fields.sizes[dim] for dim in place.dims[1:])), padding, place.variables)
    for index, key in enumerate(place.variables):
        progress(f"preparing {key}", index, len(place.variables))
        array = _loaded(fields[key], place.dims)
        found = check_values(array, key, place.days)
        if variant == "standard" and gaps == "error":
            found += _gap_problems(array, key, place.days)
        problems += found
        if variant == "paper":
            overall.add(array)
        if variant == "paper" and np.isnan(array).any():
            later.append(index)
        elif not problems:
            scaling.put(index, array, gaps, None)
        del array  # before the next one is read
    refuse(name, problems)
    for index in later:
        scaling.put(index, _loaded(fields[place.variables[index]], place.dims), gaps, overall.value())
    return scaling


def _loaded(array: xr.DataArray, dims: tuple[str, str, str]) -> np.ndarray:
    """Return one variable in memory.

    One thread reads block by block, because several would hold several blocks each; and few files stay open, because
    NetCDF keeps what it read last of every open file.
    """
    with xr.set_options(file_cache_maxsize=OPEN_FILES):
        return array.transpose(*dims).compute(scheduler="synchronous").values


def _gap_problems(array: np.ndarray, variable: str, days: np.ndarray) -> list[str]:
    missing = np.isnan(array)
    some = missing.any(axis=0) & ~missing.all(axis=0)
    if not some.any():
        return []
    first = days[np.argmax((missing & some).any(axis=(1, 2)))]
    return [
        f"variable {variable!r} misses some days in {some.sum()} of {some.size} cells, the first on {first}; "
        "set gaps to mask (leave these cells out) or mean (fill them with their mean over the other days)"
    ]


def _padded_places(place: Layout, padding: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return latitude and longitude continued over the padded cells, which lie nowhere and are masked.

    Latitude stops at the poles: beyond a global grid there is nothing left to continue to.
    """
    if place.lat.ndim == 1:
        lat, lon = _extend(place.lat, padding[0]), _extend(place.lon, padding[1])
    else:
        lat, lon = (
            np.apply_along_axis(_extend, 1, np.apply_along_axis(_extend, 0, grid, padding[0]), padding[1])
            for grid in (place.lat, place.lon)
        )
    beyond = (np.abs(lat) > POLE) & _is_padding(lat.shape, place.lat.shape)
    return np.where(beyond, np.copysign(POLE, lat), lat), lon


def _is_padding(shape: tuple[int, ...], inner: tuple[int, ...]) -> np.ndarray:
    padding = np.ones(shape, dtype=bool)
    padding[tuple(map(slice, inner))] = False
    return padding


def _extend(axis: np.ndarray, count: int) -> np.ndarray:
    """Return an axis with ``count`` more points at its last spacing."""
    step = axis[-1] - axis[-2] if axis.size > 1 else 1.0
    return np.concatenate([axis, axis[-1] + step * np.arange(1, count + 1)])


def _provenance(fields: xr.Dataset, place: Layout, name: str, variant: str) -> dict[str, Any]:
    """Return the attributes that say where the fields come from and which days are absent."""
    attrs = {"title": f"daily fields of {name}"}
    attrs |= {key: str(fields.attrs[key]) for key in PROVENANCE if fields.attrs.get(key)}
    attrs["history"] = "\n".join(filter(None, [fields.attrs.get("history"), f"regimebench preprocess {variant}"]))
    steps = np.diff(place.days).astype(int)
    attrs["missing_days"] = int((steps - 1).sum())
    if attrs["missing_days"]:
        breaks = np.flatnonzero(steps > 1)
        text = (
            f"{attrs['missing_days']} days are missing in {breaks.size} gaps, the first after {place.days[breaks[0]]}"
        )
        log.warning("%s", text)
        attrs["day_gaps"] = text
    for key, attribute in (("long_names", "long_name"), ("cell_methods", "cell_methods")):
        texts = [str(fields[variable].attrs.get(attribute, "")) for variable in place.variables]
        if any(texts):
            attrs[key] = texts
    return attrs


def _write_truth(time: np.ndarray, columns: dict[str, np.ndarray], path: Path) -> None:
    with replacing(path) as temporary, open(temporary, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["date", *columns])
        writer.writerows(zip(time.astype(str), *columns.values(), strict=True))
