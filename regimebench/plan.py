"""What a run will take, before it starts: jobs, hours, memory and disk, from measured cost."""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tabulate import tabulate

from regimebench import devices, jobs, records
from regimebench.config import DatasetEntry, MethodEntry, Plan, make_plan, read_config
from regimebench.cost import Cost, Costs, Size
from regimebench.schema import InvalidFile

BYTES_PER_VALUE = 4  # of the cube; compression is not counted on
FIGURES_MIB = 5.0  # figures, tables and the report of one data set
SHOWN = 12  # names in a sentence
NOT_MEASURED = "nothing was measured"


@dataclass(frozen=True)
class Step:
    """One job.

    Parameters
    ----------
    rule, dataset, row : str
        Which stage, for what.
    cores, gpus : int
        What it holds.
    seconds, cpu_seconds : float
        What it takes; of the batch's fits, together.
    startup_seconds, startup_cpu_seconds : float
        The part of both that is no fit: processes and libraries being started.
    gpu_seconds, disk_mib : float
        Time on a GPU; size of the files it leaves.
    fits : int
        Fits it makes.
    unknown : str
        Why its cost is not known, empty if it is. Then ``seconds`` is the most that fits can take, 0 for other jobs.
    """

    rule: str
    dataset: str
    row: str = ""
    cores: int = 1
    gpus: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    startup_seconds: float = 0.0
    startup_cpu_seconds: float = 0.0
    gpu_seconds: float = 0.0
    disk_mib: float = 0.0
    fits: int = 0
    unknown: str = ""


ORDER = ("download", "preprocess", "verify", "fit", "evaluate", "aggregate", "report")


class Forecast:
    """The jobs of a plan with what each will take.

    Parameters
    ----------
    plan : Plan
        What is to be done.
    costs : Costs
        What was measured.
    cores : int
        Cores of the run.
    """

    def __init__(self, plan: Plan, costs: Costs, cores: int) -> None:
        self.plan, self.costs, self.cores = plan, costs, cores
        self.n_gpus = len(devices.available())
        self.finished = 0
        self.skipped: dict[str, str] = {}
        self.steps = [*self._steps()]

    def _steps(self) -> Iterator[Step]:
        total = Size(0, 1)
        for name, entry in self.plan.datasets.items():
            size = size_of(self.plan, entry)
            work = size or Size(0, 1)
            if not (self.plan.results / name / "cube.nc").is_file():
                yield self._other("download", name, work, known=entry.planted or entry.spec.kind == "user")
                yield self._other("preprocess", name, work, disk_mib=2 * work.values * BYTES_PER_VALUE / 2**20)
            if name in jobs.published(self.plan):
                yield self._other("verify", name, work)
            runs = 0
            for method in self.plan.methods.values():
                yield from self._fits(name, method, size)
                runs += len(method.seeds)
            for stage in ("evaluate", "aggregate"):
                yield self._other(stage, name, work.times(runs))
            total = Size(total.values + work.values * runs, work.days)
        yield self._other("report", "", total, disk_mib=FIGURES_MIB * len(self.plan.datasets))

    def _other(self, stage: str, dataset: str, work: Size, known: bool = True, disk_mib: float = 0.0) -> Step:
        cost = self.costs.stage(stage, work) if known else None
        if cost is None:
            why = NOT_MEASURED if known else "how long the service takes is not known"
            return Step(stage, dataset, unknown=why, disk_mib=disk_mib)
        return Step(stage, dataset, seconds=cost.seconds, cpu_seconds=cost.cpu_seconds, disk_mib=disk_mib)

    def _fits(self, dataset: str, entry: MethodEntry, size: Size | None) -> Iterator[Step]:
        """Yield the batches of one row that are not finished."""
        spec = entry.spec
        lacking = spec.lacks()
        if lacking:
            self.skipped[spec.address] = lacking
        resources = jobs.resources(self.plan, spec.id)
        device = "cuda" if resources["gpu"] else "cpu"
        cost = self.costs.of(spec, entry.params, size, device)
        done = _done(self.plan, dataset, entry)
        self.finished += len(done)
        for seeds in entry.batches():
            left = 0 if lacking else len(set(seeds) - done)
            if left or lacking:
                yield self._batch(dataset, spec.address, cost, left, resources)

    def _batch(self, dataset: str, address: str, cost: Cost, n: int, resources: Mapping[str, int]) -> Step:
        job = self.costs.stage("fit", Size(1, 1)) or Cost(0.0, 0.0)
        start = job.seconds + (cost.startup_seconds or 0.0) * (n > 0)
        start_cpu = job.cpu_seconds + (cost.startup_cpu_seconds or 0.0) * (n > 0)
        return Step(
            "fit",
            dataset,
            address,
            cores=min(resources["threads"], self.cores),
            gpus=resources["gpu"],
            seconds=start + n * cost.seconds,
            cpu_seconds=start_cpu + n * cost.cpu_seconds,
            startup_seconds=start,
            startup_cpu_seconds=start_cpu,
            gpu_seconds=n * cost.seconds if resources["gpu"] else 0.0,
            disk_mib=n * (cost.disk_mib or 0.0),
            fits=n,
            unknown="" if cost.known or not n else cost.source,
        )

    @property
    def driver(self) -> Cost:
        """What Snakemake itself takes, which is ready before the first job and works between them."""
        return self.costs.stage("snakemake", Size(len(self.steps), 1)) or Cost(0.0, 0.0)

    def wall_seconds(self, known_only: bool = True) -> float:
        """Return when the last job ends if each starts as soon as its cores, GPU and inputs are there."""
        ready = 0.0
        for stages in (ORDER[:3], ("fit",), ("evaluate",), ("aggregate",), ("report",)):
            steps = [each for each in self.steps if each.rule in stages]
            if stages == ORDER[:3]:  # one after the other for each data set
                chains = [[s for s in steps if s.dataset == name] for name in self.plan.datasets]
                steps = [Step("chain", "", seconds=sum(_seconds(s, known_only) for s in chain)) for chain in chains]
            ready = _schedule(steps, self.cores, max(1, self.n_gpus), ready, known_only)
        return ready + self.driver.seconds


