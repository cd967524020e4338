"""The fault-injection suite: ``python -m tests.faults --schedules 200`` drives a tiny demo through seeded faults.

Each schedule disturbs a run, lets it end, resumes it, and checks that nothing was lost, computed twice or left behind
(``docs/faults.md``). ``--only 17`` plays one schedule again.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults import drivers
from tests.faults.inflict import Strike, recovered
from tests.faults.schedules import KINDS, Schedule, draw
from tests.faults.world import Violation, World, possible, require


@dataclass
class Reference:
    """An undisturbed run of one level: what it gives, and how many files it makes on the way."""

    outcome: dict[str, Any]
    n_files: int


@dataclass(frozen=True)
class Played:
    """What came of one schedule."""

    schedule: Schedule
    struck: tuple[bool, ...]
    seconds: float
    problem: str | None = None


class Suite:
    """Plays schedules below a temporary folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.references: dict[str, Reference] = {}

    def reference(self, level: str) -> Reference:
        """Return the undisturbed run of a level, made at the first call."""
        if level not in self.references:
            world = World(self.folder / f"undisturbed-{level}", level)
            try:
                code = world.run()
                require(code == 0, f"an undisturbed run failed:\n{world.output.read_text()}")
                self.references[level] = Reference(world.outcome(), len(world.files()))
                world.check(self.references[level].outcome)
            finally:
                world.close()
        return self.references[level]

    def play(self, schedule: Schedule) -> Played:
        """Play one schedule and remove its folder, unless something was wrong."""
        reference, begun = self.reference(schedule.level), time.monotonic()
        world = World(self.folder / f"schedule-{schedule.number}", schedule.level)
        strikes: list[Strike] = []
        problem = None
        try:
            with recovered(strikes):
                self._play(schedule, world, reference, strikes)
        except Violation as violation:
            problem = str(violation)
            kept = Path(tempfile.mkdtemp(prefix=f"schedule-{schedule.number}-"))
            shutil.copytree(world.folder, kept, dirs_exist_ok=True)
            problem += f"\n  kept in {kept}"
        finally:
            world.close()
        if problem is None:
            shutil.rmtree(world.folder)
        return Played(schedule, tuple(each.struck for each in strikes), time.monotonic() - begun, problem)

    def _play(self, schedule: Schedule, world: World, reference: Reference, strikes: list[Strike]) -> None:
        retry = False
        for fault in schedule.faults:
            if not possible(fault, world):
                continue
            strike = Strike(fault, world, reference.n_files)
            strikes.append(strike)
            self._run(world, strike, retry)
            strike.undo()
            retry |= fault.kind == "kill worker"  # which is a record, `killed`, that is final unless this is asked for
        code = self._run(world, None, retry)
        require(code == 0, f"the run that resumes ended with {code}:\n{world.output.read_text()[-3000:]}")
        world.check(reference.outcome)

    def _run(self, world: World, strike: Strike | None, retry: bool) -> int:
        """Run once; no fit may begin whose result stood whole before, or twice in one run."""
        finished, before = world.finished(), len(world.begun())
        code = world.run(strike, retry)
        begun = Counter(world.begun()[before:])
        again = sorted(set(begun) & finished)
        damaged = strike is not None and strike.fault.kind in ("corrupt record", "truncate labels")
        require(damaged or not again, f"computed again, though finished: {again}")
        twice = sorted(fit for fit, count in begun.items() if count > 1)
        require(not twice, f"begun twice in one run: {twice}")
        return code


def play_all(numbers: Iterable[int], level: str | None = None) -> list[Played]:
    """Play schedules, print each, and return what came of them."""
    found = []
    with drivers.plugins(), tempfile.TemporaryDirectory(prefix="faults-") as folder:
        suite = Suite(Path(folder))
        for number in numbers:
            schedule = draw(number, level)
            print(schedule, flush=True)
            played = suite.play(schedule)
            found.append(played)
            struck = ", ".join("struck" if each else "found nothing to strike" for each in played.struck)
            verdict = "ok" if played.problem is None else f"VIOLATION: {played.problem}"
            print(f"  {verdict} ({struck}; {played.seconds:.0f} s)", flush=True)
    return found


def summary(found: list[Played]) -> str:
    """Return the counts as a Markdown table."""
    lines = ["| fault | strikes, short driver | strikes, Snakemake | violations |", "|---|---|---|---|"]
    for kind in KINDS:
        hits = [
            (each.schedule.level, each.problem)
            for each in found
            for fault, struck in zip(each.schedule.faults, each.struck, strict=False)
            if fault.kind == kind and struck
        ]
        counts = Counter(level for level, _ in hits)
        bad = sum(problem is not None for _, problem in hits)
        lines.append(f"| {kind} | {counts['stages']} | {counts['workflow']} | {bad} |")
    return "\n".join(lines)


def main() -> int:
    """Play schedules and print counts; the exit code is 1 if something was violated."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--schedules", type=int, default=200, help="how many")
    parser.add_argument("--first", type=int, default=0, help="number of the first")
    parser.add_argument("--only", type=int, nargs="+", help="play these numbers instead")
    parser.add_argument("--level", choices=["stages", "workflow"], help="one driver for all, by default not")
    given = parser.parse_args()
    found = play_all(given.only or range(given.first, given.first + given.schedules), given.level)
    spent = sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    levels = Counter(each.schedule.level for each in found)
    bad = [each.schedule.number for each in found if each.problem]
    print(f"\n{len(found)} schedules ({levels['stages']} with the short driver, {levels['workflow']} with Snakemake), "
          f"{spent:.0f} s of CPU time; violated: {bad or 'none'}\n\n{summary(found)}")  # fmt: skip
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
