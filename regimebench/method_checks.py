"""What the conformance suite demands of a method that has survived a supervised run: contract and robustness."""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import psutil
from sklearn.metrics import adjusted_rand_score

from regimebench import registry
from regimebench.method import Cube, Fit, Method, check_fit
from regimebench.outcomes import Check, Failed, NotRun, require
from regimebench.registry import MethodSpec
from regimebench.seeds import Meter

DAYS, SIDE, VARIABLES, CLUSTERS = 60, 8, 3, 3
FEW_DAYS, MANY_DAYS = 30, 5000
GRIDS = ((7, 10, 1), (41, 41, 2), (73, 144, 1))  # rows, columns, variables
GRID_DAYS = 12
OTHER_CLUSTERS = (2, 20)
# Below this peak at MANY_DAYS there was no number for each pair of days: two bytes, half of a float, for each.
SMALL_MIB = 2 * MANY_DAYS**2 / 2**20
SHARE = 0.25  # of the peak at MANY_DAYS that grows with the square of days, from which memory counts as quadratic


def method_checks(spec: MethodSpec, thorough: bool = True) -> Iterator[Check]:
    """Yield the checks of a method, each with its label; they share what they fit."""
    probe = Probe(spec)
    yield "Plugin is a Method that takes its declared parameters", probe.constructs
    yield "days keep their order", probe.order
    yield "same seed, same labels, whatever the global random state", probe.deterministic
    yield "a batch of seeds gives what single fits give", probe.batch
    yield "declared deterministic only if it is", probe.declared_deterministic
    yield "few days are enough (30)", probe.few_days
    if not thorough:
        return
    yield "other numbers of clusters work (2 and 20)", probe.other_k
    yield "constant input gives labels", probe.constant
    yield "odd grids work (7 x 10, 41 x 41, 73 x 144), and one variable is enough", probe.odd_grids
    yield "training batches may divide the days, or leave one day over", probe.batch_sizes
    yield "many days work (5000), in the memory that method.yaml declares", probe.many_days


