"""Runs of the real workflow on tiny data, as a user would start them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
TINY = {"family": "subspaces", "n_days": 40, "height": 6, "width": 6, "n_variables": 2, "n_clusters": 3}


class Project:
    """A configuration in a temporary folder, and ways to run it."""

    mark = "REGIMEBENCH_TEST_RUN"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.results = folder / "results"
        self.environment = {**os.environ, "REGIMEBENCH_DEVICES": "", self.mark: str(folder)}
        self.config = {
            "results": str(self.results),
            "budget": "smoke",
            "n_clusters": 3,
            "seeds": 2,
            "datasets": {"tiny": {"plugin": "synthetic", "params": TINY}},
            "methods": ["random", "kmeans"],
        }

    def add_plugins(self, folder: Path) -> None:
        """Let the run see further plugins."""
        self.environment["REGIMEBENCH_PLUGINS"] = str(folder)

    def command(self, *arguments: str) -> list[str]:
        """Return the command line that runs this configuration."""
        path = self.folder / "config.yaml"
        path.write_text(yaml.safe_dump(self.config, sort_keys=False))
        return [sys.executable, "-m", "snakemake", *arguments, "--cores", "2", "--configfile", str(path)]

    def tables(self) -> str:
        """Run the workflow as far as the tables, without figures, and return what it printed."""
        return self.run(*(str(self.results / "tables" / f"{name}.standard.md") for name in self.config["datasets"]))

    def fits(self, *arguments: str) -> str:
        """Run the workflow as far as the fits of all rows, without scores and tables, and return what it printed."""
        rows = [next(iter(row)) if isinstance(row, dict) else row for row in self.config["methods"]]
        batches = (self.seed_folder("tiny", *row.partition("/")[::2], seed=0).parent / "batch-0.json" for row in rows)
        return self.run(*arguments, *map(str, batches))

    def run(self, *arguments: str, check: bool = True) -> str:
        """Run the workflow and return what it printed."""
        done = subprocess.run(
            self.command(*arguments), cwd=ROOT, env=self.environment, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=600,
        )  # fmt: skip
        assert not check or done.returncode == 0, done.stdout
        self.returncode = done.returncode
        return done.stdout

    def record(self, address: str, seed: int, dataset: str = "tiny") -> dict:
        """Return one run record."""
        method, _, variant = address.partition("/")
        return json.loads((self.seed_folder(dataset, method, variant, seed) / "record.json").read_text())

    def seed_folder(self, dataset: str, method: str, variant: str, seed: int) -> Path:
        """Return the folder of one seed."""
        return self.results / dataset / method / (variant or "default") / f"seed-{seed:04d}"

    def table(self, protocol: str, dataset: str = "tiny") -> str:
        """Return one table as Markdown."""
        return (self.results / "tables" / f"{dataset}.{protocol}.md").read_text()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)
