"""What a cluster is asked for: the arguments of sbatch, by a stand-in that keeps them and lets every job fail."""

import json
import os
import shutil
import sys
from importlib.util import find_spec

import pytest

from regimebench import registry

if find_spec("snakemake_executor_plugin_slurm") is None:
    pytest.skip("the Slurm plugin is not installed (make slurm)", allow_module_level=True)

SBATCH = """#!{python}
import json, os, sys
folder = {folder!r}
number = len(os.listdir(folder)) + 1
with open(os.path.join(folder, f"{{number:03d}}.json"), "x") as file:
    json.dump(sys.argv[1:], file)
print(number)
"""
SQUEUE = """#!{python}
import json, os
for name in sorted(os.listdir({folder!r})):
    number = int(name[:3])
    array = [a for a in json.load(open(os.path.join({folder!r}, name))) if a.startswith("--array=")]
    first, _, last = array[0].partition("=")[2].partition("-") if array else ("", "", "")
    for task in range(int(first), int(last) + 1) if array else [None]:
        print(f"{{number}}|FAILED" if task is None else f"{{number}}_{{task}}|FAILED")
"""
FILLED = {"slurm_account": "climate", "slurm_partition": "cpu", "gpu_type": "a100", "queue_minutes": 1440}


@pytest.fixture
def submitted(project, tmp_path):
    """Return a function that submits the fits of a project and gives the options of each rule's call."""
    tools, calls = tmp_path / "tools", tmp_path / "calls"
    tools.mkdir()
    for name, text in {"sbatch": SBATCH, "squeue": SQUEUE}.items():
        (tools / name).write_text(text.format(python=sys.executable, folder=str(calls)))
    for name in ("sacct", "scontrol", "sinfo", "scancel", "sacctmgr", "sshare", "srun"):
        (tools / name).write_text("#!/bin/sh\nexit 0\n")
    for path in tools.iterdir():
        path.chmod(0o755)
    project.environment["PATH"] = f"{tools}{os.pathsep}{os.environ['PATH']}"

    def submit(*arguments, **filled):
        shutil.rmtree(calls, ignore_errors=True)
        calls.mkdir()
        settings = [f"{name}={value}" for name, value in {**FILLED, **filled}.items()]
        output = project.run(
            *("--profile", "profiles/slurm", "--retries", "0", "--latency-wait", "1", *arguments),
            *("--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "1"),
            *("--default-resources", *settings, "runtime=60", "mem_mb=8000"),
            check=False,
        )
        found = {}
        for path in sorted(calls.iterdir()):
            call = json.loads(path.read_text())
            found[option(call, "--comment").partition("_wildcards")[0].removeprefix("rule_")] = call
        assert found, output
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
        assert f"/tiny/{name}/default/batch-0.json" in option(call, "--wrap")
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
