"""Jobs for Kubernetes: what their manifests say, what kubectl's answers mean, and how a pod is stopped."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from regimebench import kubernetes
from regimebench.queues import Queue
from regimebench.schema import InvalidFile, load_yaml

FOLDER = Path("/regimebench/suite")
SCRIPT = FOLDER / ".snakemake/tmp.1/snakejob.fit_dec.3.sh"
ROOT = Path(__file__).resolve().parents[2]
ASKED = {
    "kubernetes_image": "python:3.11-bookworm",
    "kubernetes_namespace": "climate",
    "kubernetes_claim": "regimebench",
    "kubernetes_mount": "/regimebench",
    "mem_mb": 4608,
    "runtime": 90,
}


def made(rule="fit_kmeans", dataset="era5", folder=FOLDER, script=SCRIPT, environ=None, **asked):
    resources = {name: value for name, value in {**ASKED, **asked}.items() if value is not None}
    job = {"rule": rule, "wildcards": {"dataset": dataset}, "threads": 4, "resources": resources}
    return kubernetes.manifest(job, script, folder, "/regimebench/suite/.venv/bin/python", environ or {})


def test_a_job_runs_its_script_on_the_volume_once_with_the_memory_and_time_that_it_asks_for():
    job = made(environ={"REGIMEBENCH_DEVICES": "0", "HOME": "/root", "CDSAPI_KEY": "secret"})
    assert (job["apiVersion"], job["kind"]) == ("batch/v1", "Job")
    assert job["metadata"]["namespace"] == "climate"
    assert job["metadata"]["generateName"] == "fit-kmeans-"
    assert job["spec"]["backoffLimit"] == 0
    pod = job["spec"]["template"]["spec"]
    assert pod["restartPolicy"] == "Never"
    assert pod["activeDeadlineSeconds"] == 5400
    (container,) = pod["containers"]
    assert container["image"] == "python:3.11-bookworm"
    assert container["workingDir"] == "/regimebench/suite"
    python = "/regimebench/suite/.venv/bin/python"
    assert container["command"] == [python, "-m", "regimebench.kubernetes", "run", str(SCRIPT)]
    assert container["resources"] == {"requests": {"cpu": "4", "memory": "4608Mi"}, "limits": {"memory": "4608Mi"}}
    assert container["env"] == [{"name": "REGIMEBENCH_DEVICES", "value": "0"}]
    (mount,), (volume,) = container["volumeMounts"], pod["volumes"]
    assert mount == {"name": volume["name"], "mountPath": "/regimebench"}
    assert volume["persistentVolumeClaim"] == {"claimName": "regimebench"}
    assert not {"tolerations", "nodeSelector", "serviceAccountName"} & set(pod)


def test_a_job_with_a_gpu_asks_for_it_tolerates_its_nodes_and_may_choose_them():
    pod = made(gpu=1)["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert pod["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert "nodeSelector" not in pod
    pod = made(gpu=1, gpu_model="NVIDIA-A100", kubernetes_service_account="runner")["spec"]["template"]["spec"]
    assert pod["nodeSelector"] == {"nvidia.com/gpu.product": "NVIDIA-A100"}
    assert pod["serviceAccountName"] == "runner"


@pytest.mark.parametrize("name", ["fit_a_datsc", "x" * 300, "Größe; rm -rf /", "_", "9__"])
def test_names_and_labels_have_characters_and_lengths_that_are_allowed(name):
    job = made(rule=name, dataset=name)
    assert re.fullmatch("[a-z0-9]([-a-z0-9]{0,56}[a-z0-9])?-", job["metadata"]["generateName"])
    assert job["spec"]["template"]["metadata"]["labels"] == job["metadata"]["labels"]
    for value in job["metadata"]["labels"].values():
        assert re.fullmatch("(([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9])?", value)


def test_what_cannot_work_is_a_sentence():
    with pytest.raises(SystemExit, match="found no kubernetes_image; see profiles/kubernetes/"):
        made(kubernetes_image=None)
    with pytest.raises(SystemExit, match="kubernetes_mount: found '/data', but this folder is /regimebench/suite"):
        made(kubernetes_mount="/data")
    with pytest.raises(SystemExit, match="found 'sumbit x'; allowed: submit FILE"):
        kubernetes.main(["sumbit", "x"])


def test_the_profile_asks_for_an_image_and_says_the_rest():
    resources = load_yaml(ROOT / "profiles" / "kubernetes" / "profile.yaml")["default-resources"]
    with pytest.raises(InvalidFile, match="kubernetes_image: found 'FILL_IN'") as caught:
        Queue.of(resources)
    assert len(caught.value.problems) == 1
    assert set(ASKED) <= set(resources)
    assert Queue.of({**resources, "kubernetes_image": "python:3.11-bookworm"}).has_gpus


def test_needs_are_read_from_the_script_that_snakemake_writes(tmp_path):
    script = tmp_path / "job.sh"
    script.write_text('#!/bin/sh\n# properties = {"rule": "fit_dec", "threads": 2}\ncd / && true\n')
    assert kubernetes.properties(script) == {"rule": "fit_dec", "threads": 2}
    script.write_text("#!/bin/sh\ntrue\n")
    with pytest.raises(SystemExit, match="found no line that starts with '# properties = '"):
        kubernetes.properties(script)


@pytest.fixture
def kubectl(tmp_path, monkeypatch):
    """Return a function that sets what kubectl answers, and gives the file in which it keeps its arguments."""
    tool, calls = tmp_path / "kubectl", tmp_path / "calls"
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    def answer(code=0, output="", error=""):
        words = f"import json, sys\nopen({str(calls)!r}, 'a').write(json.dumps(sys.argv[1:]) + chr(10))\n"
        words += f"sys.stdout.write({output!r})\nsys.stderr.write({error!r})\nsys.exit({code})\n"
        tool.write_text(f"#!{sys.executable}\n{words}")
        tool.chmod(0o755)
        return calls

    return answer


def conditions(*kinds):
    return json.dumps({"status": {"conditions": [{"type": kind, "status": value} for kind, value in kinds]}})


@pytest.mark.parametrize(
    ("answer", "meaning"),
    [
        ({"output": conditions()}, "running"),
        ({"output": json.dumps({"status": {"active": 1}})}, "running"),
        ({"output": conditions(("SuccessCriteriaMet", "True"))}, "running"),  # its pods are still ending
        ({"output": conditions(("SuccessCriteriaMet", "True"), ("Complete", "True"))}, "success"),
        ({"output": conditions(("FailureTarget", "True"), ("Failed", "True"))}, "failed"),
        ({"output": conditions(("Failed", "False"))}, "running"),
        ({"output": ""}, "failed"),  # gone
        ({"code": 1, "error": "The connection to the server 10.0.0.1:443 was refused"}, "running"),
    ],
)
def test_a_job_has_failed_when_it_says_so_or_is_gone_and_not_when_nobody_answers(kubectl, capsys, answer, meaning):
    calls = kubectl(**answer)
    assert kubernetes.main(["status", "climate/fit-dec-x7k2p"]) == 0
    said = capsys.readouterr()
    assert said.out == f"{meaning}\n"
    assert answer.get("error", "") in said.err
    call = json.loads(calls.read_text())
    assert call[1:6] == ["get", "job", "fit-dec-x7k2p", "--namespace", "climate"]


def test_without_kubectl_nobody_answers(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert kubernetes.status("climate/fit-dec-x7k2p") == "running"
    assert "kubectl cannot be started" in capsys.readouterr().err


def test_a_cluster_that_refuses_to_say_is_not_asked_for_ever(kubectl):
    kubectl(code=1, error='Error from server (Forbidden): jobs.batch "x" is forbidden')
    with pytest.raises(SystemExit, match=r"kubectl does not say how climate/x is: .*Forbidden"):
        kubernetes.status("climate/x")


def test_a_job_that_was_not_created_is_a_sentence(kubectl, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    script = tmp_path / "job.sh"
    job = {"rule": "fit_dec", "threads": 2, "resources": {**ASKED, "kubernetes_mount": str(tmp_path)}}
    script.write_text(f"#!/bin/sh\n# properties = {json.dumps(job)}\n")
    kubectl(code=1, error="exceeded quota\n")
    with pytest.raises(SystemExit, match="kubectl created no Job: exceeded quota"):
        kubernetes.submit(script)
    kubectl(output="job.batch/fit-dec-x7k2p\n")
    assert kubernetes.submit(script) == "climate/fit-dec-x7k2p"


def test_the_profiles_program_cancels_without_waiting(kubectl):
    calls = kubectl()
    program = ROOT / "profiles" / "kubernetes" / "cancel"
    subprocess.run([program, "climate/a-1", "other/c-3", "climate/b-2"], cwd=ROOT, check=True)
    found = [json.loads(line)[1:] for line in calls.read_text().splitlines()]
    assert [call[:-4] for call in found] == [["delete", "job", "a-1", "b-2"], ["delete", "job", "c-3"]]
    assert [call[-4:-2] for call in found] == [["--namespace", "climate"], ["--namespace", "other"]]
    assert all("--wait=false" in call for call in found)


def test_a_pod_ends_as_its_script_does(tmp_path, monkeypatch):
    monkeypatch.setattr(kubernetes.signal, "signal", lambda *_: None)  # this process is no pod
    script = tmp_path / "job.sh"
    for ending, code in (("exit 0", 0), ("exit 3", 3), ("kill -9 $$", 137)):
        script.write_text(ending)
        assert kubernetes.run(script) == code


def test_a_pod_that_is_stopped_ends_after_all_that_it_started(tmp_path):
    child = "import signal, sys, time, pathlib\n"
    child += "def stop(*_):\n    time.sleep(1)\n    pathlib.Path('stopped').touch()\n    sys.exit(1)\n"
    child += "signal.signal(signal.SIGTERM, stop)\npathlib.Path('begun').touch()\ntime.sleep(600)\n"
    (tmp_path / "child.py").write_text(child)
    # A shell between them that ends at once, as Snakemake's does.
    (tmp_path / "job.sh").write_text(f"cd {tmp_path} && bash -c '{sys.executable} child.py; true'\n")
    pod = subprocess.Popen([sys.executable, "-m", "regimebench.kubernetes", "run", tmp_path / "job.sh"], cwd=ROOT)
    end = time.monotonic() + 120
    while not (tmp_path / "begun").exists():
        assert time.monotonic() < end
        time.sleep(0.05)
    below = psutil.Process(pod.pid).children(recursive=True)
    pod.terminate()
    pod.wait(120)
    assert (tmp_path / "stopped").exists()
    assert not any(process.is_running() for process in below)
