"""A run through the profile for Kubernetes, with a kubectl that keeps the Jobs and runs their pods' commands here.

No cluster is involved: nothing reads the Jobs but this stand-in, which ends the first pod of one method as if evicted.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec

import pytest

from regimebench import registry
from tests.workflow.conftest import ROOT

if find_spec("snakemake_executor_plugin_cluster_generic") is None:
    pytest.skip("the plugin cluster-generic is not installed (make kubernetes)", allow_module_level=True)

KUBECTL = """#!{python}
import json, os, signal, subprocess, sys
from pathlib import Path

folder, verb, names = Path({folder!r}), sys.argv[2], sys.argv[4:]
if verb == "create":
    job = json.load(sys.stdin)
    name = f"{{job['metadata']['generateName']}}{{len(list(folder.glob('*.json'))):05d}}"
    pod = job["spec"]["template"]["spec"]["containers"][0]
    environment = {{"PATH": "/usr/bin:/bin", "HOME": str(folder), "KUBERNETES_SERVICE_HOST": "10.0.0.1"}}
    environment |= {{each["name"]: each["value"] for each in pod["env"]}}
    wrapped = ["sh", "-c", '"$@"; echo $? > "$0"', str(folder / f"{{name}}.code"), *pod["command"]]
    if name.startswith("fit-kmeans") and not list(folder.glob("fit-kmeans*.json")):
        (folder / f"{{name}}.code").write_text("137")
    else:
        with open(folder / f"{{name}}.log", "w") as log:
            pod = subprocess.Popen(wrapped, cwd=pod["workingDir"], env=environment, stdout=log, stderr=log, start_new_session=True)
            (folder / f"{{name}}.pid").write_text(str(pod.pid))
    (folder / f"{{name}}.json.part").write_text(json.dumps(job))
    os.rename(folder / f"{{name}}.json.part", folder / f"{{name}}.json")
    print(f"job.batch/{{name}}")
elif verb == "get":
    code = folder / f"{{names[0]}}.code"
    text = code.read_text().strip() if code.exists() else ""
    kind = {{"": "Suspended", "0": "Complete"}}.get(text, "Failed")
    print(json.dumps({{"status": {{"conditions": [{{"type": kind, "status": "True", "reason": "Evicted"}}]}}}}))
    (folder / f"{{names[0]}}.asked").touch()
elif verb == "delete":
    (folder / "deleted").write_text(json.dumps(names))
"""


@pytest.fixture
def cluster(project, tmp_path):
    """Return the folder of a stand-in for kubectl, which is first on the path."""
    folder, tools = tmp_path / "cluster", tmp_path / "tools"
    for path in (folder, tools):
        path.mkdir()
    (tools / "kubectl").write_text(KUBECTL.format(python=sys.executable, folder=str(folder)))
    (tools / "kubectl").chmod(0o755)
    project.environment["PATH"] = f"{tools}{os.pathsep}{os.environ['PATH']}"
    return folder


FILLED = {
    "kubernetes_image": "ghcr.io/lab/python:3.11-bookworm",
    "kubernetes_namespace": "climate",
    "kubernetes_claim": "regimebench",
    "kubernetes_mount": str(ROOT),
    "queue_minutes": 1440,
    "runtime": 60,
    "mem_mb": 8000,
}
PROFILE = (
    *("--profile", "profiles/kubernetes", "--latency-wait", "5", "--seconds-between-status-checks", "1"),
    *("--default-resources", *(f"{name}={value}" for name, value in FILLED.items())),
)


def test_a_run_ends_in_a_table_although_a_pod_was_evicted(project, cluster):
    table = project.results / "tables" / "tiny.standard.md"
    output = project.run(str(table), *PROFILE)
    assert "random" in table.read_text()
    found = {path.stem: json.loads(path.read_text()) for path in cluster.glob("*.json")}
    rules = sorted(job["metadata"]["labels"]["rule"] for job in found.values())
    assert rules == ["evaluate", "fit_kmeans", "fit_kmeans", "fit_random"], output
    assert "The Job climate/fit-kmeans-" in output
    for job in found.values():
        assert job["metadata"]["namespace"] == "climate"
        (container,) = job["spec"]["template"]["spec"]["containers"]
        assert container["image"] == "ghcr.io/lab/python:3.11-bookworm"
    kmeans = next(job for name, job in found.items() if name.startswith("fit-kmeans"))
    pod = kmeans["spec"]["template"]["spec"]
    need = registry.method("kmeans").resources
    # The suite's own limits, which leave records, must act first.
    memory = pod["containers"][0]["resources"]["limits"]["memory"]
    assert int(memory.removesuffix("Mi")) > need["memory_mib"]
    assert pod["activeDeadlineSeconds"] > 60 * need["deadline_minutes"] * project.config["seeds"]