def tiny_cube(days: int = DAYS, rows: int = SIDE, columns: int = SIDE, variables: int = VARIABLES) -> Cube:
    """Return a read-only cube of two planted regimes, the first third of the days and the rest, with a masked corner.

    The blocks are uneven, so that reversed order shows.
    """
    rng = np.random.default_rng(0)
    shape = (rows, columns, variables)
    pattern = np.linspace(0, 1, rows)[:, None, None] * np.ones(shape)
    late = (np.arange(days) >= days // 3)[:, None, None, None]
    values = np.where(late, pattern, 1 - pattern) + 0.1 * rng.standard_normal((days, *shape))
    minimum, maximum = values.min(axis=0), values.max(axis=0)
    values = (values - minimum) / (maximum - minimum)
    mask = np.ones(shape, dtype=bool)
    mask[:2, :2, 0] = False
    values = np.where(mask, values, 0).astype(np.float32)
    for array in (values, mask, minimum):
        array.setflags(write=False)
    return Cube(
        values=values,
        mask=mask,
        time=np.datetime64("2021-01-01") + np.arange(days),
        lat=43.0 - 0.5 * np.arange(rows),
        lon=-33.0 + 0.5 * np.arange(columns),
        variables=("sst", "sp", "u10")[:variables],
        units=("K", "Pa", "m s-1")[:variables],
        minimum=minimum,
        scale=maximum - minimum,
        attrs={"dataset": "check", "preprocess": "standard"},
    )


class Probe:
    """A method at smoke size on tiny cubes; each (seed, k) on the plain one is fitted once and shared by the checks."""

    def __init__(self, spec: MethodSpec) -> None:
        self.spec = spec
        self.parameters = {**spec.parameters, **spec.smoke}
        self.known: dict[tuple[int, int], Fit] = {}

    def make(self, seed: int = 0, n_clusters: int = CLUSTERS, **changed: Any) -> Method:
        """Return a new instance."""
        plugin = registry.load(self.spec)
        return plugin(n_clusters=n_clusters, seed=seed, device="cpu", **{**self.parameters, **changed})

    def fit(self, seed: int = 0, n_clusters: int = CLUSTERS) -> Fit:
        """Return the checked result of one fit."""
        key = seed, n_clusters
        if key not in self.known:
            self.known[key] = check_fit(self.make(seed, n_clusters).fit(tiny_cube()), DAYS, n_clusters)
        return self.known[key]

    def survives(self, what: str, cube: Cube, **changed: Any) -> None:
        """Fit ``cube``, which may give warnings but no other labels than the contract allows."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                check_fit(self.make(**changed).fit(cube), cube.n_days, CLUSTERS)
        except Exception as error:
            raise Failed(f"{what}: {type(error).__name__}: {error}") from error

    def constructs(self) -> None:
        """Construct the class with what method.yaml declares."""
        require(issubclass(registry.load(self.spec), Method), "class Plugin must subclass regimebench.method.Method")
        self.make()

    def order(self) -> str:
        """Compare labels with two planted blocks, forwards and backwards."""
        if self.spec.kind == "control":
            return "not applicable to a control"
        truth = (np.arange(DAYS) >= DAYS // 3).astype(int)
        labels = self.fit(n_clusters=2).labels
        forward, backward = adjusted_rand_score(truth, labels), adjusted_rand_score(truth, labels[::-1])
        require(
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
        require(differ == 0, f"{differ} days got another label in a second fit with the same seed; use the seed alone")

    def batch(self) -> str:
        """Compare fit_batch with single fits."""
        if registry.load(self.spec).fit_batch is Method.fit_batch:
            return "inherited"
        seeds = [0, 1]
        together = list(self.make().fit_batch(tiny_cube(), seeds))
        require(len(together) == len(seeds), f"fit_batch gave {len(together)} results for {len(seeds)} seeds")
        for seed, one in zip(seeds, together, strict=True):
            same = np.array_equal(one.labels, self.fit(seed).labels)
            require(same, f"seed {seed} gets other labels in a batch than alone")
        return "seeds 0 and 1"

    def declared_deterministic(self) -> str:
        """Compare two seeds of what is declared deterministic."""
        if not self.spec.deterministic:
            return "not declared"
        same = np.array_equal(self.fit(0).labels, self.fit(1).labels)
        require(same, "method.yaml says deterministic: true, but another seed gives other labels")
        return "declared, and true"

    def other_k(self) -> None:
        """Fit the fewest clusters, and many."""
        for n_clusters in OTHER_CLUSTERS:
            self.fit(n_clusters=n_clusters)

    def constant(self) -> None:
        """Fit zeros, which is what a constant variable is scaled to, and one field that does not change."""
        cube = tiny_cube(FEW_DAYS)
        for what, field in (("zeros", np.zeros_like(cube.values[0])), ("the same field every day", cube.values[0])):
            values = np.broadcast_to(field, cube.values.shape).copy()
            values.setflags(write=False)
            self.survives(what, replace(cube, values=values))

    def odd_grids(self) -> None:
        """Fit grids that no power of two divides, with two variables and with one."""
        for rows, columns, variables in GRIDS:
            what = f"{rows} x {columns} cells, {variables} variable{'s' * (variables > 1)}"
            self.survives(what, tiny_cube(GRID_DAYS, rows, columns, variables))

    def few_days(self) -> None:
        """Fit a month of one variable on a grid that no power of two divides."""
        self.survives(f"{FEW_DAYS} days", tiny_cube(FEW_DAYS, *GRIDS[0]))

    def batch_sizes(self) -> str:
        """Fit with every batch size a third of the days, and one day less than all."""
        names = [name for name in self.parameters if name.endswith("batch_size")]
        if not names:
            return "not applicable: no parameter is called batch_size"
        for size in (DAYS // 3, DAYS - 1):
            what = f"{DAYS} days with {' and '.join(names)} {size}"
            self.survives(what, tiny_cube(), **dict.fromkeys(names, size))
        return ", ".join(names)

    def many_days(self) -> str:
        """Compare how the peak of memory grows with days with what method.yaml declares."""
        declared = self.spec.resources["memory"]
        self.fit()  # known, or a first fit: the libraries that one loads are not memory for days
        peaks = self.peaks()
        if growth(peaks) != declared:  # what else a process does adds to a peak now and then, and never takes from it
            peaks = min(peaks, self.peaks(), key=lambda found: found[MANY_DAYS])
        found = growth(peaks)
        shown = ", ".join(f"{days} days {peak:.0f} MiB" for days, peak in sorted(peaks.items()))
        advice = {
            "quadratic": "compute in batches, or, if the method needs something of every pair of days, declare it: "
            "resources: {memory: quadratic}",
            "linear": "resources.memory need not be declared quadratic",
        }
        require(
            found == declared,
            f"memory grows as {found} in days ({shown}), method.yaml says {declared}; {advice[found]}",
        )
        return f"{found}: {shown}"

    def peaks(self) -> dict[int, float]:
        """Return the peaks that :func:`growth` compares."""
        peaks = {MANY_DAYS: self.peak_mib(MANY_DAYS)}
        if peaks[MANY_DAYS] >= SMALL_MIB:
            peaks[MANY_DAYS // 2] = self.peak_mib(MANY_DAYS // 2)
        return peaks

    def peak_mib(self, days: int) -> float:
        """Return by how much one fit of so many days raises the memory of this process at its peak."""
        cube = tiny_cube(days, *GRIDS[0])
        meter = Meter()
        before = psutil.Process().memory_info().rss / 2**20
        meter.start()
        self.survives(f"{days} days", cube)
        meter.stop()
        peak = max(0.0, meter.shares(1)["peak_rss_mib"] - before)
        if peak >= SMALL_MIB and not meter.resettable:
            raise NotRun("this system does not let a process reset its peak memory, so growth cannot be measured")
        return peak


def growth(peaks: dict[int, float]) -> str:
    """Say whether memory grows as ``linear`` or ``quadratic`` in days.

    Parameters
    ----------
    peaks : dict of int to float
        Peak memory at some number of days, n, and, if that peak is large, at n/2.
    """
    if len(peaks) == 1:
        return "linear"
    middle, high = (peaks[days] for days in sorted(peaks))
    # Of a + b n + c n^2 the linear part cancels in this difference, and (c n^2) / 2 - a remains: at least so much of
    # the peak is quadratic. A third number of days would tell a as well, but multiply what peaks vary by.
    square = 2 * (high - 2 * middle)
    return "quadratic" if square > max(SMALL_MIB, SHARE * high) else "linear"
