"""The deep methods on a GPU beside the CPU: ``python -m benchmarks.deep_gpu`` prints the table of ``docs/gpu.md``.

Each row of ``benchmarks/deep_rows.py`` is timed on both devices, and fitted on both with the same seed to planted days
of the papers' size. Needs a GPU; without one it says so.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from sklearn.metrics import adjusted_rand_score
from tabulate import tabulate

from benchmarks.deep_rows import ROWS, Row
from benchmarks.deep_speed import about, arguments, measured, tasks
from benchmarks.training_time import N_CLUSTERS, Task
from regimebench import devices, records, registry
from regimebench.dataset import Cube
from regimebench.fit import Job, run_batch
from regimebench.metrics import score_partitions
from regimebench.preprocess import prepare

POLL_SECONDS = 0.1
DEVICES = ("cpu", "cuda")
NO_GPU = "No GPU is visible to this process, so there is nothing to compare; see docs/gpu.md."
HEADER = ["method", "phase", "days per step", "CPU, s per epoch", "GPU, s per epoch", "CPU / GPU", "GPU busy, %"]
HEADER += ["GPU peak, MiB", "same labels", "ARI, CPU and GPU", "ARI with truth, CPU; GPU", "silhouette, CPU; GPU"]


@contextmanager
def utilisation(device: str) -> Iterator[list[float]]:
    """Fill a list with how busy a GPU is, in percent, while the block runs."""
    query = ["nvidia-smi", "-i", device, "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
    samples: list[float] = []
    done = threading.Event()

    def sample() -> None:
        while not done.wait(POLL_SECONDS):
            samples.append(float(subprocess.run(query, capture_output=True, text=True, check=True).stdout))

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield samples
    finally:
        done.set()
        thread.join()


def timed(row: Row, given: argparse.Namespace, gpu: str) -> list[str]:
    """Return seconds per epoch on both devices, their ratio, and what the GPU did."""
    task: Task = tasks(row, given)["torch"]
    on_cpu = measured(task, given.threads)
    with utilisation(gpu) as busy:
        on_gpu = measured(replace(task, device="cuda"), given.threads, gpu)
    seconds = [it["seconds_per_epoch"] for it in (on_cpu, on_gpu)]
    # Python, k-means and the way to the GPU are no part of the training: only the busier half of the samples counts.
    level = mean(sorted(busy)[len(busy) // 2 :]) if busy else float("nan")
    numbers = [f"{value:#.3g}" for value in (*seconds, seconds[0] / seconds[1])]
    return [str(task.batch_size), *numbers, f"{level:.0f}", f"{on_gpu['peak_gpu_mib']:,.0f}"]


def planted_days(folder: Path, given: argparse.Namespace) -> tuple[Path, Cube, np.ndarray]:
    """Write a planted data set; return the file, the cube and the regime of each day."""
    spec = registry.dataset("synthetic")
    n_days, height, width, n_variables = tasks(ROWS[0], given)["torch"].shape
    size = {"n_days": n_days, "height": height, "width": width, "n_variables": n_variables, "n_clusters": N_CLUSTERS}
    data = registry.load(spec)(**{**spec.parameters, **size})
    data.download(folder)
    cube = prepare(data, "planted", folder, "standard", folder / "cube.nc", None)
    return folder / "cube.nc", cube, data.truth(folder)


def fitted(address: str, cube: Path, device: str, given: argparse.Namespace) -> np.ndarray:
    """Return the labels that the suite's own fit stage finds with seed 0."""
    spec = registry.method(address)
    parameters = {**spec.parameters, **(spec.smoke if given.quick else {})}
    batch = cube.parent / device / address / "batch-0.json"
    job = Job("planted", address, str(cube), (0,), N_CLUSTERS, parameters, str(batch), device, given.threads, 7200.0)
    record = run_batch(job)[0]
    if record["status"] not in ("ok", "degenerate"):
        raise RuntimeError(f"{address} on {device}: {record['status']}, {record['message']}")
    with np.load(records.seed_folder(batch.parent, 0) / records.FIT) as arrays:
        return arrays["labels"]


def agreement(address: str, days: tuple[Path, Cube, np.ndarray], given: argparse.Namespace) -> list[str]:
    """Return whether both devices find the same labels, and how good each are."""
    path, cube, truth = days
    labels = [fitted(address, path, device, given) for device in DEVICES]
    true = [f"{adjusted_rand_score(truth, each):.3f}" for each in labels]
    return [
        "yes" if np.array_equal(*labels) else "no",
        f"{adjusted_rand_score(*labels):.3f}",
        "; ".join(true),
        "; ".join(f"{silhouette(cube, each):.3f}" for each in labels),
    ]


def silhouette(cube: Cube, labels: np.ndarray) -> float:
    """Return the papers' silhouette."""
    scores = score_partitions(cube.table, labels[None])
    chosen = (scores["protocol"] == "paper") & (scores["metric"] == "silhouette")
    return float(scores.loc[chosen, "value"].iloc[0])


def gpu_name(gpu: str) -> str:
    """Return the name and memory of a GPU."""
    query = ["nvidia-smi", "-i", gpu, "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    return subprocess.run(query, capture_output=True, text=True, check=True).stdout.strip()


def main() -> None:
    """Measure and print the table."""
    given = arguments()
    visible = devices.available()
    if not visible:
        print(NO_GPU)
        return
    facts: dict[str, Any] = {**about(given.threads), "GPU": gpu_name(visible[0])}
    print("\n".join(f"- {name}: {value}" for name, value in facts.items()), end="\n\n")
    table, agreed = [], {}
    with tempfile.TemporaryDirectory() as folder:
        days = planted_days(Path(folder), given)
        for row in ROWS:
            if given.only and row.address not in given.only:
                continue
            if row.address not in agreed:
                agreed[row.address] = agreement(row.address, days, given)
            table.append([f"`{row.address}`", row.what, *timed(row, given, visible[0]), *agreed[row.address]])
            print(table[-1], file=sys.stderr, flush=True)
    print(tabulate(table, HEADER, "github", disable_numparse=True))


if __name__ == "__main__":
    main()
