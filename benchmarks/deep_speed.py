"""Seconds per epoch and memory of the deep methods, in torch and in Keras: ``python -m benchmarks.deep_speed``.

Prints ``docs/deep-speed.md``. Every measurement runs in a process of its own with the environment of the suite's
worker, the two frameworks in turn, so that a busy machine slows both; the ratio is taken within each turn. Needs
TensorFlow.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from statistics import median
from typing import Any

from tabulate import tabulate

from benchmarks.deep_rows import ROWS, Row
from benchmarks.training_time import WARM_UP, Task, as_json
from methods.blocks.precision import multiplies_bfloat16
from regimebench import frameworks, provenance
from regimebench.fit import Job, worker_environment

PAPERS_SHAPE = (365, 41, 41, 7)
QUICK_SHAPE = (60, 8, 8, 2)
SIDES = ("torch", "keras")

PAGE = """# Speed of the deep methods

Made by `python -m benchmarks.deep_speed`; do not edit.

{facts}

{size} where nothing else is said, k = 7.
A step is one update by one optimiser: of two networks that play against each other, each has its own, and the mean
over both is shown. An epoch is as many steps as show each day once. Median [least, largest] of {repeats} runs. Each run
is a fresh process with the environment that a fit gets (threads, allocator) and deterministic kernels, as fits have,
the two frameworks in turn; the ratio is taken within each turn. The first {warm_up} steps are not timed; then steps are
timed for at least {seconds} s and scaled to an epoch. Peak: resident memory of the process during the timed steps, the
largest of the runs, with the framework, the data and the optimiser's state. How: `benchmarks/training_time.py`.

{table}

The Keras side is the plugin's twin (`dec_tf`, `dsc_tf`, `a_datsc_tf`) or, for DTC and DTCR,
`benchmarks/keras_training.py`. The tests in `tests/parity` hold both sides to the same outputs, losses and gradients. A
Keras step is one compiled graph. DTC looks at all days before each epoch, on both sides, which is part of its time.
"""

Measurements = dict[str, list[dict[str, Any]]]


def shape(given: argparse.Namespace) -> tuple[int, int, int, int]:
    """Return days, rows, columns and variables."""
    return QUICK_SHAPE if given.quick else PAPERS_SHAPE


def tasks(row: Row, given: argparse.Namespace) -> dict[str, Task]:
    """Return what to measure on each side."""
    size = row.shape or shape(given)
    if given.quick:
        size = (size[0], *QUICK_SHAPE[1:])
    ours = Task(row.address, row.parameters, None, size, given.seconds, row.least, given.quick, warm_up=row.warm_up)
    return {"torch": ours, "keras": replace(ours, keras=row.keras)} if row.keras else {"torch": ours}


def measured(task: Task, threads: int, gpu: str = "") -> dict[str, Any]:
    """Return what :func:`benchmarks.training_time.measure` finds in a fresh process, which may see one GPU.

    Raises
    ------
    RuntimeError
        With the end of what the process printed.
    """
    job = Job("speed", task.address, "", (0,), 7, {}, "", threads=threads)
    environment = {**worker_environment(job), "TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": gpu}
    command = [sys.executable, "-m", "benchmarks.training_time", as_json(task)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=provenance.ROOT)
    if done.returncode:
        raise RuntimeError(f"{task.keras or task.address}: {done.stderr.strip()[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def measure_row(row: Row, given: argparse.Namespace) -> Measurements:
    """Measure the sides of one row in turn, each as often as asked for."""
    found: Measurements = {}
    sides = tasks(row, given)
    for turn in range(given.repeats):
        order = list(sides) if turn % 2 == 0 else list(sides)[::-1]
        for side in order:
            found.setdefault(side, []).append(measured(sides[side], given.threads))
            took = found[side][-1]["seconds_per_epoch"]
            print(f"{row.address} ({row.what}), {side}: {took:.3g} s per epoch", file=sys.stderr, flush=True)
    return found


def ratios(found: Measurements) -> list[float]:
    """Return how many times longer Keras takes, turn by turn."""
    pairs = zip(*([each["seconds_per_epoch"] for each in found[side]] for side in SIDES), strict=True)
    return [theirs / ours for ours, theirs in pairs]


def spread(values: Sequence[float], digits: int) -> str:
    """Return median and, in brackets, the extremes, with so many significant digits."""
    low, middle, high = (f"{value:#.{digits}g}".rstrip(".") for value in (min(values), median(values), max(values)))
    return f"{middle} [{low}, {high}]"


def line(row: Row, found: Measurements, given: argparse.Namespace) -> list[str]:
    """Return one line of the table."""
    cells = [f"`{row.address}`", row.what, str(tasks(row, given)["torch"].batch_size)]
    cells.append(spread([it["seconds_per_epoch"] * it["epochs"] / it["steps"] for it in found["torch"]], 3))
    cells += [spread([it["seconds_per_epoch"] for it in found[side]], 3) if side in found else "" for side in SIDES]
    cells.append(spread(ratios(found), 2) if "keras" in found else "no Keras model")
    return cells + [f"{max(it['peak_rss_mib'] for it in found[side]):,.0f}" if side in found else "" for side in SIDES]


def about(threads: int) -> dict[str, str]:
    """Return date, machine and versions."""
    machine = provenance.machine()
    versions = provenance.versions(["torch", "tensorflow", "keras", "numpy"])
    return {
        "date": date.today().isoformat(),
        "processor": f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB",
        "threads": str(threads),
        "bf16 instructions": "yes" if multiplies_bfloat16("cpu") else "no: all arithmetic is in float32",
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
    }


def report(rows: Sequence[tuple[Row, Measurements]], given: argparse.Namespace) -> str:
    """Return the page."""
    size = " x ".join(map(str, shape(given))) + " values (days, rows, columns, variables)"
    header = [
        "method",
        "phase",
        "days per step",
        "torch, s per step",
        "torch, s per epoch",
        "Keras, s per epoch",
        "Keras / torch",
    ]
    header += ["torch, peak MiB", "Keras, peak MiB"]
    table = tabulate([line(row, found, given) for row, found in rows], header, "github", disable_numparse=True)
    facts = "\n".join(f"- {name}: {value}" for name, value in about(given.threads).items())
    return PAGE.format(
        facts=facts,
        size=f"{size}, smoke parameters" if given.quick else size,
        repeats=given.repeats,
        warm_up=WARM_UP,
        seconds=f"{given.seconds:g}",
        table=table,
    )


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the choices of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="time steps for at least so long in each run")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--only", nargs="+", metavar="ADDRESS", help="some methods only")
    parser.add_argument("--phase", default="", help="only rows whose phase contains this, such as 'year'")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: to see that it works")
    return parser.parse_args(given)


def main() -> None:
    """Measure and print the page."""
    given = arguments()
    if lacking := frameworks.missing("tensorflow"):
        raise SystemExit(lacking)
    chosen = [row for row in ROWS if row.address in (given.only or [row.address]) and given.phase in row.what]
    print(report([(row, measure_row(row, given)) for row in chosen], given), end="")


if __name__ == "__main__":
    main()
