"""Every printed number beside every row of ours that stands for it: one record each, for all formats."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from regimebench.evidence.published import Printed
from regimebench.evidence.verdict import OTHER
from regimebench.metrics import find
from regimebench.papers.layouts import Layout, Part
from regimebench.papers.marks import Against, against, best_control
from regimebench.papers.verdict import MIN_RUNS, NO_DATA, NOT_COMPARABLE, Judged, judge
from regimebench.results import HEADLINE, Results, best_of, rises
from regimebench.verify import read_findings

__all__ = ["Compared", "Ours", "compare", "read_ours"]

# The papers print one variance: of the zero-padded array for some rows, of the grid alone for others.
DEFINITIONS = {"variance": ("variance", "variance_unpadded")}
COSTS = ("seconds", "n_parameters")


@dataclass(frozen=True)
class Compared:
    """One printed number beside one row of ours; the numbers are NaN where there is none.

    ``best`` is the value of the run that the paper would have chosen, that of highest cosine silhouette; ``low`` and
    ``high`` the interval of the verdict; ``proposed`` and ``control`` the significance marks.
    """

    table: str
    dataset: str
    row: str
    metric: str
    printed: Printed
    emphasis: str
    address: str | None
    reading: str
    status: str
    definition: str
    best: float
    best_seed: float
    minimum: float
    q1: float
    median: float
    q3: float
    maximum: float
    n_ok: int
    low: float
    high: float
    verdict: str
    reason: str
    p_proposed: float
    proposed: str
    control_row: str
    p_control: float
    control: str
    seconds: float
    n_parameters: float


@dataclass(frozen=True)
class Ours:
    """Our results on the data set that stands for a published one, and whether it is the papers'."""

    results: Results
    word: str  # of the verify stage

    @property
    def settings(self) -> dict[str, Any]:
        """The data set's settings."""
        return self.results.settings

    def readings(self, key: str) -> list[tuple[str, str]]:
        """Return (reading, address) of the rows that stand for a printed one; the plain one has an empty reading."""
        rows = [row["address"] for row in self.results.rows if row["published"] == key]
        return [("" if address == key else address.rpartition("/")[2], address) for address in rows]

    def barred(self, n_clusters: int) -> str:
        """Return why no number of this data set can be compared with one printed for ``n_clusters``, or nothing."""
        k = self.settings["n_clusters"]
        if k != n_clusters:
            return f"k is {k} here, {n_clusters} in print"
        if self.settings["budget"] != "full":
            return "smoke budget: training is cut short"
        return "the data are not the papers' (docs/verify.md)" if self.word == OTHER else ""

    def barred_row(self, row: dict[str, Any]) -> str:
        """Return why one row cannot be compared, or nothing."""
        address = row["address"]
        runs = int((self.results.ok["address"] == address).sum())
        if runs < MIN_RUNS and not row["deterministic"]:
            return f"{runs} ok runs; a spread needs {MIN_RUNS}"
        if address in self.results.few_clusters:
            return f"it finds {self.results.clusters(address):g} clusters (median)"
        return ""

    @cached_property
    def rows(self) -> dict[str, dict[str, Any]]:
        """The settings of each row, by address."""
        return {row["address"]: row for row in self.results.rows}

    @cached_property
    def scores(self) -> pd.DataFrame:
        """Scores of the ok runs by address and seed, one column per metric."""
        return self.results.scores("paper")

    @cached_property
    def best(self) -> pd.DataFrame:
        """The run of highest cosine silhouette of each address."""
        return best_of(self.scores)

    @cached_property
    def costs(self) -> pd.DataFrame:
        """Median seconds and number of parameters of the ok runs, by address."""
        return self.results.ok.groupby("address")[list(COSTS)].median()

    @cached_property
    def samples(self) -> dict[str, dict[str, np.ndarray]]:
        """The finite values over the ok runs, by metric and address."""
        return {
            metric: {a: group.dropna().to_numpy() for a, group in column.groupby(level="address")}
            for metric, column in self.scores.items()
        }


def read_ours(settings: dict[str, Any]) -> dict[str, Ours]:
    """Return published data set -> our results, of the first data set that stands for it, as far as there are files."""
    found: dict[str, Ours] = {}
    for each in settings["datasets"]:
        folder = Path(settings["results"]) / each["dataset"]
        if each["published"] and each["published"] not in found:
            shared = {"rows": settings["rows"], "budget": settings["budget"]}
            results = Results.read(each | shared, folder / "scores.csv", folder / "runs.csv")
            found[each["published"]] = Ours(results, read_findings(folder / "verify.json").word)
    return found


