"""The worker process as its supervisor sees it: started in a session of its own, listened to, and killed as a whole."""

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
from typing import Any

from regimebench.processes import MARK, Watched, kill, members, oom_kills, proportional_mib, resident_mib

PIPE_BYTES = 1 << 20
LOG_BYTES = 256 * 1024
F_SETPIPE_SZ = 1031


class BoundedLog:
    """What a worker prints: the first and the last part of it, however much it is."""

    def __init__(self, path: Path, limit: int = LOG_BYTES) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), "wb", buffering=0)
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
        self.silent = False
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
            self.silent = True
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

    def drained(self) -> bool:
        """Say whether every event of an ended worker has been received."""
        return not select.select([self.events], [], [], 0)[0] or self.silent

    def farewell(self, seconds: float = 0.5) -> None:
        """Let a worker that has nothing left to do end by itself."""
        until = time.monotonic() + seconds
        while not self.ended() and time.monotonic() < until:
            self.selector.select(0.01)
            self._drain()

    def death(self) -> tuple[str, str]:
        """Return the record status and the sentence for a worker that ended by itself."""
        number = self.status.si_status
        if self.status.si_code == os.CLD_EXITED:
            return "error", f"the worker process exited with code {number} (os._exit, or a library that ends processes)"
        name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
        if number == signal.SIGKILL and oom_kills() > self.kills_before:
            return "oom", "the worker process was killed by the kernel because memory ran out"
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
