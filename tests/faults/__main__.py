"""The fault-injection suite: ``python -m tests.faults --schedules 200`` drives a tiny demo through seeded faults.

Each schedule disturbs a run, lets it end, resumes it, and checks that nothing was lost, computed twice or left behind
(``docs/faults.md``). ``--only 17`` plays one schedule again.
"""

from __future__ import annotations

import argparse
import re
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from textwrap import indent
from typing import Any

from tests.faults import drivers
from tests.faults.inflict import Strike, recovered
from tests.faults.schedules import KINDS, Schedule, draw
from tests.faults.world import Violation, World, possible, require

VIOLATED, MISSED = "VIOLATION", "found nothing to strike"
KIND = "|".join(KINDS)
SNAKEMAKE_FILES = 15  # logs, times of jobs, and a second batch, beside the files of the short driver


@dataclass
class Reference:
    """An undisturbed run: what it gives, and how many files it makes on the way."""

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

    @cached_property
    def reference(self) -> Reference:
        """The undisturbed run, of the short driver: Snakemake has to come to the same results."""
        world = World(self.folder / "undisturbed", "stages")
        try:
            code = world.run()
            require(code == 0, f"an undisturbed run failed:\n{world.output.read_text()}")
            found = Reference(world.outcome(), len(world.files()))
            world.check(found.outcome)
            shutil.copytree(world.results, self.folder / "kept")  # for tests of the checks themselves
            return found
        finally:
            world.close()

    def play(self, schedule: Schedule) -> Played:
        """Play one schedule and remove its folder, unless something was wrong."""
        reference, begun = self.reference, time.monotonic()
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
            n_files = reference.n_files + SNAKEMAKE_FILES * (schedule.level == "workflow")
            strike = Strike(fault, world, n_files)
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


def play_all(numbers: Iterable[int], level: str | None = None) -> Iterator[str]:
    """Play schedules and yield what is to be said before and after each."""
    with drivers.plugins(), tempfile.TemporaryDirectory(prefix="faults-") as folder:
        suite = Suite(Path(folder))
        for number in numbers:
            schedule = draw(number, level)
            yield str(schedule)
            played = suite.play(schedule)
            struck = ", ".join("struck" if each else MISSED for each in played.struck)
            problem = indent(played.problem or "", "  ", lambda line: True).strip()  # blank lines, too, for `summary`
            verdict = f"{VIOLATED}: {problem}" if problem else "ok"
            yield f"  {verdict} ({struck}; {played.seconds:.0f} s)"


def summary(said: str) -> str:
    """Return counts, as Markdown, from what :func:`play_all` has said, in one run or several."""
    told = re.findall(r"^schedule \d+ \((\w+)\): (.*)\n((?:  .*\n?)+)", said, flags=re.MULTILINE)
    levels = Counter(level for level, _, _ in told)
    bad = sum(VIOLATED in end for _, _, end in told)
    hits: Counter[tuple[str, str]] = Counter()
    for level, faults, end in told:
        found = re.findall(rf"{MISSED}|struck", end.rpartition("(")[2])
        hits.update(
            (kind, level) for kind, what in zip(re.findall(KIND, faults), found, strict=False) if what != MISSED
        )
    rows = [f"| {kind} | {hits[kind, 'stages']} | {hits[kind, 'workflow']} |" for kind in KINDS]
    head = (
        f"{len(told)} schedules, {levels['stages']} with the short driver and {levels['workflow']} with Snakemake; "
        f"{sum(hits.values())} faults struck, {bad or 'none'} of the schedules violated a rule."
    )
    return "\n".join([head, "", "| fault | short driver | Snakemake |", "|---|---|---|", *rows])


def main() -> int:
    """Play schedules and print counts; the exit code is 1 if something was violated."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--schedules", type=int, default=200, help="how many")
    parser.add_argument("--first", type=int, default=0, help="number of the first")
    parser.add_argument("--only", type=int, nargs="+", help="play these numbers instead")
    parser.add_argument("--level", choices=["stages", "workflow"], help="one driver for all, by default not")
    parser.add_argument(
        "--count", type=Path, nargs="+", metavar="LOG", help="play nothing; count what earlier runs said"
    )
    given = parser.parse_args()
    if given.count:
        print(summary("\n".join(path.read_text() for path in given.count)))
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that processes and file systems are given back
    said = []
    for line in play_all(given.only or range(given.first, given.first + given.schedules), given.level):
        print(line, flush=True)
        said.append(line)
    print(f"\n{summary(chr(10).join(said))}")
    return int(VIOLATED in "".join(said))


if __name__ == "__main__":
    sys.exit(main())