def _seconds(step: Step, known_only: bool) -> float:
    return 0.0 if known_only and step.unknown else step.seconds


def _schedule(steps: list[Step], cores: int, gpus: int, begin: float, known_only: bool) -> float:
    """Return when all steps have ended, the first that fits next whenever something is free."""
    running: list[tuple[float, int, int]] = []
    now, waiting = begin, list(steps)
    while waiting or running:
        for step in list(waiting):
            if step.cores <= cores and step.gpus <= gpus:
                waiting.remove(step)
                cores, gpus = cores - step.cores, gpus - step.gpus
                heapq.heappush(running, (now + _seconds(step, known_only), step.cores, step.gpus))
        now, freed, free_gpus = heapq.heappop(running)
        cores, gpus = cores + freed, gpus + free_gpus
    return now


def size_of(plan: Plan, entry: DatasetEntry) -> Size | None:
    """Return the size of a data set: of its cube if that is there, else what its plugin expects; None if unknown."""
    found = Size.of_cube(plan.results / entry.name / "cube.nc")
    if found:
        return found
    try:
        shape = entry.instance().shape()
    except (LookupError, TypeError, ValueError):  # wrong parameters, of which the start of a run tells
        return None
    return Size.of(shape) if shape else None


def _done(plan: Plan, dataset: str, entry: MethodEntry) -> set[int]:
    """Return the seeds whose fit the run will keep, as far as their records tell: their code may have changed since."""
    out = records.row_folder(plan.results / dataset, entry.spec.address)
    wanted = records.sha256_json([entry.params, plan.datasets[dataset].n_clusters])
    found = {}
    for seed in entry.seeds:
        path = records.seed_folder(out, seed) / records.RECORD
        if path.is_file():
            try:
                found[seed] = records.load(path)
            except records.InvalidRecord:
                continue
    kept = records.WITH_LABELS if plan.retry_failed else (*records.WITH_LABELS, *records.FAILED)
    return {
        seed
        for seed, record in found.items()
        if record["hashes"]["config"] == wanted and record["status"] in kept and record["fingerprint"]
    }


