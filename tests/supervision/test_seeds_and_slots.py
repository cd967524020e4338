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


TAKES_MEMORY = """
import os
import sys
import types
from pathlib import Path

import numpy as np

from regimebench.method import Fit, Method


class OutOfMemoryError(RuntimeError):
    pass


class Cuda:
    # What the suite asks torch.
    def is_initialized(self): return True
    def empty_cache(self): pass
    def reset_peak_memory_stats(self): pass
    def synchronize(self): pass
    def max_memory_reserved(self): return 2000 * 2**20


torch = {"cuda": Cuda(), "__name__": "torch", "__version__": "0", "manual_seed": lambda seed: None}
sys.modules["torch"] = types.SimpleNamespace(**torch)


class Plugin(Method):
    def fit(self, cube):
        with open(self.params["counter"], "a") as file:
            file.write(f"{self.seed} {os.getpid()}\\n")
        taken = Path(self.params["counter"]).with_name("taken")
        needed = float(taken.read_text()) if taken.exists() else 0
        if self.claimed() < needed:
            raise OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return Fit(np.arange(cube.n_days) % self.n_clusters)

    def claimed(self):
        text = next(Path(os.environ["REGIMEBENCH_SLOTS"]).glob("0.*")).read_text()
        return float(text.partition('share": ')[2].strip("}"))
"""


def test_fits_share_a_gpu_by_measured_need_and_fall_back_to_fewer(described, plugin, tmp_path, monkeypatch):
    monkeypatch.setenv("REGIMEBENCH_DEVICES", "0")
    monkeypatch.setenv("REGIMEBENCH_SLOTS", str(tmp_path / "slots"))
    monkeypatch.setattr("regimebench.devices.memory_mib", lambda device: 24000.0)
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    plugin("takes_memory", TAKES_MEMORY, device="gpu")
    job = described("raises", address="takes_memory")
    measured = []

    def fit(seed):
        (record,), said = run({**job, "seeds": [seed], "batch": job["batch"].replace("-0", f"-{seed}")})
        assert problems(record, "record") == []
        measured.append((record["peak_gpu_mib"], record["fingerprint"]))
        return (record["status"], record["gpu_share"], record["gpu_fallbacks"]), said

    assert fit(0)[0] == ("ok", 1, 0)  # nothing was known
    assert measured[0][0] == 2000
    assert fit(1)[0] == ("ok", 0.125, 0), measured
    (tmp_path / "taken").write_text("0.4")  # now fits take more than they were seen to
    third, said = fit(2)
    assert third == ("ok", 0.5, 2)
    assert "demo takes_memory: out of GPU memory with 0.12 of a device; again with 0.25 of one" in said
    assert fit(3)[0] == ("ok", 0.5, 0)  # remembered
    (tmp_path / "taken").write_text("2")  # more than there is
    assert fit(4)[0] == ("oom", 1, 1)
    assert fits(job) == {0: 1, 1: 1, 2: 3, 3: 1, 4: 2}
