"""A results folder made up from drawn labels: cubes, records, fits, scores and tables, and no fit at all.

The days have a yearly cycle and seven planted regimes; each row's labels are the planted ones with a share of days
changed, so that rows differ, and rows of one method agree. Everything goes through the stages' own writers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from regimebench import records
from regimebench.aggregate import PRINTED, aggregate
from regimebench.cube import write_cube
from regimebench.dataset import Cube
from regimebench.evaluate import Outputs, evaluate

HOSTILE = '</script><img src=x onerror=alert(1)> & "quoted" <!-- -->'


@dataclass(frozen=True)
class Row:
    """One row: its address, kind, share of days changed at random, and the seeds that fail with their status."""

    address: str
    kind: str = "method"
    noise: float = 0.3
    deterministic: bool = False
    failed: dict[int, str] = field(default_factory=dict)
    history: int = 0


ROWS = (
    Row("alpha", noise=0.15, history=30),
    Row("alpha/untrained", "control", noise=0.3),
    Row("alpha/other", noise=0.35, failed={1: "error", 2: "degenerate"}, history=200),
    Row("beta", noise=0.2, history=3),
    Row("calendar", "control", noise=0.7, deterministic=True),
    Row("kmeans", "control", noise=0.1),
    Row("beta_twin", "twin", noise=0.2),
)


def settings(name: str, rows: tuple[Row, ...], seeds: int, k: int, title: str) -> dict[str, Any]:
    """Return what the plan would say."""
    return {
        "dataset": name,
        "title": title,
        "published": None,
        "of": None,
        "ours": None,
        "changed": {},
        "preprocess": "standard",
        "n_clusters": k,
        "budget": "full",
        "rows": [
            {
                "address": row.address,
                "title": f"Method {row.address}",
                "kind": row.kind,
                "twin_of": "beta" if row.kind == "twin" else None,
                "fidelity": "port",
                "deterministic": row.deterministic,
                "published": None,
                "seeds": 1 if row.deterministic else seeds,
            }
            for row in rows
        ],
    }


def fabricate(
    results: Path,
    name: str = "made",
    title: str = "Made-up days",
    rows: tuple[Row, ...] = ROWS,
    seeds: int = 4,
    k: int = 4,
    shape: tuple[int, int, int, int] = (120, 8, 9, 2),
    embedding: int = 5,
    planted: bool = True,
    shifts: int = 3,
) -> dict[str, Any]:
    """Write one data set's results and return its settings for the report."""
    rng = np.random.default_rng(0)
    folder, chosen = results / name, settings(name, rows, seeds, k, title)
    truth = np.minimum(np.repeat(rng.integers(0, k, shape[0]), 4)[: shape[0]], k - 1)
    cube = write_cube(_cube(truth, shape, k, rng), folder / "cube.nc")
    batches = [_fits(folder, cube, row, truth, k, chosen, embedding, rng) for row in rows]
    planted_file = None
    if planted:
        planted_file = results / "truth" / f"{name}.csv"
        planted_file.parent.mkdir(parents=True, exist_ok=True)
        days = cube.time.astype("datetime64[D]").astype(str)
        lines = [f"{day},{label}" for day, label in zip(days, truth, strict=True)]
        planted_file.write_text("date,truth\n" + "\n".join(lines) + "\n")
    scores, runs = folder / "scores.csv", folder / "runs.csv"
    outputs = Outputs(scores, runs, folder / "agreement.csv", folder / "shifted.csv")
    evaluate(folder / "cube.nc", batches, outputs, planted_file, shifts)
    aggregate(chosen, scores, runs, PRINTED, results / "tables")
    return chosen


