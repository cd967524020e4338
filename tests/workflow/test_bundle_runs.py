"""Results that travel: elsewhere nothing that a bundle holds is made again, and tables and report come back."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from benchmarks.fabricated import fabricate
from regimebench.bundle import pack
from regimebench.config import make_plan
from regimebench.cube import stored_hash
from regimebench.unpack import unpack
from tests.workflow.conftest import Project

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Return a project whose run is finished; tests leave it as it is."""
    project = Project(tmp_path_factory.mktemp("finished"))
    project.run()
    return project


@pytest.fixture
def there(tmp_path):
    """Return a function that packs a project and unpacks it as the results of one on another machine."""

    def move(project, **options):
        path = tmp_path / "run.zip"
        pack(project.folder / "config.yaml", path, **options)
        (tmp_path / "there").mkdir()
        other = Project(tmp_path / "there")
        unpack(path, other.results)
        other.config = yaml.safe_load((other.results / "config.yaml").read_text())
        return other

    return move


def costly(output):
    """Return the rules of a run, dry or not, that fetch, prepare or fit."""
    assert "Job stats:" in output
    return set(re.findall(r"^(?:local)?rule ((?:download|preprocess|derive|fit_)\w*):$", output, re.MULTILINE))


def records(results):
    """Return when each record was written, by its path below the results."""
    return {path.relative_to(results): path.stat().st_mtime_ns for path in results.glob("tiny/*/*/seed-*/record.json")}


def test_of_a_complete_bundle_nothing_is_fetched_prepared_or_fitted(finished, there):
    other = there(finished)
    for path in (other.results / "tiny" / "cube.nc", other.results / "truth" / "tiny.csv"):
        os.utime(path, (1e9, 1e9))  # as if the code had been checked out since
    output = other.run("-n")
    assert "rule evaluate:" in output
    assert costly(output) == set()


def test_only_what_is_missing_or_other_is_fitted(finished, there, tmp_path):
    here = Project(tmp_path)
    shutil.copytree(finished.results, here.results)
    shutil.rmtree(here.seed_folder("tiny", "random", "", 1))
    here.command()
    other = there(here)
    before = records(other.results)
    assert len(before) == 3
    assert costly(other.run("-n")) == {"fit_random"}
    other.config["methods"] = ["random", {"kmeans": {"n_init": 3}}]
    other.fits()
    after = records(other.results)
    assert len(after) == 4
    assert {name.parts[1] for name in before if before[name] != after[name]} == {"kmeans"}
    assert sorted(path.name for path in (other.results / "logs").iterdir()) == ["fit"]


def test_without_cubes_the_data_are_prepared_again_and_the_fits_kept(finished, there):
    other = there(finished, cubes=False)
    before = records(other.results)
    assert len(before) == 4
    left = other.results / "tiny" / "given.json"
    left.write_text("{}")  # of a cube that came and was deleted
    assert costly(other.fits("data")) == {"download", "preprocess_planted", "fit_kmeans", "fit_random"}
    assert records(other.results) == before
    assert not left.exists()
    assert len({stored_hash(project.results / "tiny" / "cube.nc") for project in (finished, other)}) == 1


def test_a_users_own_files_and_what_was_made_of_them_need_not_be_on_the_other_machine(there, tmp_path):
    here = Project(tmp_path)
    mine = {"plugin": "local", "params": {"files": str(tmp_path / "mine.nc"), "variables": ["t"]}}
    here.config["datasets"] = {"mine": mine, "shuffled": {"of": "mine", "change": "phase_randomised"}}
    here.command()
    fabricate(make_plan(here.config), (40, 4, 4, 2))
    other = there(here)
    assert other.config["datasets"]["mine"]["params"]["files"] == "mine.nc"
    assert costly(other.run("-n")) == set()


def test_tables_and_report_come_back_from_a_bundle_without_a_fit(finished, tmp_path):
    path, there = tmp_path / "run.zip", tmp_path / "there"
    pack(finished.folder / "config.yaml", path, cubes=False)
    command = [sys.executable, "-m", "regimebench", "rebuild", str(path), str(there), "--cores", "2"]
    done = subprocess.run(command, cwd=ROOT, env=finished.environment, text=True, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("paper", "standard", "truth", "diagnostics"):
        table = there / "tables" / f"tiny.{name}.md"
        assert table.read_text() == finished.table(name)
        assert table.stat().st_mtime > path.stat().st_mtime
    assert "did not come with these results" in (there / "report" / "index.html").read_text()
    assert not list(there.glob("logs/fit/*"))
