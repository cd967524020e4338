"""Results that no method made: cubes, records and labels in the real formats, for studies of the suite itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from regimebench import records
from regimebench.config import Plan
from regimebench.cube import write_cube
from regimebench.dataset import Cube
from regimebench.records import FIT, RECORD, fingerprint, row_folder, seed_folder, sha256_file, sha256_json

Shape = tuple[int, int, int, int]
SERIES = ("loss", "reconstruction", "clustering", "changed", "embedding_norm")


def cube(name: str, shape: Shape, rng: np.random.Generator) -> Cube:
    """Return days around as many centres as a year has regimes, in the units of a temperature."""
    days, rows, columns, variables = shape
    centres = rng.random((7, rows, columns, variables), dtype=np.float32)
    values = 0.7 * centres[np.sort(rng.integers(0, 7, days))] + 0.3 * rng.random(shape, dtype=np.float32)
    cells = (rows, columns, variables)
    return Cube(
        values=values,
        mask=np.ones(cells, dtype=bool),
        time=np.datetime64("2019-01-01") + np.arange(days),
        lat=50.0 - np.arange(rows),
        lon=np.arange(columns, dtype=float),
        variables=tuple(f"t{n}" for n in range(variables)),
        units=("K",) * variables,
        minimum=np.full(cells, 250.0),
        scale=np.full(cells, 40.0),
        attrs={"dataset": name},
    )


def fabricate(plan: Plan, shape: Shape, seed: int = 0, arrays: bool = True, **fields: Any) -> None:
    """Write cube, truth, records, labels and batch files of every planned fit.

    Parameters
    ----------
    plan : Plan
        What to fabricate.
    shape : tuple of int
        Days, rows, columns and variables of every data set.
    seed : int
        Seed of all values.
    arrays : bool
        Let fits hold an embedding and curves beside their labels.
    **fields
        Laid over the fields of every record.
    """
    rng = np.random.default_rng(seed)
    for name, entry in plan.datasets.items():
        made = write_cube(cube(name, shape, rng), plan.results / name / "cube.nc")
        for path in plan.truth_files(name):
            _write_truth(path, made, entry.n_clusters, rng)
        for address, row in plan.methods.items():
            folder = row_folder(plan.results / name, address)
            code = row.spec.code_hash
            for number, seeds in enumerate(row.batches()):
                done = [
                    write_fit(
                        folder,
                        _about(name, address, row.params, entry.n_clusters, made, code, each),
                        rng,
                        arrays,
                        fields,
                    )
                    for each in seeds
                ]
                records.write_batch(folder / f"batch-{number}.json", name, address, done)


def _about(
    dataset: str, address: str, params: dict[str, Any], n_clusters: int, made: Cube, code: str, seed: int
) -> dict[str, Any]:
    """Return what determines one fit."""
    content = str(made.attrs["content_sha256"])
    return {
        "dataset": dataset,
        "address": address,
        "seed": seed,
        "n_clusters": n_clusters,
        "parameters": params,
        "days": made.n_days,
        "fingerprint": fingerprint(address, params, n_clusters, code, content),
        "hashes": {"plugin": code, "data": content, "config": sha256_json([params, n_clusters]), "fit": None},
    }


def write_fit(
    out: Path,
    about: dict[str, Any],
    rng: np.random.Generator,
    arrays: bool = True,
    fields: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Write ``fit.npz`` and ``record.json`` of one fit and return the record."""
    about = dict(about)
    folder, k, days = seed_folder(out, about["seed"]), about["n_clusters"], about.pop("days")
    labels = np.sort(rng.integers(0, k, days))
    stored = {"labels": labels}
    if arrays:
        stored["embedding"] = rng.standard_normal((days, 10), dtype=np.float32)
        stored |= {f"history_{name}": np.cumsum(rng.random(60))[::-1] for name in SERIES}
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / FIT, **stored)
    method, _, variant = about["address"].partition("/")
    sizes = np.bincount(labels, minlength=k)
    record = {
        "schema_version": records.SCHEMA_VERSION,
        "method": method,
        "variant": variant or "default",
        "status": "ok",
        "message": "",
        "labels": FIT,
        "clusters_found": int(np.count_nonzero(sizes)),
        "cluster_sizes": sizes.tolist(),
        "epochs": 60,
        "stop_reason": "labels settled",
        "n_parameters": 1234,
        "seconds": round(float(rng.gamma(2, 5)), 3),
        "cpu_seconds": 10.0,
        "peak_rss_mib": 800.0,
        "peak_gpu_mib": None,
        "gpu_seconds": None,
        "reconstruction_rmse": 0.1,
        "diagnostics": {f"embedding_{name}": float(rng.random()) for name in ("rank", "spread", "near", "far")},
        "seeds_together": 1,
        "device": "cpu",
        "threads": 1,
        "versions": {"python": "3.11.7", "numpy": np.__version__},
        "machine": {"system": "Linux", "cores": 2},
        "limits": {"deadline_seconds": 60.0, "memory_mib": 1000},
        "git": None,
        "started": "2025-01-01T00:00:00+00:00",
        **about,
        "hashes": {**about["hashes"], "fit": sha256_file(folder / FIT)},
        **(fields or {}),
    }
    (folder / RECORD).write_text(json.dumps(record, indent=1) + "\n")
    return record


def _write_truth(path: Path, made: Cube, n_clusters: int, rng: np.random.Generator) -> None:
    labels = np.sort(rng.integers(0, n_clusters, made.n_days))
    lines = [f"{day},{label}" for day, label in zip(made.time.astype("datetime64[D]"), labels, strict=True)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["date,truth", *lines]) + "\n")
