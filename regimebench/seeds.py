"""What the worker does for each seed: fix the random state, fit, check the result, store it, and measure the cost."""

from __future__ import annotations

import ctypes
import gc
import hashlib
import os
import resource
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np

from regimebench import provenance, records
from regimebench.alarms import collapse
from regimebench.diagnostics import diagnose
from regimebench.failures import describe
from regimebench.method import ContractError, Cube, Fit, Method, check_fit
from regimebench.registry import MethodSpec

BLOCK_VALUES = 4_000_000
NOTHING = object()
RANDOM_STATES = (
    ("random", "seed"),
    ("numpy.random", "seed"),
    ("torch", "manual_seed"),
    ("tensorflow", "random.set_seed"),
)


class NotStored(Exception):
    """The arrays of a fit could not be written, which is not the method's fault; the message says why."""


def reseed(seed: int) -> None:
    """Set every global random state from ``seed``, so that no seed depends on what ran before it."""
    for module, function in RANDOM_STATES:
        if sys.modules.get(module):
            attrgetter(function)(sys.modules[module])(seed % 2**32)


class Meter:
    """Wall and CPU time, peak memory and GPU use of the parts of a fit between :meth:`start` and :meth:`stop`."""

    def __init__(self) -> None:
        self.seconds = self.cpu_seconds = self.peak_rss_mib = 0.0
        gc.collect()
        _return_freed_memory()
        self.resettable = _reset_peak_memory()
        self.cuda = _cuda()
        if self.cuda:
            self.cuda.empty_cache()
            self.cuda.reset_peak_memory_stats()

    def start(self) -> None:
        """Begin to count time."""
        self._cpu, self._wall = _cpu_seconds(), time.perf_counter()

    def stop(self) -> None:
        """Stop counting time, when the device has finished too, and look at the memory used so far."""
        if self.cuda or (cuda := _cuda()):
            self.cuda = self.cuda or cuda
            self.cuda.synchronize()
        self.seconds += time.perf_counter() - self._wall
        self.cpu_seconds += _cpu_seconds() - self._cpu
        self.peak_rss_mib = _peak_memory_mib(self.resettable)

    def shares(self, n: int) -> dict[str, float | None]:
        """Return the cost of each of ``n`` seeds fitted together; memory is not divided."""
        gpu_mib = self.cuda.max_memory_reserved() / 2**20 if self.cuda else 0.0
        return {
            "seconds": round(self.seconds / n, 6),
            "cpu_seconds": round(self.cpu_seconds / n, 6),
            "peak_rss_mib": round(self.peak_rss_mib, 1),
            "peak_gpu_mib": round(gpu_mib, 1) if gpu_mib else None,
            "gpu_seconds": round(self.seconds / n, 6) if gpu_mib else None,
        }


def _cuda() -> Any:
    """Return ``torch.cuda`` if torch is loaded and has used a GPU, else None."""
    torch = sys.modules.get("torch")
    return torch.cuda if torch and torch.cuda.is_initialized() else None


