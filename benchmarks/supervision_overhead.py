"""What supervision costs: the same fits in a supervised batch and in a bare process, from start to exit.

The bare process does what no worker can do without: start Python, read and verify the cube, load the method, fit every
seed, check the labels and save them with ``np.savez``. The supervised batch is ``python -m regimebench.fit``. Both run
alternately, with the same environment.

Run ``python benchmarks/supervision_overhead.py`` from the project's root; it prints Markdown.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

from regimebench.cube import write_cube
from regimebench.dataset import Cube
from regimebench.fit import Job, run_batch, worker_environment
from regimebench.registry import ROOT, method

BARE = """
import json, sys
from pathlib import Path
import numpy as np
from regimebench import registry
from regimebench.cube import read_cube
from regimebench.method import check_fit
job = json.loads(sys.argv[1])
spec = registry.method(job["address"])
cube = read_cube(job["cube"], verify=True)
plugin = registry.load(spec)
made = plugin(n_clusters=job["n_clusters"], seed=job["seeds"][0], device="cpu", **job["parameters"])
for seed, fit in zip(job["seeds"], made.fit_batch(cube, job["seeds"])):
    folder = Path(job["batch"]).parent / f"seed-{seed:04d}"
    folder.mkdir(parents=True)
    np.savez(folder / "fit.npz", labels=check_fit(fit, cube.n_days, job["n_clusters"]).labels)
"""
SUPERVISED = """
import json, sys
from regimebench.fit import main
job = json.loads(sys.argv[1])
sys.exit(main(["--cube", job.pop("cube"), "--batch", job.pop("batch"), "--job", json.dumps(job)]))
"""
SECONDS = 5.0


def make_cube(path: Path, days: int, side: int, variables: int) -> None:
    """Write a cube of noise."""
    shape = (side, side, variables)
    grid = np.linspace(0, 10, side)
    names = tuple(f"v{i}" for i in range(variables))
    write_cube(
        Cube(
            values=np.random.default_rng(0).random((days, *shape), dtype=np.float32),
            mask=np.ones(shape, dtype=bool),
            time=np.datetime64("2019-01-01") + np.arange(days),
            lat=grid,
            lon=grid,
            variables=names,
            units=("1",) * variables,
            minimum=np.zeros(shape),
            scale=np.ones(shape),
        ),
        path,
    )


def measure(code: str, job: dict, environment: dict[str, str]) -> tuple[float, float]:
    """Return wall and CPU time of one process with its children, in seconds."""
    with tempfile.TemporaryDirectory() as folder:
        text = json.dumps({**job, "batch": f"{folder}/batch-0.json"})
        begun, spent = time.perf_counter(), cpu_seconds()
        subprocess.run([sys.executable, "-c", code, text], check=True, env=environment, stderr=subprocess.DEVNULL)
        return time.perf_counter() - begun, cpu_seconds() - spent


def cpu_seconds() -> float:
    """Return the CPU time of all child processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def supervisor_load(cube: Path) -> float:
    """Return the CPU time of the supervisor per second of a method that does nothing but take time."""
    os.environ["REGIMEBENCH_PLUGINS"] = str(ROOT / "tests" / "plugins")
    parameters = {"how": "raises", "bad_seeds": [], "pause": SECONDS, "counter": None}
    with tempfile.TemporaryDirectory() as folder:
        spent = []
        for seconds in (0.0, SECONDS):
            job = Job("demo", "misbehaving", str(cube), (0,), 7, {**parameters, "pause": seconds}, f"{folder}/b.json")
            begun = time.process_time()
            run_batch(job, lambda text: None)
            spent.append(time.process_time() - begun)
    return (spent[1] - spent[0]) / SECONDS


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--method", default="random", help="a quick method (address)")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--shape", type=int, nargs=3, default=[365, 41, 7], help="days, cells per side, variables")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        cube = Path(folder) / "cube.nc"
        make_cube(cube, *chosen.shape)
        job = {
            "dataset": "demo",
            "address": chosen.method,
            "cube": str(cube),
            "n_clusters": 7,
            "parameters": method(chosen.method).parameters,
        }
        environment = worker_environment(Job(**job, seeds=(0,), batch=""))
        times: dict[tuple[str, int], list[tuple[float, float]]] = {}
        for _ in range(chosen.repeats):
            for n in (1, chosen.seeds):
                for name, code in (("bare", BARE), ("supervised", SUPERVISED)):
                    taken = measure(code, {**job, "seeds": list(range(n))}, environment)
                    times.setdefault((name, n), []).append(taken)
        load = supervisor_load(cube)
    print(f"`{chosen.method}`, cube {'x'.join(map(str, chosen.shape))}, medians of {chosen.repeats} runs\n")
    show(times, chosen.seeds)
    print(f"While a fit runs, the supervisor uses {100 * load:.2f} % of one core.")


def show(times: dict[tuple[str, int], list[tuple[float, float]]], n: int) -> None:
    """Print medians, ranges, and what supervision adds."""
    for kind, column in (("wall", 0), ("CPU", 1)):
        series = {key: [each[column] for each in values] for key, values in times.items()}
        print(f"| {kind} time | 1 seed | {n} seeds |\n|---|---|---|")
        for name in ("bare", "supervised"):
            cells = [f"{median(v):.3f} s ({min(v):.3f} to {max(v):.3f})" for v in (series[name, 1], series[name, n])]
            print(f"| {name} | {cells[0]} | {cells[1]} |")
        one, many = (median(series["supervised", k]) - median(series["bare", k]) for k in (1, n))
        seed = (many - one) / (n - 1)
        print(f"\nSupervision adds {one - seed:.3f} s of {kind} time per batch and {1000 * seed:.1f} ms per seed.\n")


if __name__ == "__main__":
    main()
