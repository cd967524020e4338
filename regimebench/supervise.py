"""The seeds of one batch: which are left, which results are kept, and what is written about each."""

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
from regimebench.attempts import Attempts
from regimebench.handle import BoundedLog, WorkerProcess
from regimebench.processes import Watched
from regimebench.provenance import clean_message, git_state, machine, versions
from regimebench.watch import Watch

if TYPE_CHECKING:
    from regimebench.fit import Job

COSTS = ("seconds", "cpu_seconds", "peak_rss_mib", "peak_gpu_mib", "gpu_seconds", "cpu_joules", "gpu_joules")
LIKELY_MODULES = ("netCDF4", "numpy", "scipy", "sklearn", "torch")
RESULTS = (
    "clusters_found",
    "cluster_sizes",
    "epochs",
    "stop_reason",
    "n_parameters",
    "reconstruction_rmse",
    "diagnostics",
)
NO_START = {"startup_seconds": 0.0, "startup_cpu_seconds": 0.0}
LIMIT_HIT = {"timeout": "deadline_seconds", "oom": "memory_mib"}


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
        self.retry = job.retry_failed or os.environ.get("REGIMEBENCH_RETRY_FAILED") == "1"
        self.usable: dict[int, dict[str, Any]] = {}
        self.hashes: dict[str, str | None] = {"plugin": None, "data": None}
        self.git: dict[str, Any] | None = None
        self.modules: list[str] = []
        self.attempts = Attempts(Path(job.batch))
        self.prepared, self.together = False, not self.attempts.alone()
        self.startup: dict[str, float] = NO_START  # of the running worker, until a record has it
        self.device, self.visible = "cpu", ""
        self.slot: devices.Slot | None = None
        self.claims = stack.enter_context(ExitStack())
        self.out_of_memory = 0  # times that a part of a GPU was not enough
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
                if not self.prepared:
                    self._prepare()
                Watch(self, worker).run()
            finally:
                worker.close()

    def _prepare(self) -> None:
        """Look up what can be looked up while the worker imports its libraries."""
        self.git = git_state()
        versions(LIKELY_MODULES)
        self.usable = records.finished(self.job.out, self.job.seeds)
        self.prepared = True

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
        for seed, record in self.usable.items():
            if seed in self.pending and record["fingerprint"] == wanted and self._final(record):
                self._keep(seed)

    def give_up(self) -> None:
        """Record the seeds at which too many jobs have ended."""
        for seed, reason in self.attempts.lost().items():
            if seed in self.pending:
                self.settle(seed, {"status": "killed", "message": reason}, time.time())

    def _final(self, record: Mapping[str, Any]) -> bool:
        """Say whether fitting again under the limits of this job would give nothing new."""
        if record["status"] in records.WITH_LABELS:
            return True
        if self.retry:
            return False
        name = LIMIT_HIT.get(record["status"])
        limits = record.get("limits") or {}
        return name is None or (name in limits and getattr(self.job, name) <= limits[name])

    def _keep(self, seed: int) -> None:
        self.records[seed] = record = self.usable[seed]
        self.pending.remove(seed)
        self.say(f"{self.name} seed {seed}: kept ({record['status']})")

    def settle_unstarted(self, outcome: Mapping[str, Any], started: float) -> None:
        """Record that nothing could be fitted, and keep every earlier result that is not known to be stale.

        Without its fingerprint such a record is not final: the next run tries again.
        """
        code = self.hashes["plugin"] or _code_hash(self.job.address)
        known = {"plugin": code, "data": self.hashes["data"], "config": self._config_hash()}
        for seed in list(self.pending):
            earlier = self.usable.get(seed)
            fitted = earlier is not None and earlier["fingerprint"] is not None
            if fitted and all(value in (None, earlier["hashes"][name]) for name, value in known.items()):
                self._keep(seed)
            else:
                self.settle(seed, {**outcome, "final": False}, started)

    def fingerprint(self) -> str | None:
        """Return the hash of what determines these fits."""
        return records.fingerprint(self.job.address, self.job.parameters, self.job.n_clusters, **self.hashes)

    def _config_hash(self) -> str:
        return records.sha256_json([self.job.parameters, self.job.n_clusters])

    def choose_device(self, can_use_gpu: bool) -> None:
        """Wait for a slot on a GPU if the method is to run on one; the slot is kept for the whole batch."""
        if self.visible or self.job.device == "cpu" or not can_use_gpu:
            return
        found = devices.available()
        if found:
            need, least = self._gpu_need(), devices.enough(self._kind())
            slot = devices.slot(found, self.job.fits_per_device, self.tell, self.pause, need, least)
            self.slot = self.claims.enter_context(slot)
            self.device, self.visible = "cuda", self.slot.device

    def _gpu_need(self) -> float | None:
        """Return the most GPU memory that a fit of this row was seen to reserve, on the same data."""
        wanted, found = self.fingerprint(), []
        for path in self.job.out.glob(f"seed-*/{records.RECORD}"):
            record = records.glance(path)
            if record.get("fingerprint") == wanted and record.get("peak_gpu_mib"):
                found.append(record["peak_gpu_mib"])
        return max(found, default=None)

    def _kind(self) -> str:
        return records.sha256_json([self.job.address, self.hashes["data"], self._config_hash()])[:16]

    def fall_back(self) -> bool:
        """Claim twice the part of the GPU from the next worker on; say whether less than all of it was not enough.

        Fits of this kind then run with fewer beside them, on this machine and from now on.
        """
        if self.slot is None or self.slot.share >= 1:
            return False
        part = devices.enough(self._kind(), min(1.0, 2 * self.slot.share))
        self.tell(f"out of GPU memory with {self.slot.share:.2f} of a device; again with {part:.2f} of one")
        self.out_of_memory += 1
        self.claims.close()
        self.slot, self.device, self.visible = None, "cpu", ""
        return True

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
            **self.startup,
            "seeds_together": outcome.get("seeds_together", 1),
            "parameters": job.parameters,
            "device": self.device,
            "gpu_share": self.slot and round(self.slot.share, 4),
            "gpu_fallbacks": self.out_of_memory,
            "threads": job.threads,
            "versions": versions(self.modules),
            "machine": machine(),
            "limits": {"deadline_seconds": job.deadline_seconds, "memory_mib": job.memory_mib},
            "fingerprint": self.fingerprint() if outcome.get("final", True) else None,
            "hashes": {
                **self.hashes,
                "config": self._config_hash(),
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
        self.startup = NO_START  # the first seed of a worker bears its start, so that sums are right
        self.pending.remove(seed)
        self._announce(record)

    def _announce(self, record: Mapping[str, Any]) -> None:
        seconds, memory = record["seconds"], record["peak_rss_mib"]
        cost = (f" in {seconds:.1f} s" if seconds is not None else "") + (f", {memory:.0f} MiB" if memory else "")
        reason = f": {record['message']}" if record["message"] else ""
        place = f"({len(self.records)} of {len(self.job.seeds)})"
        self.say(f"{self.name} seed {record['seed']} {place}: {record['status']}{cost}{reason}")


def _code_hash(address: str) -> str | None:
    """Return the SHA-256 of a plugin's code when no worker lived to tell it; None if it cannot be had.

    Code that cannot be parsed has never given a result, so it gets a text that differs from every hash.
    """
    from regimebench import registry  # imported here: a supervisor whose worker starts does not need it

    try:
        return registry.method(address).code_hash
    except SyntaxError:
        return "cannot be parsed"
    except (ValueError, LookupError, OSError):  # the worker has said what is wrong with the plugin
        return None
