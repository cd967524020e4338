"""Whole runs: tables and report, failures that are counted, stops and continuations, changed code."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest

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
    for protocol in ("paper", "standard", "truth"):
        text = project.table(protocol)
        assert "| kmeans " in text
        assert "2/2 ok" in text
        for suffix in ("tex", "csv"):
            assert (project.results / "tables" / f"tiny.{protocol}.{suffix}").stat().st_size > 0
    page = (project.results / "report" / "index.html").read_text()
    for source in ("calendar.png", "kmeans.png"):
        assert source in page
        assert (project.results / "figures" / "tiny" / source).stat().st_size > 5000
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


def test_a_changed_method_is_fitted_again_and_nothing_else_is(project, tmp_path):
    for name in ("one", "two"):
        shutil.copytree(ROOT / "methods" / "random", tmp_path / "plugins" / "methods" / name)
    project.add_plugins(tmp_path / "plugins")
    project.config["methods"] = ["one", "two", "kmeans"]
    project.tables()
    before = started(project)
    code = tmp_path / "plugins" / "methods" / "one" / "method.py"
    code.write_text(code.read_text() + "\n# a change\n")
    project.tables()
    after = started(project)
    changed = {path.parts[-4] for path in before if before[path] != after[path]}
    assert changed == {"one"}


def test_touching_a_plugin_without_changing_it_computes_nothing_again(project, tmp_path):
    shutil.copytree(ROOT / "methods" / "random", tmp_path / "plugins" / "methods" / "one")
    project.add_plugins(tmp_path / "plugins")
    project.config["methods"] = ["one", "kmeans"]
    project.tables()
    before = started(project)
    (tmp_path / "plugins" / "methods" / "one" / "method.py").touch()
    project.tables()
    assert started(project) == before


def test_more_seeds_keep_the_finished_ones(project):
    project.tables()
    before = started(project)
    project.config["seeds"] = 3
    project.tables()
    after = started(project)
    assert {path: after[path] for path in before} == before
    assert len(after) == len(before) + 2


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
    misbehaving.tables()
    after = started(misbehaving)
    assert {path: after[path] for path in before} == before
    assert "2/2 ok" in misbehaving.table("standard")


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


def test_an_error_in_a_stage_is_shown_as_its_sentence(project):
    project.tables()
    cube = project.results / "tiny" / "cube.nc"
    cube.write_bytes(cube.read_bytes()[:2000])
    output = project.run("--quiet", "rules", check=False)
    assert project.returncode != 0
    assert "What went wrong:" in output
    assert "Error: " in output
    assert "cube.nc" in output
    assert "Traceback" not in output
