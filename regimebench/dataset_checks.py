"""What the conformance suite demands of a data set."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from regimebench import registry
from regimebench.cube import read_cube, write_cube
from regimebench.dataset import Dataset
from regimebench.outcomes import Check, NotRun, require
from regimebench.preprocess import preprocess
from regimebench.registry import DatasetSpec


def dataset_checks(spec: DatasetSpec) -> Iterator[Check]:
    """Yield the checks of a data set, each with its label."""
    params = {**spec.parameters, **spec.smoke}
    yield "Plugin is a Dataset that takes its declared parameters", lambda: _constructs(spec, params)
    yield "missing data is a list of sentences", lambda: _problems(spec, params)
    yield "fields are daily, ordered, with units, and become the same cube twice", lambda: _cubes(spec, params)


def _constructs(spec: DatasetSpec, params: dict) -> None:
    require(issubclass(registry.load(spec), Dataset), "class Plugin must be a subclass of regimebench.dataset.Dataset")
    registry.load(spec)(**params)


def _problems(spec: DatasetSpec, params: dict) -> str:
    with tempfile.TemporaryDirectory() as folder:
        found = registry.load(spec)(**params).problems(Path(folder) / "raw")
    require(
        isinstance(found, list) and all(isinstance(text, str) for text in found), "problems() must return sentences"
    )
    return "; ".join(found) or "nothing is missing"


def _cubes(spec: DatasetSpec, params: dict) -> str:
    dataset = registry.load(spec)(**params)
    with tempfile.TemporaryDirectory() as folder:
        missing = dataset.problems(Path(folder) / "raw")
    if missing:
        raise NotRun(missing[0])
    if params and dataset.origin() == {}:
        raise NotRun("its files come from a service, and a check sends no requests")
    hashes = []
    for _ in range(2):
        with tempfile.TemporaryDirectory() as folder:
            raw = Path(folder) / "raw"
            raw.mkdir()
            dataset.download(raw)
            fields = dataset.open(raw)
            without = [name for name, field in fields.data_vars.items() if "units" not in field.attrs]
            require(not without, f"variables without units: {', '.join(map(str, without))}")
            write_cube(preprocess(fields, "standard", name=spec.id), Path(folder) / "cube.nc")
            cube = read_cube(Path(folder) / "cube.nc", verify=True)
            truth = dataset.truth(raw)
            require(truth is None or np.shape(truth) == (cube.n_days,), "truth() must give one label per day")
            hashes.append(cube.attrs["content_sha256"])
            fields.close()
    require(hashes[0] == hashes[1], "two downloads with the same parameters gave different cubes")
    return f"{cube.n_days} days x {' x '.join(map(str, cube.values.shape[1:]))}"