def _cpu_seconds() -> float:
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _return_freed_memory() -> None:
    """Give freed memory back to the system (glibc), so that a seed's peak does not contain the one before it."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim:
        trim(0)


def _reset_peak_memory() -> bool:
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        return False
    return True


def _peak_memory_mib(resettable: bool) -> float:
    if resettable:
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmHWM:"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _count(value: Any) -> int:
    if int(value) != value or value < 0:
        raise ValueError
    return int(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value[:200]


def _plain(name: str, value: Any) -> Any:
    """Return a field of the record as a plain Python object."""
    if value is None:
        return None
    convert, allowed = PLAIN_FIELDS[name]
    try:
        return convert(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise ContractError(f"{name} is {value!r}; allowed is {allowed} or None") from error


PLAIN_FIELDS = {
    "epochs": (_count, "a whole number, 0 or more,"),
    "n_parameters": (_count, "a whole number, 0 or more,"),
    "stop_reason": (_text, "text"),
}


class Seeds:
    """One method on one cube with each of a list of seeds, reported through ``send``."""

    def __init__(
        self,
        job: Mapping[str, Any],
        spec: MethodSpec,
        plugin: type[Method],
        cube: Cube,
        order: Mapping[str, Any],
        send: Callable[..., None],
        reporter: Callable[[], Callable[[str, int, int], None]],
    ) -> None:
        self.job, self.spec, self.plugin, self.cube, self.order = job, spec, plugin, cube, order
        self.send, self.reporter = send, reporter

    def run(self) -> None:
        """Fit every seed; a seed that fails does not take others with it."""
        seeds = list(self.order["seeds"])
        together = self.order["together"] and len(seeds) > 1 and self.plugin.fit_batch is not Method.fit_batch
        groups = [seeds] if together else [[seed] for seed in seeds]
        while groups:
            group = groups.pop(0)
            try:
                rest = self._fit(group)
            except NotStored as error:
                self.send("unstored", message=str(error))
                return
            groups = [[seed] for seed in rest] + groups

    def _fit(self, group: list[int]) -> list[int]:
        """Fit the seeds of one call of ``fit_batch``; return those that have to be tried again, one by one."""
        self.send("start", seeds=group)
        outcomes: dict[int, dict[str, Any]] = {}
        meter = Meter()
        try:
            self._consume(group, meter, outcomes)
        except NotStored:
            raise
        except BaseException as error:
            traceback.print_exc()
            if len(group) == 1:
                status, message = describe(error, self.spec.folder)
                outcomes[group[0]] = {"status": status, "message": message}
        shares = meter.shares(max(1, len(outcomes)))
        shared = {**shares, "seeds_together": len(group), "modules": provenance.loaded_modules()}
        for seed, outcome in outcomes.items():
            self.send("done", seed=seed, **{**shared, **outcome})
        return [seed for seed in group if seed not in outcomes]

    def _consume(self, group: list[int], meter: Meter, outcomes: dict[int, dict[str, Any]]) -> None:
        """Take one fit per seed out of ``fit_batch`` and check each."""
        reseed(group[0])
        fits = None
        for seed in group:
            meter.start()
            try:
                if fits is None:
                    fits = iter(self._method(seed).fit_batch(self.cube, list(group)))
                fit = next(fits, NOTHING)
            finally:
                meter.stop()
            if fit is NOTHING:
                raise ContractError(
                    f"fit_batch gave {group.index(seed)} results for {len(group)} seeds; one per seed is due"
                )
            outcomes[seed] = self._accept(seed, fit)

    def _method(self, seed: int) -> Method:
        chosen = {"n_clusters": self.job["n_clusters"], "seed": seed, "device": self.order["device"]}
        method = self.plugin(**chosen, **self.job["parameters"])
        method.progress = self.reporter()
        return method

    def _accept(self, seed: int, fit: Any) -> dict[str, Any]:
        """Return what the record says about a result, and store its arrays, if it keeps the contract."""
        n_clusters = self.job["n_clusters"]
        try:
            fit = check_fit(fit, self.cube.n_days, n_clusters)
            rmse = reconstruction_rmse(fit, self.cube)
            arrays = _arrays(fit)
            plain = {name: _plain(name, getattr(fit, name)) for name in PLAIN_FIELDS}
            diagnostics = diagnose(fit, self.cube.time, n_clusters)
        except ContractError as error:
            return {"status": "error", "message": str(error)}
        sizes = np.bincount(fit.labels, minlength=n_clusters)
        found = int(np.count_nonzero(sizes))
        facts = {"clusters_found": found, "n_clusters": n_clusters, "epochs": plain["epochs"] or 0}
        message = collapse({**diagnostics, **facts})
        try:
            stored, digest = _store(records.seed_folder(Path(self.job["out"]), seed), arrays)
        except OSError as error:
            raise NotStored(str(error)) from error
        return {
            "status": "degenerate" if message else "ok",
            "message": message,
            "clusters_found": found,
            "cluster_sizes": sizes.tolist(),
            "reconstruction_rmse": rmse,
            "diagnostics": diagnostics,
            **plain,
            "file": stored,
            "sha256": digest,
        }


def _arrays(fit: Fit) -> dict[str, np.ndarray]:
    """Return what ``fit.npz`` holds."""
    arrays = {"labels": fit.labels, **{f"labels_{name}": labels for name, labels in fit.other_labels.items()}}
    for name in ("embedding", "self_expression"):
        if getattr(fit, name) is not None:
            arrays[name] = np.asarray(getattr(fit, name), dtype=np.float32)
    for name, series in fit.history.items():
        try:
            arrays[f"history_{name}"] = np.asarray(series, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ContractError(f"history {name!r} is not a series of numbers: {error}") from error
    return arrays


def reconstruction_rmse(fit: Fit, cube: Cube) -> float | None:
    """Return the root mean square difference between reconstruction and cube over all days and unmasked cells."""
    if fit.reconstruction is None:
        return None
    if np.shape(fit.reconstruction) != cube.values.shape:
        found = np.shape(fit.reconstruction)
        raise ContractError(f"reconstruction has shape {found}; the shape of the cube is required: {cube.values.shape}")
    total, days = 0.0, max(1, BLOCK_VALUES // max(1, cube.mask.size))
    for start in range(0, cube.n_days, days):
        block = slice(start, start + days)
        difference = np.subtract(fit.reconstruction[block], cube.values[block], dtype=np.float64)
        total += float(np.sum(np.square(difference), where=cube.mask))
    return float(np.sqrt(total / (cube.n_days * max(1, int(cube.mask.sum())))))


def _store(folder: Path, arrays: dict[str, np.ndarray]) -> tuple[str, str]:
    """Write the arrays under a temporary name, which the supervisor changes; return the name and the SHA-256."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f".{records.FIT}.{os.getpid()}.tmp"
    try:
        with open(path, "w+b") as file:
            np.savez(file, **arrays)
            file.flush()
            os.fsync(file.fileno())
            file.seek(0)
            return path.name, hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        path.unlink(missing_ok=True)
        raise
