"""The worker process of the fit stage: reads the cube, loads one method, and fits it with one seed after another.

Started by :mod:`regimebench.fit` as ``python -m regimebench.worker EVENTS REQUESTS GUARD`` (file descriptors). It
writes no record: it reports, and the supervisor, which outlives it, writes. Nothing heavy is imported before the guard
is forked.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

from regimebench import processes, provenance
from regimebench.failures import describe

PROGRESS_SECONDS = 0.5


class Events:
    """The pipe to the supervisor; one JSON object per line."""

    def __init__(self, fd: int) -> None:
        self.fd, self.lock = fd, threading.Lock()

    def send(self, kind: str, **fields: Any) -> None:
        """Send one event."""
        data = json.dumps({"event": kind, **fields}, allow_nan=False).encode() + b"\n"
        with self.lock:
            while data:
                data = data[os.write(self.fd, data) :]


def start_guard(pipe: int) -> int:
    """Fork a process that kills the whole worker as soon as the supervisor's end of ``pipe`` is gone."""
    pid = os.fork()
    if pid:
        os.close(pipe)
        return pid
    try:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        os.closerange(0, pipe)
        os.closerange(pipe + 1, 65536)
        os.read(pipe, 1)
        processes.kill(os.getpgrp(), os.environ[processes.MARK])
    finally:
        os._exit(0)


def refuse_truth(cube: str) -> None:
    """Make opening files fail where the truth about ``cube`` may stand: a method may not see the planted labels.

    These are the folders ``truth`` and ``raw`` beside the cube and ``truth`` one level above, where the workflow keeps
    it. Relative paths count from the working folder and from the cube's.
    """
    base = os.path.dirname(os.path.realpath(cube))
    needed = [os.path.realpath(path) for path in (cube, os.getcwd(), provenance.ROOT)]
    named = [os.path.join(base, "truth"), os.path.join(base, "raw"), os.path.join(os.path.dirname(base), "truth")]
    # A project may itself lie under a folder of such a name.
    closed = [os.path.realpath(path) for path in named if not any(_within(other, path) for other in needed)]
    words = {os.path.basename(path) for path in (*named, *closed)}

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event not in ("open", "os.listdir", "os.scandir", "os.chdir") or not arguments:
            return
        path = os.fsdecode(arguments[0]) if isinstance(arguments[0], bytes) else arguments[0]
        if not isinstance(path, str) or not any(word in path for word in words):
            return
        real = [os.path.realpath(os.path.join(start, path)) for start in (os.getcwd(), base)]
        for folder in closed:
            if any(_within(each, folder) for each in real):
                name = os.path.basename(folder)
                raise PermissionError(f"a method may not open files in the folder {name!r}; it gets the cube, no more")

    sys.addaudithook(hook)


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder + os.sep)


def prefer_this_process_for_oom_kill() -> None:
    """Let the kernel, when memory runs out, pick the worker and not the supervisor or the driver."""
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("800")


def progress_reporter(events: Events) -> Callable[[str, int, int], None]:
    """Return the callback a method reports its progress to; reports that come too fast are dropped."""
    last = 0.0

    def report(message: str, done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= PROGRESS_SECONDS:
            last = now
            events.send("progress", text=f"{message} {done}/{total}"[:200])

    return report


def main(events_fd: int, requests_fd: int, guard_fd: int) -> NoReturn:
    """Run one batch of seeds and end the process."""
    guard = start_guard(guard_fd)
    for fd in (events_fd, requests_fd):
        os.set_inheritable(fd, False)
    events = Events(events_fd)
    with os.fdopen(requests_fd, encoding="utf-8") as requests:
        prefer_this_process_for_oom_kill()
        faulthandler.enable()
        faulthandler.register(signal.SIGUSR1, all_threads=True)
        job = json.loads(requests.readline())
        code = _run(job, events, requests.readline, guard)
    with contextlib.suppress(OSError, ValueError):  # a plugin may have closed them, or reaped the guard
        sys.stdout.flush()
        sys.stderr.flush()
        os.kill(guard, signal.SIGKILL)
        os.waitpid(guard, 0)
    os._exit(code)  # without a framework's long farewell


def _run(job: dict[str, Any], events: Events, request: Callable[[], str], guard: int) -> int:
    spec = None
    try:
        from regimebench import registry
        from regimebench.cube import read_cube
        from regimebench.seeds import Seeds

        spec = registry.method(job["address"])
        cube = read_cube(job["cube"], verify=True)
        for array in (cube.values, cube.mask, cube.time, cube.minimum, cube.scale):
            array.setflags(write=False)  # one seed must not change what the next one sees
        refuse_truth(job["cube"])
        hashes = {"plugin": spec.code_hash, "data": cube.attrs["content_sha256"]}
        events.send("hello", guard=guard, gpu=spec.device == "gpu", lacks=spec.lacks(), **hashes)
        order = json.loads(request() or "null")
        if not order:
            return 0
        os.environ.update(order["environment"])
        plugin = registry.load(spec)
    except BaseException as error:
        traceback.print_exc()
        status, message = describe(error, spec and spec.folder)
        events.send("failed", status=status, message=f"the worker could not start: {message}")
        return 1
    gc.freeze()  # what is loaded now stays, so that collecting between seeds is quick
    events.send("ready", modules=provenance.loaded_modules(), cpu_seconds=round(time.process_time(), 3))
    Seeds(job, spec, plugin, cube, order, events.send, lambda: progress_reporter(events)).run()
    return 0


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]))
