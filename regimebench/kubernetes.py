"""Snakemake's jobs on a Kubernetes cluster, as its executor plugin ``cluster-generic`` asks for them.

``submit JOBSCRIPT`` makes a Job of the script that Snakemake wrote, ``status ID`` says how it is, ``cancel ID...``
deletes Jobs, and ``run JOBSCRIPT`` is what the pod does. What a job needs and where it runs stand among its resources
(``profiles/kubernetes/profile.yaml``), which Snakemake writes into the script. An ID is ``namespace/name``.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PROPERTIES = "# properties = "
GPU = "nvidia.com/gpu"
KEPT_SECONDS = 24 * 3600  # of a Job that has ended, for the driver to ask about it
GRACE_SECONDS = 60  # between SIGTERM and SIGKILL, for the supervisor to stop its worker
NAME_LENGTH, LABEL_LENGTH = 50, 63  # the server adds five characters to a name of 63 at most


def properties(jobscript: Path) -> dict[str, Any]:
    """Return what Snakemake says about a job in its script: rule, wildcards, threads, resources.

    Raises
    ------
    SystemExit
        If the script does not say it.
    """
    for line in jobscript.read_text().splitlines():
        if line.startswith(PROPERTIES):
            return json.loads(line.removeprefix(PROPERTIES))
    raise SystemExit(f"{jobscript}: found no line that starts with {PROPERTIES!r}; use Snakemake's own jobscript")


def manifest(
    job: Mapping[str, Any], jobscript: Path, folder: Path, python: str, environ: Mapping[str, str]
) -> dict[str, Any]:
    """Return the ``batch/v1`` Job that runs one of Snakemake's jobs.

    Parameters
    ----------
    job : mapping
        What :func:`properties` returns.
    jobscript, folder : Path
        The script and the folder to run it in, both on the volume.
    python : str
        Interpreter on the volume.
    environ : mapping
        Environment of the driver; the suite's own variables are handed on.

    Raises
    ------
    SystemExit
        If a resource is missing, or the script is not on the volume.
    """
    asked = _resources(job)
    mount = asked["kubernetes_mount"]
    if not (jobscript.is_relative_to(mount) and folder.is_relative_to(mount)):
        raise SystemExit(
            f"default-resources.kubernetes_mount: found {mount!r}, but this folder is {folder}; start the driver from "
            "the folder on the volume, mounted at the same path as in the pods"
        )
    rule = job.get("rule") or "group"
    labels = {
        "app.kubernetes.io/name": "regimebench",
        "rule": _label(rule),
        "dataset": _label(job.get("wildcards", {}).get("dataset", "")),
    }
    container = {
        "name": "job",
        "image": asked["kubernetes_image"],
        "command": [python, "-m", "regimebench.kubernetes", "run", str(jobscript)],
        "workingDir": str(folder),
        "env": [{"name": name, "value": environ[name]} for name in sorted(environ) if name.startswith("REGIMEBENCH_")],
        "resources": _needs(job["threads"], asked),
        "volumeMounts": [{"name": "volume", "mountPath": mount}],
    }
    pod = {
        "restartPolicy": "Never",
        "activeDeadlineSeconds": 60 * asked["runtime"],  # of the pod: a Job's own would count the time in the queue
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "automountServiceAccountToken": False,
        "containers": [container],
        "volumes": [{"name": "volume", "persistentVolumeClaim": {"claimName": asked["kubernetes_claim"]}}],
        **_placement(asked),
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"generateName": _stem(rule), "namespace": asked["kubernetes_namespace"], "labels": labels},
        "spec": {
            "backoffLimit": 0,  # Snakemake repeats, and counts
            "ttlSecondsAfterFinished": KEPT_SECONDS,
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def submit(jobscript: Path) -> str:
    """Submit a job and return its ID.

    Raises
    ------
    SystemExit
        If the cluster did not take it.
    """
    job = manifest(properties(jobscript), jobscript, Path.cwd(), sys.executable, os.environ)
    done = _kubectl("create", "--filename", "-", "--output", "name", text=json.dumps(job))
    if done.returncode:
        raise SystemExit(f"kubectl created no Job: {done.stderr.strip()}")
    return f"{job['metadata']['namespace']}/{done.stdout.strip().rpartition('/')[2]}"


def status(identity: str) -> str:
    """Return ``running``, ``success`` or ``failed``; a Job that is gone has failed, and no answer says nothing.

    Raises
    ------
    SystemExit
        If the cluster refuses to answer: it will not answer later either.
    """
    namespace, _, name = identity.partition("/")
    done = _kubectl("get", "job", name, "--namespace", namespace, "--ignore-not-found", "--output", "json")
    if done.returncode:
        sentence = f"kubectl does not say how {identity} is: {done.stderr.strip()}"
        if "(Forbidden)" in done.stderr:
            raise SystemExit(sentence)
        print(sentence, file=sys.stderr)
        return "running"
    if not done.stdout.strip():
        print(f"The Job {identity} is gone", file=sys.stderr)
        return "failed"
    found = json.loads(done.stdout).get("status", {}).get("conditions") or []
    met = {each["type"]: each for each in found if each["status"] == "True"}
    if "Failed" in met:
        why = ": ".join(met["Failed"][key] for key in ("reason", "message") if met["Failed"].get(key))
        print(f"The Job {identity} failed ({why}); see kubectl logs -n {namespace} job/{name}", file=sys.stderr)
        return "failed"
    return "success" if "Complete" in met else "running"


def cancel(identities: Sequence[str]) -> int:
    """Delete Jobs and their pods, without waiting for their end; return kubectl's worst exit status."""
    names = defaultdict(list)
    for identity in identities:
        namespace, _, name = identity.partition("/")
        names[namespace].append(name)
    worst = 0
    for namespace, jobs in names.items():
        done = _kubectl("delete", "job", *jobs, "--namespace", namespace, "--ignore-not-found", "--wait=false")
        print(done.stderr, end="", file=sys.stderr)
        worst = max(worst, done.returncode)
    return worst


