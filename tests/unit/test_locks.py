"""Locks on a file system that several machines share: who holds one, and when an owner elsewhere counts as gone."""

import json
import os
import socket
import subprocess
import sys
import time

import pytest

from regimebench import locks

ELSEWHERE = {"pid": 12, "host": "node7", "since": "2026-01-31 12:00:00", "job": "Slurm job 3"}


@pytest.fixture
def path(tmp_path):
    return tmp_path / ".driver.lock"


def aged(path, seconds):
    os.utime(path, (time.time() - seconds,) * 2)


def test_an_owner_on_another_machine_is_believed_as_long_as_it_is_heard_of(path):
    path.write_text(json.dumps(ELSEWHERE))
    assert locks.lock(path, shared=True) is None
    assert locks.owner(path) == "process 12 on node7, Slurm job 3, since 2026-01-31 12:00:00"
    aged(path, locks.STALE_SECONDS + 5)
    file = locks.lock(path, shared=True)
    assert locks.holder(path)["host"] == socket.gethostname()
    locks.release(file)
    assert os.listdir(path.parent) == [path.name]


def test_an_owner_on_this_machine_is_known_by_flock_alone(path):
    path.write_text(json.dumps({**ELSEWHERE, "host": socket.gethostname()}))
    file = locks.lock(path, shared=True)
    assert locks.lock(path, shared=True) is None
    locks.release(file)
    assert path.read_text() == ""


def test_what_was_given_back_is_free_for_every_machine(path, monkeypatch):
    monkeypatch.setattr(socket, "gethostname", lambda: "node7")
    locks.release(locks.lock(path, shared=True))
    monkeypatch.setattr(socket, "gethostname", lambda: "node8")
    assert locks.lock(path, shared=True) is not None


def test_the_holder_is_heard_of_while_it_lives(path, monkeypatch):
    monkeypatch.setattr(locks, "BEAT_SECONDS", 0.01)
    file = locks.lock(path, shared=True)
    aged(path, 1000)
    end = time.monotonic() + 60
    while locks.silence(path) > 100:
        assert time.monotonic() < end
        time.sleep(0.01)
    locks.release(file)


def test_a_killed_holder_leaves_the_lock_to_this_machine_at_once(path):
    code = (
        "import sys, time; from pathlib import Path; from regimebench import locks; f = locks.lock(Path(sys.argv[1]), "
    )
    code += "shared=True); print('held', flush=True); time.sleep(100)"
    process = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    assert locks.lock(path, shared=True) is None
    assert locks.owner(path).startswith(f"process {process.pid} on {socket.gethostname()}, since 20")
    process.kill()
    process.communicate()
    assert locks.lock(path, shared=True) is not None


@pytest.mark.parametrize("text", ["", "[]", "no JSON", "{}"])
def test_a_lock_file_that_says_nothing_is_free(path, text):
    path.write_text(text)
    assert locks.owner(path) == "process ?, since ?"
    assert locks.lock(path, shared=True) is not None


@pytest.mark.parametrize(
    ("environment", "name"),
    [
        ({}, None),
        ({"SLURM_JOB_ID": "12"}, "Slurm job 12"),
        ({"SLURM_JOB_ID": "13", "SLURM_ARRAY_JOB_ID": "12", "SLURM_ARRAY_TASK_ID": "4"}, "Slurm job 12_4"),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, f"pod {socket.gethostname()}"),
    ],
)
def test_the_schedulers_job_is_named(environment, name):
    assert locks.scheduler_job(environment) == name
