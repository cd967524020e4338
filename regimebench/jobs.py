"""What the rule files ask of the plan: inputs, parameters and resources of each job."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from regimebench import devices
from regimebench.config import Plan
from regimebench.registry import ROOT

MARGIN_MINUTES = 10  # start of the worker, reading the cube and writing records
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
    own = plan.entries(method_id)[0].spec.folder / "environment.yaml"
    return str(own) if own.is_file() else DEFAULT_ENVIRONMENT


def resources(plan: Plan, method_id: str) -> dict[str, int]:
    """Return threads, memory, run time and GPUs that cover every row of one plugin."""
    entries = plan.entries(method_id)
    declared = [entry.spec.resources for entry in entries]
    minutes = max(e.spec.resources["deadline_minutes"] * min(e.seeds_per_job, len(e.seeds)) for e in entries)
    return {
        "threads": max(each["threads"] for each in declared),
        "mem_mb": max(each["memory_mib"] for each in declared),
        "runtime": int(minutes) + MARGIN_MINUTES,
        "gpu": int(entries[0].spec.device == "gpu" and bool(devices.available())),
    }


def code(*parts: str) -> list[str]:
    """Return the suite's own files that a stage's result depends on; folders are searched for Python files."""
    found: list[Path] = []
    for part in parts:
        path = ROOT / "regimebench" / part
        found += sorted(path.glob("**/*.py")) if path.is_dir() else [path]
    return [_shown(path) for path in found]


def table_settings(plan: Plan, dataset: str) -> dict[str, Any]:
    """Return what the tables of one data set need to know, JSON-ready."""
    entry = plan.datasets[dataset]
    return {
        "dataset": dataset,
        "title": entry.title,
        "published": entry.published,
        "preprocess": entry.preprocess,
        "n_clusters": entry.n_clusters,
        "budget": plan.budget,
        "rows": [
            {
                "address": address,
                "title": method.spec.title,
                "kind": method.spec.kind,
                "fidelity": method.spec.fidelity,
                "deterministic": method.spec.deterministic,
                "published": method.spec.published,
                "seeds": len(method.seeds),
            }
            for address, method in plan.methods.items()
        ],
    }


def report_settings(plan: Plan) -> dict[str, Any]:
    """Return what the report needs to know, JSON-ready."""
    return {"results": plan.results.as_posix(), "datasets": [table_settings(plan, name) for name in plan.datasets]}


def _shown(path: Path) -> str:
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.as_posix()
