"""What the Snakemake process itself does around the jobs: environment, preflight, one driver at a time."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import IO, Any

from regimebench import batching, config, given, jobs, locks, registry
from regimebench.config import Plan
from regimebench.queues import Queue
from regimebench.records import FAILED, InvalidRecord, batch_facts, fingerprint, intact, read_batch
from regimebench.registry import MethodSpec
from regimebench.schema import InvalidFile

REBUILDS = "REGIMEBENCH_REBUILD"  # environment variable: tables and report only, from the records that exist


class CannotStart(SystemExit):
    """The run cannot begin; the message says what is missing, what to do, and how to run without it."""


def prepare_environment() -> None:
    """Let jobs use this interpreter, notice this process's death, and know whether somebody is watching.

    Jobs call ``python``; Snakemake may have been started by its path, with another ``python`` first on PATH. The fit
    supervisor stops its worker when the process named in ``REGIMEBENCH_DRIVER_PID`` is gone. With ``REGIMEBENCH_TTY``
    long work draws a progress bar on the terminal, although its output goes to a log file. Jobs other than fits, which
    set theirs, have one thread, as their rules say: data sets are what runs side by side.
    """
    os.environ["PATH"] = str(Path(sys.executable).parent) + os.pathsep + os.environ.get("PATH", "")
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["REGIMEBENCH_DRIVER_PID"] = str(os.getpid())
    os.environ["REGIMEBENCH_TTY"] = str(int(sys.stderr.isatty()))


def rebuilds() -> bool:
    """Say whether this call makes tables and report anew and has no rule that fetches, prepares or fits."""
    return os.environ.get(REBUILDS) == "1"


def make_plan(
    settings: Mapping[str, Any], files: Iterable[Any], default_resources: Mapping[str, Any] | None = None
) -> Plan:
    """Return the plan for Snakemake's configuration, which was read from ``files``.

    On a cluster the profile's ``default_resources`` say what its queue allows, in jobs of the cluster too, to which
    Snakemake hands them on.

    Raises
    ------
    CannotStart
        With everything that is wrong with the configuration.
    """
    where = ", ".join(_shown(Path(file)) for file in files) or "configuration"
    try:
        words = {"true": True, "false": False}  # Snakemake reads `--config key=true` as text
        plan = config.make_plan({k: words.get(v, v) if isinstance(v, str) else v for k, v in settings.items()}, where)
        plan = replace(plan, given=given.cubes(plan))
        allowed = {name: value.raw for name, value in (default_resources or {}).items()}
        plan = batching.arrange(plan, Queue.of(allowed), "seeds_per_job" in settings)
    except (InvalidFile, registry.UnknownPlugin) as error:
        raise CannotStart(f"Nothing was started. {error}") from error
    os.environ["REGIMEBENCH_RETRY_FAILED"] = "1" if plan.retry_failed else "0"
    return plan


def preflight(plan: Plan, names: Iterable[str]) -> None:
    """Stop in seconds, before any job, when credentials or files are missing for the data sets to be fetched.

    Raises
    ------
    CannotStart
        With one sentence per problem.
    """
    found = plan.problems(names)
    if found:
        lines = "\n".join(f"  - {line}" for line in found)
        raise CannotStart(
            f"Nothing was started, because data is missing:\n{lines}\n"
            "To run without it: `make demo` needs no data, `--configfile config/ncar.yaml` gets real data without an "
            "account; or leave the data set out of the configuration (see config/README.md)."
        )


class Run:
    """One call of Snakemake that may start jobs.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
        The workflow, whose executor is known once the Snakefile has been read.
    plan : Plan
        What is to be done.
    """

    def __init__(self, workflow: Any, plan: Plan) -> None:
        self.workflow, self.plan = workflow, plan
        self.seen: set[Path] = set()  # batch files that were looked at
        # What this run makes is known by comparison: by the time of a file, a clock that was set would tell lies.
        self.before = stamps(self._told())
        self.held: IO[str] | None = None
        self.contents: dict[str, str | None] = {}  # hash of each data set's cube
        self.code: dict[str, str | None] = {}  # hash of each plugin's code
        # Waiting for a device must not hold cores: at most so many jobs that use one are started at a time. A queue
        # counts its own.
        if "gpu" not in workflow.global_resources and not plan.queue:
            for name, limit in jobs.gpu_limits(plan).items():
                workflow.register_resource(name, limit)

    def start(self) -> None:
        """Take the results folder, look for missing data, and say what the user should know."""
        self._hold()
        end_beside_locks()
        leave_the_future(self.plan.results)
        batching.keep(self.plan)
        jobs_to_run = self.workflow.dag.needrun_jobs()
        preflight(self.plan, sorted({job.wildcards.dataset for job in jobs_to_run if job.rule.name == "download"}))
        notes = framework_notes(self.plan, self._conda())
        notes += [] if self._conda() else environment_notes(self.plan)
        notes += queue_notes(self.plan)
        if notes:
            print("\n".join(notes))

    def cube(self, method_id: str) -> Callable[[Any], str]:
        """Return the input function of a method's fits, which looks at the job's batch file first.

        A batch file that lists skipped fits whose framework is there now, other seeds than planned, fits of other
        code, parameters or data, results that are missing or damaged, or, with ``retry_failed``, failed ones, is
        removed with all that was made from it, so that it is made again; the records stay. Each is looked at once,
        before the first job. It is the file, not a parameter of the job, that says what is to be done: so retrying can
        be repeated, switching it off computes nothing again, and it works on results that came from elsewhere, of which
        Snakemake knows nothing. Dry runs remove nothing.
        """

        def cube(wildcards: Any) -> str:
            folder = self.plan.results / wildcards.dataset
            batch = folder / method_id / wildcards.variant / f"batch-{wildcards.number}.json"
            address = method_id if wildcards.variant == "default" else f"{method_id}/{wildcards.variant}"
            if self._executes() and batch not in self.seen:
                self.seen.add(batch)
                if self._again(wildcards.dataset, address, int(wildcards.number), batch):
                    self._hold()
                    self._forget(wildcards.dataset, batch)
            return (folder / "cube.nc").as_posix()

        return cube

    def _again(self, dataset: str, address: str, number: int, batch: Path) -> bool:
        if not batch.is_file():
            return False
        if not intact(batch) or (self.plan.retry_failed and lists_failures(batch)):
            return True
        facts, job = batch_facts(batch), self.plan.job(dataset, address, number)
        if facts["skipped"] and not lacks(self.plan.methods[address].spec, self._conda()):
            return True
        expected = self._fingerprint(job)
        return facts["seeds"] != job["seeds"] or bool(expected and set(facts["fingerprints"] or []) - {expected})

    def _fingerprint(self, job: dict[str, Any]) -> str | None:
        """Return the fingerprint that the fits of a job will have; None if the cube is not there or code is broken."""
        dataset, method_id = job["dataset"], job["address"].partition("/")[0]
        if dataset not in self.contents:
            from regimebench.cube import stored_hash  # imported here: most calls start nothing

            self.contents[dataset] = stored_hash(self.plan.results / dataset / "cube.nc")
        if method_id not in self.code:
            try:
                self.code[method_id] = self.plan.methods[job["address"]].spec.code_hash
            except SyntaxError:  # the fit will say so
                self.code[method_id] = None
        parameters = json.loads(jobs.text(job["parameters"]))
        return fingerprint(job["address"], parameters, job["n_clusters"], self.code[method_id], self.contents[dataset])

    def _conda(self) -> bool:
        return any(method.name == "CONDA" for method in self.workflow.deployment_settings.deployment_method)

    def _executes(self) -> bool:
        flow = self.workflow
        return flow.is_main_process and flow.executor_plugin is not None and not flow.dryrun and not flow.touch

    def _forget(self, dataset: str, batch: Path) -> None:
        """Remove a batch file and what was made from it: Snakemake makes a file again only if something asks for it."""
        results = self.plan.results
        later = [results / dataset / "scores.csv", results / dataset / "runs.csv", results / "report" / "index.html"]
        tables = [path for name in (dataset, "cost") for path in (results / "tables").glob(f"{name}.*")]
        looked_at = self.workflow.iocache  # clearing it would make all files of folders that were listed seem missing
        for path in [batch, *later, *tables]:
            path.unlink(missing_ok=True)
            for known in (looked_at.exists_local, looked_at.mtime):
                known.pop(path.as_posix(), None)

    def _hold(self) -> None:
        if self.held is None:
            self.held = lock_results(self.plan.results)

    def finish(self) -> None:
        """Say where the results are, if this run made the page that shows them."""
        page = self.plan.results / "report" / "index.html"
        if page in self._changed():
            print(f"\nTables: {self.plan.results}/tables/   Report: {page}")

    def fail(self) -> None:
        """Say what went wrong."""
        print("\n".join(["", "What went wrong:", *errors(self._changed())]))

    def _told(self) -> Iterable[Path]:
        return [self.plan.results / "report" / "index.html", *(self.plan.results / "logs").glob("**/*.log")]

    def _changed(self) -> list[Path]:
        """Return the logs, and the page, that this run has written."""
        return sorted(path for path, stamp in stamps(self._told()).items() if self.before.get(path) != stamp)


def end_beside_locks() -> None:
    """Let Snakemake's handler of SIGTERM wait for its lock in a thread of its own.

    It takes a lock that the thread it interrupts may hold, and then waits for ever.
    """
    handler = signal.getsignal(signal.SIGTERM)
    if callable(handler):
        signal.signal(signal.SIGTERM, lambda *args: Thread(target=handler, args=args, daemon=True).start())


def leave_the_future(results: Path) -> None:
    """Give files that a wrong clock has dated ahead the present time.

    Snakemake takes what it makes of them for broken, because it is older than they are. Records are left alone: it does
    not know of them.
    """
    now = time.time()
    for folder, below, names in os.walk(results):
        below[:] = [name for name in below if not name.startswith("seed-")]
        for path in (os.path.join(folder, name) for name in names):
            with contextlib.suppress(OSError):
                if os.stat(path).st_mtime > now:
                    os.utime(path, (now, now))


def stamps(paths: Iterable[Path]) -> dict[Path, tuple[int, int]]:
    """Return what distinguishes each file that is there from one written later: its number and its time."""
    found = ((path, path.stat()) for path in paths if path.is_file())
    return {path: (state.st_ino, state.st_mtime_ns) for path, state in found}


def lists_failures(batch: Path) -> bool:
    """Return whether a batch file lists a fit that failed, or a record that cannot be read."""
    try:
        return any(record["status"] in FAILED for record in read_batch(batch))
    except InvalidRecord:
        return True


def lacks(spec: MethodSpec, conda: bool) -> str | None:
    """Return what to do about a method's framework where its fits would not find it.

    What a conda environment of the method's own holds is not known here: it is taken to hold the framework.
    """
    return None if conda and spec.environment else spec.lacks()


def framework_notes(plan: Plan, conda: bool) -> list[str]:
    """Return what to say about methods that will be skipped."""
    found: dict[str, list[str]] = {}
    for method_id in plan.method_ids():
        reason = lacks(plan.entries(method_id)[0].spec, conda)
        if reason:
            found.setdefault(reason, []).append(method_id)
    return [f"Note: {', '.join(names)} will be skipped. {reason}." for reason, names in found.items()]


def environment_notes(plan: Plan) -> list[str]:
    """Return what to say about methods with an environment of their own in a run without conda.

    Of those that will be skipped, :func:`framework_notes` says all there is to say.
    """
    own = [name for name in jobs.with_environment(plan) if not plan.entries(name)[0].spec.lacks()]
    if not own:
        return []
    return [
        f"Note: {', '.join(own)} {'has' if len(own) == 1 else 'have'} an environment.yaml, which this run "
        "does not use: the fits run in the default environment, which has their framework. `--sdm conda` would use it."
    ]


def queue_notes(plan: Plan) -> list[str]:
    """Return what to say about fits that get less time than their method declares."""
    cut = [name for name, entry in plan.methods.items() if plan.deadline_minutes(entry) < _declared(entry)]
    if not cut:
        return []
    return [
        f"Note: the queue's limit of {plan.queue.minutes} minutes leaves {plan.queue.fit_minutes} for a fit, which is "
        f"less than the deadline of {', '.join(cut)}: a fit that needs longer will be recorded as a timeout."
    ]


def _declared(entry: config.MethodEntry) -> float:
    return entry.spec.resources["deadline_minutes"]


def errors(logs: Iterable[Path]) -> list[str]:
    """Return what the log of each failed job says.

    A stage reports what its user can act on as a line that begins with ``Error:``; anything else ends in a traceback,
    of which the last line is given.
    """
    found = []
    for path in logs:
        lines = [line for line in path.read_text(errors="replace").splitlines() if line.strip()]
        failed = any(line.startswith(("Error:", "Traceback")) for line in lines)
        if failed:
            first = next((n for n, line in enumerate(lines) if line.startswith("Error:")), len(lines) - 1)
            found.append(f"{path}:\n  " + "\n  ".join(lines[first:]))
    return found


def lock_results(results: Path) -> IO[str]:
    """Hold ``results`` for this driver until the process ends, however it ends, also on a shared file system.

    Returns
    -------
    file
        Keep it open: the lock lives as long as the file.

    Raises
    ------
    CannotStart
        If another driver holds it, naming that process, or if it cannot be written.
    """
    path = results / ".driver.lock"
    try:
        results.mkdir(parents=True, exist_ok=True)
        held = locks.lock(path, shared=True)
    except OSError as error:
        raise CannotStart(
            f"Nothing was started. The folder {results}/ cannot be written ({error.strerror}). Mend that, or set "
            "another `results` folder in the configuration."
        ) from error
    if held is None:
        raise CannotStart(
            f"The folder {results}/ is in use by another run ({locks.owner(path)}). Wait for it, stop it, or set "
            "another `results` folder in the configuration. (What a run on another machine held is free "
            f"{locks.STALE_SECONDS:.0f} seconds after its end.)"
        )
    atexit.register(locks.release, held)
    return held


def _shown(path: Path) -> str:
    path = path.absolute()
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
