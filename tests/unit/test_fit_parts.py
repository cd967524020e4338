"""Parts of the fit stage that need no process: failures, cost, reconstruction error, watching, bounded logs."""

import os
import subprocess
import sys
import types
from dataclasses import replace

import numpy as np
import pytest
from method_cubes import planted

from regimebench import processes
from regimebench.failures import describe
from regimebench.handle import BoundedLog
from regimebench.method import ContractError, Fit
from regimebench.seeds import Meter, reconstruction_rmse, reseed


class OutOfMemoryError(RuntimeError):
    """Named as torch's."""


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), ("oom", "MemoryError: no message")),
        (OutOfMemoryError("CUDA"), ("oom", "OutOfMemoryError: CUDA")),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), ("oom", None)),
        (RuntimeError("singular"), ("error", "RuntimeError: singular")),
        (ValueError("out of memory of old times"), ("error", None)),
        (ContractError("labels are wrong"), ("error", "labels are wrong")),
        (SystemExit("bye"), ("error", "the method called sys.exit('bye')")),
    ],
)
def test_describe(error, expected):
    status, message = describe(error, None)
    assert status == expected[0]
    assert expected[1] in (None, message)


def test_reconstruction_error_leaves_out_masked_cells():
    cube = planted(n_days=30)[0]
    mask = cube.mask.copy()
    mask[0] = False
    cube = replace(cube, mask=mask)
    wrong = cube.values + np.where(mask, 0.5, 100.0)
    assert reconstruction_rmse(Fit(np.zeros(cube.n_days), reconstruction=wrong), cube) == pytest.approx(0.5)
    assert reconstruction_rmse(Fit(np.zeros(cube.n_days)), cube) is None


def test_peak_memory_is_that_of_the_seed():
    def peak(megabytes):
        meter = Meter()
        meter.start()
        np.ones(megabytes * 2**17).sum()
        meter.stop()
        return meter.shares(1)["peak_rss_mib"]

    small, large, small_again = peak(1), peak(200), peak(1)
    assert large - small > 150
    if os.path.exists("/proc/self/clear_refs"):
        assert small_again < large - 100


def test_gpu_cost_comes_from_torch_if_it_used_one(monkeypatch):
    calls = []
    cuda = types.SimpleNamespace(
        is_initialized=lambda: True,
        empty_cache=lambda: calls.append("empty"),
        reset_peak_memory_stats=lambda: calls.append("reset"),
        synchronize=lambda: calls.append("synchronize"),
        max_memory_reserved=lambda: 300 * 2**20,
    )
    monkeypatch.setitem(sys.modules, "torch", types.SimpleNamespace(cuda=cuda, manual_seed=calls.append))
    reseed(5)
    meter = Meter()
    meter.start()
    meter.stop()
    cost = meter.shares(2)
    assert calls == [5, "empty", "reset", "synchronize"]
    assert cost["peak_gpu_mib"] == 300
    assert cost["gpu_seconds"] == cost["seconds"]
    monkeypatch.setattr(cuda, "is_initialized", lambda: False)
    assert Meter().shares(1)["peak_gpu_mib"] is None


@pytest.mark.parametrize("pidfd", [True, False])
def test_watched_process(monkeypatch, pidfd):
    if not pidfd:
        monkeypatch.delattr("os.pidfd_open")
    child = subprocess.Popen(["sleep", "1000"])
    watched = processes.Watched(child.pid)
    assert not watched.gone()
    child.kill()
    child.wait()
    assert watched.gone()
    assert processes.Watched(child.pid).gone()
    watched.close()


def test_bounded_log(tmp_path):
    log = BoundedLog(tmp_path / "log", limit=10)
    for part in (b"0123456", b"789abc", b"x" * 1000, b"the end..."):
        log.write(part)
    log.close()
    assert (tmp_path / "log").read_bytes() == b"0123456789\n... 1003 bytes dropped ...\nthe end..."


def test_short_log_is_kept_as_it_is(tmp_path):
    log = BoundedLog(tmp_path / "log", limit=10)
    log.write(b"0123456789abcdef")
    log.close()
    assert (tmp_path / "log").read_bytes() == b"0123456789abcdef"
