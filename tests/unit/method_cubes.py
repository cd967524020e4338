"""Tiny cubes for the tests of methods."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
from numpy.random import mtrand
from scipy.ndimage import gaussian_filter

from regimebench import registry
from regimebench.method import Cube, Fit, check_fit


def make_cube(values: np.ndarray, start: str = "2021-01-01") -> Cube:
    """Return ``values`` (time, y, x, variable), scaled to [0, 1] per column, as a cube of consecutive days."""
    minimum, scale = values.min(axis=0), np.ptp(values, axis=0)
    n_days, n_y, n_x, n_variables = values.shape
    return Cube(
        values=((values - minimum) / scale).astype(np.float32),
        mask=np.ones(values.shape[1:], dtype=bool),
        time=np.datetime64(start, "D") + np.arange(n_days),
        lat=np.linspace(43, 33, n_y),
        lon=np.linspace(-33, -23, n_x),
        variables=tuple(f"v{i}" for i in range(n_variables)),
        units=("1",) * n_variables,
        minimum=minimum,
        scale=scale,
    )


def planted(n_days: int = 120, n_clusters: int = 7, noise: float = 0.6, seed: int = 0) -> tuple[Cube, np.ndarray]:
    """Return a cube of days that scatter around ``n_clusters`` smooth mean fields, and the field of each day."""
    rng = np.random.default_rng(seed)

    def smooth(n: int) -> np.ndarray:
        fields = gaussian_filter(rng.standard_normal((n, 12, 12, 3)), (0, 2, 2, 0))
        return fields / fields.std()

    truth = rng.permutation(np.arange(n_days) % n_clusters)
    values = smooth(n_clusters)[truth] + noise * smooth(n_days)
    return make_cube(values), truth


def plugin(address: str, seed: int = 0, n_clusters: int = 7, **values):
    """Return the method ``address`` with its smoke parameters, changed by ``values``."""
    spec = registry.method(address)
    parameters = {**spec.parameters, **spec.smoke, **values}
    return registry.load(spec)(n_clusters=n_clusters, seed=seed, **parameters)


def fit(address: str, cube: Cube, seed: int = 0, n_clusters: int = 7, **values) -> Fit:
    """Fit the method ``address`` with its smoke parameters, changed by ``values``, and check what it returns."""
    return check_fit(plugin(address, seed, n_clusters, **values).fit(cube), cube.n_days, n_clusters)


def padded(cube: Cube, rows: int, columns: int) -> Cube:
    """Return the cube with so many rows and columns of zeros without data at the high ends."""
    edges = ((0, rows), (0, columns), (0, 0))
    return replace(
        cube,
        values=np.pad(cube.values, ((0, 0), *edges)),
        mask=np.pad(cube.mask, edges),
        lat=np.arange(len(cube.lat) + rows, dtype=float),
        lon=np.arange(len(cube.lon) + columns, dtype=float),
        minimum=np.pad(cube.minimum, edges),
        scale=np.pad(cube.scale, edges),
        attrs={"padded_cells": [rows, columns]},
    )


def numpy_state() -> np.ndarray:
    """Return the state of numpy's global generator, which no method may change."""
    return mtrand.get_state()[1].copy()


def dated(dates: np.ndarray) -> SimpleNamespace:
    """Return what a method that looks only at dates needs of a cube."""
    return SimpleNamespace(time=dates.astype("datetime64[D]"), n_days=len(dates))