def compare(layout: Layout, ours: Mapping[str, Ours]) -> list[Compared]:
    """Return one record per printed number and row of ours that stands for it; at least one per printed number."""
    return [record for part in layout.parts for record in _compare_part(layout, part, ours.get(part.dataset))]


def _compare_part(layout: Layout, part: Part, ours: Ours | None) -> Iterator[Compared]:
    tests = {metric: _tests(layout, metric, ours) for metric in layout.metrics} if ours else {}
    for row in layout.methods:
        readings = ours.readings(row) if ours else []
        for metric in layout.metrics:
            for reading, address in readings or [("", None)]:
                yield _compared(layout, part, row, metric, reading, address, ours, tests.get(metric))


def _tests(layout: Layout, metric: str, ours: Ours) -> tuple[Against, Against]:
    """Return the tests against the proposed method and against the best control."""
    samples, rises_here = ours.samples[metric], rises("paper", metric)
    rows = [address for key in layout.methods for _, address in ours.readings(key)]
    proposed = next((address for _, address in ours.readings(layout.proposed)), None)
    controls = [row["address"] for row in ours.results.rows if row["kind"] == "control"]
    return (
        against(samples, rows, proposed, rises_here),
        against(samples, rows, best_control(samples, controls, rises_here), rises_here),
    )


def _compared(
    layout: Layout,
    part: Part,
    row: str,
    metric: str,
    reading: str,
    address: str | None,
    ours: Ours | None,
    tests: tuple[Against, Against] | None,
) -> Compared:
    printed = part.numbers[row, metric]
    definition, values = _values(ours, address, metric, printed)
    judged, reason = _judge(layout, part, metric, printed, address, ours, values)
    spread = np.quantile(values, [0, 0.25, 0.5, 0.75, 1]) if values.size else np.full(5, np.nan)
    best = ours.best.loc[address] if ours and address in ours.best.index else {}
    cost = ours.costs.loc[address] if ours and address in ours.costs.index else {}
    proposed, control = tests or (Against(None, {}, {}), Against(None, {}, {}))
    return Compared(
        table=layout.id,
        dataset=part.dataset,
        row=row,
        metric=metric,
        printed=printed,
        emphasis=part.emphasis.get((row, metric), ""),
        address=address,
        reading=reading,
        status=ours.results.status(address) if ours and address else "",
        definition=find("paper", definition).title,
        best=float(best.get(definition, np.nan)),
        best_seed=float(best.get("seed", np.nan)),
        **dict(zip(("minimum", "q1", "median", "q3", "maximum"), map(float, spread), strict=True)),
        n_ok=int(values.size),
        low=judged.low,
        high=judged.high,
        verdict=judged.verdict,
        reason=reason,
        p_proposed=proposed.p.get(address, np.nan),
        proposed=proposed.mark(address, "p"),
        control_row=control.reference or "",
        p_control=control.p.get(address, np.nan),
        control=control.mark(address, "c"),
        **{key: float(cost.get(key, np.nan)) for key in COSTS},
    )


def _values(ours: Ours | None, address: str | None, metric: str, printed: Printed) -> tuple[str, np.ndarray]:
    """Return the definition that comes nearest to the printed number, by our median, and our values."""
    definitions = DEFINITIONS.get(metric, (metric,))
    if ours is None or address is None:
        return definitions[0], np.array([])
    values = {name: ours.samples[name].get(address, np.array([])) for name in definitions}
    known = {name: abs(np.median(each) - printed.value) for name, each in values.items() if each.size}
    name = min(known, key=known.__getitem__) if known else definitions[0]
    return name, values[name]


def _judge(
    layout: Layout,
    part: Part,
    metric: str,
    printed: Printed,
    address: str | None,
    ours: Ours | None,
    values: np.ndarray,
) -> tuple[Judged, str]:
    """Return the verdict, and why there is none."""
    if ours is None:
        return Judged(NO_DATA, np.nan, np.nan), "no data set of this run stands for it"
    if address is None:
        return Judged(NO_DATA, np.nan, np.nan), "no row of this run stands for it"
    if not values.size:
        return Judged(NO_DATA, np.nan, np.nan), "no run is ok"
    row = ours.rows[address]
    reason = ours.barred(part.n_clusters) or ours.barred_row(row)
    if reason:
        return Judged(NOT_COMPARABLE, np.nan, np.nan), reason
    return judge(printed, values, layout.best_of, metric == HEADLINE, row["deterministic"]), ""
