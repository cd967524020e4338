"""The conformance suite: what every plugin must keep, checked on tiny data in seconds."""

from __future__ import annotations

import random
import signal
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.text import Text
from sklearn.metrics import adjusted_rand_score

from regimebench import registry
from regimebench.arrows import forbidden_imports
from regimebench.cube import read_cube, write_cube
from regimebench.dataset import Cube, Dataset
from regimebench.method import Fit, Method, check_fit
from regimebench.preprocess import preprocess
from regimebench.records import RECORD, load, seed_folder
from regimebench.registry import DatasetSpec, MethodSpec
from regimebench.single import run_supervised

DAYS, SIDE, VARIABLES, CLUSTERS = 60, 8, 3, 3
BLOCK = 20  # days of the first planted regime: uneven, so that reversed order shows
DEADLINE_SECONDS = 60


Check = tuple[str, Callable[[], str | None]]


@dataclass(frozen=True)
class Result:
    """Outcome of one check; one that was not run is not ok."""

    name: str
    ok: bool
    message: str = ""
    skipped: bool = False


class Failed(AssertionError):
    """A check did not pass; the message says what was found and what is allowed."""


class NotRun(Exception):
    """A check cannot be made here; the message says why."""


def check_plugin(name: str, deadline: float = DEADLINE_SECONDS) -> list[Result]:
    """Run the suite on a method address or a data set plugin.

    Parameters
    ----------
    name : str
        ``method``, ``method/variant`` or the id of a data set.
    deadline : float
        Seconds that the supervised run of a method may take.

    Raises
    ------
    UnknownPlugin
        If nothing has this name.
    """
    methods, datasets = registry.folders("methods"), registry.folders("datasets")
    first = name.partition("/")[0]
    if first in methods:
        return _check_method(registry.method(name), deadline)
    if name in datasets:
        return [_run(*check) for check in _dataset_checks(registry.dataset(name))]
    close = get_close_matches(first, [*methods, *datasets], n=1)
    raise registry.UnknownPlugin(
        f"there is no method or data set {name!r}; "
        + (f"did you mean {close[0]!r}? " if close else "")
        + f"Methods: {', '.join(methods)}. Data sets: {', '.join(datasets)}"
    )


def show(name: str, results: list[Result]) -> int:
    """Print the results; return 1 if a check failed, else 0."""
    console = Console(highlight=False)
    for result in results:
        mark = ("pass", "green") if result.ok else ("skip", "yellow") if result.skipped else ("FAIL", "red")
        text = f"  {result.name}" + (f": {result.message}" if result.message else "")
        console.print(Text.assemble(mark, text), soft_wrap=True)
    passed, skipped = (sum(getattr(result, what) for result in results) for what in ("ok", "skipped"))
    ending = f", {skipped} not run" if skipped else ""
    console.print(Text(f"\n{name}: {passed} of {len(results)} checks passed{ending}"))
    return int(passed + skipped < len(results))


def _check_method(spec: MethodSpec, deadline: float) -> list[Result]:
    """Run what executes no code of the plugin, then a supervised run, and in this process only what survived that."""
    supervised = f"a supervised run keeps the contract, ends within {deadline:g} s and leaves cube and truth alone"
    results = [_run(*check) for check in _static_checks(spec.folder, "methods")]
    results.append(_run(supervised, lambda: _supervised(spec, deadline)))
    if results[-1].ok:
        return results + [_run(*check) for check in _method_checks(spec)]
    why = "not run, because the supervised run failed"
    return results + [Result(label, False, why, skipped=True) for label, _ in _method_checks(spec)]


def _run(label: str, check: Callable[[], str | None]) -> Result:
    try:
        return Result(label, True, check() or "")
    except KeyboardInterrupt:
        raise
    except NotRun as error:
        return Result(label, False, f"not run: {error}", skipped=True)
    except SystemExit as error:
        return Result(label, False, f"the plugin called sys.exit({error.code!r}); raise an exception instead")
    except BaseException as error:
        return Result(label, False, str(error) if isinstance(error, Failed) else f"{type(error).__name__}: {error}")


