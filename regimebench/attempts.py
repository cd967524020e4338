"""Jobs of a scheduler that ended in the middle of a seed, without a word: counted, so that none is tried for ever.

A supervisor that is killed itself writes no record. Its batch is submitted again, and would be killed again. So, under
a scheduler, the supervisor notes beside the batch file at which seeds it is; who finds such a note knows how its
predecessor ended. After ``MOST`` of such ends the seed gets a record that says so, and the others get their turn.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from regimebench import records
from regimebench.locks import scheduler_job

MOST = 2


class Attempts:
    """The note of one batch; without a scheduler nothing is noted.

    Parameters
    ----------
    batch : Path
        The batch file.
    """

    def __init__(self, batch: Path) -> None:
        self.path, self.job = batch.with_name(f".{batch.stem}.attempt.json"), scheduler_job()
        self.earlier = _read(self.path) if self.job else {}

    def lost(self) -> dict[int, str]:
        """Return the seeds at which ``MOST`` jobs have ended, and a sentence on each."""
        jobs, seeds = self.earlier.get("jobs", []), self.earlier.get("seeds", [])
        if len(jobs) < MOST or len(seeds) != 1:
            return {}
        said = f"{len(jobs)} jobs ended while this seed was fitted ({', '.join(jobs)})"
        return {seeds[0]: f"{said}: killed by the scheduler, its time or memory limit, or with their node"}

    def alone(self) -> bool:
        """Say whether an earlier job ended during several seeds together, which are now to be fitted one by one."""
        return len(self.earlier.get("seeds", [])) > 1

    def begin(self, seeds: list[int]) -> None:
        """Note that ``seeds`` are being fitted by this job."""
        if self.job:
            before = self.earlier.get("jobs", []) if self.earlier.get("seeds") == seeds else []
            records.write_json(self.path, {"seeds": seeds, "jobs": [*before, self.job][-MOST:]})

    def clear(self) -> None:
        """Forget: the seeds have records, or the job was stopped and not killed."""
        if self.job:
            with contextlib.suppress(OSError):
                self.path.unlink(missing_ok=True)


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    well = isinstance(found, dict) and all(isinstance(found.get(name), list) for name in ("seeds", "jobs"))
    return found if well and all(type(seed) is int for seed in found["seeds"]) else {}