def run(jobscript: Path) -> int:
    """Run a job's script in its pod, and hand SIGTERM on to all of it; return its exit status.

    A pod is stopped by SIGTERM to its first process alone; a shell there would ignore it, and the supervisor would be
    killed without a chance to stop cleanly.
    """
    import psutil  # what runs beside the driver has no use for it

    told: list[psutil.Process] = []

    def stop(*_: object) -> None:
        for process in psutil.Process(script.pid).children(recursive=True):
            try:
                process.terminate()
            except psutil.NoSuchProcess:
                continue
            told.append(process)

    script = subprocess.Popen(["/bin/sh", str(jobscript)])
    signal.signal(signal.SIGTERM, stop)
    code = script.wait()
    psutil.wait_procs(told)  # the container ends with this process
    return code if code >= 0 else 128 - code


def main(arguments: Sequence[str] = tuple(sys.argv[1:])) -> int:
    """Do what the command line says and return the exit status."""
    match arguments:
        case ["submit", jobscript]:
            print(submit(Path(jobscript)))
        case ["status", identity]:
            print(status(identity))
        case ["cancel", *identities]:
            return cancel(identities)
        case ["run", jobscript]:
            return run(Path(jobscript))
        case _:
            raise SystemExit(f"found {' '.join(arguments)!r}; allowed: submit FILE, status ID, cancel ID..., run FILE")
    return 0


def _resources(job: Mapping[str, Any]) -> Mapping[str, Any]:
    asked = job["resources"]
    needed = ("runtime", "mem_mb", *(f"kubernetes_{name}" for name in ("image", "namespace", "claim", "mount")))
    if missing := [name for name in needed if name not in asked]:
        raise SystemExit(f"default-resources: found no {', '.join(missing)}; see profiles/kubernetes/profile.yaml")
    return asked


def _needs(threads: int, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return requests and limits of a container; memory beyond a request may be gone when it is needed."""
    memory = f"{asked['mem_mb']}Mi"
    gpu = {GPU: str(asked["gpu"])} if asked.get("gpu") else {}
    shared = {"memory": memory, **gpu}
    return {"requests": {"cpu": str(threads), **shared}, "limits": shared}


def _placement(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return as whom and on which nodes a pod runs, where that is said."""
    account = asked.get("kubernetes_service_account")
    placed: dict[str, Any] = {"serviceAccountName": account} if account else {}
    if asked.get("gpu"):
        placed["tolerations"] = [{"key": GPU, "operator": "Exists", "effect": "NoSchedule"}]
        if "gpu_model" in asked:
            placed["nodeSelector"] = {f"{GPU}.product": asked["gpu_model"]}
    return placed


def _stem(rule: str) -> str:
    """Return the beginning of a Job's name, which the server completes: lower-case letters, digits, hyphens."""
    return (re.sub("[^a-z0-9]+", "-", rule.lower()).strip("-")[:NAME_LENGTH] or "job") + "-"


def _label(text: str) -> str:
    """Return text as the value of a label: other characters become hyphens, letter or digit at both ends."""
    return re.sub("[^A-Za-z0-9_.-]", "-", text)[:LABEL_LENGTH].strip("-_.")


def _kubectl(*arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    command = ["kubectl", "--request-timeout=30s", *arguments]
    try:
        return subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    except OSError as error:
        return subprocess.CompletedProcess(command, 1, "", f"kubectl cannot be started: {error}")


if __name__ == "__main__":
    sys.exit(main())
