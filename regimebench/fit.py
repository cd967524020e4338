"""The fit stage: a supervisor that runs a batch of seeds in a worker process and writes one record per seed.

The supervisor loads no framework and no numpy; it starts, watches and kills, and it alone writes records. What can go
wrong, and the record each failure leaves, is listed in ``docs/fit.md``.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from regimebench import locks, records
from regimebench.provenance import clean_message, is_secret
from regimebench.supervise import Batch, DriverGone

LOCK_SECONDS, LOCK_POLL_SECONDS = 10.0, 0.1
THREAD_VARIABLES = (
    *("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"),
    *("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"),
)


class Stopped(Exception):
    """The batch ends before it is complete; finished seeds are kept. ``code`` is the exit code."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Job:
    """One batch of seeds of one method on one data set.

    Parameters
    ----------
    dataset, address : str
        Name of the data set in the configuration; ``method`` or ``method/variant``.
    cube : str
        The cube file.
    seeds : tuple of int
        Seeds to fit, in this order.
    n_clusters : int
        Clusters asked for.
    parameters : dict
        Every parameter of the method with its value.
    batch : str
        The batch file to write; the records stand in folders beside it.
    device : str
        ``"cpu"``, ``"cuda"``, or ``"auto"``: a GPU if the method can use one and there is one.
    threads : int
        CPU threads of the worker.
    deadline_seconds, startup_seconds : float
        Longest time for one seed, and for the worker until its first seed.
    memory_mib : float
        Largest resident memory of the worker with its child processes.
    retry_failed : bool
        Fit seeds again whose record is neither ``ok`` nor ``degenerate``; REGIMEBENCH_RETRY_FAILED=1 asks for the same.
    fits_per_device : int
        Fits that may share one GPU.
    limit_minutes : float or None
        Time limit of the scheduler's job that this batch runs in; it kills what the deadlines of the seeds do not.
    """

    dataset: str
    address: str
    cube: str
    seeds: tuple[int, ...]
    n_clusters: int
    parameters: dict[str, Any]
    batch: str
    device: str = "auto"
    threads: int = 1
    deadline_seconds: float = 3600.0
    startup_seconds: float = 300.0
    memory_mib: float = 8192.0
    retry_failed: bool = False
    fits_per_device: int = 1
    limit_minutes: float | None = None

    @classmethod
    def from_json(cls, document: Mapping[str, Any], **more: Any) -> Job:
        """Return the job a JSON object describes, ``more`` laid over it.

        Raises
        ------
        ValueError
            Naming keys that are unknown or missing, and settings that are not allowed.
        """
        given = {**document, **{key: value for key, value in more.items() if value is not None}}
        known = {field.name: field for field in fields(cls)}
        unknown = sorted(set(given) - set(known))
        missing = sorted(name for name in list(known)[:7] if name not in given)
        if unknown or missing:
            raise ValueError(f"the job has unknown keys {unknown} and lacks {missing}; keys are {', '.join(known)}")
        if given.get("device", "auto") not in ("auto", "cpu", "cuda"):
            raise ValueError(f"device is {given['device']!r}; allowed are auto, cpu and cuda")
        return cls(**{**given, "seeds": tuple(given["seeds"])})

    @property
    def out(self) -> Path:
        """The folder of the records."""
        return Path(self.batch).parent


