"""What the Snakemake process itself does around the jobs: environment, preflight, one driver at a time."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import IO

from regimebench import devices
from regimebench.config import Plan


class CannotStart(SystemExit):
    """The run cannot begin; the message says what is missing, what to do, and how to run without it."""


def prepare_environment() -> None:
    """Let jobs use this interpreter and notice this process's death.

    Jobs call ``python``; Snakemake may have been started by its path, with another ``python`` first on PATH. The fit
    supervisor stops its worker when the process named in ``REGIMEBENCH_DRIVER_PID`` is gone.
    """
    os.environ["PATH"] = str(Path(sys.executable).parent) + os.pathsep + os.environ.get("PATH", "")
    os.environ["REGIMEBENCH_DRIVER_PID"] = str(os.getpid())


def preflight(plan: Plan) -> None:
    """Stop in seconds, before any job, when credentials or files are missing.

    Raises
    ------
    CannotStart
        With one sentence per problem.
    """
    found = plan.problems()
    if found:
        lines = "\n".join(f"  - {line}" for line in found)
        raise CannotStart(
            f"Nothing was started, because data is missing:\n{lines}\n"
            "To run without it: `make demo` needs no data and no account; or leave the data set out of the "
            "configuration (see config/README.md)."
        )


def errors(results: Path, since: float) -> list[str]:
    """Return what each failed job's log says, for logs written after ``since`` (seconds since the epoch).

    A stage reports what its user can act on as a line that begins with ``Error:``; anything else ends in a traceback,
    of which the last line is given.
    """
    found = []
    for path in sorted((results / "logs").glob("**/*.log")):
        lines = [line for line in path.read_text(errors="replace").splitlines() if line.strip()]
        failed = any(line.startswith(("Error:", "Traceback")) for line in lines)
        if failed and path.stat().st_mtime >= since:
            first = next((n for n, line in enumerate(lines) if line.startswith("Error:")), len(lines) - 1)
            found.append(f"{path}:\n  " + "\n  ".join(lines[first:]))
    return found


def lock_results(results: Path) -> IO[str]:
    """Hold ``results`` for this driver until the process ends, however it ends.

    Returns
    -------
    file
        Keep it open: the lock lives as long as the file.

    Raises
    ------
    CannotStart
        If another driver holds it, naming that process.
    """
    results.mkdir(parents=True, exist_ok=True)
    path = results / ".driver.lock"
    held = devices.lock(path)
    if held is None:
        owner = devices.holder(path)
        raise CannotStart(
            f"The folder {results}/ is in use by another run (process {owner.get('pid', '?')}, since "
            f"{owner.get('since', '?')}). Wait for it, stop it, or set another `results` folder in the configuration."
        )
    return held
