"""Local GPUs as counted resources: which there are, and a part of one of them for each fit.

Devices are found without importing a framework. A claim is a locked file that says who holds which part of a device, so
that it is free again when its holder ends, however it ends, and so that runs started independently of each other share
the machine's devices. How large a part is, is decided by measured need of memory.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path
from typing import IO

from regimebench.files import replacing
from regimebench.locks import held, holder, lock

MARGIN = 1.15  # what a fit may reserve beyond what one like it was seen to reserve
CONTEXT_MIB = 700.0  # of a process on a GPU beside what torch reserves: the context and loaded kernels
ROUNDING = 1e-9
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
    return tuple(re.findall(r"^GPU (\d+):", _ask(search_path, "-L"), flags=re.MULTILINE))


def _ask(search_path: str, *arguments: str) -> str:
    """Return what ``nvidia-smi`` says, nothing if it is missing or fails."""
    from shutil import which  # imported late, as in slot_folder

    command = which("nvidia-smi", path=search_path)
    if command is None:
        return ""
    try:
        return subprocess.run([command, *arguments], capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


def assigned_by_scheduler(environ: Mapping[str, str] = os.environ) -> bool:
    """Say whether a cluster scheduler has already given this job its devices."""
    return "SLURM_JOB_ID" in environ and bool(environ.get("CUDA_VISIBLE_DEVICES"))


def slot_folder() -> Path:
    """Return where the slot files of this machine and user stand (``REGIMEBENCH_SLOTS``, else the temporary folder)."""
    from tempfile import gettempdir  # imported late: the supervisor of a CPU method needs neither

    folder = os.environ.get("REGIMEBENCH_SLOTS")
    return Path(folder) if folder else Path(gettempdir()) / f"regimebench-slots-{os.getuid()}"


def memory_mib(device: str, environ: Mapping[str, str] = os.environ) -> float | None:
    """Return the memory of a device, None if ``nvidia-smi`` does not tell."""
    return dict(_memories(environ.get("PATH", os.defpath))).get(device)


@cache
def _memories(search_path: str) -> tuple[tuple[str, float], ...]:
    """Return the memory of each device, by number and by UUID; asked once per process."""
    text = _ask(search_path, "--query-gpu=index,uuid,memory.total", "--format=csv,noheader,nounits")
    rows = ([part.strip() for part in line.split(",")] for line in text.splitlines())
    return tuple((name, float(row[2])) for row in rows if len(row) == 3 and _number(row[2]) for name in row[:2])


def _number(text: str) -> bool:
    return bool(re.fullmatch(r"\d+(\.\d+)?", text))


def share(device: str, need_mib: float | None, fits_per_device: int = 1) -> float:
    """Return the part of a device that a fit is to claim.

    Parameters
    ----------
    device : str
        From :func:`available`.
    need_mib : float or None
        Most memory that such a fit was seen to reserve, None if none was measured.
    fits_per_device : int
        How many fits may share a device where the need or the device's memory is not known.
    """
    memory = memory_mib(device) if need_mib else None
    if not memory:
        return 1 / fits_per_device
    return min(1.0, (need_mib * MARGIN + CONTEXT_MIB) / memory)


@dataclass
class Slot:
    """A held part of one device."""

    device: str
    share: float
    file: IO[str] | None = None  # the claim holds as long as it is open


@contextmanager
def slot(
    devices: list[str],
    fits_per_device: int = 1,
    say: Callable[[str], None] = print,
    pause: Callable[[float], None] = time.sleep,
    need_mib: float | None = None,
    at_least: float = 0.0,
) -> Iterator[Slot]:
    """Hold a part of one of ``devices``, waiting until it is free.

    Parts of one device add up to at most the whole. The emptiest device comes first: fits spread before they share.

    Parameters
    ----------
    devices : list of str
        From :func:`available`; must not be empty.
    fits_per_device : int
        How many fits may share a device, where memory does not decide.
    say : callable
        Receives one sentence when there is something to wait for, and again every minute.
    pause : callable
        Waits for some seconds; it may raise to give up.
    need_mib : float or None
        See :func:`share`.
    at_least : float
        Smallest part to claim: what was found to be needed when less was not enough.
    """
    if assigned_by_scheduler():
        yield Slot(",".join(devices), 1.0)
        return
    folder = slot_folder()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    wanted = {device: max(at_least, share(device, need_mib, fits_per_device)) for device in devices}
    reminder = 0.0
    while (taken := _claim(folder, wanted)) is None:
        if time.monotonic() >= reminder:
            held = [owner for device in devices for owner in _holders(folder, device)]
            pids = ", ".join(sorted({str(owner.get("pid", "?")) for owner in held}))
            say(f"waiting for a GPU: there is no room on device {', '.join(devices)}, in use by processes {pids}")
            reminder = time.monotonic() + REMIND_SECONDS
        pause(POLL_SECONDS)
    with taken.file:
        yield taken


def _claim(folder: Path, wanted: Mapping[str, float]) -> Slot | None:
    """Claim a part of the emptiest device that has room; one process at a time looks and claims."""
    with _ledger(folder):
        used = {device: sum(_part(owner) for owner in _holders(folder, device)) for device in wanted}
        for device in sorted(wanted, key=used.__getitem__):
            if used[device] + wanted[device] <= 1 + ROUNDING:
                return Slot(device, wanted[device], _take(folder, device, wanted[device]))
    return None


@contextmanager
def _ledger(folder: Path) -> Iterator[None]:
    with open(folder / "ledger", "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _take(folder: Path, device: str, part: float) -> IO[str]:
    """Lock the first claim file of a device that nobody holds."""
    for number in count():
        file = lock(folder / f"{_name(device)}.{number}", share=part)
        if file is not None:
            return file
    raise AssertionError


def _holders(folder: Path, device: str) -> list[dict[str, object]]:
    """Return what the living holders of a device wrote into their claim files."""
    return [holder(path) for path in sorted(folder.glob(f"{_name(device)}.*")) if held(path)]


def _part(owner: Mapping[str, object]) -> float:
    part = owner.get("share", 1.0)  # a holder that says nothing has the whole device
    return part if isinstance(part, int | float) else 1.0


def _name(device: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "_", device)


def sharing(device: str) -> int:
    """Return how many fits hold a part of a device now."""
    return len(_holders(slot_folder(), device)) if device else 0


def enough(key: str, part: float | None = None) -> float:
    """Return the part of a device that fits of this kind are known to need, and remember a larger one.

    Parameters
    ----------
    key : str
        What kind of fit: whatever has the same need of memory.
    part : float, optional
        A part that less than which was not enough. It is remembered on this machine, for every run of this user.
    """
    path = slot_folder() / f"needs-{_name(key)}"
    known = _part({"share": holder(path).get("share", 0.0)})
    if part is not None and part > known:
        with replacing(path) as temporary:
            temporary.write_text(json.dumps({"share": part}))
        known = part
    return known
