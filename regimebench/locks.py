"""Locks that end with their owner, on one machine and on a file system that several machines share.

The lock is ``flock`` on a file. Linux makes it hold across the clients of an NFS server; some file systems keep it on
one machine (Lustre with ``localflock``), or refuse it. So the file also says who holds it, and the holder touches it
every few seconds: a lock of another machine that was touched a moment ago is respected even where ``flock`` was had.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

BEAT_SECONDS = 15.0
STALE_SECONDS = 60.0  # an owner on another machine that has not been heard of for so long has ended


def scheduler_job(environ: Mapping[str, str] = os.environ) -> str | None:
    """Return the name of the scheduler's job that this process belongs to, such as ``Slurm job 12``."""
    number = environ.get("SLURM_JOB_ID")
    if number:
        task = environ.get("SLURM_ARRAY_TASK_ID")
        return f"Slurm job {environ.get('SLURM_ARRAY_JOB_ID', number)}_{task}" if task else f"Slurm job {number}"
    if environ.get("KUBERNETES_SERVICE_HOST"):
        return f"pod {socket.gethostname()}"
    return None


def lock(path: Path, shared: bool = False, **more: object) -> IO[str] | None:
    """Return ``path`` open and locked, with its owner and ``more`` in it; None if another process holds it.

    Parameters
    ----------
    path : Path
        The lock file; its folder must exist.
    shared : bool
        Whether other machines may see the file; then its owner is also believed by its beat.

    Raises
    ------
    OSError
        If the file cannot be written, or its file system has no locks.
    """
    file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    except OSError:
        file.close()
        raise
    if shared and _lives_elsewhere(path):
        file.close()
        return None
    file.seek(0)
    file.truncate()
    owner = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
    file.write(json.dumps({**owner, "job": scheduler_job(), **more}))
    file.flush()
    if shared:
        threading.Thread(target=_beat, args=(file,), daemon=True).start()
    return file


def release(file: IO[str]) -> None:
    """Give a lock back, and say so to other machines."""
    with contextlib.suppress(OSError):
        file.seek(0)
        file.truncate()
    file.close()


def held(path: Path) -> bool:
    """Say whether a living process of this machine holds a lock file."""
    try:
        with open(path) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def holder(path: Path) -> dict[str, Any]:
    """Return what the holder of a lock file wrote into it, empty if nothing can be read."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def owner(path: Path) -> str:
    """Return who holds a lock, for a sentence: ``process 12 on node7, Slurm job 3, since 2026-01-31 12:00:00``."""
    found = holder(path)
    place = f" on {found['host']}" if found.get("host") else ""
    job = f", {found['job']}" if found.get("job") else ""
    return f"process {found.get('pid', '?')}{place}{job}, since {found.get('since', '?')}"


def _lives_elsewhere(path: Path) -> bool:
    """Say whether a process on another machine holds the lock, although ``flock`` does not know of it."""
    host = holder(path).get("host")
    return bool(host) and host != socket.gethostname() and silence(path) < STALE_SECONDS


def silence(path: Path) -> float:
    """Return for how many seconds a lock has not been touched, by the clock of its file system."""
    probe = path.with_name(f"{path.name}.{socket.gethostname()}.{os.getpid()}.tmp")
    try:
        probe.touch()
        return probe.stat().st_mtime - path.stat().st_mtime
    finally:
        probe.unlink(missing_ok=True)


def _beat(file: IO[str]) -> None:
    while True:
        time.sleep(BEAT_SECONDS)
        try:
            os.utime(file.fileno())
        except (OSError, ValueError):  # released
            return
