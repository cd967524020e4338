"""Data sets that stand for the papers' are examined in a run, and what is our choice is marked everywhere."""

import json
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OURS = "region and variables, because no paper names them."


def test_the_page_answers_whether_these_are_the_papers_data(project, tmp_path):
    plugin = tmp_path / "plugins" / "datasets" / "chosen"
    shutil.copytree(ROOT / "datasets" / "_template", plugin)
    described = plugin / "dataset.yaml"
    described.write_text(f"ours: {OURS}\n{described.read_text()}")
    project.add_plugins(tmp_path / "plugins")
    project.config |= {"datasets": {"chosen": {"published": "carra"}}, "methods": ["kmeans"], "seeds": 1}
    project.run()
    findings = json.loads((project.results / "chosen" / "verify.json").read_text())
    assert findings["verdict"].startswith("differs: total inertia per day is")
    assert findings["verdict"] in project.table("verify", "chosen").replace("**", "")
    page = (project.results / "report" / "index.html").read_text().replace("&#39;", "'")
    assert "Is this the papers' data?" in page
    assert findings["verdict"][len("differs") :] in page
    assert f">Our choice, not the papers': {OURS}</p>" in page
    for kind in ("paper", "standard"):
        assert f"- Our choice, not the papers': {OURS}" in project.table(kind, "chosen")
    table = project.table("adatsc-2025-table-1", "paper")
    assert "- – CARRA, no data: no row of this run stands for it." in table
    assert f"- CARRA: Our choice, not the papers': {OURS}" in table
    assert "Nothing to be done" in project.run()


def test_planted_data_stand_for_no_paper_and_are_not_examined(project):
    planned = project.run("--dry-run")
    assert "rule evaluate:" in planned
    assert "rule verify:" not in planned
