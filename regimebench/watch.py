"""One worker as its batch sees it: its events, its deadline, its memory, and what its end means."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from regimebench import devices, energy
from regimebench.handle import WorkerProcess
from regimebench.provenance import versions

if TYPE_CHECKING:
    from regimebench.supervise import Batch

POLL_SECONDS = 0.05
HEARTBEAT_SECONDS = 15.0


class Watch:
    """One worker's life, from its start to the last event that matters.

    Parameters
    ----------
    batch : Batch
        Takes over what is found out.
    worker : WorkerProcess
        The worker, just started.
    """

    def __init__(self, batch: Batch, worker: WorkerProcess) -> None:
        self.batch, self.worker, self.job = batch, worker, batch.job
        self.ready = self.over = False
        self.starting = 0.0
        self.current: list[int] = []  # the seeds being fitted; more than one if a method trains them together
        self.largest_mib, self.shared = 0.0, False
        self.progress, self.told = "", time.monotonic()
        self._clock(self.job.startup_seconds)

    def _clock(self, allowed: float) -> None:
        self.begun, self.started, self.allowed = time.monotonic(), time.time(), allowed
        self.largest_mib, self.shared, self.progress = 0.0, False, ""

    def run(self) -> None:
        """Watch until the worker is of no more use."""
        while not self.over:
            for event in self.worker.receive(POLL_SECONDS):
                getattr(self, f"on_{event.pop('event')}")(**event)
                if self.over:
                    return
            self._check()

    def _check(self) -> None:
        self.batch.check_driver()
        if self.worker.ended():
            if self.worker.drained():
                self._lost(*self.worker.death())
            return
        used = self.worker.memory_mib()
        self.largest_mib, self.shared = max(self.largest_mib, used), self.shared or len(self.worker.pids) > 1
        if used > self.job.memory_mib and self.worker.above(self.job.memory_mib):
            limit = f"its limit is {self.job.memory_mib:.0f} MiB (resources.memory_mib in method.yaml)"
            self._lost("oom", f"the worker used {used:.0f} MiB; {limit}")
        elif time.monotonic() - self.begun > self.allowed:
            self.worker.dump_stack()
            self._lost("timeout", self._late())

    def _late(self) -> str:
        if not self.ready:
            return f"the worker was not ready after {self.allowed:.6g} s"
        last = f"; last progress: {self.progress}" if self.progress else ""
        return f"no result after {self.allowed:.6g} s, the deadline (resources.deadline_minutes in method.yaml){last}"

    def _lost(self, status: str, message: str) -> None:
        """Record what the end of the worker means for the seed it was at; the others get another worker."""
        self.over = True
        outcome = {
            "status": status,
            "message": message,
            "seconds": round(time.monotonic() - self.begun, 3) if self.ready else None,
            "peak_rss_mib": round(self.largest_mib, 1) or None,
        }
        if not self.ready:
            outcome["message"] = f"the worker could not start: {message}"
            self.batch.settle_unstarted(outcome, self.started)
        elif len(self.current) > 1:
            self.batch.together = False
            self.batch.tell(f"{len(self.current)} seeds together: {status}: {message}; now one by one")
        else:
            # Between two seeds nobody is at fault; the next one pays, so that every worker settles a seed.
            seed = (self.current or self.batch.pending)[0]
            self.batch.settle(seed, outcome, self.started)

    def on_hello(self, guard: int, gpu: bool, lacks: str | None, plugin: str, data: str) -> None:
        """Answer with the seeds that are left, and with the device, unless the method's framework is missing."""
        batch = self.batch
        self.starting = time.monotonic() - self.begun
        self.worker.helper, self.worker.next_scan = guard, 0.0
        batch.hashes = {"plugin": plugin, "data": data}
        batch.keep_finished()
        batch.give_up()
        if not batch.pending:
            self._dismiss()
            return
        if lacks:
            self.on_failed("skipped", lacks)
            return
        batch.choose_device(gpu)
        problem = batch.device_problem(gpu)
        if problem:
            self.on_failed("error", problem)
            return
        environment = {"CUDA_VISIBLE_DEVICES": batch.visible}
        order = {"seeds": batch.pending, "together": batch.together, "device": batch.device, "environment": environment}
        self.worker.send(order)
        self._clock(self.job.startup_seconds)

    def on_failed(self, status: str, message: str) -> None:
        """Record why the worker could not start."""
        self.batch.settle_unstarted({"status": status, "message": message}, self.started)
        self._dismiss()

    def on_unstored(self, message: str) -> None:
        """End the batch as where a record cannot be written: nothing is said about the method."""
        raise OSError(message)

    def on_ready(self, modules: list[str], cpu_seconds: float) -> None:
        """Begin the first seed's time."""
        self.ready, self.batch.modules = True, modules
        wall = self.starting + time.monotonic() - self.begun  # without the wait for a device
        self.batch.startup = {"startup_seconds": round(wall, 3), "startup_cpu_seconds": cpu_seconds}
        versions(modules)  # looked up now, while the worker fits; remembered for the records
        self._clock(self.job.deadline_seconds)

    def on_start(self, seeds: list[int]) -> None:
        """Begin the time of one seed, or of several trained together."""
        self.current, self.together = seeds, len(seeds)
        self.energy = energy.Meter(self.batch.visible)
        self.batch.attempts.begin(seeds)
        self._clock(self.job.deadline_seconds * len(seeds))

    def on_progress(self, text: str) -> None:
        """Show what the method reports, now and then."""
        self.progress = text
        if time.monotonic() - self.told >= HEARTBEAT_SECONDS:
            self.told = time.monotonic()
            self.batch.say(f"{self.batch.name} seed {', '.join(map(str, self.current))}: {text}")

    def on_done(self, seed: int, modules: list[str], **outcome: Any) -> None:
        """Write the record of a seed that has ended; one for which there was no room beside others is not over."""
        self.batch.modules = modules
        if outcome["status"] == "oom" and self.batch.fall_back():
            self.over = True
            return
        if self.shared:  # child processes count too
            outcome["peak_rss_mib"] = max(outcome["peak_rss_mib"], round(self.largest_mib, 1))
        outcome |= self._joules(outcome["cpu_seconds"])
        self.batch.settle(seed, outcome, self.started)
        self.current = [other for other in self.current if other != seed]
        if not self.current:
            self._clock(self.job.deadline_seconds)
        if not self.batch.pending:
            self._dismiss()

    def _joules(self, cpu_seconds: float) -> dict[str, float | None]:
        """Return the energy of one seed; those that were trained together have equal shares."""
        if self.together == 1:
            return self.energy.joules(cpu_seconds, lambda: devices.sharing(self.batch.visible))
        if len(self.current) == self.together:
            self.shares = self.energy.joules(cpu_seconds * self.together, lambda: devices.sharing(self.batch.visible))
        return {name: joules and round(joules / self.together, 3) for name, joules in self.shares.items()}

    def _dismiss(self) -> None:
        self.over = True
        self.worker.send(None)
        self.worker.farewell()
