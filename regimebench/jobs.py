"""What the rule files ask of the plan: inputs, parameters and resources of each job."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import cache
from math import ceil
from pathlib import Path
from typing import Any

from regimebench import devices
from regimebench.config import DatasetEntry, Plan
from regimebench.cost import Costs, Size
from regimebench.files import files_below
from regimebench.papers.layouts import read_layouts
from regimebench.queues import MARGIN_MINUTES
from regimebench.records import row_folder, sha256_json
from regimebench.sources import ROOT, closure

MARGIN_MIB = 512  # of the supervisor and of Snakemake's job on a cluster, beside the worker
DEFAULT_ENVIRONMENT = "../../environment.yml"


def sources(plan: Plan, method_id: str) -> list[str]:
    """Return the files whose change makes a method's fits stale: its code, shared blocks included."""
    return [_shown(path) for path in plan.entries(method_id)[0].spec.sources]


def fit_job(plan: Plan, method_id: str) -> Callable[[Any], str]:
    """Return the function that gives Snakemake the job description for a rule's wildcards, as JSON."""

    def job(wildcards: Any) -> str:
        address = method_id if wildcards.variant == "default" else f"{method_id}/{wildcards.variant}"
        return text(plan.job(wildcards.dataset, address, int(wildcards.number)))

    return job


def text(settings: dict[str, Any]) -> str:
    """Return settings as the JSON text that goes on a job's command line; dates become text."""
    return json.dumps(settings, default=str)


def environment(plan: Plan, method_id: str) -> str:
    """Return the conda environment of a method: its own where the folder has one, else the suite's."""
    own = plan.entries(method_id)[0].spec.environment
    return str(own) if own else DEFAULT_ENVIRONMENT


def resources(plan: Plan, method_id: str) -> dict[str, int]:
    """Return threads, memory, run time and GPUs that cover every row of one plugin.

    A smoke fit gets one thread: it is over before a second one helps, and two such fits run side by side.
    """
    entries = plan.entries(method_id)
    declared = [entry.spec.resources for entry in entries]
    minutes = max(plan.deadline_minutes(e) * min(e.seeds_per_job, len(e.seeds)) for e in entries)
    gpus = plan.queue.has_gpus if plan.queue else bool(devices.available())
    return {
        "threads": 1 if plan.budget == "smoke" else max(each["threads"] for each in declared),
        "mem_mb": max(each["memory_mib"] for each in declared) + (MARGIN_MIB if plan.queue else 0),
        "runtime": int(minutes) + MARGIN_MINUTES,
        "gpu": int(entries[0].spec.device == "gpu" and gpus),
    }


def gpu_percent(plan: Plan, method_id: str) -> int:
    """Return the part of a GPU that a fit of one plugin will claim, 0 if it uses none, 100 where nothing was measured.

    By the largest need of its rows on any data set, on the device with the least memory. The fit itself claims what its
    own row needs (:mod:`regimebench.devices`); this only keeps more jobs from being started than will find room.
    """
    entries, found = plan.entries(method_id), devices.available()
    if not found or entries[0].spec.device != "gpu":
        return 0
    costs = _costs(plan.results)
    sizes = [Size.of_cube(plan.results / name / "cube.nc") for name in plan.datasets]
    needs = [costs.of(entry.spec, entry.params, size, "cuda").peak_gpu_mib for entry in entries for size in sizes]
    parts = [devices.share(device, need) for device in found for need in needs]
    return ceil(100 * max(parts, default=1.0))


@cache
def _costs(results: Path) -> Costs:
    return Costs.load(results)


