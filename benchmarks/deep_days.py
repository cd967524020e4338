"""How time and memory of the subspace methods grow with days: ``python -m benchmarks.deep_days > docs/deep-days.md``.

Each training step is measured as in ``benchmarks/deep_speed.py``, each step from C to labels by itself, every one in a
process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from tabulate import tabulate

from benchmarks.deep_rows import ROWS
from benchmarks.deep_speed import about, measured
from benchmarks.training_time import Task
from methods.blocks.kmeans_cut import kmeans_cut
from methods.blocks.spectral import plain_affinity, spectral_labels
from regimebench import provenance
from regimebench.fit import Job, worker_environment
from regimebench.seeds import Meter

DAYS = (365, 1460, 5840)
GRID = (41, 41, 7)
K = 7
TRAINED = {
    "dsc_net": "self-expression",
    "dasc": "self-expression",
    "pro_dsc": "joint",
    "senet": "training",
    "edesc": "clustering",
}
CUTS = {
    "spectral_labels": lambda C: spectral_labels(C, K, 0),
    "kmeans_cut": lambda C: kmeans_cut(plain_affinity(C), K, 0),
}

PAGE = """# The subspace methods and the number of days

Made by `python -m benchmarks.deep_days`; do not edit.

{facts}

{days} days of {grid} values. Seconds of one training step, or of one step from C to labels; peak memory in MiB during
it, with the framework, the data and the optimiser's state. Growth: the last over the first, for {ratio} times the days.
A step of `senet` takes 100 rows of C, so it grows with days, and an epoch with their square.

{table}

`dsc_net`, `dasc`, `dsc_dag` and `pro_dsc` hold numbers for each pair of days while they train, `senet` when it is cut;
so their `method.yaml` declares quadratic memory. `edesc` has no such matrix. Its input is given on the axes that the
days span, as many as days up to the number of columns ({columns:,}), so its outer layers grow with days until then; a
step over more days than columns is linear in them.
"""


@dataclass(frozen=True)
class Measurement:
    """Seconds and peak MiB of one thing at one number of days."""

    seconds: float
    mib: float


def step(address: str, what: str, days: int, given: argparse.Namespace) -> Measurement:
    """Measure a training step."""
    (row,) = (row for row in ROWS if (row.address, row.what) == (address, what))
    task = Task(address, row.parameters, shape=(days, *given.grid), seconds=given.seconds, least=1, smoke=given.quick)
    found = measured(task, given.threads)
    return Measurement(found["seconds_per_epoch"] * found["epochs"] / found["steps"], found["peak_rss_mib"])


def label_step(name: str, days: int, given: argparse.Namespace) -> Measurement:
    """Measure a step from C to labels, in a fresh process."""
    environment = worker_environment(Job("days", name, "", (0,), K, {}, "", threads=given.threads))
    command = [sys.executable, "-m", "benchmarks.deep_days", "--cut", name, "--days", str(days)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=provenance.ROOT)
    if done.returncode:
        raise RuntimeError(f"{name}: {done.stderr.strip()[-2000:]}")
    return Measurement(**json.loads(done.stdout.splitlines()[-1]))


def cut(name: str, days: int) -> dict[str, float]:
    """Cut the C of days in seven noisy subspaces once, and return seconds and peak memory."""
    rng = np.random.default_rng(0)
    groups = np.arange(days) % K
    Z = np.einsum("nd,ndc->nc", rng.standard_normal((days, 4)), rng.standard_normal((K, 4, 40))[groups])
    Z += 0.1 * rng.standard_normal(Z.shape)
    C = np.linalg.solve(Z.T @ Z + np.eye(40), Z.T).T @ Z.T  # the ridge solution
    meter = Meter()
    meter.start()
    CUTS[name](C)
    meter.stop()
    cost = meter.shares(1)
    return {"seconds": cost["seconds"], "mib": cost["peak_rss_mib"]}


def line(name: str, what: str, found: Sequence[Measurement]) -> list[str]:
    """Return one line of the table."""
    seconds, mib = ([getattr(each, kind) for each in found] for kind in ("seconds", "mib"))
    cells = [f"`{name}`", what, *(f"{value:.3g}" for value in seconds), f"{seconds[-1] / seconds[0]:.2g}"]
    return [*cells, *(f"{value:,.0f}" for value in mib)]


def report(given: argparse.Namespace) -> str:
    """Measure everything and return the page."""
    rows = []
    for kind, names, measure in (
        ("step", TRAINED.items(), lambda name, what, days: step(name, what, days, given)),
        ("labels", ((name, "C to labels") for name in CUTS), lambda name, _, days: label_step(name, days, given)),
    ):
        for name, what in names:
            found = []
            for days in given.days:
                found.append(measure(name, what, days))
                print(f"{kind} of {name}, {days} days: {found[-1]}", file=sys.stderr, flush=True)
            rows.append(line(name, what, found))
    header = ["method", "what", *(f"s, {days}" for days in given.days), "growth"]
    header += [f"MiB, {days}" for days in given.days]
    return PAGE.format(
        facts="\n".join(f"- {name}: {value}" for name, value in about(given.threads).items()),
        days=", ".join(map(str, given.days)),
        grid=" x ".join(map(str, given.grid)),
        columns=np.prod(given.grid),
        ratio=f"{given.days[-1] / given.days[0]:g}",
        table=tabulate(rows, header, "github", disable_numparse=True),
    )


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the choices of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=2.0, help="time steps for at least so long")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--days", type=int, nargs="+", default=list(DAYS))
    parser.add_argument("--grid", type=int, nargs=3, default=list(GRID), help="rows, columns, variables")
    parser.add_argument("--quick", action="store_true", help="smoke parameters: to see that it works")
    parser.add_argument("--cut", choices=list(CUTS), help=argparse.SUPPRESS)
    return parser.parse_args(given)


def main() -> None:
    """Print the page; with ``--cut`` one measurement."""
    given = arguments()
    print(json.dumps(cut(given.cut, given.days[0])) + "\n" if given.cut else report(given), end="")


if __name__ == "__main__":
    main()
