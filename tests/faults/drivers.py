"""Two drivers of the tiny run: the Snakemake workflow itself, and a short one that runs the same stages in turn.

The short one costs a sixth of the other. Its supervisors and workers are the real commands; the other stages run in
forks of this suite, which has their libraries loaded. The lock, the watch over the driver and the stages are the real
ones; what is lacking is Snakemake's way to find out what is to be done: every stage runs again, but for the first two.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import yaml

from regimebench import aggregate, download, evaluate, jobs, preprocess, records, registry
from regimebench.__main__ import _end_with_driver
from regimebench.config import Plan, make_plan
from regimebench.driver import lock_results
from regimebench.registry import ROOT
from tests.faults.weather import sitecustomize as weather

if TYPE_CHECKING:
    from tests.faults.world import World

PLUGINS = ROOT / "tests" / "plugins"
CORES = 2


def configuration(world: World) -> dict[str, Any]:
    """Return the configuration: the demo's, with tiny days and one row that lists its fits, in one batch or two."""
    demo = yaml.safe_load((ROOT / "config" / "demo.yaml").read_text())
    tiny = {"n_days": 40, "height": 6, "width": 6, "n_variables": 2, "n_clusters": 3}
    demo["datasets"]["demo"]["params"] |= tiny
    sizes = {"n_clusters": 3, "seeds": 3, "seeds_per_job": 2 if world.level == "workflow" else 3}
    return {**demo, **sizes, "results": str(world.results), "methods": [{"counted": {"counter": str(world.log)}}]}


def plan_of(world: World) -> Plan:
    """Return what is to be done."""
    return make_plan(configuration(world))


def workflow(world: World, retry: bool) -> subprocess.Popen[bytes]:
    """Start Snakemake, as far as the tables: figures take longer than all the rest and are made in the same way."""
    path = world.folder / "config.yaml"
    path.write_text(yaml.safe_dump({**configuration(world), "retry_failed": retry}, sort_keys=False))
    tables = jobs.table_files(plan_of(world), "demo")
    command = [sys.executable, "-m", "snakemake", "--cores", str(CORES), "--configfile", str(path), "--quiet", "rules"]
    with open(world.output, "ab") as output:
        return subprocess.Popen(
            [*command, "--", *tables], cwd=ROOT, env=world.environment, stdout=output, stderr=output
        )


class Forked:
    """A child of this process that runs a function, looked at like a ``subprocess.Popen``."""

    def __init__(self, function: Callable[[], int], output: Path, environment: dict[str, str]) -> None:
        self.returncode: int | None = None
        self.pid = os.fork()
        if self.pid:
            return
        code = 1
        try:
            file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            os.dup2(file, 1)
            os.dup2(file, 2)
            os.environ.clear()
            os.environ.update(environment)
            code = function()
        except BaseException as error:
            if not isinstance(error, SystemExit):
                traceback.print_exc()
            print(f"Error: {error}", file=sys.stderr)
        finally:
            sys.stderr.flush()
            os._exit(code)

    def poll(self) -> int | None:
        """Return the exit code if the process has ended."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.returncode = os.waitstatus_to_exitcode(status) if pid else None
        return self.returncode

    def wait(self) -> int:
        """Wait for the end of the process."""
        if self.returncode is None:
            self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.returncode


def stages(world: World, retry: bool) -> Forked:
    """Start the short driver."""
    environment = {**world.environment, "REGIMEBENCH_RETRY_FAILED": str(int(retry))}
    return Forked(lambda: _drive(world), world.output, environment)


def _drive(world: World) -> int:
    if "FAULTS_WEATHER" in os.environ:
        weather.install()
    os.environ["REGIMEBENCH_DRIVER_PID"] = str(os.getpid())
    plan = plan_of(world)
    held = lock_results(plan.results)  # kept open until the process ends
    data = plan.datasets["demo"]
    folder = plan.results / "demo"
    cube, truth = folder / "cube.nc", plan.truth_files("demo")[0]
    manifest = plan.raw("demo") / "manifest.json"

    def prepare() -> None:
        made = data.instance()
        download.download(made, manifest, data.origin())
        preprocess.prepare(made, "demo", manifest.parent, data.preprocess, cube, truth, data.gaps)

    def stage(function: Callable[[], None]) -> int:
        return _stage(function, held)

    if not (cube.is_file() and truth.is_file()) and stage(prepare):
        return 1
    if _fits(plan, cube):
        return 1
    batches = jobs.batch_files(folder, jobs.batches(plan))
    out = evaluate.Outputs(*(folder / f"{name}.csv" for name in ("scores", "runs", "agreement", "shifted")))
    settings, tables = jobs.table_settings(plan, "demo"), plan.results / "tables"
    printed = ROOT / "published" / "tables.yaml"
    code = stage(lambda: evaluate.evaluate(cube, batches, out, truth, plan.shifts)) or stage(
        lambda: aggregate.aggregate(settings, out.scores, out.runs, printed, tables, out.agreement, out.shifted)
    )
    held.close()
    return code


def _stage(function: Callable[[], None], held: IO[str]) -> int:
    """Run one stage in a fork that ends with the driver and does not hold its lock, as the workflow's stages do."""

    def run() -> int:
        held.close()
        _end_with_driver()
        function()
        return 0

    return Forked(run, Path("/dev/stderr"), dict(os.environ)).wait()


def _fits(plan: Plan, cube: Path) -> int:
    """Run every batch, ``CORES`` at a time; return how many did not end well."""
    waiting = [(address, n) for address, entry in plan.methods.items() for n in range(len(entry.batches()))]
    running: list[subprocess.Popen[bytes]] = []
    failed = 0
    while waiting or running:
        while waiting and len(running) < CORES:
            address, number = waiting.pop(0)
            batch = records.row_folder(cube.parent, address) / f"batch-{number}.json"
            files = ["--cube", str(cube), "--batch", str(batch)]
            job = json.dumps(plan.job("demo", address, number))
            running.append(subprocess.Popen([sys.executable, "-m", "regimebench.fit", "--job", job, *files], cwd=ROOT))
        failed += running.pop(0).wait() != 0
    return failed


@contextmanager
def plugins() -> Iterator[None]:
    """Let this process see the plugin that lists its fits."""
    before = os.environ.get("REGIMEBENCH_PLUGINS")
    os.environ["REGIMEBENCH_PLUGINS"] = str(PLUGINS)
    registry.method("counted")
    try:
        yield
    finally:
        os.environ.pop("REGIMEBENCH_PLUGINS")
        if before is not None:
            os.environ["REGIMEBENCH_PLUGINS"] = before
