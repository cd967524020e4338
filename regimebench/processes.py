"""The worker process as its supervisor sees it: started in a session of its own, watched, and killed as a whole.

Linux only where it says ``/proc``; elsewhere memory is not limited and only the process group is killed.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

MARK = "REGIMEBENCH_WORKER"  # in the environment of a worker and of everything it starts
PIPE_BYTES = 1 << 20
LOG_BYTES = 256 * 1024
PAGE_MIB = os.sysconf("SC_PAGE_SIZE") / 2**20
F_SETPIPE_SZ = 1031


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


class BoundedLog:
    """What a worker prints: the first and the last part of it, however much it is."""

    def __init__(self, path: Path, limit: int = LOG_BYTES) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.file: IO[bytes] = open(path, "wb", buffering=0)
        self.room, self.limit, self.dropped = limit, limit, 0
        self.tail = bytearray()

    def write(self, data: bytes) -> None:
        """Keep ``data``, or forget what has become the middle."""
        if self.room:
            self.file.write(data[: self.room])
            data, self.room = data[self.room :], max(0, self.room - len(data))
        self.tail += data
        if len(self.tail) > 2 * self.limit:
            self._cut()

    def _cut(self) -> None:
        extra = max(0, len(self.tail) - self.limit)
        del self.tail[:extra]
        self.dropped += extra

    def close(self) -> None:
        """Write the last part."""
        self._cut()
        if self.dropped:
            self.file.write(f"\n... {self.dropped} bytes dropped ...\n".encode())
        self.file.write(self.tail)
        self.file.close()


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


class WorkerProcess:
    """A running ``python -m regimebench.worker``.

    Three private pipes connect it: events (JSON lines from it), requests (JSON lines to it), and one that nothing is
    ever written to, which ends when the supervisor ends and so tells the worker's guard to kill the group.
    """

    def __init__(self, job: Mapping[str, Any], environment: Mapping[str, str], log: BoundedLog) -> None:
        self.mark = os.urandom(8).hex()
        self.log, self.kills_before = log, oom_kills()
        self.events, theirs_events = os.pipe()
        theirs_requests, requests = os.pipe()
        theirs_guard, self.guard = os.pipe()
        self.output, theirs_output = os.pipe()
        with contextlib.suppress(OSError):
            fcntl.fcntl(self.output, F_SETPIPE_SZ, PIPE_BYTES)
        theirs = (theirs_events, theirs_requests, theirs_guard)
        try:
            self.popen = subprocess.Popen(
                [sys.executable, "-m", "regimebench.worker", *map(str, theirs)],
                stdin=subprocess.DEVNULL,
                stdout=theirs_output,
                stderr=theirs_output,
                pass_fds=theirs,
                start_new_session=True,
                env={**environment, MARK: self.mark},
            )
        finally:
            for fd in (*theirs, theirs_output):
                os.close(fd)
        self.pid = self.popen.pid
        self.requests = os.fdopen(requests, "w", encoding="utf-8")
        self.partial, self.status, self.helper = b"", None, None
        os.set_blocking(self.events, False)
        os.set_blocking(self.output, False)
        self.end = Watched(self.pid)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.events, selectors.EVENT_READ)
        if self.end.fd >= 0:
            self.selector.register(self.end.fd, selectors.EVENT_READ)
        self.pids, self.next_scan = [self.pid], 0.0
        self.send(job)

    def send(self, message: Any) -> None:
        """Send one request; a worker that has ended is noticed by :meth:`ended`."""
        with contextlib.suppress(BrokenPipeError):
            self.requests.write(json.dumps(message) + "\n")
            self.requests.flush()

    def receive(self, timeout: float) -> Iterator[dict[str, Any]]:
        """Wait for events, at most ``timeout`` seconds, and yield those that came."""
        ready = {key.fd for key, _ in self.selector.select(timeout)}
        self.ended()  # before reading, so that the last words of a dead worker are still read
        data = _available(self.events)
        if self.events in ready and not data:  # closed by the worker; its end or the deadline comes next
            self.selector.unregister(self.events)
        self._drain()
        *lines, self.partial = (self.partial + data).split(b"\n")
        for line in lines:
            yield json.loads(line)

    def _drain(self) -> None:
        # At most one pipe's worth per call: a worker that prints without end waits, and costs little to watch.
        self.log.write(_available(self.output))

    def ended(self) -> bool:
        """Say whether the worker has ended; its process id stays reserved until :meth:`close`."""
        if self.status is None:
            self.status = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return self.status is not None

    def death(self) -> tuple[str, str]:
        """Return the record status and the sentence for a worker that ended by itself."""
        number = self.status.si_status
        if self.status.si_code == os.CLD_EXITED:
            return "error", f"the worker process exited with code {number} (os._exit, or a library that ends the process)"
        name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
        if number == signal.SIGKILL and oom_kills() > self.kills_before:
            return "oom", "the worker process was killed by the kernel because memory ran out (SIGKILL, oom_kill counted)"
        return "killed", f"the worker process was killed by {name}"

    def memory_mib(self) -> float:
        """Return the resident memory of the worker and its descendants, its guard (``helper``) not counted."""
        now = time.monotonic()
        if now >= self.next_scan:
            self.pids = [pid for pid in members(self.pid, self.mark) if pid != self.helper] or [self.pid]
            # The scan reads every process of the machine: spend at most a fiftieth of the time on it.
            self.next_scan = time.monotonic() + max(0.5, 50 * (time.monotonic() - now))
        return sum(map(resident_mib, self.pids))

    def above(self, limit_mib: float) -> bool:
        """Say whether memory is really above the limit, pages shared by forked processes counted once."""
        return len(self.pids) == 1 or sum(map(proportional_mib, self.pids)) > limit_mib

    def dump_stack(self) -> None:
        """Ask the worker to print where it stands, for the log."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGUSR1)
        for _ in range(4):
            time.sleep(0.05)
            self._drain()

    def close(self) -> None:
        """Kill what is left of the worker and its descendants, and release everything."""
        kill(self.pid, self.mark)
        self.popen.wait()
        self._drain()
        self.selector.close()
        self.end.close()
        with contextlib.suppress(BrokenPipeError):
            self.requests.close()
        for fd in (self.events, self.guard, self.output):
            os.close(fd)


def _available(fd: int) -> bytes:
    """Return what can be read at once, at most one pipe's worth."""
    parts, room = [], PIPE_BYTES
    while room > 0:
        try:
            data = os.read(fd, min(room, 65536))
        except BlockingIOError:
            break
        if not data:
            break
        parts.append(data)
        room -= len(data)
    return b"".join(parts)