def worker_environment(job: Job, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the environment of the worker: threads, allocator, fixed hashing, no credentials, no GPU yet."""
    kept = {name: value for name, value in environ.items() if not is_secret(name)}
    paths = [str(Path(__file__).resolve().parents[1]), *filter(None, [environ.get("PYTHONPATH")])]
    return {
        **kept,
        **dict.fromkeys(THREAD_VARIABLES, str(job.threads)),
        **_allocator(),
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONHASHSEED": "0",
        "PYTHONUNBUFFERED": "1",  # what was printed before a crash is in the log
        "CUDA_VISIBLE_DEVICES": "",
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
    }


def _allocator() -> dict[str, str]:
    """Return glibc settings that keep freed memory in the process: page faults are slow on virtual machines."""
    name, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
    if name != "glibc":
        return {}
    # Older versions ignore a threshold above 32 MiB, and then keep the small default.
    recent = tuple(int(part) for part in version.split(".")[:2]) >= (2, 36)
    return {
        "MALLOC_MMAP_THRESHOLD_": str(2**30 if recent else 2**25),
        "MALLOC_TRIM_THRESHOLD_": str(2**32),
    }


def run_batch(job: Job, say: Callable[[str], None] | None = None) -> list[dict[str, Any]]:
    """Fit every seed of a batch and return the records, in the order of ``job.seeds``.

    Seeds with a usable record of the same fingerprint are kept. A fit that fails is a record, not an exception.

    Raises
    ------
    Stopped
        If the driver has ended, a signal came, or another process works on this batch.
    """
    say, begun = say or _say, time.monotonic()
    with ExitStack() as stack:
        stack.enter_context(_batch_lock(job, say))
        stack.enter_context(_stopping_on_signals())
        batch = Batch(job, worker_environment(job), say, stack)
        try:
            batch.run()
        except DriverGone as error:
            raise Stopped(str(error)) from error
        except Stopped:
            if not _out_of_time(job, begun):
                batch.attempts.clear()
            raise
        batch.attempts.clear()
    done = [batch.records[seed] for seed in job.seeds]
    records.write_batch(Path(job.batch), job.dataset, job.address, done)
    say(f"{job.dataset} {job.address}: {records.status_summary(done)}")
    return done


def fit_command(job: Mapping[str, Any], **more: Any) -> int:
    """Run a batch for the command line.

    Parameters
    ----------
    job : mapping
        Fields of :class:`Job`.
    **more
        Further fields; None means not given.

    Returns
    -------
    int
        Exit code: 0 if every seed has a record, whatever its status.
    """
    more = {name: str(value) if isinstance(value, Path) else value for name, value in more.items()}
    try:
        made = Job.from_json(job, **more)
    except ValueError as error:
        _say(f"Error: {error}")
        return 2
    try:
        run_batch(made)
    except Stopped as stop:
        _say(f"Error: {made.dataset} {made.address}: {stop}")
        return stop.code
    except OSError as error:
        text = f"a file cannot be written ({clean_message(str(error))}); finished seeds are kept"
        _say(f"Error: {made.dataset} {made.address}: {text}")
        return 1
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``python -m regimebench.fit --job JSON --cube FILE --batch FILE [--threads N] [--limit-minutes N]``.

    For the workflow: the libraries of the suite's command line take longer to import than a small fit takes.
    """
    parser = ArgumentParser(
        prog="python -m regimebench.fit", description="Run one batch of seeds in a supervised worker."
    )
    parser.add_argument("--job", required=True, type=json.loads, help="fields of Job as JSON")
    parser.add_argument("--cube", required=True, help="cube file")
    parser.add_argument("--batch", required=True, help="batch file to write; records stand beside it")
    parser.add_argument("--threads", type=int, help="CPU threads of the worker")
    parser.add_argument("--device", help="auto, cpu or cuda")
    parser.add_argument("--limit-minutes", type=float, help="time limit of the scheduler's job")
    given = vars(parser.parse_args(arguments))
    return fit_command(given.pop("job"), **given)


def _say(text: str) -> None:
    with contextlib.suppress(OSError):  # the terminal may be gone; the fits are not
        print(text, file=sys.stderr, flush=True)


def _out_of_time(job: Job, begun: float) -> bool:
    """Say whether a job that is being stopped has reached its scheduler's time limit, give or take its own start."""
    limit = 60 * job.limit_minutes if job.limit_minutes else float("inf")
    return time.monotonic() - begun > limit - min(120.0, limit / 4)


@contextmanager
def _batch_lock(job: Job, say: Callable[[str], None]) -> Iterator[None]:
    """Keep other supervisors away from this batch."""
    path = job.out / f".{Path(job.batch).stem}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    # One whose driver was killed needs a moment to notice. A scheduler's job outlives its driver and goes on: the same
    # batch, submitted by the next driver, waits for it, and then finds its records.
    patience = float("inf") if locks.scheduler_job() else LOCK_SECONDS
    until, told = time.monotonic() + patience, False
    while (file := locks.lock(path, shared=True)) is None:
        who = locks.owner(path)
        if time.monotonic() > until:
            raise Stopped(f"{Path(job.batch).name} is being computed by {who}; wait for it or stop it")
        if not told:
            say(f"{job.dataset} {job.address}: waiting for {who}, which computes the same batch")
            told = True
        time.sleep(LOCK_POLL_SECONDS)
    try:
        yield
    finally:
        locks.release(file)


@contextmanager
def _stopping_on_signals() -> Iterator[None]:
    """Turn SIGTERM and SIGINT into :class:`Stopped`, so that the worker is killed on the way out."""
    numbers = (signal.SIGTERM, signal.SIGINT)

    def stop(number: int, frame: Any) -> None:
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)
        name = signal.Signals(number).name
        raise Stopped(f"stopped by {name}; finished seeds are kept, run again to continue", 128 + number)

    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


if __name__ == "__main__":
    sys.exit(main())
