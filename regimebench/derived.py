"""Cubes made from another cube: what a score is worth on days without regimes, or without a season.

``phase_randomised``
    A surrogate (Prichard & Theiler 1994): the phases of all columns are turned by the same random angles, one per
    frequency. Spectra and all covariances of the columns, at all lags, stay as they are; whatever else the days have,
    regimes included, is gone.
``deseasonalised``
    Each column without its mean annual cycle: two harmonics of the year, fitted by least squares.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from regimebench.cube import read_cube, write_cube
from regimebench.dataset import Cube

__all__ = ["CHANGES", "derive", "prepare"]

HARMONICS = 2
YEAR = 365.2425  # days
BLOCK_VALUES = 2**22  # values changed at a time, in double precision
CONSTANT = 1e-6  # of the former range: what a column of this range holds is rounding


def prepare(source: Path, name: str, change: str, seed: int, out_cube: Path) -> Cube:
    """Write the changed cube of a data set, scaled to [0, 1] again.

    Parameters
    ----------
    source : Path
        Cube of the data set it is made from.
    name : str
        Name of the new data set in the configuration.
    change : {"phase_randomised", "deseasonalised"}
        See the module's description.
    seed : int
        Of the random phases.
    out_cube : Path
        File to write.
    """
    out_cube.parent.mkdir(parents=True, exist_ok=True)
    return write_cube(derive(read_cube(source), name, change, seed), out_cube)


def derive(cube: Cube, name: str, change: str, seed: int = 0) -> Cube:
    """Return the changed cube; days, grid and mask stay, and each column is scaled to [0, 1] again."""
    changed = CHANGES[change](cube, seed)
    table = cube.values.reshape(cube.n_days, -1)
    values, used = np.zeros_like(table), cube.scale.ravel() > 0
    low, span = np.zeros(table.shape[1]), np.zeros(table.shape[1])
    size = max(1, BLOCK_VALUES // cube.n_days)
    columns = np.flatnonzero(used)
    for block in (columns[start : start + size] for start in range(0, columns.size, size)):
        column = changed(table[:, block].astype(np.float64))
        low[block], span[block] = column.min(axis=0), np.ptp(column, axis=0)
        span[block] = np.where(span[block] < CONSTANT, 0.0, span[block])
        scaled = (column - low[block]) / np.where(span[block] > 0, span[block], 1.0)
        values[:, block] = np.where(span[block] > 0, np.clip(scaled, 0, 1), 0)
    shape = cube.scale.shape
    attrs = {**cube.attrs, "dataset": name, "derived_from": str(cube.attrs.get("dataset", "")), "change": change}
    attrs |= {"change_seed": seed, "constant_columns": int((cube.mask & (span.reshape(shape) == 0)).sum())}
    attrs["history"] = f"{cube.attrs.get('history', '')}\nregimebench derive {change}".strip()
    attrs.pop("content_sha256", None)
    return replace(
        cube,
        values=values.reshape(cube.values.shape),
        minimum=cube.minimum + cube.scale * low.reshape(shape),
        scale=cube.scale * span.reshape(shape),
        attrs=attrs,
    )


Change = Callable[[np.ndarray], np.ndarray]


def _phase_randomised(cube: Cube, seed: int) -> Change:
    n = cube.n_days
    turns = np.random.default_rng(seed).uniform(0, 2 * np.pi, n // 2 + 1)
    turns[0] = 0
    if n % 2 == 0:  # the highest frequency of an even number of days is real
        turns[-1] = np.pi * (turns[-1] > np.pi)
    factors = np.exp(1j * turns)[:, None]
    return lambda columns: np.fft.irfft(np.fft.rfft(columns, axis=0) * factors, n=n, axis=0)


def _deseasonalised(cube: Cube, seed: int) -> Change:
    days = (cube.time.astype("datetime64[D]") - np.datetime64("2000-01-01")).astype(float)
    angles = 2 * np.pi * np.outer(days / YEAR, np.arange(1, HARMONICS + 1))
    waves = np.column_stack([np.ones(cube.n_days), np.cos(angles), np.sin(angles)])
    basis, sizes, _ = np.linalg.svd(waves, full_matrices=False)
    basis = basis[:, sizes > sizes[0] * 1e-10]
    return lambda columns: columns - basis @ (basis.T @ columns)


CHANGES: dict[str, Callable[[Cube, int], Change]] = {
    "phase_randomised": _phase_randomised,
    "deseasonalised": _deseasonalised,
}
