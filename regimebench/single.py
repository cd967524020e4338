"""Supervised runs outside the workflow: one fit from the command line, and the conformance suite's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from regimebench import registry
from regimebench.config import DEFAULTS, DatasetEntry, Plan, make_plan, read_config
from regimebench.cube import read_cube
from regimebench.download import download
from regimebench.fit import fit_command
from regimebench.metrics import metrics_of, score_partitions
from regimebench.records import RECORD, load, load_labels, row_folder, seed_folder
from regimebench.registry import MethodSpec
from regimebench.schema import InvalidFile


def run_supervised(
    spec: MethodSpec,
    params: dict[str, Any],
    dataset: str,
    cube: Path,
    out: Path,
    seed: int,
    n_clusters: int,
    deadline: float | None = None,
    device: str = "auto",
    threads: int = 1,
) -> int:
    """Fit one seed in a supervised worker; its record then stands in ``out``.

    Returns
    -------
    int
        Exit code: 0 if there is a record, whatever its status.
    """
    job = {
        "dataset": dataset,
        "address": spec.address,
        "parameters": params,
        "n_clusters": n_clusters,
        "seeds": [seed],
        "deadline_seconds": deadline or 60 * spec.resources["deadline_minutes"],
        "memory_mib": spec.resources["memory_mib"],
        "retry_failed": True,
    }
    return fit_command(job, cube=cube, batch=out / f"batch-{seed}.json", threads=threads, device=device)


def fit_once(
    method: str, dataset: str, seed: int, config: Path, values: list[str], out: Path, device: str, threads: int
) -> int:
    """Fit one method once, as the workflow would, and print its record and scores; return the exit status."""
    spec = registry.method(method)
    settings = read_config(config)
    plan = make_plan(settings, str(config))
    params = {**_parameters(plan, spec), **_values(spec, values)}
    if dataset.endswith(".nc"):
        cube = Path(dataset)
        dataset = read_cube(cube).attrs.get("dataset", cube.stem)
    else:
        cube = _prepare(_entry(plan, dataset, config), out)
    known = plan.datasets.get(dataset)
    n_clusters = known.n_clusters if known else settings.get("n_clusters", DEFAULTS["n_clusters"])
    folder = row_folder(out / dataset, spec.address)
    code = run_supervised(spec, params, dataset, cube, folder, seed, n_clusters, device=device, threads=threads)
    if code:
        return code
    return _report(load(seed_folder(folder, seed) / RECORD), cube, seed_folder(folder, seed))


def _parameters(plan: Plan, spec: MethodSpec) -> dict[str, Any]:
    """Return what the workflow would run ``spec`` with, whether or not it is a row of the plan."""
    if spec.address in plan.methods:
        return plan.methods[spec.address].params
    return {**spec.parameters, **(spec.smoke if plan.budget == "smoke" else {})}


def _entry(plan: Plan, dataset: str, config: Path) -> DatasetEntry:
    if dataset not in plan.datasets:
        known = ", ".join(plan.datasets)
        raise InvalidFile(
            str(config), [f"datasets: no data set {dataset!r}; known: {known}; or give the path of a cube.nc"]
        )
    return plan.datasets[dataset]


def _prepare(entry: DatasetEntry, out: Path) -> Path:
    """Download and preprocess a data set of the configuration and return the path of its cube."""
    if entry.of is not None:
        raise InvalidFile(
            f"data set {entry.name!r}",
            [f"it is made of the cube of {entry.of!r}; let Snakemake make {entry.name}/cube.nc and give its path"],
        )
    from regimebench.preprocess import prepare

    made = entry.instance()
    raw, cube = out / entry.name / "raw", out / entry.name / "cube.nc"
    missing = made.problems(raw)
    if missing:
        raise InvalidFile(f"data set {entry.name!r}", missing)
    download(made, raw / "manifest.json", entry.settings())
    prepare(made, entry.name, raw, entry.preprocess, cube, None, entry.gaps)
    return cube


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


def _report(record: dict[str, Any], cube: Path, folder: Path) -> int:
    """Print a record and the scores of its labels; return 1 if it has none."""
    message = f" ({record['message']})" if record["message"] else ""
    print(f"{record['address']}, seed {record['seed']}: {record['status']}{message}")
    if record["labels"] is None:
        return 1
    print(f"clusters {record['cluster_sizes']}, {record['seconds']:.1f} s, {record['peak_rss_mib']:.0f} MiB")
    print(_scores(score_partitions(read_cube(cube).table, load_labels(folder)[None, :])))
    print(f"Record and labels: {folder}/")
    return 0


def _scores(scores: pd.DataFrame) -> str:
    lines = []
    for protocol in ("standard", "paper"):
        chosen = scores[scores["protocol"] == protocol].set_index("metric")["value"]
        shown = [f"{m.key} {chosen[m.key]:.4f}" for m in metrics_of(protocol) if not m.extra]
        lines.append(f"{protocol}: " + ", ".join(shown))
    return "\n".join(lines)
