"""Whole runs: tables and report, failures that are counted, stops and continuations, changed code."""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest

from regimebench import jobs
from regimebench.config import make_plan
from regimebench.cube import read_cube
from regimebench.driver import CannotStart, lock_results

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = ROOT / "tests" / "plugins"


def wait_for(condition, seconds=120):
    """Wait until ``condition()`` is true; the limit only ends a test that would hang."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


def started(project):
    """Return when each seed's record was started, by its path."""
    return {path: path.stat().st_mtime_ns for path in project.results.glob("tiny/*/*/seed-*/record.json")}


def orphans(project):
    """Return the processes of this run, known by a variable in their environment."""
    found = psutil.process_iter(["pid", "environ"])
    return [p.pid for p in found if (p.info["environ"] or {}).get(project.mark) == str(project.folder)]


@pytest.fixture
def misbehaving(project):
    project.add_plugins(PLUGINS)
    return project


def test_a_run_ends_in_tables_and_a_page_and_a_second_run_does_nothing(project):
    output = project.run()
    assert f"Tables: {project.results}/tables/" in output
    for protocol in ("paper", "standard", "truth", "diagnostics"):
        text = project.table(protocol)
        assert "| kmeans " in text
        assert "2/2 ok" in text
        for suffix in ("tex", "csv"):
            assert (project.results / "tables" / f"tiny.{protocol}.{suffix}").stat().st_size > 0
    assert "| kmeans " in (project.results / "tables" / "cost.md").read_text()
    page = (project.results / "report" / "index.html").read_text()
    for part in ("Calendar", "Regimes on maps", "data:image/png;base64"):
        assert part in page
    assert (project.results / "figures" / "tiny" / "runs" / "kmeans.maps.png").stat().st_size > 5000
    for name in ("tiny.k", "paper.dsc-2023-table-1", "paper.adatsc-2025-table-2", "audit"):
        assert "</table>" in (project.results / "tables" / f"{name}.html").read_text()
    assert (project.results / "figures" / "tiny" / "choice-of-k.png").stat().st_size > 5000
    truth = pd.read_csv(project.results / "truth" / "tiny.csv")
    assert {"date", "truth", "oracle"} <= set(truth.columns)
    assert "Nothing to be done" in project.run()


def test_failed_seeds_are_counted_with_their_reason_and_the_workflow_ends_well(misbehaving):
    misbehaving.config["methods"] = [
        "kmeans",
        {"misbehaving": {"how": "raises", "bad_seeds": [1]}},
        "misbehaving/kills_itself",
    ]
    misbehaving.config["seeds"] = 3
    misbehaving.tables()
    table = misbehaving.table("standard")
    assert "3/3 ok" in table
    assert "2/3 ok (1 error)" in table
    assert "2/3 ok (1 killed)" in table
    runs = pd.read_csv(misbehaving.results / "tiny" / "runs.csv")
    assert len(runs) == 9
    messages = runs[runs["status"] != "ok"].set_index("status")["message"]
    assert "SIGKILL" in messages["killed"]
    assert "method.py" in messages["error"]


def test_only_what_changed_is_fitted_again(project, tmp_path):
    """A touched file changes nothing, changed code its own method, more seeds add to those that are finished."""
    for name in ("one", "two"):
        shutil.copytree(ROOT / "methods" / "random", tmp_path / "plugins" / "methods" / name)
    code = tmp_path / "plugins" / "methods" / "one" / "method.py"
    project.add_plugins(tmp_path / "plugins")
    project.config["methods"] = ["one", "two", "kmeans"]
    project.fits()
    before = started(project)
    code.touch()
    project.fits()
    assert started(project) == before
    code.write_text(code.read_text() + "\n# a change\n")
    project.fits()
    after = started(project)
    assert {path.parts[-4] for path in before if before[path] != after[path]} == {"one"}
    project.config["seeds"] = 3
    project.fits()
    more = started(project)
    assert {path: more[path] for path in after} == after
    assert len(more) == len(after) + 3


