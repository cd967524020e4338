"""What happens in each schedule: drawn from its number alone, so that any one can be played again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SEED = 8
KILLS = ("kill driver", "kill supervisor", "kill worker", "kill stage")
DAMAGE = ("corrupt record", "truncate labels", "delete cube")
STATES = ("full disk", "read-only results", "clock jump", "slow file system")
KINDS = (*KILLS, *DAMAGE, *STATES)
SECOND = 0.3  # share of schedules in which the run that resumes is disturbed too
WORKFLOW = 5  # every so many schedules one is driven by the whole Snakemake workflow


@dataclass(frozen=True)
class Fault:
    """One disturbance of one run.

    Parameters
    ----------
    kind : str
        One of ``KINDS``.
    moment : float
        When it strikes: after this share of the files that an undisturbed run makes.
    delay : float
        Seconds more.
    pick : float
        Which of the possible targets, as a share of their number.
    amount : float
        How much, in [0, 1]: of the file that is cut, of the clock's jump, of the wait.
    """

    kind: str
    moment: float
    delay: float
    pick: float
    amount: float

    def __str__(self) -> str:
        drawn = f"+{self.delay:.2f} s, pick {self.pick:.2f}, amount {self.amount:.2f}"
        return f"{self.kind} at {self.moment:.2f} ({drawn})"


@dataclass(frozen=True)
class Schedule:
    """The faults of one schedule: one run for each, and then one that is left alone."""

    number: int
    level: str
    faults: tuple[Fault, ...]

    def __str__(self) -> str:
        return f"schedule {self.number} ({self.level}): {', then '.join(map(str, self.faults))}"


def draw(number: int, level: str | None = None) -> Schedule:
    """Return schedule ``number``; kinds take turns, so that each is as frequent as the others."""
    random = np.random.default_rng([SEED, number])
    workflow = number % WORKFLOW == WORKFLOW - 1
    turn = number // WORKFLOW if workflow else number - number // WORKFLOW
    count = 2 if random.random() < SECOND else 1
    kinds = [KINDS[turn % len(KINDS)], KINDS[random.integers(len(KINDS))]][:count]
    faults = tuple(Fault(kind, random.random(), 0.25 * random.random(), *random.random(2)) for kind in kinds)
    return Schedule(number, level or ("workflow" if workflow else "stages"), faults)
