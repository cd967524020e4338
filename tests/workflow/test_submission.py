"""What a cluster is asked for: the arguments of sbatch, by a stand-in that keeps them."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from importlib.util import find_spec

import pytest

from regimebench import registry
from tests.workflow.conftest import ROOT

if find_spec("snakemake_executor_plugin_slurm") is None:
    pytest.skip("the Slurm plugin is not installed (make slurm)", allow_module_level=True)

SBATCH = """#!{python}
import json, os, sys
# Several calls are made at a time; a number that two of them took would fail one, to be made again for fewer jobs.
number = os.getpid()
with open(os.path.join({folder!r}, f"{{number}}.json"), "x") as file:
    json.dump(sys.argv[1:], file)
print(number)
"""
FILLED = {"slurm_account": "climate", "slurm_partition": "cpu", "gpu_type": "a100", "queue_minutes": 1440}


@pytest.fixture
def submitted(project, tmp_path):
    """Return a function that submits the fits of a project and gives the options of each rule's call."""
    tools, calls = tmp_path / "tools", tmp_path / "calls"
    tools.mkdir()
    (tools / "sbatch").write_text(SBATCH.format(python=sys.executable, folder=str(calls)))
    for name in ("squeue", "sacct", "scontrol", "sinfo", "scancel", "sacctmgr", "sshare", "srun"):
        (tools / name).write_text("#!/bin/sh\nexit 0\n")
    for path in tools.iterdir():
        path.chmod(0o755)
    project.environment["PATH"] = f"{tools}{os.pathsep}{os.environ['PATH']}"

    def submit(*arguments, **filled):
        shutil.rmtree(calls, ignore_errors=True)
        calls.mkdir()
        settings = [f"{name}={value}" for name, value in {**FILLED, **filled}.items()]
        command = project.command(
            *("--profile", "profiles/slurm", *arguments, "--slurm-status-command", "squeue"),
            *("--default-resources", *settings, "runtime=60", "mem_mb=8000"),
        )
        log = tmp_path / "log"
        with log.open("w") as output:
            running = subprocess.Popen(
                command, cwd=ROOT, env=project.environment, stdout=output, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
        found = {}
        # What was asked for is known once each row has been submitted; what becomes of it is not asked here.
        while len(found) < len(project.config["methods"]):
            assert running.poll() is None, log.read_text()
            time.sleep(0.1)
            for path in calls.glob("*.json"):
                with contextlib.suppress(json.JSONDecodeError):  # it is being written
                    call = json.loads(path.read_text())
                    rule = option(call, "--comment").partition("_wildcards")[0].removeprefix("rule_")
                    found |= {rule: call} if rule.startswith("fit_") else {}
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
        return found

    return submit


def option(call, name):
    """Return the value of an option, given as two words or as one with an equals sign; None if it is absent."""
    for word, following in zip(call, [*call[1:], ""], strict=True):
        if word == name:
            return following
        if word.startswith(f"{name}="):
            return word.partition("=")[2]
    return None


def test_gpu_memory_time_and_arrays_are_asked_for_where_they_are_needed(project, submitted):
    project.config["methods"] = ["dec", "kmeans"]
    calls = submitted(gpu_partition="gpu")
    assert set(calls) == {"fit_dec", "fit_kmeans"}
    dec, kmeans = calls["fit_dec"], calls["fit_kmeans"]
    assert [option(call, "--gpus") for call in (dec, kmeans)] == ["a100:1", None]
    assert [option(call, "-p") for call in (dec, kmeans)] == ["gpu", "cpu"]
    assert [option(call, "-A") for call in (dec, kmeans)] == ["climate", "climate"]
    for name, call in (("dec", dec), ("kmeans", kmeans)):
        need = registry.method(name).resources
        assert f"fit_{name}:dataset=tiny," in option(call, "--wrap")
        # The suite's own limits, which leave records, must act first.
        assert int(option(call, "--mem")) > need["memory_mib"]
        assert int(option(call, "-t")) > need["deadline_minutes"] * project.config["seeds"]
        assert option(call, "--cpus-per-task") == "1"
        assert option(call, "--array") is None

    # A cluster without GPUs is not asked for one.
    project.config["methods"] = ["dec"]
    call = submitted(gpu_type="none", gpu_partition="gpu")["fit_dec"]
    assert option(call, "--gpus") is None
    assert option(call, "-p") == "cpu"

    # Any GPU will do; three batches in one array.
    project.config.update(seeds=3, seeds_per_job=1)
    call = submitted("--slurm-array-jobs", "all", gpu_type="any_gpu")["fit_dec"]
    assert option(call, "--array") == "1-3"
    assert option(call, "--gpus") == "1"
