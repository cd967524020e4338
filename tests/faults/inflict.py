"""How each fault is made to strike a run, and how it is taken back before the next one."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from tests.faults.schedules import DAMAGE, Fault
from tests.faults.world import World, immutable, wait

DAY = 86400.0
LONGEST_DELAY = 0.2  # seconds that an operation of a slow file system may take
POLL_SECONDS = 0.01


class Strike:
    """One fault on its way: waits for its moment, strikes once, and knows whether it found something to strike."""

    def __init__(self, fault: Fault, world: World, n_files: int) -> None:
        self.fault, self.world = fault, world
        self.after = int(fault.moment * n_files)
        self.struck = False

    def __call__(self, driver: Any) -> None:
        """Wait for the moment, while ``driver`` runs, and strike."""
        self.driver, seen = driver, set()
        act = getattr(self, "_" + self.fault.kind.replace(" ", "_").replace("-", "_"))
        while driver.poll() is None:
            seen |= self.world.files()
            if len(seen) >= self.after:
                break
            time.sleep(POLL_SECONDS)
        time.sleep(self.fault.delay)
        # What is to be struck may not be there yet, or be gone already: then the next one is, if one comes.
        while driver.poll() is None or self.fault.kind in DAMAGE:
            if act():
                self.struck = True
                return
            if driver.poll() is not None:
                return
            time.sleep(POLL_SECONDS)

    def _chosen(self, found: list[Any]) -> Any:
        return found[int(self.fault.pick * len(found))]

    def _kill(self, wanted: Callable[[psutil.Process], bool]) -> bool:
        found = []
        for process in psutil.Process(self.driver.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error, ProcessLookupError):
                if process.status() != psutil.STATUS_ZOMBIE and wanted(process):
                    found.append(process)
        if not found:
            return False
        with contextlib.suppress(psutil.NoSuchProcess):
            self._chosen(sorted(found, key=lambda process: process.pid)).kill()
            return True
        return False

    def _kill_driver(self) -> bool:
        os.kill(self.driver.pid, signal.SIGKILL)
        return True

    def _kill_supervisor(self) -> bool:
        return self._kill(lambda process: _runs(process, "regimebench.fit"))

    def _kill_worker(self) -> bool:
        return self._kill(lambda p: _runs(p, "regimebench.worker") and os.getsid(p.pid) == p.pid)

    def _kill_stage(self) -> bool:
        own = psutil.Process().cmdline()
        return self._kill(lambda process: _runs(process, "regimebench") or process.cmdline() == own)

    def _corrupt_record(self) -> bool:
        return self._damage("record.json", lambda size: int(size * self.fault.amount), rubbish=True)

    def _truncate_labels(self) -> bool:
        return self._damage("fit.npz", lambda size: int(size * self.fault.amount))

    def _delete_cube(self) -> bool:
        cube = self.world.results / "demo" / "cube.nc"
        with contextlib.suppress(FileNotFoundError):
            cube.unlink()
            return True
        return False

    def _damage(self, name: str, keep: Callable[[int], int], rubbish: bool = False) -> bool:
        found = sorted(self.world.results.glob(f"demo/*/*/seed-*/{name}"))
        if not found:
            return False
        try:
            with open(self._chosen(found), "r+b") as file:
                size = file.seek(0, os.SEEK_END)
                file.truncate(keep(size))
                if rubbish:
                    file.seek(keep(size))
                    file.write(b'\x00{"' * (1 + (size - keep(size)) // 3))
        except FileNotFoundError:
            return False
        return True

    def _full_disk(self) -> bool:
        ballast = self.world.results / ".ballast"
        with contextlib.suppress(OSError), open(ballast, "ab", buffering=0) as file:
            while True:
                file.write(b"\0" * (1 << 16))
        with contextlib.suppress(OSError), open(ballast, "ab", buffering=0) as file:
            while True:
                file.write(b"\0")
        return True

    def _read_only_results(self) -> bool:
        immutable(self.world.results, True)
        return True

    def _clock_jump(self) -> bool:
        sign = 1 if self.fault.pick < 0.5 else -1
        self.offset = sign * 10 ** (1 + 5 * self.fault.amount)  # 10 seconds to 12 days
        self.wrong = _WrongTimes(self.world.results, self.offset)
        self.world.weather.write_text(json.dumps({"offset": self.offset}))
        return True

    def _slow_file_system(self) -> bool:
        self.world.weather.write_text(json.dumps({"delay": LONGEST_DELAY * self.fault.amount}))
        return True

    def undo(self) -> None:
        """Take back what the user of the results would mend before continuing; a wrong clock may stay wrong."""
        if self.fault.kind == "full disk":
            (self.world.results / ".ballast").unlink(missing_ok=True)
        if self.fault.kind == "read-only results":
            immutable(self.world.results, False)
        if self.fault.kind == "slow file system" or (self.fault.kind == "clock jump" and self.fault.delay < 0.125):
            self.end()

    def end(self) -> None:
        """Bring back good weather."""
        self.world.weather.unlink(missing_ok=True)
        if hasattr(self, "wrong"):
            self.wrong.stop()


class _WrongTimes(threading.Thread):
    """Gives files written from now on the times that a wrong clock would have given them."""

    def __init__(self, folder: Path, offset: float) -> None:
        super().__init__(daemon=True)
        self.folder, self.offset, self.since, self.done = folder, offset, time.time(), set()
        self.over = threading.Event()
        self.start()

    def run(self) -> None:
        while not self.over.wait(POLL_SECONDS):
            self._once()

    def _once(self) -> None:
        for folder, _, names in os.walk(self.folder):
            for name in names:
                with contextlib.suppress(OSError):
                    path = os.path.join(folder, name)
                    state = os.stat(path)
                    key = (state.st_ino, state.st_mtime_ns)
                    if key not in self.done and self.since <= state.st_mtime <= time.time():
                        times = (state.st_atime + self.offset, state.st_mtime + self.offset)
                        os.utime(path, times)
                        self.done.add((state.st_ino, os.stat(path).st_mtime_ns))

    def stop(self) -> None:
        self.over.set()
        self.join()
        self._once()


def _runs(process: psutil.Process, module: str) -> bool:
    command = process.cmdline()
    return command[1:3] == ["-m", module]


@contextmanager
def recovered(strikes: list[Strike]) -> Iterator[None]:
    """Make sure that nothing of a fault outlives its schedule."""
    try:
        yield
    finally:
        for strike in strikes:
            strike.undo()
            strike.end()


__all__ = ["Strike", "recovered", "wait"]