def show(config: Path, cores: int | None) -> int:
    """Print what a configuration will take; return the exit code.

    Parameters
    ----------
    config : Path
        Configuration file.
    cores : int or None
        Cores of the run, all that this process may use by default.
    """
    try:
        plan = make_plan(read_config(config), str(config))
    except OSError as error:
        raise InvalidFile(str(config), [f"the file cannot be read ({error.strerror})"]) from error
    forecast = Forecast(plan, Costs.load(plan.results), cores or len(os.sched_getaffinity(0)))
    print(text(forecast))
    return 0


def text(forecast: Forecast) -> str:
    """Return a forecast as plain text."""
    steps, plan = forecast.steps, forecast.plan
    fits = sum(step.fits for step in steps)
    head = (
        f"{_n(len(steps), 'job')} with {_n(fits, 'fit')} of {_n(len(plan.methods), 'row')} on "
        f"{_n(len(plan.datasets), 'data set')}"
        + (f"; {forecast.finished} more are finished and kept" if forecast.finished else "")
        + f". {_n(forecast.cores, 'core')}, {_n(forecast.n_gpus, 'GPU')}.\n"
    )
    known = [step for step in steps if not step.unknown]
    rows = []
    for rule in ORDER:
        part = [step for step in known if step.rule == rule]
        if part:
            rows.append([rule, len(part), sum(s.fits for s in part) or "", *_hours(part)])
    driver = forecast.driver
    rows.append(["Snakemake", "", "", _hour(driver.cpu_seconds), "", ""])
    total = [*known, Step("", "", cpu_seconds=driver.cpu_seconds)]
    rows.append(["together", len(known), sum(s.fits for s in known), *_hours(total)])
    table = tabulate(rows, ["stage", "jobs", "fits", "core hours", "of it start-up", "GPU hours"], "simple")
    disk = sum(step.disk_mib for step in steps) / 1024
    lines = [head, table, ""]
    lines.append(f"Wall time of what is known: {clock(forecast.wall_seconds())}. Disk: {disk:.2f} GiB.")
    lines += _unknown(forecast) + _skipped(forecast) + _sources(forecast)
    return "\n".join(lines)


def _n(count: int, word: str) -> str:
    return f"{count or 'no'} {word}{'' if count == 1 else 's'}"


def _hours(steps: list[Step]) -> list[str]:
    return [
        _hour(sum(step.cpu_seconds for step in steps)),
        _hour(sum(step.startup_cpu_seconds for step in steps)),
        _hour(sum(step.gpu_seconds for step in steps)),
    ]


def _hour(seconds: float) -> str:
    return f"{seconds / 3600:.3f}" if seconds else ""


def clock(seconds: float) -> str:
    """Return a time as people say it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _unknown(forecast: Forecast) -> list[str]:
    groups: dict[str, list[Step]] = {}
    for step in forecast.steps:
        if step.unknown:
            groups.setdefault(step.unknown, []).append(step)
    lines = []
    for why, steps in groups.items():
        names = [*dict.fromkeys(step.row or f"{step.rule} {step.dataset}".strip() for step in steps)]
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        fits = sum(step.fits for step in steps)
        most = f", at most {clock(sum(s.seconds for s in steps))} one after the other, their deadlines" if fits else ""
        what = _n(fits, "fit") if fits else _n(len(steps), "job")
        lines.append(f"Unknown, because {why}: {what}{most}: {', '.join(names[:SHOWN])}{more}.")
    return lines


def _skipped(forecast: Forecast) -> list[str]:
    groups: dict[str, list[str]] = {}
    for address, reason in forecast.skipped.items():
        groups.setdefault(reason, []).append(address)
    return [f"Skipped: {', '.join(names)}. {reason}." for reason, names in groups.items()]


def _sources(forecast: Forecast) -> list[str]:
    costs = forecast.costs
    where = "this results folder and the shipped table" if costs.here else "the shipped table"
    machine = f", for a machine that takes {costs.speed:.2f} times as long" if costs.here and costs.speed != 1 else ""
    return [f"From fits measured in {where}{machine} (docs/cost.md)."]
