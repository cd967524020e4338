"""Process groups: who belongs to one, how much memory it uses, how it is killed, and when another process ends.

Without ``/proc`` (not Linux) memory is not limited, and only the process group itself is killed.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time

MARK = "REGIMEBENCH_WORKER"  # in the environment of a worker and of everything it starts
PAGE_MIB = os.sysconf("SC_PAGE_SIZE") / 2**20


def members(group: int, mark: str) -> list[int]:
    """Return the processes of a worker: its group, and whatever left the group but still carries its mark."""
    needle = f"{MARK}={mark}".encode()
    return [pid for pid in _candidates(group) if _belongs(pid, group, needle)]


def _candidates(group: int) -> list[int]:
    """Return the processes that can descend from ``group``: those with a larger id, unless ids have wrapped around."""
    if not os.path.exists("/proc/loadavg"):
        return []
    lowest = group if int(_read("/proc/loadavg").split()[-1]) >= group else 0
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) >= lowest]


def _belongs(pid: int, group: int, needle: bytes) -> bool:
    try:
        state, _, process_group = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()[:3]
        if state in (b"Z", b"X"):
            return False
        return int(process_group) == group or needle in _read(f"/proc/{pid}/environ").split(b"\0")
    except (OSError, ValueError):  # ended meanwhile, or another user's
        return False


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def kill(group: int, mark: str, rounds: int = 20) -> None:
    """Kill a worker's processes until none is left; the caller itself, if it is one of them, goes last."""
    for _ in range(rounds):
        others = [pid for pid in members(group, mark) if pid != os.getpid()]
        for pid in others:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        if not others:
            break
        time.sleep(0.005)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def resident_mib(pid: int) -> float:
    """Return the resident memory of a process, 0 if it has ended."""
    try:
        return int(_read(f"/proc/{pid}/statm").split()[1]) * PAGE_MIB
    except (OSError, IndexError):
        return 0.0


def proportional_mib(pid: int) -> float:
    """Return the resident memory of a process with shared pages divided among those who share them."""
    try:
        lines = _read(f"/proc/{pid}/smaps_rollup").splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith(b"Pss:")) / 1024


def oom_kills() -> int:
    """Return how many processes the kernel has killed for lack of memory, in this memory group or on this machine."""
    files = ["/proc/vmstat"]
    for line in _lines("/proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            files.append(f"/sys/fs/cgroup/memory/{path}/memory.oom_control")
        elif not controllers:
            files.append(f"/sys/fs/cgroup/{path}/memory.events")
    entries = (line.split() for file in files for line in _lines(file))
    return sum(int(entry[1]) for entry in entries if entry[0] == "oom_kill")


def _lines(path: str) -> list[str]:
    try:
        return _read(path).decode().splitlines()
    except OSError:
        return []


class Watched:
    """Another process whose end is noticed, even if it is not a child."""

    def __init__(self, pid: int) -> None:
        self.pid, self.fd, self.missing = pid, -1, False
        try:
            self.fd = os.pidfd_open(pid)
        except ProcessLookupError:
            self.missing = True
        except (AttributeError, OSError):  # not Linux, or a kernel before 5.3: ask with signal 0
            self.fd = -1

    def gone(self) -> bool:
        """Say whether the process has ended."""
        if self.missing:
            return True
        if self.fd >= 0:
            return bool(select.select([self.fd], [], [], 0)[0])
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            self.missing = True
        except PermissionError:
            return False
        return self.missing

    def close(self) -> None:
        """Release the handle."""
        if self.fd >= 0:
            os.close(self.fd)
