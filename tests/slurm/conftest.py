"""One Slurm for all tests of this folder, and runs of the workflow on it, as a user of a cluster would start them.

The tests wait more than they work, so several run side by side (pytest-xdist) on the one cluster, which the process
that shares them out starts and stops.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from cluster import PATIENCE, Cluster, reason_to_refuse

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = ROOT / "tests" / "plugins"
TINY = {"family": "subspaces", "n_days": 40, "height": 6, "width": 6, "n_variables": 2, "n_clusters": 3}
# What a user fills in, and what a small cluster without accounting needs besides.
FILLED = {"slurm_account": "test", "slurm_partition": "main", "gpu_type": "none", "queue_minutes": 60}
QUICK = [
    *("--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "3", "--latency-wait", "15")
]


CLUSTER = "REGIMEBENCH_TEST_CLUSTER"  # the folder of the cluster that is running, for the processes that run tests


def pytest_sessionstart(session: pytest.Session) -> None:
    if hasattr(session.config, "workerinput") or session.config.option.collectonly:
        return
    reason = reason_to_refuse()
    if reason:
        pytest.exit(f"No Slurm was started: {reason}.", returncode=1)
    folder = tempfile.mkdtemp(prefix="regimebench-slurm-")
    os.chmod(folder, 0o755)
    os.environ[CLUSTER] = folder
    Cluster(Path(folder)).start()


def pytest_sessionfinish(session: pytest.Session) -> None:
    if not hasattr(session.config, "workerinput") and CLUSTER in os.environ:
        folder = os.environ.pop(CLUSTER)
        Cluster(Path(folder)).stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def cluster() -> Cluster:
    return Cluster(Path(os.environ[CLUSTER]))


class Run:
    """One configuration in a folder of its own, run through ``profiles/slurm``."""

    def __init__(self, folder: Path, cluster: Cluster) -> None:
        self.folder, self.cluster, self.row = folder, cluster, folder.name.partition("_")[2][:20].strip("_0123456789")
        self.driver: subprocess.Popen | None = None
        self.filled = dict(FILLED)
        self.results, self.counter = folder / "results", folder / "fits"
        self.environment = {**os.environ, "REGIMEBENCH_PLUGINS": str(PLUGINS), "REGIMEBENCH_DEVICES": ""}
        self.config = {
            "results": str(self.results),
            "budget": "smoke",
            "n_clusters": 3,
            "seeds": 3,
            "datasets": {self.row: {"plugin": "synthetic", "params": TINY}},
        }

    def misbehaves(self, how: str = "raises", bad: tuple[int, ...] = (), pause: float = 0.0) -> None:
        """Let the only row be a method that counts its fits and fails for the seeds in ``bad``."""
        chosen = {"how": how, "bad_seeds": list(bad), "pause": pause, "counter": str(self.counter)}
        self.config["methods"] = [{"misbehaving": chosen}]

    def write(self) -> Path:
        """Write the configuration and return its file."""
        path = self.folder / "config.yaml"
        path.write_text(yaml.safe_dump(self.config, sort_keys=False))
        return path

    def begin(self, *arguments: str, target: str | None = None, more: str | None = None) -> subprocess.Popen:
        """Start a driver for the tables."""
        command = [sys.executable, "-m", "snakemake", "--profile", "profiles/slurm"]
        if "--configfile" not in arguments:
            command += ["--configfile", str(self.write())]
        resources = [f"{name}={value}" for name, value in {**self.filled, "runtime": 10, "mem_mb": 2000}.items()]
        self.log = open(self.folder / "driver.log", "a")  # noqa: SIM115 - as long as the driver
        wanted = [target or f"tables/{self.row}.standard.md", *([more] if more else [])]
        targets = [str(self.results / each) for each in wanted]
        # Drivers that end remove empty folders of logs, also those into which others' jobs are about to write.
        command += ["--slurm-logdir", str(self.folder / "slurm_logs")]
        command += [*QUICK, *arguments, "--default-resources", *resources, "--", *targets]
        output = {"stdout": self.log, "stderr": subprocess.STDOUT}
        self.driver = subprocess.Popen(command, cwd=ROOT, env=self.environment, **output)
        return self.driver

    def close(self) -> None:
        """End what a test that failed has left."""
        if self.driver and self.driver.poll() is None:
            self.driver.kill()
            self.driver.wait()
        numbers = [number for number, state in self.jobs("").items() if state in ("RUNNING", "PENDING")]
        if numbers:
            self.cluster.ask("scancel", *numbers)

    def end(self, driver: subprocess.Popen) -> None:
        """Wait until a driver has ended well."""
        code = driver.wait(timeout=3 * PATIENCE)
        assert code == 0, (self.folder / "driver.log").read_text()[-6000:]

    def jobs(self, rule: str = "fit_misbehaving") -> dict[str, str]:
        """Return number -> state of this run's jobs of a rule, in their order."""
        found = {int(number): state for number, state in self.cluster.jobs(rule, self.row)}
        return {str(number): found[number] for number in sorted(found)}

    def finished(self) -> dict[Path, bytes]:
        """Return the records that are there."""
        return {path: path.read_bytes() for path in self.results.glob(f"{self.row}/misbehaving/*/seed-*/record.json")}

    def status(self) -> dict[int, str]:
        """Return seed -> status."""
        records = [json.loads(text) for text in self.finished().values()]
        return {record["seed"]: record["status"] for record in sorted(records, key=lambda each: each["seed"])}

    def starts(self) -> dict[int, int]:
        """Return how often each seed was begun."""
        lines = self.counter.read_text().splitlines() if self.counter.exists() else []
        return dict(sorted(Counter(int(line.split()[0]) for line in lines).items()))

    def table(self) -> str:
        return (self.results / "tables" / f"{self.row}.standard.md").read_text()


@pytest.fixture
def run(tmp_path: Path, cluster: Cluster) -> Iterator[Run]:
    made = Run(tmp_path, cluster)
    yield made
    made.close()


def pytest_terminal_summary(terminalreporter) -> None:
    """Print the fault table, from what the tests have noted."""
    rows = [value for item in terminalreporter.getreports("passed") for name, value in item.user_properties
            if name == "fault"]  # fmt: skip
    if rows:
        terminalreporter.section("faults on a real Slurm")
        terminalreporter.write_line("| fault | jobs | seeds lost | seeds computed twice | table says |")
        terminalreporter.write_line("|---|---|---|---|---|")
        for row in rows:
            terminalreporter.write_line(f"| {' | '.join(row)} |")
