"""Jobs of the fit stage with methods that misbehave, and what can be seen of them."""

import os
import time
from pathlib import Path

import numpy as np
import pytest

from regimebench import records
from regimebench.cube import write_cube
from regimebench.dataset import Cube
from regimebench.fit import Job, run_batch
from regimebench.registry import ROOT

PLUGINS = ROOT / "tests" / "plugins"
PATIENCE = 60.0  # seconds to wait for something that happens at once on an idle machine
DAYS = 40


@pytest.fixture(scope="module")
def cube(tmp_path_factory):
    values = np.random.default_rng(0).random((DAYS, 4, 5, 2), dtype=np.float32)
    shape = values.shape[1:]
    path = tmp_path_factory.mktemp("data") / "cube.nc"
    write_cube(
        Cube(
            values=values,
            mask=np.ones(shape, dtype=bool),
            time=np.datetime64("2020-01-01") + np.arange(DAYS),
            lat=np.linspace(50, 40, 4),
            lon=np.linspace(0, 10, 5),
            variables=("t2m", "msl"),
            units=("K", "Pa"),
            minimum=np.zeros(shape),
            scale=np.ones(shape),
        ),
        path,
    )
    return path


@pytest.fixture(autouse=True)
def plugins(monkeypatch):
    monkeypatch.setenv("REGIMEBENCH_PLUGINS", str(PLUGINS))
    monkeypatch.setenv("CDSAPI_KEY", "0123456789abcdef")
    monkeypatch.delenv("REGIMEBENCH_DRIVER_PID", raising=False)


@pytest.fixture
def described(cube, tmp_path):
    """Return a function that describes a job on the test cube."""

    def make(how, bad=(1,), seeds=(0, 1, 2), address="misbehaving", pause=0.0, **more):
        chosen = {"how": how, "bad_seeds": list(bad), "pause": pause, "counter": str(tmp_path / "counter")}
        job = {
            "dataset": "demo",
            "address": address,
            "cube": str(cube),
            "seeds": list(seeds),
            "n_clusters": 3,
            "parameters": chosen,
            "batch": str(tmp_path / "out" / "batch-0.json"),
            "memory_mib": 400,
            "deadline_seconds": 30.0,
        }
        return {**job, **more}

    return make


def run(job):
    said = []
    return run_batch(Job.from_json(job), said.append), said


def fits(job):
    """Return how often each seed was fitted."""
    path = Path(job["parameters"]["counter"])
    seeds = [int(line.split()[0]) for line in path.read_text().splitlines()] if path.exists() else []
    return {seed: seeds.count(seed) for seed in sorted(set(seeds))}


def labels(job, seed):
    return records.load_labels(records.seed_folder(Path(job["batch"]).parent, seed))


def kept_bytes(job):
    """Return the content of every result of a job."""
    return {path: path.read_bytes() for path in sorted(Path(job["batch"]).parent.glob("seed-*/*"))}


def carrying(text):
    """Return the living processes whose environment holds ``text``."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            alive = entry.name.isdigit() and (entry / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
            if alive and text.encode() in (entry / "environ").read_bytes() and int(entry.name) != os.getpid():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def wait_for(condition, what):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"waited {PATIENCE:.0f} s for {what}"
        time.sleep(0.02)


SIMPLE = """
import os
import numpy as np
from regimebench.method import Fit, Method

if "MISSING_LIBRARY" in os.environ:
    __import__(os.environ["MISSING_LIBRARY"])

class Plugin(Method):
    def fit(self, cube):
        return Fit(np.arange(cube.n_days) % self.n_clusters)
"""


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """Return a function that makes a method."""

    def make(name, code, device="cpu", framework="numpy"):
        folder = tmp_path / "plugins" / "methods" / name
        folder.mkdir(parents=True, exist_ok=True)
        meta = (PLUGINS / "methods" / "misbehaving" / "method.yaml").read_text()
        (folder / "method.yaml").write_text(meta.replace("device: cpu", f"device: {device}").replace(
            "framework: numpy", f"framework: {framework}"))  # fmt: skip
        (folder / "method.py").write_text(code)
        monkeypatch.setenv("REGIMEBENCH_PLUGINS", str(tmp_path / "plugins"))

    return make