def gpu_limits(plan: Plan) -> dict[str, int]:
    """Return how many jobs with a GPU may run at a time, and which part of a GPU all of them may expect to claim."""
    n_devices = max(1, len(devices.available()))
    parts = [part for name in plan.method_ids() if (part := gpu_percent(plan, name))]
    return {"gpu": n_devices * max(1, 100 // min(parts, default=100)), "gpu_percent": 100 * n_devices}


def gpu_resources(plan: Plan, method_id: str) -> dict[str, int | str]:
    """Return what the jobs of a plugin ask for to use a GPU: one, and from a cluster its model and a partition.

    A job without a GPU says nothing of GPUs to a cluster.
    """
    number = resources(plan, method_id)["gpu"]
    if plan.queue is None:
        return {"gpu": number, "gpu_percent": gpu_percent(plan, method_id)}
    return {"gpu": number, **plan.queue.gpu_resources()} if number else {}


def code(module: str) -> list[str]:
    """Return the suite's own files that a stage's result depends on: its module and all that this imports."""
    return [_shown(path) for path in closure([ROOT / "regimebench" / module], "regimebench")]


def download_threads(entry: DatasetEntry) -> int:
    """Return how many cores a download holds: none where it waits, maybe for days, for a service that others run."""
    return int(entry.spec.kind != "reanalysis")


def source_files(entry: DatasetEntry) -> list[str]:
    """Return the local files that a data set is made from; folders are left to :func:`source_folders`."""
    return [str(path) for path in entry.instance().sources() if not path.is_dir()]


def source_folders(entry: DatasetEntry) -> str:
    """Return a hash that changes with any file of the folders (Zarr stores) that a data set is made from.

    Snakemake would list every chunk as an input, and looks at no file inside a folder.
    """
    folders = [path for path in entry.instance().sources() if path.is_dir()]
    states = [(file, file.stat()) for folder in folders for file in files_below(folder)]
    return sha256_json([[str(file), state.st_size, state.st_mtime_ns] for file, state in states])


def drawn(plan: Plan, existing: bool) -> list[str]:
    """Return all data sets, or, with ``existing``, those whose cube is there: a bundle may leave it out."""
    return [name for name in plan.datasets if not existing or (plan.results / name / "cube.nc").is_file()]


def table_files(plan: Plan, dataset: str) -> list[str]:
    """Return the Markdown tables of one data set."""
    kinds = ["paper", "standard", "statistics", "diagnostics", *(["truth"] if plan.datasets[dataset].planted else [])]
    kinds += ["verify"] if dataset in published(plan) else []
    return [f"{plan.results.as_posix()}/tables/{dataset}.{kind}.md" for kind in kinds]


def across_files(plan: Plan) -> list[str]:
    """Return the tables over data sets, nothing where there is one."""
    return [f"{plan.results.as_posix()}/tables/across.md"] if len(plan.datasets) > 1 else []


def published(plan: Plan) -> list[str]:
    """Return the data sets that stand for one that a paper used."""
    return [name for name, entry in plan.datasets.items() if entry.published]


def pattern(names: Iterable[str]) -> str:
    """Return the regular expression that matches these names only."""
    return "|".join(sorted(names)) or "(?!)"


def batches(plan: Plan) -> dict[str, int]:
    """Return how many batch files each row has: short, because a command line has room for 131,072 characters."""
    return {address: len(entry.batches()) for address, entry in plan.methods.items()}


def batch_files(folder: Path, numbers: dict[str, int]) -> list[Path]:
    """Return the batch files below a data set's results folder, from what :func:`batches` returns."""
    return [
        row_folder(folder, address) / f"batch-{number}.json"
        for address, count in numbers.items()
        for number in range(count)
    ]


def with_environment(plan: Plan) -> list[str]:
    """Return the methods that declare an environment of their own."""
    return [name for name in plan.method_ids() if environment(plan, name) != DEFAULT_ENVIRONMENT]


def table_settings(plan: Plan, dataset: str) -> dict[str, Any]:
    """Return what the tables of one data set need to know, JSON-ready."""
    entry = plan.datasets[dataset]
    return {
        "dataset": dataset,
        "title": entry.title,
        "published": entry.published,
        "ours": entry.spec.meta.get("ours"),
        "changed": _changed(entry),
        "preprocess": entry.preprocess,
        "n_clusters": entry.n_clusters,
        "budget": plan.budget,
        "of": entry.of,
        "change": entry.change,
        "rows": [
            {
                "address": address,
                "title": method.spec.title,
                "kind": method.spec.kind,
                "twin_of": method.spec.twin_of,
                "fidelity": method.spec.fidelity,
                "deterministic": method.spec.deterministic,
                "pairing": method.spec.pairing,
                "published": method.spec.published,
                "seeds": len(method.seeds),
            }
            for address, method in plan.methods.items()
        ],
    }


def _changed(entry: DatasetEntry) -> dict[str, Any]:
    """Return the parameters that the configuration sets to another value, but for addresses, which change no data."""
    given = {key: value for key, value in entry.params.items() if value != entry.spec.parameters[key]}
    return {key: value for key, value in given.items() if "://" not in str(value)}


def page_parts() -> list[str]:
    """Return the names of the files that the report's page is made of; captions for Snakemake's own are others."""
    return sorted(path.name for path in (ROOT / "workflow" / "report").iterdir() if path.suffix != ".rst")


def figure_settings(plan: Plan, dataset: str) -> dict[str, Any]:
    """Return what the figures of one data set need to know, JSON-ready."""
    return {"results": plan.results.as_posix(), **table_settings(plan, dataset)}


def paper_settings(plan: Plan) -> dict[str, Any]:
    """Return what the papers' tables need to know, JSON-ready: the rows once, for all data sets."""
    shared = _rows_once(plan)
    specs = {address: method.spec for address, method in plan.methods.items()}
    rows = [
        row
        | {
            "input": specs[row["address"]].meta["input"],
            "technology": specs[row["address"]].technology,
            "pretraining": specs[row["address"]].pretraining,
        }
        for row in shared["rows"]
    ]
    return {"results": plan.results.as_posix(), **shared, "rows": rows}


def k_settings(plan: Plan, dataset: str) -> dict[str, Any]:
    """Return what the choice of k needs to know about one data set, JSON-ready."""
    entry = plan.datasets[dataset]
    known = {"dataset": dataset, "title": entry.title, "published": entry.published}
    return {**known, "n_clusters": entry.n_clusters, "budget": plan.budget}


def paper_table_stems(plan: Plan) -> list[str]:
    """Return the files of the papers' tables, without their endings."""
    return [f"{plan.results.as_posix()}/tables/paper.{layout.id}" for layout in read_layouts()]


def paper_datasets(plan: Plan) -> list[str]:
    """Return the data sets that the papers' tables are made of: those that stand for a paper's, else the first."""
    return published(plan) or list(plan.datasets)[:1]


def report_settings(plan: Plan) -> dict[str, Any]:
    """Return what the report needs to know, JSON-ready."""
    return {"results": plan.results.as_posix(), **_rows_once(plan)}


def _rows_once(plan: Plan) -> dict[str, Any]:
    """Return what tables of all data sets need, the rows once, because a command line holds 131,072 characters."""
    datasets = [table_settings(plan, name) for name in plan.datasets]
    shared = ("rows", "budget")
    kept = [{key: value for key, value in each.items() if key not in shared} for each in datasets]
    return {"rows": datasets[0]["rows"] if datasets else [], "budget": plan.budget, "datasets": kept}


def _shown(path: Path) -> str:
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.as_posix()
