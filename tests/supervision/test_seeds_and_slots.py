"""Frameworks, devices, and seeds that are trained together."""

from pathlib import Path

import pytest

from regimebench import records
from regimebench.schema import problems
from tests.supervision.conftest import SIMPLE, fits, kept_bytes, run

USES_GPU = """
import os
import numpy as np
from regimebench.method import Fit, Method

class Plugin(Method):
    def fit(self, cube):
        place = self.device + " " + os.environ["CUDA_VISIBLE_DEVICES"]
        return Fit(np.arange(cube.n_days) % self.n_clusters, stop_reason=place)
"""


def test_a_method_without_its_framework_is_skipped_until_that_is_there(described, plugin, tensorflow, monkeypatch):
    plugin("lacking", "import tensorflow\n" + SIMPLE, device="gpu", framework="tensorflow")
    job = described("raises", address="lacking")
    monkeypatch.setenv("REGIMEBENCH_DEVICES", "0")
    monkeypatch.setenv("PYTHONPATH", tensorflow(False))
    sentence = "TensorFlow is not installed in this environment: run make tensorflow, then run again"
    for _ in range(2):
        found, said = run(job)
        assert [record["status"] for record in found] == ["skipped"] * 3
        assert {(record["message"], record["fingerprint"], record["device"]) for record in found} == {
            (sentence, None, "cpu")
        }
        assert problems(found[0], "record") == []
        assert records.skipped_seeds(Path(job["batch"])) == [0, 1, 2]
    assert said[0] == f"demo lacking seed 0 (1 of 3): skipped: {sentence}"
    monkeypatch.setenv("PYTHONPATH", tensorflow(True))
    found, _ = run(job)
    assert [record["status"] for record in found] == ["ok"] * 3
    before = kept_bytes(job)
    monkeypatch.setenv("PYTHONPATH", tensorflow(False))
    found, _ = run({**job, "seeds": [0, 1, 2, 3]})
    assert [record["status"] for record in found] == ["ok", "ok", "ok", "skipped"]
    assert kept_bytes(job).items() >= before.items()


@pytest.mark.parametrize(
    ("device", "devices", "expected"),
    [("auto", "5,7", "cuda 5"), ("cpu", "5,7", "cpu "), ("auto", "", "cpu "), ("cuda", "7", "cuda 7")],
)
def test_method_that_can_use_a_gpu_gets_a_slot(described, plugin, tmp_path, monkeypatch, device, devices, expected):
    monkeypatch.setenv("REGIMEBENCH_DEVICES", devices)
    monkeypatch.setenv("REGIMEBENCH_SLOTS", str(tmp_path / "slots"))
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    plugin("uses_gpu", USES_GPU, device="gpu")
    (record,), _ = run(described("raises", address="uses_gpu", seeds=[0], device=device))
    assert (record["device"], record["stop_reason"]) == (expected.split()[0], expected)


STACKED = """
import numpy as np
from regimebench.method import Fit, Method

class Plugin(Method):
    def fit(self, cube):
        return next(self.fit_batch(cube, [self.seed]))

    def fit_batch(self, cube, seeds):
        seeds = list(seeds)
        with open(self.params["counter"], "a") as file:
            file.write(f"{len(seeds)} together\\n")
        for seed in seeds:
            if seed in self.params["bad_seeds"]:
                {misbehave}
            yield Fit(np.arange(cube.n_days) % self.n_clusters)
"""


@pytest.mark.parametrize(
    ("misbehave", "bad", "status", "calls"),
    [
        ("pass", (), "ok", [3]),
        ("raise ValueError('no')", (1,), "error", [3, 1, 1]),
        ("import os; os._exit(1)", (1,), "error", [3, 1, 1, 1]),
        ("return", (2,), "error", [3, 1]),
    ],
)
def test_seeds_trained_together(described, plugin, misbehave, bad, status, calls):
    plugin("stacked", STACKED.replace("{misbehave}", misbehave))
    job = described("raises", bad=bad, address="stacked")
    found, _ = run(job)
    assert [record["status"] for record in found] == [status if seed in bad else "ok" for seed in (0, 1, 2)]
    assert fits(job) == {number: calls.count(number) for number in sorted(set(calls))}
    if not bad:
        assert {record["seeds_together"] for record in found} == {3}
        assert len({record["seconds"] for record in found}) == 1
