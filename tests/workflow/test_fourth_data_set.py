"""Adding a data set is one folder: the example in the documentation, from the template to a table."""

from __future__ import annotations

import re

import pytest
import yaml

from regimebench import scaffold
from tests.servers.files import FaultyFiles, Hosted
from tests.servers.psl import yearly_file
from tests.workflow.conftest import ROOT

EXAMPLE = re.search(r"```python\n(.*?)```", (ROOT / "docs" / "add-a-dataset.md").read_text(), re.DOTALL)[1]
YAML = {
    "title": "Sea-level pressure",
    "summary": "An example.",
    "licence": "public domain",
    "kind": "reanalysis",
    "parameters": {
        "base_url": {"value": "https://downloads.psl.noaa.gov", "description": "Provider", "source": "ours"},
        "year": {"value": 2021, "description": "Year", "source": "ours"},
    },
}


@pytest.mark.slow
def test_the_documented_example_runs_from_request_to_table(project):
    (project.folder / "datasets").mkdir()
    scaffold.create("datasets", "pressure", root=project.folder)
    folder = project.folder / "datasets" / "pressure"
    (folder / "dataset.py").write_text(EXAMPLE)
    (folder / "dataset.yaml").write_text(yaml.safe_dump(YAML))
    project.add_plugins(project.folder)
    project.environment |= {"NO_PROXY": "127.0.0.1", "REGIMEBENCH_PATIENCE": "0.1"}
    with FaultyFiles({"/surface/slp.2021.nc": Hosted(yearly_file("slp", 2021))}) as server:
        params = {"base_url": server.address}
        project.config |= {"datasets": {"pressure": {"params": params}}, "methods": ["kmeans"]}
        project.tables()
    assert "2/2 ok" in project.table("standard", "pressure")