def wanted(results: Path, *sets: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a report about these data sets."""
    return {"results": str(results), "rows": sets[0]["rows"], "budget": sets[0]["budget"], "datasets": list(sets)}


def _cube(truth: np.ndarray, shape: tuple[int, int, int, int], k: int, rng: np.random.Generator) -> Cube:
    days, height, width, variables = shape
    patterns = rng.standard_normal((k, 5, 5, variables))
    fields = np.stack([_smooth(pattern, height, width) for pattern in patterns])
    season = np.cos(2 * np.pi * np.arange(days) / 365)[:, None, None, None]
    values = fields[truth] + season + 0.8 * rng.standard_normal(shape)
    minimum, maximum = values.min(axis=0), values.max(axis=0)
    return Cube(
        values=((values - minimum) / (maximum - minimum)).astype(np.float32),
        mask=np.ones(shape[1:], dtype=bool),
        time=np.datetime64("2021-01-01") + np.arange(days),
        lat=np.linspace(60, 30, height),
        lon=np.linspace(-30, 10, width),
        variables=tuple(f"v{i}" for i in range(variables)),
        units=("K",) * variables,
        minimum=280 + minimum,
        scale=maximum - minimum,
        attrs={"dataset": "made", "preprocess": "standard", "source": "drawn", "note": HOSTILE},
    )


def _smooth(pattern: np.ndarray, height: int, width: int) -> np.ndarray:
    rows, columns = np.linspace(0, 4, height), np.linspace(0, 4, width)
    along = np.stack([[np.interp(rows, range(5), pattern[:, j, v]) for j in range(5)] for v in range(pattern.shape[2])])
    return np.stack([[np.interp(columns, range(5), each[:, i]) for i in range(height)] for each in along], axis=-1)


def _fits(folder, cube, row, truth, k, chosen, embedding, rng) -> Path:
    """Write the records and fits of one row and return its batch file."""
    out = records.row_folder(folder, row.address)
    seeds = range(1 if row.deterministic else next(r["seeds"] for r in chosen["rows"] if r["address"] == row.address))
    done = []
    for seed in seeds:
        status = row.failed.get(seed, "ok")
        labels = np.where(rng.random(len(truth)) < row.noise, rng.integers(0, k, len(truth)), truth)
        if status == "degenerate":
            labels = np.zeros(len(truth), dtype=int)
        place = records.seed_folder(out, seed)
        place.mkdir(parents=True, exist_ok=True)
        digest = None
        if status in records.WITH_LABELS:
            arrays = {"labels": labels.astype(np.int64)}
            if row.kind == "method":
                arrays["embedding"] = rng.standard_normal((len(truth), embedding)).astype(np.float32)
            if row.history:
                steps = np.arange(1, row.history + 1)
                arrays |= {
                    f"history_{name}": np.exp(-steps / row.history) + 0.1 * rng.random(row.history)
                    for name in ("loss", "embedding_norm")
                }
                arrays |= {f"history_size_{i}": rng.random(row.history) for i in range(3)}
            np.savez(place / records.FIT, **arrays)
            digest = records.sha256_file(place / records.FIT)
        record = _record(row, seed, status, labels, k, cube, chosen["dataset"], digest, rng)
        records.write_json(place / records.RECORD, record)
        done.append(record)
    records.write_batch(out / "batch-0.json", chosen["dataset"], row.address, done)
    return out / "batch-0.json"


def _record(row, seed, status, labels, k, cube, dataset, digest, rng) -> dict[str, Any]:
    method, _, variant = row.address.partition("/")
    labelled = status in records.WITH_LABELS
    return {
        "schema_version": records.SCHEMA_VERSION,
        "dataset": dataset,
        "address": row.address,
        "method": method,
        "variant": variant or "default",
        "seed": seed,
        "status": status,
        "message": "" if status == "ok" else f"{status}: {HOSTILE}",
        "n_clusters": k,
        "labels": records.FIT if labelled else None,
        "clusters_found": len(np.unique(labels)) if labelled else None,
        "cluster_sizes": np.bincount(labels, minlength=k).tolist() if labelled else None,
        "epochs": row.history or None,
        "stop_reason": "all epochs",
        "n_parameters": 1000 * row.history or None,
        "seconds": float(0.5 + rng.random()) * (1 + row.history),
        "cpu_seconds": 1.0,
        "peak_rss_mib": float(300 + 10 * row.history),
        "peak_gpu_mib": None,
        "gpu_seconds": None,
        "reconstruction_rmse": None,
        "seeds_together": 1,
        "diagnostics": {"largest_cluster": 0.4, "calendar_blocks": 0.95} if labelled else None,
        "parameters": {"rate": 0.1, "layers": [8, 4]},
        "device": "cpu",
        "threads": 1,
        "machine": {"processor": "made up", "cores": 2, "memory_gib": 8},
        "versions": {"python": "3.11", "numpy": "2"},
        "fingerprint": "0" * 64,
        "hashes": {"plugin": "1" * 64, "data": cube.attrs["content_sha256"], "config": "2" * 64, "fit": digest},
        "git": {"commit": "abcdef1234567890", "dirty": False},
        "started": "2026-01-01T00:00:00+00:00",
    }
