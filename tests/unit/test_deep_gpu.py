"""The comparison of devices: what it does where there is no GPU, and its fits, on the processor in place of one."""

import numpy as np
import pytest

from benchmarks import deep_gpu
from benchmarks.deep_speed import arguments


def test_without_a_gpu_it_says_so(monkeypatch, capsys):
    monkeypatch.setenv("REGIMEBENCH_DEVICES", "")
    monkeypatch.setattr("sys.argv", ["deep_gpu"])
    deep_gpu.main()
    assert capsys.readouterr().out == f"{deep_gpu.NO_GPU}\n"


def test_the_same_device_twice_agrees_with_itself(monkeypatch, tmp_path):
    monkeypatch.setattr(deep_gpu, "DEVICES", ("cpu", "cpu"))
    given = arguments(["--quick", "--threads", "1"])
    days = deep_gpu.planted_days(tmp_path, given)
    same, between, with_truth, silhouettes = deep_gpu.agreement("dec/untrained", days, given)
    assert (same, between) == ("yes", "1.000")
    for pair in (with_truth, silhouettes):
        first, second = pair.split("; ")
        assert first == second
        assert -1 <= float(first) <= 1
    labels = deep_gpu.fitted("dec/untrained", days[0], "cpu", given)
    assert labels.shape == days[2].shape
    assert len(np.unique(labels)) > 1


def test_a_fit_that_fails_is_named(monkeypatch, tmp_path):
    record = {"status": "error", "message": "it broke"}
    monkeypatch.setattr(deep_gpu, "run_batch", lambda job: [record])
    with pytest.raises(RuntimeError, match="dec on cuda: error, it broke"):
        deep_gpu.fitted("dec", tmp_path / "cube.nc", "cuda", arguments(["--quick"]))
