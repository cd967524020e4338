"""The plan beside what a run then takes: ``docs/plan.md``.

The plan is made from the shipped table alone, as for a first run on a machine. Then the configuration is run by the
real workflow into an empty folder. ``--ran RESULTS`` takes a run that was made before, of which only the records tell
what it took.

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

from benchmarks.measured_cost import in_fits, run
from regimebench.config import make_plan, read_config
from regimebench.cost import Cost, Costs, Size
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
    "Others used the machine too (its load is {load:.0f}, for {cores} cores), also while the table was measured, from\n"
    "another run of this configuration. The plan's wall time is that of a machine which does nothing else. CPU times\n"
    "of a machine so busy are longer than those of an idle one, which the table does not know yet."
)
IDLE = "Nothing else ran."


def main() -> None:
    """Plan, run, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument(
        "--ran", type=Path, metavar="RESULTS", help="folder of a run made before; not one of the table's"
    )
    parser.add_argument("--idle", action="store_true", help="nothing else runs on this machine")
    given = parser.parse_args()
    took: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        results = given.ran or Path(folder) / "results"
        plan = replace(make_plan(read_config(given.config)), results=Path(folder) / "none")
        forecast = Forecast(plan, Costs.load(), given.cores)
        if not given.ran:
            begun = time.monotonic()
            took["CPU time"] = sum(run(given.config, results, given.cores))
            took["wall time"] = time.monotonic() - begun
        took["CPU time in fits and starts of their workers"] = in_fits(results)
    text = page(given.config, forecast, took, given.idle)
    PAGE.write_text(text)
    print(text)


def page(config: Path, forecast: Forecast, took: dict[str, float], idle: bool) -> str:
    """Return the page."""
    known = [step for step in forecast.steps if not step.unknown]
    job = forecast.costs.stage("fit", Size(1, 1)) or Cost(0.0, 0.0)
    planned = {
        "wall time": forecast.wall_seconds(),
        "CPU time": sum(step.cpu_seconds for step in known) + forecast.driver.cpu_seconds,
        "CPU time in fits and starts of their workers": sum(
            step.cpu_seconds - job.cpu_seconds for step in known if step.rule == "fit"
        ),
    }
    rows = [
        [name, f"{plan:.0f} s", *(_beside(took[name], plan) if name in took else ("not timed", ""))]
        for name, plan in planned.items()
    ]
    table = tabulate(rows, ["", "plan", "run", "run / plan"], "pipe", colalign=["left", "right", "right", "right"])
    return TEXT.format(
        config=config,
        cores=forecast.cores,
        machine=machine().get("processor", "?"),
        jobs=len(forecast.steps),
        fits=sum(step.fits for step in forecast.steps),
        unknown=len(forecast.steps) - len(known) or "none",
        table=table,
        busy=IDLE if idle else BUSY.format(load=os.getloadavg()[1], cores=forecast.cores),
    )


def _beside(took: float, plan: float) -> tuple[str, str]:
    return f"{took:.0f} s", f"{took / plan:.2f}"


if __name__ == "__main__":
    main()
