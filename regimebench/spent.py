"""The cost tables: what the results of a run took to compute, by row and by data set."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from regimebench.tables import Cell, Table, write

SUMS = ("seconds", "cpu_seconds", "gpu_seconds", "startup_seconds", "startup_cpu_seconds", "cpu_joules", "gpu_joules")
PEAKS = ("peak_rss_mib", "peak_gpu_mib")
HOUR, MEGAJOULE = 3600.0, 1e6
NOT_TOLD = (
    "Energy: this machine reports none (RAPL of the processor, or NVML of a GPU, is missing or may not be read by this "
    "user)."
)
TOLD = (
    "Energy: a fit has the share of the processors' energy (RAPL) that it has of all CPU time used meanwhile; a GPU's "
    "(NVML) is divided among the fits on it."
)
CAPTION = (
    "Of all fits whose results these are, failed ones included, whichever run made them. Wall, CPU and GPU hours are "
    "sums over the fits, starts of their workers included; start-up is their share of the CPU time; memory is the "
    "largest of any fit."
)


def cost_tables(settings: Mapping[str, Any], results: Path, stem: Path) -> None:
    """Write ``<stem>.{md,tex,csv}`` from the ``runs.csv`` of all data sets.

    Parameters
    ----------
    settings : mapping
        ``datasets``: what the tables of each data set know, in order; ``rows``, of all of them.
    results : Path
        The results folder.
    stem : Path
        Path of the files without their suffix.
    """
    names = [each["dataset"] for each in settings["datasets"]]
    runs = pd.concat([pd.read_csv(results / name / "runs.csv").assign(dataset=name) for name in names])
    runs = runs[runs["status"] != "skipped"]
    rows = [row["address"] for row in settings["rows"] if (runs["address"] == row["address"]).any()]
    by_row = _grouped(runs, "address", rows)
    by_data = _grouped(runs, "dataset", names)
    made = [
        _table(by_row, "row", CAPTION, [_energy_note(runs)]),
        _table(by_data, "data set", "", _stage_notes(results, names)),
    ]
    data = pd.concat([by_row.assign(of="row"), by_data.assign(of="data set")])
    write(made, data.rename_axis("name").reset_index(), stem)


def _grouped(runs: pd.DataFrame, key: str, names: Sequence[str]) -> pd.DataFrame:
    """Return sums and peaks by ``key`` and over everything; NaN where nothing is known."""
    grouped = runs.groupby(key)
    sums = grouped[list(SUMS)].sum(min_count=1).reindex(names)
    peaks = grouped[list(PEAKS)].max().reindex(names)
    found = pd.concat([grouped.size().rename("fits").reindex(names).fillna(0).astype(int), sums, peaks], axis=1)
    whole = {"fits": len(runs), **runs[list(SUMS)].sum(min_count=1), **runs[list(PEAKS)].max()}
    return pd.concat([found, pd.DataFrame([whole], index=["all"])])


def _table(costs: pd.DataFrame, kind: str, caption: str, notes: list[str]) -> Table:
    header = [kind, "fits", "wall h", "CPU h", "GPU h", "start-up", "peak MiB", "peak GPU MiB", "CPU MJ", "GPU MJ"]
    return Table(f"Cost of every {kind}", header, [_cells(name, row) for name, row in costs.iterrows()], caption, notes)


def _cells(name: str, row: pd.Series) -> list[Cell]:
    start = 0.0 if pd.isna(row["startup_cpu_seconds"]) else row["startup_cpu_seconds"]
    wall = row["seconds"] + (0.0 if pd.isna(row["startup_seconds"]) else row["startup_seconds"])
    spent = row["cpu_seconds"] + start
    share = "–" if pd.isna(row["startup_cpu_seconds"]) or not spent > 0 else f"{100 * start / spent:.0f} %"
    numbers = [wall / HOUR, spent / HOUR, row["gpu_seconds"] / HOUR, *row[list(PEAKS)]]
    joules = [row[name] / MEGAJOULE for name in ("cpu_joules", "gpu_joules")]
    shown = [*map(_number, numbers[:3]), share, *(f"{x:.0f}" if x == x else "–" for x in numbers[3:])]
    return [Cell(text) for text in (name, f"{row['fits']:.0f}", *shown, *map(_number, joules))]


def _number(value: float) -> str:
    return "–" if pd.isna(value) else f"{value:.3g}"


def _energy_note(runs: pd.DataFrame) -> str:
    return NOT_TOLD if runs[["cpu_joules", "gpu_joules"]].isna().all(axis=None) else TOLD


def _stage_notes(results: Path, names: Sequence[str]) -> list[str]:
    """Return what the last jobs of the other stages took, as Snakemake measured it."""
    found = []
    for stage in ("download", "preprocess", "evaluate"):
        took = [_seconds(results / "benchmarks" / stage / f"{name}.jsonl") for name in names]
        if any(each is not None for each in took):
            found.append(f"{stage} {sum(each or 0.0 for each in took):.0f} s")
    return [f"Other stages, wall time of their last jobs: {', '.join(found)}."] if found else []


def _seconds(path: Path) -> float | None:
    try:
        return float(json.loads(path.read_text().splitlines()[-1])["s"])
    except (OSError, ValueError, LookupError, TypeError):
        return None