def tiny_cube() -> Cube:
    """Return a read-only cube of two planted regimes, the first ``BLOCK`` days and the rest, with a masked corner."""
    rng = np.random.default_rng(0)
    pattern = np.linspace(0, 1, SIDE)[:, None, None] * np.ones((SIDE, SIDE, VARIABLES))
    late = (np.arange(DAYS) >= BLOCK)[:, None, None, None]
    values = np.where(late, pattern, 1 - pattern) + 0.1 * rng.standard_normal((DAYS, SIDE, SIDE, VARIABLES))
    minimum, maximum = values.min(axis=0), values.max(axis=0)
    values = (values - minimum) / (maximum - minimum)
    mask = np.ones((SIDE, SIDE, VARIABLES), dtype=bool)
    mask[:2, :2, 0] = False
    values = np.where(mask, values, 0).astype(np.float32)
    for array in (values, mask, minimum):
        array.setflags(write=False)
    return Cube(
        values=values,
        mask=mask,
        time=np.datetime64("2021-01-01") + np.arange(DAYS),
        lat=43.0 - np.arange(SIDE),
        lon=-33.0 + np.arange(SIDE),
        variables=("sst", "sp", "u10"),
        units=("K", "Pa", "m s-1"),
        minimum=minimum,
        scale=maximum - minimum,
        attrs={"dataset": "check", "preprocess": "standard"},
    )


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise Failed(message)


def _static_checks(folder: Path, kind: str) -> Iterator[Check]:
    yield "README describes the plugin", lambda: _readme(folder)
    yield "imports keep the arrows", lambda: _imports(folder, kind)


def _method_checks(spec: MethodSpec) -> Iterator[Check]:
    probe = Probe(spec)
    yield "Plugin is a Method that takes its declared parameters", probe.constructs
    yield "days keep their order", probe.order
    yield "same seed, same labels, whatever the global random state", probe.deterministic
    yield "a batch of seeds gives what single fits give", probe.batch
    yield "declared deterministic only if it is", probe.declared_deterministic
    yield "other numbers of clusters work", probe.other_k


def _readme(folder: Path) -> None:
    path = folder / "README.md"
    _require(
        path.is_file() and len(path.read_text().split()) >= 20, f"{folder.name}/README.md is missing or says nothing"
    )


def _imports(folder: Path, kind: str) -> None:
    found = forbidden_imports(folder, kind)
    _require(not found, "; ".join(found))


class Probe:
    """A method at smoke size on the tiny cube; each (seed, k) is fitted once and shared by the checks."""

    def __init__(self, spec: MethodSpec) -> None:
        self.spec = spec
        self.known: dict[tuple[int, int], Fit] = {}

    def make(self, seed: int = 0, n_clusters: int = CLUSTERS) -> Method:
        """Return a new instance."""
        plugin = registry.load(self.spec)
        return plugin(n_clusters=n_clusters, seed=seed, device="cpu", **{**self.spec.parameters, **self.spec.smoke})

    def fit(self, seed: int = 0, n_clusters: int = CLUSTERS) -> Fit:
        """Return the checked result of one fit."""
        key = seed, n_clusters
        if key not in self.known:
            self.known[key] = check_fit(self.make(seed, n_clusters).fit(tiny_cube()), DAYS, n_clusters)
        return self.known[key]

    def constructs(self) -> None:
        """Construct the class with what method.yaml declares."""
        _require(issubclass(registry.load(self.spec), Method), "class Plugin must subclass regimebench.method.Method")
        self.make()

    def order(self) -> str:
        """Compare labels with two planted blocks, forwards and backwards."""
        if self.spec.kind == "control":
            return "not applicable to a control"
        truth = (np.arange(DAYS) >= BLOCK).astype(int)
        labels = self.fit(n_clusters=2).labels
        forward, backward = adjusted_rand_score(truth, labels), adjusted_rand_score(truth, labels[::-1])
        _require(
            forward >= backward,
            f"labels fit the days better in reverse order (ARI {backward:.2f}) than as given ({forward:.2f}); "
            "return one label per day in the order of cube.time",
        )
        return f"ARI to two planted blocks {forward:.2f}"

    def deterministic(self) -> None:
        """Fit again with the same seed and other global states."""
        first = self.fit().labels
        random.seed(12345)
        np.random.seed(12345)
        second = self.make().fit(tiny_cube()).labels
        differ = int((first != np.asarray(second)).sum())
        _require(differ == 0, f"{differ} days got another label in a second fit with the same seed; use the seed alone")

    def batch(self) -> None:
        """Compare fit_batch with single fits."""
        seeds = [0, 1]
        together = list(self.make().fit_batch(tiny_cube(), seeds))
        _require(len(together) == len(seeds), f"fit_batch gave {len(together)} results for {len(seeds)} seeds")
        for seed, one in zip(seeds, together, strict=True):
            same = np.array_equal(one.labels, self.fit(seed).labels)
            _require(same, f"seed {seed} gets other labels in a batch than alone")

    def declared_deterministic(self) -> str:
        """Compare two seeds of what is declared deterministic."""
        if not self.spec.deterministic:
            return "not declared"
        same = np.array_equal(self.fit(0).labels, self.fit(1).labels)
        _require(same, "method.yaml says deterministic: true, but another seed gives other labels")
        return "declared, and true"

    def other_k(self) -> None:
        """Fit two and five clusters."""
        self.fit(n_clusters=2)
        self.fit(n_clusters=5)


