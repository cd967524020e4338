"""Whole runs on a real cluster: the demo, devices, and compute nodes without a network."""

import json
import os
import subprocess
import sys

import pandas as pd
from conftest import ROOT

from regimebench import registry

SEES_DEVICES = """
import os
import numpy as np
from regimebench.method import Fit, Method

class Plugin(Method):
    def fit(self, cube):
        return Fit(np.arange(cube.n_days) % self.n_clusters, stop_reason=os.environ["CUDA_VISIBLE_DEVICES"])
"""


def test_the_demo(run):
    """Every plugin, in as many jobs, and tables that say of each row what became of it."""
    config = str(ROOT / "config" / "demo.yaml")
    del run.environment["REGIMEBENCH_PLUGINS"]
    driver = run.begin("--configfile", config, "--config", f"results={run.results}", target="report/index.html")
    run.end(driver)
    plugins = sorted(registry.folders("methods"))
    runs = pd.read_csv(run.results / "demo" / "runs.csv")
    assert sorted(runs["address"].unique()) == plugins
    assert set(runs["status"]) <= {"ok", "degenerate", "skipped"}
    table = (run.results / "tables" / "demo.standard.md").read_text()
    skipped = set(runs[runs["status"] == "skipped"]["address"])
    assert all(f"| {name} " in table for name in plugins if name not in skipped)
    run.row = "demo"
    assert set(run.jobs("fit_").values()) == {"COMPLETED"}
    batches = list(run.results.glob("demo/*/default/batch-*.json"))  # more than rows: an hour limits their seeds
    assert len(run.jobs("fit_")) == len(batches)


def test_a_job_has_the_device_that_it_was_given_and_others_have_none(run, tmp_path):
    for name, device in (("with_device", "gpu"), ("without", "cpu")):
        folder = tmp_path / "plugins" / "methods" / name
        folder.mkdir(parents=True)
        meta = (ROOT / "tests" / "plugins" / "methods" / "misbehaving" / "method.yaml").read_text()
        (folder / "method.yaml").write_text(meta.replace("device: cpu", f"device: {device}"))
        (folder / "method.py").write_text(SEES_DEVICES)
    run.environment["REGIMEBENCH_PLUGINS"] = str(tmp_path / "plugins")
    del run.environment["REGIMEBENCH_DEVICES"]
    run.config.update(methods=["with_device", "without"], seeds=1)
    run.filled |= {"gpu_type": "fake", "gpu_partition": "gpus"}
    fits = [f"{run.row}/{name}/default/batch-0.json" for name in ("with_device", "without")]
    run.end(run.begin(target=fits[0], more=fits[1]))
    folders = [(run.results / path).with_name("seed-0000") for path in fits]
    records = [json.loads((folder / "record.json").read_text()) for folder in folders]
    assert [record["device"] for record in records] == ["cuda", "cpu"]
    assert records[0]["stop_reason"] in ("0", "1")
    assert not records[1]["stop_reason"]


def test_after_the_data_are_there_nothing_needs_a_network(run, tmp_path):
    run.config.update(methods=["kmeans"], seeds=2)
    config = run.write()
    prepare = ["make", "data", f"CONFIG={config}", "CORES=2"]
    done = subprocess.run(prepare, cwd=ROOT, env=run.environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--configfile", str(config)]
    before = (run.results / run.row / "cube.nc").stat().st_mtime_ns
    offline = ["unshare", "--net", *command, "--", str(run.results / "tables" / f"{run.row}.standard.md")]
    done = subprocess.run(offline, cwd=ROOT, env=run.environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "2/2 ok" in run.table()
    assert (run.results / run.row / "cube.nc").stat().st_mtime_ns == before
    assert os.listdir(run.results / run.row / "raw")
