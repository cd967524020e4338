"""How many seeds share a job where jobs wait in a queue: from measured cost, and never longer than the queue allows.

Without a queue, on one machine, a method's own ``seeds_per_job`` holds. What was chosen is kept in ``queue.json`` of
the results folder, because every job of a cluster reads the workflow anew and must come to the same batches. Records
do not know of batches: another choice makes jobs look at finished seeds, and computes none of them again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from regimebench import records
from regimebench.config import MethodEntry, Plan
from regimebench.cost import Cost, Costs
from regimebench.plan import size_of
from regimebench.queues import Queue

SHARE = 0.05  # of the time of its fits that a job's start-up should not exceed
SCHEDULED_SECONDS = 15.0  # before a scheduler's job starts its worker: Snakemake twice, 4 to 5 s each (docs/run.md)
LEAST_SECONDS = 0.01
FILE = "queue.json"


def arrange(plan: Plan, queue: Queue | None, explicit: bool) -> Plan:
    """Return the plan with batches that suit a queue.

    Parameters
    ----------
    plan : Plan
        With the batches of one machine.
    queue : Queue or None
        None leaves the plan as it is.
    explicit : bool
        Whether the configuration says how many seeds share a job; then only the queue's limit can make it fewer.
    """
    if queue is None:
        return plan
    kept = {} if explicit else _kept(plan, queue)
    costs = None if explicit or set(plan.methods) <= set(kept) else Costs.load(plan.results)
    methods = {}
    for address, entry in plan.methods.items():
        measured = [] if costs is None or address in kept else list(_costs(plan, queue, entry, costs))
        number = seeds_per_job(kept.get(address, entry.seeds_per_job), entry, measured, queue)
        methods[address] = replace(entry, seeds_per_job=number)
    return replace(plan, methods=methods, queue=queue)


def seeds_per_job(default: int, entry: MethodEntry, measured: Iterable[Cost], queue: Queue) -> int:
    """Return how many seeds of a row share a job: enough to outweigh the start-up, few enough for the queue.

    Every seed may use its deadline, and the queue's limit covers all of them, so that the suite ends a fit that is too
    long, and records it, before the scheduler ends the job.
    """
    most = int(queue.fit_minutes // entry.spec.resources["deadline_minutes"])
    known = [cost for cost in measured if cost.known]
    wanted = max((_enough(cost) for cost in known), default=default)
    return max(1, min(wanted, most, len(entry.seeds)))


def _enough(cost: Cost) -> int:
    start = SCHEDULED_SECONDS + (cost.startup_seconds or 0.0)
    return math.ceil(start / (SHARE * max(cost.seconds, LEAST_SECONDS)))


def _costs(plan: Plan, queue: Queue, entry: MethodEntry, costs: Costs) -> Iterable[Cost]:
    device = "cuda" if entry.spec.device == "gpu" and queue.has_gpus else "cpu"
    for dataset in plan.datasets.values():
        yield costs.of(entry.spec, entry.params, size_of(plan, dataset), device)


def keep(plan: Plan) -> None:
    """Write the choice to the results folder, for the jobs of this run and for later runs."""
    if plan.queue:
        chosen = {address: entry.seeds_per_job for address, entry in plan.methods.items()}
        document = {**_setting(plan, plan.queue), "seeds_per_job": chosen}
        if _read(plan.results / FILE) != document:
            records.write_json(plan.results / FILE, document)


def _kept(plan: Plan, queue: Queue) -> dict[str, int]:
    """Return what an earlier run chose, if it chose for the same number of seeds and the same queue."""
    found = _read(plan.results / FILE)
    if any(found.get(name) != value for name, value in _setting(plan, queue).items()):
        return {}
    chosen = found.get("seeds_per_job")
    return {k: v for k, v in chosen.items() if type(v) is int and v > 0} if isinstance(chosen, dict) else {}


def _setting(plan: Plan, queue: Queue) -> dict[str, Any]:
    most = max((len(entry.seeds) for entry in plan.methods.values()), default=0)
    return {"seeds": most, "queue_minutes": queue.minutes, "gpu_type": queue.gpu_type, "budget": plan.budget}


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