def _supervised(spec: MethodSpec, deadline: float) -> str:
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        write_cube(tiny_cube(), base / "cube.nc")
        (base / "truth").mkdir()
        (base / "truth" / "check.csv").write_text("date,truth\n")
        params = {**spec.parameters, **spec.smoke}
        code = run_supervised(spec, params, "check", base / "cube.nc", base / "out", 0, CLUSTERS, deadline=deadline)
        if code == 128 + signal.SIGINT:
            raise KeyboardInterrupt
        _require(code == 0, f"the run ended with exit code {code}; the reason is printed above")
        record = load(seed_folder(base / "out", 0) / RECORD)
    _require(record["status"] in ("ok", "degenerate"), f"status {record['status']}: {record['message']}")
    return f"{record['clusters_found']} clusters, {record['seconds']:.1f} s, {record['peak_rss_mib']:.0f} MiB"


def _dataset_checks(spec: DatasetSpec) -> Iterator[Check]:
    params = {**spec.parameters, **spec.smoke}
    yield from _static_checks(spec.folder, "datasets")
    yield "Plugin is a Dataset that takes its declared parameters", lambda: _dataset_constructs(spec, params)
    yield "missing data is a list of sentences", lambda: _problems(spec, params)
    yield "fields are daily, ordered, with units, and become the same cube twice", lambda: _cubes(spec, params)


def _dataset_constructs(spec: DatasetSpec, params: dict) -> None:
    _require(issubclass(registry.load(spec), Dataset), "class Plugin must be a subclass of regimebench.dataset.Dataset")
    registry.load(spec)(**params)


def _problems(spec: DatasetSpec, params: dict) -> str:
    with tempfile.TemporaryDirectory() as folder:
        found = registry.load(spec)(**params).problems(Path(folder) / "raw")
    _require(
        isinstance(found, list) and all(isinstance(text, str) for text in found), "problems() must return sentences"
    )
    return "; ".join(found) or "nothing is missing"


def _cubes(spec: DatasetSpec, params: dict) -> str:
    dataset = registry.load(spec)(**params)
    with tempfile.TemporaryDirectory() as folder:
        missing = dataset.problems(Path(folder) / "raw")
    if missing:
        raise NotRun(missing[0])
    if params and dataset.origin() == {}:
        raise NotRun("its files come from a service, and a check sends no requests")
    hashes = []
    for _ in range(2):
        with tempfile.TemporaryDirectory() as folder:
            raw = Path(folder) / "raw"
            raw.mkdir()
            dataset.download(raw)
            fields = dataset.open(raw)
            without = [name for name, field in fields.data_vars.items() if "units" not in field.attrs]
            _require(not without, f"variables without units: {', '.join(map(str, without))}")
            write_cube(preprocess(fields, "standard", name=spec.id), Path(folder) / "cube.nc")
            cube = read_cube(Path(folder) / "cube.nc", verify=True)
            truth = dataset.truth(raw)
            _require(truth is None or np.shape(truth) == (cube.n_days,), "truth() must give one label per day")
            hashes.append(cube.attrs["content_sha256"])
            fields.close()
    _require(hashes[0] == hashes[1], "two downloads with the same parameters gave different cubes")
    return f"{cube.n_days} days x {' x '.join(map(str, cube.values.shape[1:]))}"
