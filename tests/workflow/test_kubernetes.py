"""What a Kubernetes cluster is asked for: the job specifications that the executor plugin builds, for a false client.

No cluster is involved: the client keeps what it is given and says that every job failed.
"""

import json
from importlib.util import find_spec

import pytest

from regimebench import registry

if find_spec("kubernetes") is None or find_spec("snakemake_executor_plugin_kubernetes") is None:
    pytest.skip("the Kubernetes plugin is not installed (make kubernetes)", allow_module_level=True)

FALSE_CLIENT = """
import json, os, sys
from types import SimpleNamespace as Some

def failed(*arguments, **named):
    return Some(status=Some(failed=1, succeeded=0))

def create(self, namespace, body):
    import kubernetes
    text = kubernetes.client.ApiClient().sanitize_for_serialization(body)
    with open(os.environ["TEST_JOBS"], "a") as file:
        file.write(json.dumps({"namespace": namespace, **text}) + "\\n")
    return body

if any("snakemake" in word for word in sys.orig_argv):
    import kubernetes
    kubernetes.config.load_kube_config = lambda *a, **k: None
    nothing = lambda *a, **k: Some(items=[])
    for name in ("create_namespaced_secret", "delete_namespaced_secret", "list_namespaced_pod"):
        setattr(kubernetes.client.CoreV1Api, name, nothing)
    kubernetes.client.BatchV1Api.create_namespaced_job = create
    kubernetes.client.BatchV1Api.read_namespaced_job_status = failed
    kubernetes.client.BatchV1Api.delete_namespaced_job = nothing
"""


def test_pods_ask_for_what_their_fits_need_and_see_the_results_folder(project, tmp_path):
    (tmp_path / "false").mkdir()
    (tmp_path / "false" / "sitecustomize.py").write_text(FALSE_CLIENT)
    asked = tmp_path / "jobs.jsonl"
    paths = [str(tmp_path / "false"), project.environment.get("PYTHONPATH", "")]
    project.environment.update(PYTHONPATH=":".join(filter(None, paths)), TEST_JOBS=str(asked))
    project.config["methods"] = ["dec", "kmeans"]
    output = project.run(
        *("--profile", "profiles/kubernetes", "--container-image", "python:3.11-bookworm", "--retries", "0"),
        *("--latency-wait", "1", "--seconds-between-status-checks", "1"),
        check=False,
    )
    assert asked.exists(), output
    found = {}
    for line in asked.read_text().splitlines():
        job = json.loads(line)
        (container,) = job["spec"]["template"]["spec"]["containers"]
        name = next(name for name in ("dec", "kmeans") if f"/tiny/{name}/" in container["args"][1])
        found[name] = job, container
    assert set(found) == {"dec", "kmeans"}, output
    for name, (job, container) in found.items():
        pod = job["spec"]["template"]["spec"]
        assert job["namespace"] == "default"
        assert job["spec"]["backoffLimit"] == 0  # Snakemake repeats, and counts
        assert pod["restartPolicy"] == "Never"
        assert container["image"] == "python:3.11-bookworm"
        assert {"name": "regimebench", "mountPath": "/regimebench"} in container["volumeMounts"]
        claims = [volume.get("persistentVolumeClaim", {}).get("claimName") for volume in pod["volumes"]]
        assert "regimebench" in claims
        asks = container["resources"]
        assert int(asks["limits"]["memory"].removesuffix("M")) > registry.method(name).resources["memory_mib"]
        assert asks["requests"]["memory"] == asks["limits"]["memory"]
        assert asks["limits"].get("nvidia.com/gpu") == {"dec": "1", "kmeans": None}[name]
        assert bool(pod.get("tolerations")) == (name == "dec")