def test_a_driver_killed_half_way_leaves_no_orphan_and_goes_on_where_it_was(misbehaving):
    misbehaving.config["methods"] = ["random", "misbehaving/hangs"]
    misbehaving.config["seeds"] = 2
    driver = subprocess.Popen(
        misbehaving.command(),
        cwd=ROOT,
        env=misbehaving.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    hanging = misbehaving.results / "tiny" / "misbehaving" / "hangs"
    random = misbehaving.results / "tiny" / "random" / "default" / "seed-0001" / "record.json"
    wait_for(lambda: hanging.exists() and random.exists())
    assert orphans(misbehaving)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    wait_for(lambda: not orphans(misbehaving))
    before = started(misbehaving)
    assert random in before
    misbehaving.config["methods"] = ["random", "kmeans"]
    misbehaving.fits()
    after = started(misbehaving)
    assert {path: after[path] for path in before} == before
    assert {misbehaving.record(row, seed)["status"] for row in ("random", "kmeans") for seed in (0, 1)} == {"ok"}


def test_a_second_driver_on_the_same_results_is_refused_with_the_owner(misbehaving):
    misbehaving.config["methods"] = ["misbehaving/hangs"]
    driver = subprocess.Popen(
        misbehaving.command(),
        cwd=ROOT,
        env=misbehaving.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(lambda: (misbehaving.results / "tiny" / "misbehaving").exists())
        output = misbehaving.run(check=False)
        assert misbehaving.returncode != 0
        assert f"in use by another run (process {driver.pid}" in output
    finally:
        driver.kill()
        driver.wait()
        wait_for(lambda: not orphans(misbehaving))


def test_a_results_folder_that_cannot_be_made_is_a_sentence(tmp_path):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(CannotStart, match=r"The folder .*/taken/results/ cannot be written \(Not a directory\)"):
        lock_results(tmp_path / "taken" / "results")


def test_an_error_in_a_stage_is_shown_as_its_sentence(project):
    project.fits()
    cube = project.results / "tiny" / "cube.nc"
    cube.write_bytes(cube.read_bytes()[:2000])
    output = project.run("--quiet", "rules", check=False)
    assert project.returncode != 0
    assert "What went wrong:" in output
    assert "Error: " in output
    assert "cube.nc" in output
    assert "Traceback" not in output


FIELDS = """
import time
import numpy as np
import xarray as xr
from regimebench.dataset import DataError, Dataset


class Plugin(Dataset):
    def download(self, folder):
        if (folder / "fields.nc").exists():
            return
        (folder / "begun").touch()
        if self.params["broken"]:
            raise DataError("the archive does not answer")
        time.sleep(self.params["wait"])
        days = np.arange(self.params["n_days"])
        values = np.random.default_rng(0).random((len(days), 4, 5))
        time_ = np.datetime64("2021-01-01", "ns") + days * np.timedelta64(1, "D")
        coords = {"time": time_, "lat": 40.0 - np.arange(4), "lon": np.arange(5.0)}
        field = xr.DataArray(values, dims=("time", "lat", "lon"), coords=coords, attrs={"units": "K"})
        field.to_dataset(name="t").to_netcdf(folder / "fields.nc", engine="netcdf4")

    def open(self, folder):
        with xr.open_dataset(folder / "fields.nc") as fields:
            return fields.load()
"""
DESCRIPTION = """
{title: t, summary: s, licence: l, kind: reanalysis, parameters: {
  n_days: {value: 20, description: d}, wait: {value: 0, description: d}, broken: {value: false, description: d}}}
"""


@pytest.fixture
def keeping(project, tmp_path):
    """Return a project whose data set keeps whatever it finds in its folder."""
    folder = tmp_path / "plugins" / "datasets" / "keeping"
    folder.mkdir(parents=True)
    (folder / "dataset.yaml").write_text(DESCRIPTION)
    (folder / "dataset.py").write_text(FIELDS)
    project.add_plugins(tmp_path / "plugins")
    project.config["datasets"] = {"tiny": {"plugin": "keeping", "params": {}, "published": None}}
    project.config["methods"] = ["random"]
    return project


def manifest(project):
    return json.loads((project.results / "tiny" / "raw" / "manifest.json").read_text())


def test_raw_files_of_other_parameters_are_fetched_again_and_those_of_older_code_are_kept(keeping, tmp_path):
    cube = str(keeping.results / "tiny" / "cube.nc")

    def days():
        assert "Tables:" not in keeping.run(cube)
        return read_cube(Path(cube)).n_days

    assert days() == 20
    assert manifest(keeping)["params"]["n_days"] == 20
    keeping.config["datasets"]["tiny"]["params"] = {"n_days": 30}
    assert days() == 30
    assert manifest(keeping)["params"]["n_days"] == 30
    assert "they are deleted" in (keeping.results / "logs" / "download" / "tiny.log").read_text()
    fetched = (keeping.results / "tiny" / "raw" / "fields.nc").stat().st_mtime_ns
    code = tmp_path / "plugins" / "datasets" / "keeping" / "dataset.py"
    code.write_text(FIELDS.replace("return fields.load()", "return fields.isel(time=slice(25)).load()"))
    assert days() == 25
    assert (keeping.results / "tiny" / "raw" / "fields.nc").stat().st_mtime_ns == fetched


def test_the_manifest_names_no_folder_of_this_machine_and_no_planted_parameter(project):
    project.run(str(project.results / "tiny" / "raw" / "manifest.json"))
    found = manifest(project)
    assert "params" not in found
    assert len(found["params_sha256"]) == len(found["code_sha256"]) == 64
    text = json.dumps(found)
    assert str(project.folder) not in text
    assert "subspaces" not in text


def test_a_rewritten_zarr_store_is_seen(project, tmp_path):
    store = tmp_path / "data.zarr"
    (store / "t").mkdir(parents=True)
    (store / ".zmetadata").write_text("{}")
    (store / "t" / "0.0.0").write_bytes(b"one")
    datasets = {"mine": {"plugin": "local", "params": {"files": str(store)}}}
    entry = make_plan({"datasets": datasets, "methods": ["random"]}).datasets["mine"]
    before = jobs.source_folders(entry)
    assert jobs.source_files(entry) == []
    assert jobs.source_folders(entry) == before
    (store / "t" / "0.0.0").write_bytes(b"other")
    assert jobs.source_folders(entry) != before


def test_failed_fits_are_retried_whenever_it_is_asked_for(misbehaving, tmp_path):
    counter = tmp_path / "counter"
    row = {"misbehaving": {"how": "raises", "bad_seeds": [1], "counter": str(counter)}}
    misbehaving.config["methods"] = [row]

    def fits(**settings):
        misbehaving.config.update(settings)
        misbehaving.fits()
        return len(counter.read_text().splitlines())

    assert fits() == 2
    batch = misbehaving.results / "tiny" / "misbehaving" / "default" / "batch-0.json"
    os.utime(
        batch, (batch.stat().st_mtime + 86400,) * 2
    )  # as if made while the clock was wrong: it is tried all the same
    assert fits(retry_failed=True) == 3
    assert fits(retry_failed=True) == 4
    misbehaving.fits("-n")
    assert batch.is_file()
    assert fits(retry_failed=False) == 4


def test_damaged_results_are_noticed_by_the_next_run(project):
    """Their batch file was there, so nothing was to be done."""
    project.fits()
    before = started(project)
    record = project.seed_folder("tiny", "kmeans", "", 0) / "record.json"
    labels = project.seed_folder("tiny", "random", "", 1) / "fit.npz"
    record.write_text(record.read_text()[:100])
    labels.write_bytes(labels.read_bytes()[:100])
    project.fits()
    after = started(project)
    assert {path for path in before if before[path] != after[path]} == {record, labels.with_name("record.json")}
    assert {project.record(row, seed)["status"] for row in ("random", "kmeans") for seed in (0, 1)} == {"ok"}
    assert "Nothing to be done" in project.fits()


def test_skipped_fits_are_made_as_soon_as_their_framework_is_there(project, tmp_path, tensorflow):
    shutil.copytree(ROOT / "methods" / "random", tmp_path / "plugins" / "methods" / "lacking")
    path = tmp_path / "plugins" / "methods" / "lacking" / "method.yaml"
    path.write_text(path.read_text().replace("framework: numpy", "framework: tensorflow"))
    project.add_plugins(tmp_path / "plugins")
    project.config["methods"] = ["kmeans", "lacking"]
    project.environment["PYTHONPATH"] = tensorflow(False)
    sentence = "TensorFlow is not installed in this environment: run make tensorflow, then run again."
    output = project.tables()
    assert f"Note: lacking will be skipped. {sentence}" in output
    for protocol in ("paper", "standard", "truth"):
        assert f"- Skipped: lacking (1 row). {sentence}" in project.table(protocol)
        assert "| lacking" not in project.table(protocol)
    assert "Nothing to be done" in project.tables()
    project.environment["PYTHONPATH"] = tensorflow(True)
    kept = started(project)
    assert "will be skipped" not in project.tables()
    after = started(project)
    assert {path.parts[-4] for path in kept if kept[path] != after[path]} == {"lacking"}
    assert project.record("lacking", 0)["status"] == "ok"
    assert "| lacking" in project.table("standard")
    assert "Skipped" not in project.table("standard")
    project.environment["PYTHONPATH"] = tensorflow(False)
    project.config["retry_failed"] = True
    project.fits()
    assert started(project) == after


def test_a_driver_killed_during_a_download_leaves_no_orphan(keeping):
    keeping.config["datasets"]["tiny"]["params"] = {"wait": 600}
    driver = subprocess.Popen(
        keeping.command(), cwd=ROOT, env=keeping.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    wait_for(lambda: (keeping.results / "tiny" / "raw" / "begun").exists())
    assert orphans(keeping)
    driver.kill()
    driver.wait()
    wait_for(lambda: not orphans(keeping))


def test_downloads_that_wait_hold_no_core(keeping):
    """Two of them on two cores: a third data set is fetched and prepared meanwhile."""
    waiting = {**keeping.config["datasets"]["tiny"], "params": {"wait": 600}}
    keeping.config["datasets"] = {"one": waiting, "two": waiting, "tiny": {**waiting, "params": {}}}
    driver = subprocess.Popen(
        keeping.command(), cwd=ROOT, env=keeping.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    wait_for(lambda: all((keeping.results / name / "raw" / "begun").exists() for name in ("one", "two")))
    wait_for(lambda: (keeping.results / "tiny" / "cube.nc").exists())
    driver.kill()
    driver.wait()
    wait_for(lambda: not orphans(keeping))


def test_a_broken_data_set_does_not_keep_another_from_its_tables(keeping):
    whole = keeping.config["datasets"]["tiny"]
    keeping.config["datasets"] = {"bad": {**whole, "params": {"broken": True}}, "tiny": whole}
    output = keeping.run("--quiet", "rules", check=False)
    assert keeping.returncode != 0
    assert "the archive does not answer" in output
    assert "2/2 ok" in keeping.table("standard")
    assert not list((keeping.results / "tables").glob("bad.*"))


def test_no_more_gpu_jobs_are_started_than_there_are_devices(keeping):
    keeping.environment["REGIMEBENCH_DEVICES"] = "fake0,fake1"
    output = keeping.run(str(keeping.results / "tiny" / "raw" / "manifest.json"))
    assert re.search(r"Provided resources: .*gpu\D+2\b", output)


def test_data_that_are_there_are_not_asked_for_again(keeping, tmp_path):
    code = tmp_path / "plugins" / "datasets" / "keeping" / "dataset.py"
    key = tmp_path / "key"
    key.touch()
    problems = f"""
    def problems(self, folder):
        from pathlib import Path
        return [] if Path({str(key)!r}).exists() else ["there is no key for the archive"]
"""
    code.write_text(FIELDS + problems)
    keeping.run(str(keeping.results / "tiny" / "cube.nc"))
    key.unlink()
    keeping.tables()
    keeping.config["datasets"]["tiny"]["params"] = {"n_days": 30}
    output = keeping.run(check=False)
    assert keeping.returncode != 0
    assert "data set 'tiny': there is no key for the archive" in output
