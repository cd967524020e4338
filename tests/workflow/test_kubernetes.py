"""A run through the profile for Kubernetes, with a kubectl that keeps the Jobs and runs their pods' commands here.

No cluster is involved: nothing reads the Jobs but this stand-in, which ends the first pod of one method as if evicted.
"""

import json
import os
import re
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
import json, os, subprocess, sys
from pathlib import Path
import psutil

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
            streams = {{"stdout": log, "stderr": log, "start_new_session": True}}
            pod = subprocess.Popen(wrapped, cwd=pod["workingDir"], env=environment, **streams)
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
    for name in names[: names.index("--namespace")]:
        shell = psutil.Process(int((folder / f"{{name}}.pid").read_text()))
        shell.children()[0].terminate()  # the pod's first process alone
    (folder / "deleted").touch()
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
    "gpu_type": "any_gpu",
    "queue_minutes": 1440,
    "runtime": 60,
    "mem_mb": 8000,
}
PROFILE = (
    *("--profile", "profiles/kubernetes", "--latency-wait", "5", "--seconds-between-status-checks", "1"),
    *("--default-resources", *(f"{name}={value}" for name, value in FILLED.items())),
)


@pytest.mark.slow
def test_a_run_ends_in_a_table_although_a_pod_was_evicted(project, cluster):
    project.config["methods"] = ["dec", "kmeans"]
    table = project.results / "tables" / "tiny.standard.md"
    output = project.run(str(table), *PROFILE)
    assert table.read_text().count("2/2 ok") == 2
    assert re.search(r"The Job climate/fit-kmeans-\d+ failed \(Evicted\)", output), output
    found = [json.loads(path.read_text()) for path in cluster.glob("*.json")]
    by_rule = {job["metadata"]["labels"]["rule"]: job for job in found}
    assert sorted(by_rule) == ["evaluate", "fit_dec", "fit_kmeans"]
    assert len(found) == 4
    for name, gpu in (("dec", "1"), ("kmeans", None)):
        job = by_rule[f"fit_{name}"]
        pod = job["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert job["metadata"]["namespace"] == "climate"
        assert container["image"] == "ghcr.io/lab/python:3.11-bookworm"
        assert container["resources"]["limits"].get("nvidia.com/gpu") == gpu
        assert bool(pod.get("tolerations")) == bool(gpu)
        # The suite's own limits, which leave records, must act first.
        need = registry.method(name).resources
        assert int(container["resources"]["limits"]["memory"].removesuffix("Mi")) > need["memory_mib"]
        assert pod["activeDeadlineSeconds"] > 60 * need["deadline_minutes"] * project.config["seeds"]


@pytest.mark.slow
def test_ctrl_c_deletes_jobs_and_their_supervisors_stop_cleanly(project, cluster, tmp_path):
    project.add_plugins(ROOT / "tests" / "plugins")
    project.config["methods"] = ["misbehaving/hangs"]
    batch = project.seed_folder("tiny", "misbehaving", "hangs", 0).parent / "batch-0.json"
    log = tmp_path / "log"
    with log.open("w") as output:
        running = subprocess.Popen(
            project.command(str(batch), *PROFILE, "--seconds-between-status-checks", "10"), cwd=ROOT,
            env=project.environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background job of a shell ignores it
        )  # fmt: skip
    fit = project.results / "logs" / "fit" / "tiny.misbehaving.hangs.0.log"
    end = time.monotonic() + 300

    def wait_for(condition):
        while not condition():
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.1)

    wait_for((batch.parent / ".batch-0.attempt.json").exists)
    # Between two questions: the plugin forgets to cancel jobs that it is asking about.
    (question,) = [path.with_suffix(".asked") for path in cluster.glob("*.pid")]
    question.unlink(missing_ok=True)
    wait_for(question.exists)
    time.sleep(3)
    running.send_signal(signal.SIGINT)
    running.wait(300)
    assert (cluster / "deleted").exists(), log.read_text()
    wait_for(question.with_suffix(".code").exists)
    assert "stopped by SIGTERM; finished seeds are kept" in fit.read_text()
