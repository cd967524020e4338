"""How one batch is supervised: which seeds are left, what the worker reports, and what its end means."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regimebench import devices, records
from regimebench.handle import BoundedLog, WorkerProcess
from regimebench.processes import Watched
from regimebench.provenance import clean_message, git_state, machine, versions

if TYPE_CHECKING:
    from regimebench.fit import Job

POLL_SECONDS = 0.05
HEARTBEAT_SECONDS = 15.0
COSTS = ("seconds", "cpu_seconds", "peak_rss_mib", "peak_gpu_mib", "gpu_seconds")
LIKELY_MODULES = ("netCDF4", "numpy", "scipy", "sklearn", "torch")
RESULTS = ("clusters_found", "cluster_sizes", "epochs", "stop_reason", "n_parameters", "reconstruction_rmse")


class DriverGone(Exception):
    """The process that asked for this batch has ended."""


class Batch:
    """The seeds of one job, from the first worker's start to the last record.

    Parameters
    ----------
    job : Job
        What to fit.
    environment : mapping
        Environment of the workers.
    say : callable
        Receives progress, one line at a time.
    stack : ExitStack
        Holds log, driver watch and device slot until the batch ends.
    """

    def __init__(self, job: Job, environment: Mapping[str, str], say: Callable[[str], None], stack: ExitStack) -> None:
        self.job, self.environment, self.say, self.stack = job, environment, say, stack
        self.name = f"{job.dataset} {job.address}"
        self.records: dict[int, dict[str, Any]] = {}
        self.pending = list(job.seeds)
        self.usable: dict[int, dict[str, Any]] | None = None
        self.hashes: dict[str, str | None] = {"plugin": None, "data": None}
        self.git: dict[str, Any] | None = None
        self.modules: list[str] = []
        self.together = True
        self.device, self.visible = "cpu", ""
        self.log = BoundedLog(Path(job.batch).with_suffix(".log"))
        stack.callback(self.log.close)
        pid = os.environ.get("REGIMEBENCH_DRIVER_PID", "")
        self.driver = Watched(int(pid)) if pid.isdigit() else None
        if self.driver:
            stack.callback(self.driver.close)

    def run(self) -> None:
        """Start workers until every seed has a record; each one settles at least one seed."""
        while self.pending:
            self.check_driver()
            worker = WorkerProcess({**asdict(self.job), "out": str(self.job.out)}, self.environment, self.log)
            try:
                if self.usable is None:  # what can be looked up while the worker imports its libraries
                    self.git = git_state()
                    versions(LIKELY_MODULES)
                    self.usable = records.finished(self.job.out, self.job.seeds)
                _Watch(self, worker).run()
            finally:
                worker.close()

    def check_driver(self) -> None:
        """Raise :class:`DriverGone` if it is."""
        if self.driver and self.driver.gone():
            text = f"the driver (process {self.driver.pid}) has ended"
            raise DriverGone(f"{text}; the worker was stopped, finished seeds are kept")

    def tell(self, text: str) -> None:
        """Say something about this batch."""
        self.say(f"{self.name}: {text}")

    def pause(self, seconds: float) -> None:
        """Wait, unless the driver ends."""
        self.check_driver()
        time.sleep(seconds)

    def keep_finished(self) -> None:
        """Take over the records that need not be made again."""
        wanted = self.fingerprint()
        for seed, record in (self.usable or {}).items():
            again = self.job.retry_failed and record["status"] not in records.WITH_LABELS
            if seed in self.pending and wanted is not None and record["fingerprint"] == wanted and not again:
                self.records[seed] = record
                self.pending.remove(seed)
                self.say(f"{self.name} seed {seed}: kept ({record['status']})")

    def fingerprint(self) -> str | None:
        """Return the hash of what determines these fits."""
        return records.fingerprint(self.job.address, self.job.parameters, self.job.n_clusters, **self.hashes)

    def choose_device(self, can_use_gpu: bool) -> None:
        """Wait for a slot on a GPU if the method is to run on one; the slot is kept for the whole batch."""
        if self.visible or self.job.device == "cpu" or not can_use_gpu:
            return
        found = devices.available()
        if found:
            slot = devices.slot(found, self.job.fits_per_device, self.tell, self.pause)
            self.device, self.visible = "cuda", self.stack.enter_context(slot)

    def device_problem(self, can_use_gpu: bool) -> str | None:
        """Return why the device that was asked for cannot be had."""
        if self.job.device == "cuda" and not self.visible:
            reason = "no GPU was found on this machine" if can_use_gpu else "method.yaml says device: cpu"
            return f"device cuda was asked for, but {reason}; use device auto or cpu"
        return None

    def settle(self, seed: int, outcome: Mapping[str, Any], started: float) -> None:
        """Write the record of one seed, and say so."""
        job, out = self.job, records.seed_folder(self.job.out, seed)
        method, _, variant = job.address.partition("/")
        stored = outcome.get("file")
        record = {
            "schema_version": records.SCHEMA_VERSION,
            "dataset": job.dataset,
            "address": job.address,
            "method": method,
            "variant": variant or "default",
            "seed": seed,
            "status": outcome["status"],
            "message": clean_message(outcome["message"]),
            "n_clusters": job.n_clusters,
            "labels": records.FIT if stored else None,
            **{name: outcome.get(name) for name in (*RESULTS, *COSTS)},
            "seeds_together": outcome.get("seeds_together", 1),
            "parameters": job.parameters,
            "device": self.device,
            "threads": job.threads,
            "versions": versions(self.modules),
            "machine": machine(),
            "fingerprint": self.fingerprint(),
            "hashes": {
                **self.hashes,
                "config": records.sha256_json([job.parameters, job.n_clusters]),
                "fit": outcome.get("sha256"),
            },
            "git": self.git,
            "started": datetime.fromtimestamp(started, UTC).isoformat(timespec="seconds"),
        }
        if stored:  # the record comes last: where it stands, its arrays do
            os.replace(out / stored, out / records.FIT)
        records.write_json(out / records.RECORD, record)
        for stale in [*out.glob(f".{records.FIT}.*.tmp"), *([] if stored else out.glob(records.FIT))]:
            stale.unlink(missing_ok=True)
        self.records[seed] = record
        self.pending.remove(seed)
        self._announce(record)

    def _announce(self, record: Mapping[str, Any]) -> None:
        seconds, memory = record["seconds"], record["peak_rss_mib"]
        cost = (f" in {seconds:.1f} s" if seconds is not None else "") + (f", {memory:.0f} MiB" if memory else "")
        reason = f": {record['message']}" if record["message"] else ""
        place = f"({len(self.records)} of {len(self.job.seeds)})"
        self.say(f"{self.name} seed {record['seed']} {place}: {record['status']}{cost}{reason}")


class _Watch:
    """One worker's life: its events, its deadline, its memory, its end."""

    def __init__(self, batch: Batch, worker: WorkerProcess) -> None:
        self.batch, self.worker, self.job = batch, worker, batch.job
        self.ready = self.over = False
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
            for seed in list(self.batch.pending):
                self.batch.settle(seed, outcome, self.started)
        elif len(self.current) > 1:
            self.batch.together = False
            self.batch.tell(f"{len(self.current)} seeds together: {status}: {message}; now one by one")
        else:
            # Between two seeds nobody is at fault; the next one pays, so that every worker settles a seed.
            seed = (self.current or self.batch.pending)[0]
            self.batch.settle(seed, outcome, self.started)

    def on_hello(self, guard: int, gpu: bool, plugin: str, data: str) -> None:
        """Answer with the seeds that are left, and with the device."""
        batch = self.batch
        self.worker.helper, self.worker.next_scan = guard, 0.0
        batch.hashes = {"plugin": plugin, "data": data}
        batch.keep_finished()
        if not batch.pending:
            self._dismiss()
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
        """Record for every seed why the worker could not start."""
        for seed in list(self.batch.pending):
            self.batch.settle(seed, {"status": status, "message": message}, self.started)
        self._dismiss()

    def on_ready(self, modules: list[str]) -> None:
        """Begin the first seed's time."""
        self.ready, self.batch.modules = True, modules
        versions(modules)  # looked up now, while the worker fits; remembered for the records
        self._clock(self.job.deadline_seconds)

    def on_start(self, seeds: list[int]) -> None:
        """Begin the time of one seed, or of several trained together."""
        self.current = seeds
        self._clock(self.job.deadline_seconds * len(seeds))

    def on_progress(self, text: str) -> None:
        """Show what the method reports, now and then."""
        self.progress = text
        if time.monotonic() - self.told >= HEARTBEAT_SECONDS:
            self.told = time.monotonic()
            self.batch.say(f"{self.batch.name} seed {', '.join(map(str, self.current))}: {text}")

    def on_done(self, seed: int, modules: list[str], **outcome: Any) -> None:
        """Write the record of a seed that has ended."""
        self.batch.modules = modules
        if self.shared:  # child processes count too
            outcome["peak_rss_mib"] = max(outcome["peak_rss_mib"], round(self.largest_mib, 1))
        self.batch.settle(seed, outcome, self.started)
        self.current = [other for other in self.current if other != seed]
        if not self.current:
            self._clock(self.job.deadline_seconds)
        if not self.batch.pending:
            self._dismiss()

    def _dismiss(self) -> None:
        self.over = True
        self.worker.send(None)
        self.worker.farewell()
