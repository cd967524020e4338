"""The plan beside what a run then takes: ``docs/plan.md``.

The plan is made from the shipped table alone, as for a first run on a machine. Then the configuration is run by the
real workflow into an empty folder. ``--ran WALL CPU`` gives the seconds of a run that was made and timed before.

Run ``python -m benchmarks.plan_beside_cost config/demo.yaml`` from the project's root.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from tabulate import tabulate

from benchmarks.measured_cost import run
from regimebench.config import make_plan, read_config
from regimebench.cost import Costs
from regimebench.plan import Forecast
from regimebench.provenance import machine
from regimebench.registry import ROOT

PAGE = ROOT / "docs" / "plan.md"
TEXT = """# The plan beside the cost

Made by `python -m benchmarks.plan_beside_cost`; do not edit. `{config}` on {cores} cores ({machine}), planned from the
shipped table alone; {jobs} jobs with {fits} fits. Jobs of unknown cost, left out of the plan: {unknown}.

{table}

{busy}
"""
BUSY = (
    "The load of the machine was {load:.0f} at the end, for {cores} cores: others used it too. The plan is for a "
    "machine that does nothing else, so only CPU times can be compared here."
)
IDLE = "Nothing else ran."


def main() -> None:
    """Plan, run, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--ran", type=float, nargs=2, metavar=("WALL", "CPU"), help="seconds of a run made before")
    parser.add_argument("--idle", action="store_true", help="nothing else runs on this machine")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        plan = replace(make_plan(read_config(given.config)), results=Path(folder) / "none")
        forecast = Forecast(plan, Costs.load(), given.cores)
        known = [step for step in forecast.steps if not step.unknown]
        planned = forecast.wall_seconds(), sum(step.cpu_seconds for step in known) + forecast.driver.cpu_seconds
        if given.ran:
            took = tuple(given.ran)
        else:
            begun = time.monotonic()
            cpu = sum(run(given.config, Path(folder) / "results", given.cores))
            took = time.monotonic() - begun, cpu
    rows = [
        [name, f"{p:.0f} s", f"{t:.0f} s", f"{t / p:.2f}"]
        for name, p, t in zip(("wall time", "CPU time"), planned, took, strict=True)
    ]
    busy = IDLE if given.idle else BUSY.format(load=os.getloadavg()[1], cores=given.cores)
    steps = forecast.steps
    facts = {
        "jobs": len(steps),
        "fits": sum(step.fits for step in steps),
        "unknown": len(steps) - len(known) or "none",
        "machine": machine().get("processor", "?"),
    }
    table = tabulate(rows, ["", "plan", "run", "run / plan"], "pipe", colalign=["left", "right", "right", "right"])
    text = TEXT.format(config=given.config, cores=given.cores, table=table, busy=busy, **facts)
    PAGE.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
