"""Supervised runs outside the workflow: one fit from the command line, and the conformance suite's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from rich.console import Console

from regimebench import registry
from regimebench.config import make_plan, read_config
from regimebench.cube import read_cube
from regimebench.fit import fit_command
from regimebench.metrics import metrics_of, score_partitions
from regimebench.records import RECORD, load, load_labels, seed_folder
from regimebench.registry import MethodSpec
from regimebench.schema import InvalidFile


def run_supervised(
    spec: MethodSpec,
    params: dict[str, Any],
    cube: Path,
    out: Path,
    seeds: list[int],
    n_clusters: int,
    deadline: float | None = None,
    device: str = "auto",
    threads: int = 1,
) -> list[dict[str, Any]]:
    """Fit ``seeds`` in a supervised worker and return their records, which stand in ``out``."""
    job = {
        "dataset": "single",
        "address": spec.address,
        "parameters": params,
        "n_clusters": n_clusters,
        "seeds": seeds,
        "deadline_seconds": deadline or 60 * spec.resources["deadline_minutes"],
        "memory_mib": spec.resources["memory_mib"],
        "retry_failed": True,
    }
    fit_command(job, cube=cube, batch=out / "batch-0.json", threads=threads, device=device)
    return [load(seed_folder(out, seed) / RECORD) for seed in seeds]


def fit_once(
    method: str, dataset: str, seed: int, config: Path, values: list[str], out: Path, device: str, threads: int
) -> int:
    """Fit one method once and print its record and scores; return the exit status."""
    console = Console(highlight=False)
    spec = registry.method(method)
    cube_path, n_clusters = _cube(dataset, config, out)
    params = {**spec.parameters, **_values(spec, values)}
    folder = out / spec.id / spec.variant
    (record,) = run_supervised(spec, params, cube_path, folder, [seed], n_clusters, device=device, threads=threads)
    console.print(
        f"{method}, seed {seed}: {record['status']}" + (f" ({record['message']})" if record["message"] else "")
    )
    if record["labels"] is None:
        return 1
    console.print(f"clusters {record['cluster_sizes']}, {record['seconds']:.1f} s, {record['peak_rss_mib']:.0f} MiB")
    labels = load_labels(seed_folder(folder, seed))
    console.print(_scores(score_partitions(read_cube(cube_path).table, labels[None, :])))
    console.print(f"Record and labels: {folder}/seed-{seed:04d}/")
    return 0


def _cube(dataset: str, config: Path, out: Path) -> tuple[Path, int]:
    """Return the cube's path and the number of clusters, preparing the data set if it is named in ``config``."""
    plan = make_plan(read_config(config), str(config))
    if dataset.endswith(".nc"):
        return Path(dataset), int(read_config(config).get("n_clusters", 7))
    if dataset not in plan.datasets:
        known = ", ".join(plan.datasets)
        raise InvalidFile(
            str(config), [f"datasets: no data set {dataset!r}; known: {known}; or give the path of a cube.nc"]
        )
    from regimebench.preprocess import prepare

    entry, raw = plan.datasets[dataset], out / dataset / "raw"
    made = entry.instance()
    missing = made.problems()
    if missing:
        raise InvalidFile(f"data set {dataset!r}", missing)
    raw.mkdir(parents=True, exist_ok=True)
    made.download(raw)
    prepare(made, dataset, raw, entry.preprocess, out / dataset / "cube.nc", None, entry.gaps)
    return out / dataset / "cube.nc", entry.n_clusters


def _values(spec: MethodSpec, given: list[str]) -> dict[str, Any]:
    """Return ``name=value`` texts as typed parameters."""
    wrong = [text for text in given if text.partition("=")[0] not in spec.parameters or "=" not in text]
    if wrong:
        known = ", ".join(sorted(spec.parameters)) or "none"
        raise InvalidFile(
            "--param",
            [f"{text!r} is not name=value of a parameter of {spec.address}; known: {known}" for text in wrong],
        )
    return {text.partition("=")[0]: yaml.safe_load(text.partition("=")[2]) for text in given}


def _scores(scores: pd.DataFrame) -> str:
    lines = []
    for protocol in ("standard", "paper"):
        chosen = scores[scores["protocol"] == protocol].set_index("metric")["value"]
        shown = [f"{m.key} {chosen[m.key]:.4f}" for m in metrics_of(protocol) if not m.extra]
        lines.append(f"{protocol}: " + ", ".join(shown))
    return "\n".join(lines)
