"""Device slots: which devices there are, and never more fits on one than allowed."""

import os
import subprocess
import sys

import pytest

from regimebench import devices

HOLDER = """
import os, sys, time
from pathlib import Path
from regimebench import devices
folder = Path(sys.argv[1])
(folder / f"{os.getpid()}.here").touch()
while len(list(folder.glob("*.here"))) < 4:
    time.sleep(0.01)
with devices.slot(devices.available(), say=lambda text: None) as device:
    mine = folder / f"{device}.inside"
    mine.touch(exist_ok=False)  # fails if another fit is on this device
    with open(folder / "log", "a") as log:
        log.write(f"{device}\\n")
    time.sleep(0.2)
    mine.unlink()
"""


@pytest.fixture(autouse=True)
def slots(tmp_path, monkeypatch):
    monkeypatch.setenv("REGIMEBENCH_SLOTS", str(tmp_path / "slots"))
    for name in ("SLURM_JOB_ID", "CUDA_VISIBLE_DEVICES", "REGIMEBENCH_DEVICES"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"REGIMEBENCH_DEVICES": "0,1", "CUDA_VISIBLE_DEVICES": "5"}, ["0", "1"]),
        ({"REGIMEBENCH_DEVICES": ""}, []),
        ({"CUDA_VISIBLE_DEVICES": "2, MIG-1a"}, ["2", "MIG-1a"]),
        ({"CUDA_VISIBLE_DEVICES": "-1"}, []),
    ],
)
def test_available_from_the_environment(environment, expected):
    assert devices.available(environment) == expected


@pytest.mark.parametrize(
    ("script", "expected"),
    [("echo 'GPU 0: NVIDIA X (UUID: GPU-1)'; echo 'GPU 1: NVIDIA X (UUID: GPU-2)'", ["0", "1"]), ("exit 9", [])],
)
def test_available_from_nvidia_smi(tmp_path, monkeypatch, script, expected):
    command = tmp_path / "nvidia-smi"
    command.write_text(f"#!/bin/sh\n{script}\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert devices.available() == expected


def test_nvidia_smi_is_asked_once(tmp_path, monkeypatch):
    command = tmp_path / "nvidia-smi"
    command.write_text(f"#!/bin/sh\necho asked >> {tmp_path}/log; echo 'GPU 0: NVIDIA X (UUID: GPU-1)'\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    first = devices.available()
    first.append("changed by the caller")
    assert devices.available() == ["0"]
    assert (tmp_path / "log").read_text() == "asked\n"
    assert devices.available({"PATH": str(tmp_path / "nothing")}) == []


def test_four_jobs_on_two_devices_never_share(tmp_path):
    environment = {**os.environ, "REGIMEBENCH_DEVICES": "0,1"}
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    jobs = [subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    errors = [job.communicate(timeout=60)[1] for job in jobs]
    assert errors == [""] * 4
    assert len((tmp_path / "log").read_text().splitlines()) == 4
    assert not list(tmp_path.glob("*.inside"))


def test_fits_spread_over_devices_before_they_share():
    with (
        devices.slot(["a", "b"], 2) as first,
        devices.slot(["a", "b"], 2) as second,
        devices.slot(["a", "b"], 2) as third,
    ):
        assert [first, second, third] == ["a", "b", "a"]


def test_waiting_says_for_whom_and_can_be_given_up():
    said = []

    def give_up(seconds):
        raise TimeoutError

    with devices.slot(["a"]), pytest.raises(TimeoutError), devices.slot(["a"], say=said.append, pause=give_up):
        pass
    assert said == [f"waiting for a GPU: the 1 slots of this machine are in use by processes {os.getpid()}"]


SLEEPER = """
import time
from regimebench import devices
with devices.slot(["a"]):
    print("in", flush=True)
    time.sleep(1000)
"""


def test_slot_of_a_killed_process_is_free_again():
    job = subprocess.Popen([sys.executable, "-c", SLEEPER], stdout=subprocess.PIPE, text=True)
    assert job.stdout.readline() == "in\n"
    job.kill()
    job.communicate()
    with devices.slot(["a"]) as device:
        assert device == "a"


def test_scheduler_has_already_assigned(monkeypatch, tmp_path):
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    with devices.slot(devices.available()) as first, devices.slot(devices.available()) as second:
        assert (first, second) == ("3", "3")
    assert not (tmp_path / "slots").exists()
