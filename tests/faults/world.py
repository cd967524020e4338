"""The place where a schedule plays: a small file system of its own, the run in it, and what must be true afterwards."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import psutil

from regimebench import jobs, records
from tests.faults import drivers
from tests.faults.schedules import Fault

WEATHER = Path(__file__).with_name("weather")
PATIENCE = 900.0  # seconds after which a run is taken to hang; only a bug or a very busy machine gets there
ORPHAN_SECONDS = 20.0  # how long after a driver's end its processes may need to notice
MIB = 2**20
SPACE_MIB = 24
COSTS = ["seconds", "peak_rss_mib"]  # columns of tables that differ from run to run
PR_SET_CHILD_SUBREAPER = 36


class Violation(AssertionError):
    """Something that must be true after a fault is not."""


class World:
    """A folder with a results folder and the list of all fits, and a file that says what the weather is."""

    def __init__(self, folder: Path, level: str) -> None:
        self.folder, self.level = folder, level
        self.results, self.log, self.output = folder / "results", folder / "fits.log", folder / "output.log"
        self.weather = folder / "weather.json"
        self.results.mkdir(parents=True, exist_ok=True)
        self.log.touch()
        self.mounted = mount(self.results)
        path = os.pathsep.join([str(WEATHER), os.environ.get("PYTHONPATH", "")])
        self.environment = {
            **{name: value for name, value in os.environ.items() if name != "REGIMEBENCH_DRIVER_PID"},
            **{"REGIMEBENCH_PLUGINS": str(drivers.PLUGINS), "REGIMEBENCH_DEVICES": "", "PYTHONPATH": path},
            **{"FAULTS_WEATHER": str(self.weather), "FAULTS_FOLDER": str(self.results), "OMP_NUM_THREADS": "1"},
        }
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # orphans come to this process, and so are seen
        self.before = set(self._children())

    def start(self, retry: bool) -> Any:
        """Start a driver."""
        return (drivers.workflow if self.level == "workflow" else drivers.stages)(self, retry)

    def run(self, disturb: Callable[[Any], None] | None = None, retry: bool = False) -> int:
        """Run a driver, disturbed or not, until it has ended and all that it started; return its exit code."""
        driver = self.start(retry)
        try:
            if disturb:
                disturb(driver)
            wait(lambda: driver.poll() is not None, PATIENCE, "the driver to end")
        finally:
            if driver.poll() is None:
                os.kill(driver.pid, 9)
                driver.wait()
        wait(lambda: not self.orphans(), ORPHAN_SECONDS, "orphan processes to end")
        return driver.returncode

    def orphans(self) -> list[int]:
        """Return the living processes that this run has left."""
        found = []
        for process in self._children() - self.before:
            try:
                if process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process.pid)
                elif process.ppid() == os.getpid():
                    os.waitpid(process.pid, os.WNOHANG)
            except (psutil.NoSuchProcess, ChildProcessError):
                continue
        return found

    def _children(self) -> set[psutil.Process]:
        return set(psutil.Process().children(recursive=True))

    def files(self) -> set[Path]:
        """Return the files of the results, temporary and hidden ones too."""
        return {Path(folder) / name for folder, _, names in os.walk(self.results) for name in names}

    def finished(self) -> set[tuple[str, int]]:
        """Return the fits whose result stands and is whole."""
        found = set()
        for address, entry in drivers.plan_of(self).methods.items():
            folder = records.row_folder(self.results / "demo", address)
            good = records.finished(folder, entry.seeds)
            found |= {(address, seed) for seed, record in good.items() if record["status"] in records.WITH_LABELS}
        return found

    def begun(self) -> list[tuple[str, int]]:
        """Return every fit that was begun, in order."""
        lines = (line.split() for line in self.log.read_text().splitlines())
        return [("counted", int(seed)) for what, seed, _ in lines if what == "begin"]

    def check(self, reference: dict[str, Any]) -> None:
        """Raise :class:`Violation` unless everything is as after an undisturbed run."""
        plan = drivers.plan_of(self)
        wanted = {(address, seed) for address, entry in plan.methods.items() for seed in entry.seeds}
        require(self.finished() == wanted, f"no valid record for {sorted(wanted - self.finished())}")
        for path in jobs.batch_files(self.results / "demo", jobs.batches(plan)):
            batch = json.loads(path.read_text())
            found = [records.sha256_file(path.parent / name) for name in batch["records"]]
            require(found == batch["sha256"], f"{path.name} of {path.parent} does not list its records as they are")
        left = [path for path in self.files() if path.name.endswith((".tmp", ".part", "~"))]
        require(not left, f"temporary files are left: {', '.join(str(p.relative_to(self.results)) for p in left)}")
        found = self.outcome()
        for name in sorted(reference.keys() | found.keys()):
            require(found.get(name) == reference.get(name), f"{name} differs from that of an undisturbed run")

    def outcome(self) -> dict[str, Any]:
        """Return what must be the same after every schedule: labels, scores, and tables without costs."""
        found: dict[str, Any] = {}
        for path in sorted(self.results.glob("demo/counted/*/seed-*/fit.npz")):
            found[str(path.relative_to(self.results))] = records.sha256_file(path)
        found["scores"] = _text(self.results / "demo" / "scores.csv")
        for path in sorted((self.results / "tables").glob("demo.*")):
            if "standard" not in path.name:
                found[path.name] = _text(path)
            elif path.suffix == ".csv":
                found[path.name] = pd.read_csv(path).drop(columns=COSTS).to_csv()
        return found

    def close(self) -> None:
        """Give the file system back."""
        if self.mounted:
            subprocess.run(["umount", "-l", str(self.results)], check=True)


def _text(path: Path) -> str | None:
    return path.read_text() if path.is_file() else None


def require(condition: bool, message: str) -> None:
    """Raise :class:`Violation` unless the condition holds."""
    if not condition:
        raise Violation(message)


def wait(condition: Callable[[], bool], seconds: float, what: str, pause: float = 0.02) -> None:
    """Wait for a condition, and call it a violation if it does not come true."""
    end = time.monotonic() + seconds
    while not condition():
        require(time.monotonic() < end, f"waited {seconds:.0f} s for {what}")
        time.sleep(pause)


def mount(folder: Path) -> bool:
    """Put a small file system on ``folder``; without the right to do so, say no."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return False
    command = ["mount", "-t", "tmpfs", "-o", f"size={SPACE_MIB}m", "tmpfs", str(folder)]
    return subprocess.run(command, capture_output=True).returncode == 0


def immutable(folder: Path, on: bool) -> bool:
    """Let the kernel refuse every change below ``folder``, or allow it again; say whether it could be done."""
    done = subprocess.run(["chattr", "-R", "-f", "+i" if on else "-i", str(folder)], capture_output=True)
    return done.returncode == 0


def possible(fault: Fault, world: World) -> bool:
    """Say whether a fault can be made on this machine: full and read-only file systems need root."""
    return world.mounted or fault.kind not in ("full disk", "read-only results")
