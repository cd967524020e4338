"""The data set contract: what every plugin under ``datasets/`` implements, and the cube that methods receive.

Only numpy and the standard library are imported here (see :mod:`regimebench.method`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Cube", "DataError", "Dataset", "Progress", "no_progress", "not_finite"]

BLOCK_VALUES = 2**18  # examined at a time: fits a cache, and is small beside any cube


class Progress(Protocol):
    """What long work reports to: ``progress("downloading x.nc", 1_048_576, 17_000_000, "B")``."""

    def __call__(self, message: str, done: int, total: int, unit: str = "") -> None:
        """Say that ``done`` of ``total`` is done (``total`` 0: unknown); ``unit`` is ``B`` for bytes."""


def no_progress(message: str, done: int, total: int, unit: str = "") -> None:
    """Report to nobody."""


class DataError(ValueError):
    """The data cannot be used; the message names the file, variable or day, what was found and what to do."""


def not_finite(values: np.ndarray, time: np.ndarray, variables: Sequence[str]) -> str | None:
    """Say which variable of the fields (time, y, x, variable) is NaN or infinite, and when; None if none is."""
    size = max(1, BLOCK_VALUES // max(1, math.prod(values.shape[1:])))
    blocks = (slice(start, start + size) for start in range(0, len(values), size))
    if all(np.isfinite(values[block]).all() for block in blocks):
        return None
    wrong = np.array([~np.isfinite(day).all(axis=(0, 1)) for day in values])  # (time, variable)
    index = int(np.argmax(wrong.any(axis=0)))
    days = np.flatnonzero(wrong[:, index])
    kind = "NaN" if np.isnan(values[days[0], ..., index]).any() else "infinity"
    others = len(days) - 1
    more = f" (and {others} other day{'s' * (others > 1)})" if others else ""
    return f"variable {variables[index]!r} has {kind} on {time[days[0]].astype('datetime64[D]')}{more}"


@dataclass(frozen=True)
class Cube:
    """One data set, scaled and ready to cluster: what every method sees, and nothing else.

    Parameters
    ----------
    values : ndarray of float32, shape (time, y, x, variable)
        Fields in [0, 1]; 0 where ``mask`` is False.
    mask : ndarray of bool, shape (y, x, variable)
        True where the data set has values, constant in time.
    time : ndarray of datetime64[D], shape (time,)
        Days, strictly increasing; never reordered.
    lat, lon : ndarray of float, shape (y,) and (x,), or (y, x) both
        Degrees north and east.
    variables, units : tuple of str
        Names and physical units along the last axis.
    minimum, scale : ndarray of float64, shape (y, x, variable)
        The fitted scaler: physical value = ``minimum + scale * value``.
    attrs : dict
        Provenance: data set, preprocessing, content hash.

    Raises
    ------
    DataError
        If a value is NaN or infinite, naming variable and days: no method has to expect that.
    """

    values: np.ndarray
    mask: np.ndarray
    time: np.ndarray
    lat: np.ndarray
    lon: np.ndarray
    variables: tuple[str, ...]
    units: tuple[str, ...]
    minimum: np.ndarray
    scale: np.ndarray
    attrs: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        found = not_finite(self.values, self.time, self.variables)
        if found:
            raise DataError(
                f"{found}: methods need a finite value everywhere; fill the gaps, or mask their cells (value 0 where "
                "mask is False), as preprocess does"
            )

    @property
    def n_days(self) -> int:
        """Number of days."""
        return self.values.shape[0]

    @property
    def table(self) -> np.ndarray:
        """The matrix (time, y*x*variable) of the grid without padded cells; a view of ``values`` if there are none.

        Padding exists for convolutions: the authors' table methods never see it.
        """
        return self.unpadded().values.reshape(self.n_days, -1)

    @property
    def padding(self) -> tuple[int, int]:
        """Rows and columns of zeros that preprocessing appended at the high-index ends of y and x."""
        rows, columns = self.attrs.get("padded_cells", (0, 0))
        return int(rows), int(columns)

    def unpadded(self) -> Cube:
        """Return the cube without its padded cells."""
        if self.padding == (0, 0):
            return self
        height, width = (size - pad for size, pad in zip(self.mask.shape[:2], self.padding, strict=True))
        regular = self.lat.ndim == 1
        return replace(
            self,
            values=self.values[:, :height, :width],
            mask=self.mask[:height, :width],
            lat=self.lat[:height] if regular else self.lat[:height, :width],
            lon=self.lon[:width] if regular else self.lon[:height, :width],
            minimum=self.minimum[:height, :width],
            scale=self.scale[:height, :width],
            attrs={**self.attrs, "padded_cells": [0, 0]},
        )

    def physical(self, values: np.ndarray) -> np.ndarray:
        """Map scaled fields (..., y, x, variable) back to physical units, NaN where masked."""
        return np.where(self.mask, self.minimum + self.scale * values, np.nan)


class Dataset:
    """One data set; subclass it as ``Plugin`` in ``datasets/<id>/dataset.py``.

    A data set is fetched once (:meth:`download`), opened in physical units (:meth:`open`), and may know more than a
    method is allowed to see (:meth:`truth`, :meth:`oracle`).

    Parameters
    ----------
    **params
        Exactly the parameters that ``dataset.yaml`` declares, with the user's configuration applied.
    """

    def __init__(self, **params: Any) -> None:
        self.params = params
        self.progress: Progress = no_progress

    def problems(self, folder: Path) -> list[str]:
        """Return what is missing before any job can run (credentials, files), one sentence each; empty if nothing.

        Parameters
        ----------
        folder : Path
            Where :meth:`download` will put the raw files; it may not exist, or hold what an earlier run fetched, for
            which no credentials are needed any more. Nothing is written, and no server is asked.
        """
        return []

    def shape(self) -> tuple[int, int, int, int] | None:
        """Return the shape (time, y, x, variable) that the cube will have, as far as the parameters tell it, else None.

        For estimates before anything is fetched; nothing depends on its being exact.
        """
        return None

    def sources(self) -> list[Path]:
        """Return the local files this data set is made from, so that a changed file is prepared again."""
        return []

    def origin(self) -> dict[str, Any]:
        """Return what the raw files depend on: when it changes, the suite empties their folder before a download.

        All parameters by default. A plugin whose files say themselves which request they answer (see
        ``datasets/blocks/parts.py``) returns an empty dictionary: what still fits is then used again, and nothing that
        took days to fetch is deleted because a parameter changed.
        """
        return self.params

    def download(self, folder: Path) -> None:
        """Put the raw files into ``folder`` (already there: keep them). Nothing to do for local or generated data."""

    def provenance(self, folder: Path) -> list[dict[str, Any]]:
        """Return where each raw file came from (request, job, licence, time), JSON-ready, for the manifest."""
        return []

    def open(self, folder: Path) -> xr.Dataset:
        """Return the daily fields in physical units.

        Returns
        -------
        xarray.Dataset
            One variable per physical quantity, in the order methods will see them, all with dims
            ``(time, lat, lon)`` or ``(time, y, x)`` plus 2-D ``lat``/``lon``; each with a ``units`` attribute; time
            daily and strictly increasing; missing values NaN. Arrays may be lazy (dask): the suite holds one variable
            in memory at a time.
        """
        raise TypeError(f"{type(self).__name__} does not define open(folder)")

    def truth(self, folder: Path) -> np.ndarray | None:
        """Return the planted label of each day, shape (time,), or None where there is no truth."""
        return None

    def oracle(self, folder: Path) -> np.ndarray | None:
        """Return the labels a solver finds that is told the mechanism but not the labels, shape (time,), or None."""
        return None
