"""Results that travel: a run goes on elsewhere without a second fit, and tables and report come back without any."""

import subprocess
import sys
from pathlib import Path

from regimebench.bundle import pack
from regimebench.unpack import unpack
from tests.workflow.conftest import Project

ROOT = Path(__file__).resolve().parents[2]


def records(results):
    """Return when each record was written, by its path below the results."""
    return {path.relative_to(results): path.stat().st_mtime_ns for path in results.glob("tiny/*/*/seed-*/record.json")}


def test_a_run_goes_on_elsewhere_and_only_what_is_other_or_missing_is_fitted(project, tmp_path):
    project.fits()
    path = tmp_path / "run.zip"
    pack(project.folder / "config.yaml", path)
    (tmp_path / "other").mkdir()
    other = Project(tmp_path / "other")
    unpack(path, other.results)
    before = records(other.results)
    assert len(before) == 4
    other.config["methods"] = ["random", {"kmeans": {"n_init": 3}}]
    other.fits()
    after = records(other.results)
    assert {name.parts[1] for name in before if before[name] != after[name]} == {"kmeans"}


def test_tables_and_report_come_back_from_a_bundle_without_a_fit(project, tmp_path):
    project.run()
    path, there = tmp_path / "run.zip", tmp_path / "there"
    pack(project.folder / "config.yaml", path, cubes=False)
    command = [sys.executable, "-m", "regimebench", "rebuild", str(path), str(there), "--cores", "2"]
    done = subprocess.run(command, cwd=ROOT, env=project.environment, text=True, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("paper", "standard", "truth", "diagnostics"):
        table = there / "tables" / f"tiny.{name}.md"
        assert table.read_text() == project.table(name)
        assert table.stat().st_mtime > path.stat().st_mtime
    assert "did not come with these results" in (there / "report" / "index.html").read_text()
    assert not list(there.glob("logs/fit/*"))
