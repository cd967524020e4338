"""Measure what fits and jobs cost, for the table that is shipped with the suite and read by ``regimebench plan``.

Each configuration is run by the real workflow into a folder of its own. ``regimebench/measured_cost.csv`` is then
written from the records, and for jobs of other stages from the wall times that Snakemake keeps. CPU time that neither
the fits nor Snakemake itself have used is shared out among these jobs, and among the supervisors of fits, in proportion
to their wall time.

On a machine that others use, a process of one thread waits for its core: its wall time is then replaced by its CPU
time, which on an idle machine is the same (``--idle`` keeps the wall time).

Run ``python -m benchmarks.measured_cost config/smoke.yaml config/demo.yaml`` from the project's root.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

import pandas as pd
import psutil
import yaml

from regimebench.config import make_plan, read_config
from regimebench.cost import Cost, Key, Size, Table
from regimebench.measured import SHIPPED, collect, read, rows
from regimebench.records import RECORD, read_batch
from regimebench.registry import ROOT

OF_DATA = ("download", "preprocess", "verify")  # stages whose work grows with the data, not with the runs
SAMPLE_SECONDS = 0.5


def run(config: Path, results: Path, cores: int) -> tuple[float, float]:
    """Run a configuration into ``results``; return the CPU time of Snakemake itself and of all that it started."""
    changed = results.parent / f"{results.name}.yaml"
    changed.write_text(yaml.safe_dump({**read_config(config), "results": str(results)}, sort_keys=False))
    options = ["--cores", str(cores), "--configfile", str(changed), "--quiet", "rules"]
    command = [sys.executable, "-m", "snakemake", *options]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    own = [0.0]
    threading.Thread(target=_sample, args=(process.pid, own), daemon=True).start()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}")
    return own[0], usage.ru_utime + usage.ru_stime - own[0]


def _sample(pid: int, own: list[float]) -> None:
    """Keep up to date what a process, without its children, has used: a later sample is not to be had."""
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        while process.is_running():
            times = process.cpu_times()
            own[0] = max(own[0], times.user + times.system)
            threading.Event().wait(SAMPLE_SECONDS)


def seconds(results: Path, stage: str) -> Iterator[tuple[str, float]]:
    """Yield name and wall time of each job of a stage."""
    for path in sorted((results / "benchmarks").glob(f"{stage}/*.jsonl")):
        yield path.stem, float(json.loads(path.read_text().splitlines()[-1])["s"])


def jobs_of(results: Path) -> Iterator[tuple[str, Size, float]]:
    """Yield each job that is no fit, and what each fit's job takes besides its fits: stage, size and wall time."""
    works = []
    for cube in sorted(results.glob("*/cube.nc")):
        size, name = Size.of_cube(cube), cube.parent.name
        work = size.times(len(list(cube.parent.glob(f"*/*/seed-*/{RECORD}"))))
        works.append(work)
        for stage in (*OF_DATA, "evaluate", "aggregate"):
            took = dict(seconds(results, stage)).get(name)
            if took is not None:
                yield stage, size if stage in OF_DATA else work, took
    whole = Size(sum(work.values for work in works), works[0].days)
    report = json.loads((results / "benchmarks" / "report.jsonl").read_text().splitlines()[-1])
    yield "report", whole, float(report["s"])
    for name, took in seconds(results, "fit"):
        dataset, method, variant, number = name.split(".")
        found = read_batch(results / dataset / method / variant / f"batch-{number}.json")
        inside = sum((record["seconds"] or 0.0) + record["startup_seconds"] for record in found)
        yield "fit", Size(1, 1), max(0.0, took - inside)


def stages(results: Path, rest: float) -> Table:
    """Return the cost of jobs that are no fits, to which ``rest`` seconds of CPU time belong."""
    taken: dict[tuple[str, Size], list[float]] = defaultdict(list)
    for stage, size, took in jobs_of(results):
        taken[stage, size].append(took)
    share = rest / sum(map(sum, taken.values()))
    table: Table = defaultdict(dict)
    for (stage, size), found in taken.items():
        table[Key(f"({stage})", "", "cpu")][size] = Cost(mean(found), share * mean(found))
    return dict(table)


def in_fits(results: Path) -> float:
    """Return the CPU time of fits and of their workers' starts."""
    found = (json.loads(path.read_text()) for path in results.glob(f"*/*/*/seed-*/{RECORD}"))
    return sum((record["cpu_seconds"] or 0.0) + record["startup_cpu_seconds"] for record in found)


def without_waiting(cost: Cost) -> Cost:
    """Return a cost whose wall time is no longer than its CPU time."""
    start = cost.startup_seconds
    if start is not None:
        start = min(start, cost.startup_cpu_seconds)
    return replace(cost, seconds=min(cost.seconds, cost.cpu_seconds), startup_seconds=start)


def measure(config: Path, results: Path, cores: int) -> Table:
    """Run one configuration, say what it took, and return what was measured."""
    own, others = run(config, results, cores)
    inside = in_fits(results)
    n_jobs, n_fits = len(list((results / "benchmarks").glob("**/*.jsonl"))), make_plan(read_config(config)).n_fits()
    print(
        f"{config}: {n_jobs} jobs with {n_fits} fits, {own + others:.0f} s of CPU time: {inside:.0f} s in fits and "
        f"starts of their workers, {own:.0f} s in Snakemake, {others - inside:.0f} s in the rest"
    )
    driver = {Key("(snakemake)", "", "cpu"): {Size(n_jobs, 1): Cost(own, own)}}
    return {**collect(results), **stages(results, others - inside), **driver}


def merged(tables: list[Table]) -> Table:
    """Return all that several runs measured; of the same row and size, the last."""
    found: dict[Key, Any] = {}
    for table in tables:
        for key, sizes in table.items():
            found[key] = {**found.get(key, {}), **sizes}
    return found


def main() -> None:
    """Run, measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("configs", type=Path, nargs="+", help="configuration files to run")
    parser.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--idle", action="store_true", help="nothing else runs on this machine")
    parser.add_argument("--add", action="store_true", help="keep what the table holds of other rows and sizes")
    given = parser.parse_args()
    tables = []
    with tempfile.TemporaryDirectory() as folder:
        for number, config in enumerate(given.configs):
            table = measure(config, Path(folder) / f"run-{number}", given.cores)
            if not given.idle:
                table = {key: {s: without_waiting(cost) for s, cost in sizes.items()} for key, sizes in table.items()}
            tables.append(table)
    table = merged([*([read(SHIPPED)] if given.add else []), *tables])
    pd.DataFrame(rows(table)).to_csv(SHIPPED, index=False, lineterminator="\n")
    print(f"{SHIPPED.relative_to(ROOT)}: {sum(map(len, table.values()))} rows")


if __name__ == "__main__":
    main()
