"""Local GPUs as counted resources: which there are, and a slot on one of them for each fit.

Devices are found without importing a framework. A slot is a locked file, so that it is free again when its holder
ends, however it ends, and so that runs started independently of each other share the machine's devices.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO

from regimebench.locks import holder, lock

POLL_SECONDS = 0.2
REMIND_SECONDS = 60.0


def available(environ: Mapping[str, str] = os.environ) -> list[str]:
    """Return the devices this process may use, as ``CUDA_VISIBLE_DEVICES`` would name them.

    ``REGIMEBENCH_DEVICES`` decides if it is set, then ``CUDA_VISIBLE_DEVICES``, then what ``nvidia-smi`` lists. An
    empty text means none. A job of Slurm that was given no device has none.
    """
    for name in ("REGIMEBENCH_DEVICES", "CUDA_VISIBLE_DEVICES"):
        if name in environ:
            parts = [part.strip() for part in environ[name].split(",")]
            return [] if parts[0] in ("", "-1") else [part for part in parts if part]
    if "SLURM_JOB_ID" in environ:  # the devices of the node are there to see, and others' to use
        return []
    return list(_listed(environ.get("PATH", os.defpath)))


@cache
def _listed(search_path: str) -> tuple[str, ...]:
    """Return what ``nvidia-smi`` lists; asked once per process, as it can take seconds."""
    from shutil import which  # imported late, as in slot_folder

    command = which("nvidia-smi", path=search_path)
    if command is None:
        return ()
    try:
        done = subprocess.run([command, "-L"], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(re.findall(r"^GPU (\d+):", done.stdout, flags=re.MULTILINE))


def assigned_by_scheduler(environ: Mapping[str, str] = os.environ) -> bool:
    """Say whether a cluster scheduler has already given this job its devices."""
    return "SLURM_JOB_ID" in environ and bool(environ.get("CUDA_VISIBLE_DEVICES"))


def slot_folder() -> Path:
    """Return where the slot files of this machine and user stand (``REGIMEBENCH_SLOTS``, else the temporary folder)."""
    from tempfile import gettempdir  # imported late: the supervisor of a CPU method needs neither

    folder = os.environ.get("REGIMEBENCH_SLOTS")
    return Path(folder) if folder else Path(gettempdir()) / f"regimebench-slots-{os.getuid()}"


@contextmanager
def slot(
    devices: list[str],
    fits_per_device: int = 1,
    say: Callable[[str], None] = print,
    pause: Callable[[float], None] = time.sleep,
) -> Iterator[str]:
    """Hold one slot on one of ``devices`` and give its name, waiting until one is free.

    Parameters
    ----------
    devices : list of str
        From :func:`available`; must not be empty.
    fits_per_device : int
        How many fits may share a device.
    say : callable
        Receives one sentence when there is something to wait for, and again every minute.
    pause : callable
        Waits for some seconds; it may raise to give up.
    """
    if assigned_by_scheduler():
        yield ",".join(devices)
        return
    folder = slot_folder()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    # First one fit on every device, then a second one on each: fits spread before they share.
    places = [
        (device, folder / f"{re.sub(r'[^A-Za-z0-9_-]', '_', device)}.{number}")
        for number in range(fits_per_device)
        for device in devices
    ]
    reminder = 0.0
    while (taken := _take(places)) is None:
        if time.monotonic() >= reminder:
            holders = ", ".join(sorted({str(holder(path).get("pid", "?")) for _, path in places}))
            say(f"waiting for a GPU: the {len(places)} slots of this machine are in use by processes {holders}")
            reminder = time.monotonic() + REMIND_SECONDS
        pause(POLL_SECONDS)
    device, file = taken
    with file:
        yield device


def _take(places: list[tuple[str, Path]]) -> tuple[str, IO[str]] | None:
    for device, path in places:
        file = lock(path)
        if file is not None:
            return device, file
    return None
