"""Supervisors and drivers that are killed or stopped: nothing is left behind, and what is finished is kept."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from regimebench import records
from regimebench.fit import fit_command
from regimebench.registry import ROOT
from tests.supervision.conftest import PATIENCE, carrying, fits, run, wait_for


def start(job, **environment):
    """Start a supervisor in a process of its own; whatever descends from it carries TEST_MARK."""
    mark = f"{os.getpid()}-{time.monotonic_ns()}"
    rest = {key: value for key, value in job.items() if key not in ("cube", "batch")}
    files = ["--cube", job["cube"], "--batch", job["batch"], "--threads", "1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "regimebench.fit", "--job", json.dumps(rest, default=list), *files],
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "TEST_MARK": mark, **environment},
    )
    return process, f"TEST_MARK={mark}"


def half_way(job):
    return len(list(Path(job["batch"]).parent.glob("seed-*/record.json"))) >= 2


@pytest.mark.parametrize("how", ["forks", "hangs_in_c", "forks_a_daemon"])
def test_supervisor_killed_half_way(described, how):
    job = described(how, bad=(0,) if how == "forks" else (2,), seeds=range(4), pause=0.3)
    process, mark = start(job)
    wait_for(lambda: half_way(job), "two records")
    process.kill()
    process.wait()
    process.stderr.close()
    wait_for(lambda: carrying(mark) == [], "the worker and its children to end")
    done = [
        seed for seed in range(4) if (records.seed_folder(Path(job["batch"]).parent, seed) / "record.json").exists()
    ]
    before = fits(job)
    found, _ = run({**job, "deadline_seconds": 1.5})
    assert [record["status"] == "ok" for record in found] == [how == "forks" or seed != 2 for seed in range(4)]
    assert all(fits(job)[seed] == before[seed] for seed in done)
    assert not Path(job["batch"]).parent.joinpath("seed-0000", ".fit.npz.tmp").exists()


def test_driver_death_stops_everything(described):
    driver = subprocess.Popen(["sleep", "1000"])
    job = described("hangs", bad=(1,))
    process, mark = start(job, REGIMEBENCH_DRIVER_PID=str(driver.pid))
    wait_for(lambda: fits(job).get(1), "the second seed to start")
    driver.kill()
    driver.wait()
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert f"the driver (process {driver.pid}) has ended; the worker was stopped" in said
    wait_for(lambda: carrying(mark) == [], "the worker to end")
    assert not Path(job["batch"]).exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_stops_cleanly(described, number):
    job = described("hangs", bad=(1,))
    process, mark = start(job)
    wait_for(lambda: fits(job).get(1), "the second seed to start")
    process.send_signal(number)
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + number
    assert f"Error: demo misbehaving: stopped by {number.name}; finished seeds are kept, run again to continue" in said
    assert "Traceback" not in said
    assert carrying(mark) == []


def test_second_supervisor_says_who_holds_the_batch(described, monkeypatch, capsys):
    job = described("hangs", bad=(1,))
    process, _ = start(job)
    wait_for(lambda: fits(job).get(1), "the second seed to start")
    monkeypatch.setattr("regimebench.fit.LOCK_SECONDS", 0.2)
    assert fit_command(job) == 1
    who = f"process {process.pid} on {socket.gethostname()}, since 20"
    assert f"Error: demo misbehaving: batch-0.json is being computed by {who}" in capsys.readouterr().err
    process.terminate()
    process.communicate(timeout=PATIENCE)
