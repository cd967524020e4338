"""Device slots: which devices there are, and never more fits on one than allowed."""

import os
import subprocess
import sys
from contextlib import ExitStack

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
with devices.slot(devices.available(), say=lambda text: None) as slot:
    mine = folder / f"{slot.device}.inside"
    mine.touch(exist_ok=False)  # fails if another fit is on this device
    with open(folder / "log", "a") as log:
        log.write(f"{slot.device}\\n")
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
        assert [each.device for each in (first, second, third)] == ["a", "b", "a"]
        assert [devices.sharing(name) for name in ("a", "b", "")] == [2, 1, 0]
    assert devices.sharing("a") == 0


def test_waiting_says_for_whom_and_can_be_given_up():
    said = []

    def give_up(seconds):
        raise TimeoutError

    with devices.slot(["a"]), pytest.raises(TimeoutError), devices.slot(["a"], say=said.append, pause=give_up):
        pass
    assert said == [f"waiting for a GPU: there is no room on device a, in use by processes {os.getpid()}"]


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
    with devices.slot(["a"]) as slot:
        assert slot.device == "a"


def test_scheduler_has_already_assigned(monkeypatch, tmp_path):
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    with devices.slot(devices.available()) as first, devices.slot(devices.available()) as second:
        assert (first.device, second.device) == ("3", "3")
    assert not (tmp_path / "slots").exists()


@pytest.fixture
def smi(tmp_path, monkeypatch):
    """Put an ``nvidia-smi`` on the path: device 0 has 80 GiB, 1 has 24 GiB, and of 2 nothing is told."""
    command = tmp_path / "nvidia-smi"
    listed = "0, GPU-aaaa, 81920\\n1, GPU-bbbb, 24576\\n2, GPU-cccc, [N/A]\\n"
    command.write_text(f"#!/bin/sh\nprintf '{listed}'\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)


def test_a_fit_claims_what_fits_like_it_were_seen_to_need(smi):
    assert devices.memory_mib("1") == devices.memory_mib("GPU-bbbb") == 24576
    assert devices.memory_mib("2") is None
    need = 24576 / devices.MARGIN / 4 - devices.CONTEXT_MIB / devices.MARGIN
    assert devices.share("1", need) == pytest.approx(1 / 4)
    assert devices.share("0", need) == pytest.approx(24576 / 81920 / 4)
    assert devices.share("1", 99999) == 1
    assert devices.share("1", None) == devices.share("2", need) == 1
    assert devices.share("2", need, fits_per_device=3) == pytest.approx(1 / 3)


def test_as_many_fits_share_a_device_as_its_memory_holds(smi):
    def give_up(seconds):
        raise TimeoutError

    def hold(stack, names, need):
        slot = stack.enter_context(devices.slot(names, say=str, pause=give_up, need_mib=need))
        return slot.device, round(slot.share, 2)

    need = 10000.0  # 12,200 MiB with its margin: two on device 1, six on device 0
    with ExitStack() as stack:
        held = [hold(stack, ["0", "1"], need)[0] for _ in range(8)]
        assert sorted(held) == ["0"] * 6 + ["1"] * 2
        with pytest.raises(TimeoutError):
            hold(stack, ["0", "1"], need)
        assert hold(stack, ["0", "1"], 100.0) == ("0", 0.01)
    with ExitStack() as stack:
        assert hold(stack, ["1"], 100.0) == ("1", 0.03)
        with pytest.raises(TimeoutError):  # whose need is not known wants the device for itself
            hold(stack, ["1"], None)


def test_a_larger_need_is_remembered():
    assert devices.enough("kind") == 0
    assert devices.enough("kind", 0.5) == devices.enough("kind", 0.25) == devices.enough("kind") == 0.5
    with devices.slot(["a"], 4, at_least=devices.enough("kind")) as slot:
        assert slot.share == 0.5
