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
from regimebench.papers.marks import against, best_control
from regimebench.papers.verdict import MIN_RUNS, NO_DATA, NOT_COMPARABLE, Judged, judge
from regimebench.results import HEADLINE, Results, best_of
from regimebench.stats.study import Study
from regimebench.verify import read_findings

__all__ = ["Compared", "Ours", "compare", "read_ours", "read_results"]

# The papers print one variance: of the zero-padded array for some rows, of the grid alone for others.
DEFINITIONS = {"variance": ("variance", "variance_unpadded")}
COSTS = ("seconds", "n_parameters")
SPREAD = (0, 0.25, 0.5, 0.75, 1)


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
    verdict: str
    reason: str
    address: str | None = None
    reading: str = ""
    status: str = ""
    definition: str = ""
    best: float = np.nan
    best_seed: float = np.nan
    minimum: float = np.nan
    q1: float = np.nan
    median: float = np.nan
    q3: float = np.nan
    maximum: float = np.nan
    n_ok: int = 0
    low: float = np.nan
    high: float = np.nan
    p_proposed: float = np.nan
    proposed: str = ""
    control_row: str = ""
    p_control: float = np.nan
    control: str = ""
    seconds: float = np.nan
    n_parameters: float = np.nan


@dataclass(frozen=True)
class Ours:
    """Our results on the data set that stands for a published one.

    Parameters
    ----------
    results : Results
        Scores and records.
    study : Study
        What may be said about differences between its rows.
    word : str
        The verify stage's: are the data the papers'?
    """

    results: Results
    study: Study
    word: str

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

    def barred_row(self, address: str) -> str:
        """Return why one row cannot be compared, or nothing."""
        runs = int((self.results.ok["address"] == address).sum())
        if runs < MIN_RUNS and not self.rows[address]["deterministic"]:
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

    def proposed(self, key: str) -> str | None:
        """Return the first row that stands for the proposed method."""
        return next((address for _, address in self.readings(key)), None)

    def best_control(self, metric: str) -> str | None:
        """Return the control of best median."""
        controls = [address for address, row in self.rows.items() if row["kind"] == "control"]
        return best_control(self.study.metric("paper", metric), controls)

    def nearest(self, address: str, metric: str, printed: Printed) -> tuple[str, np.ndarray]:
        """Return the definition whose median comes nearest to the printed number, and our finite values."""
        values = {name: self.samples[name].get(address, np.array([])) for name in DEFINITIONS.get(metric, (metric,))}
        known = {name: abs(np.median(each) - printed.value) for name, each in values.items() if each.size}
        name = min(known or values, key=(known or dict.fromkeys(values, 0.0)).__getitem__)
        return name, values[name]

    def numbers(self, address: str, definition: str) -> dict[str, Any]:
        """Return what is shown of one row and metric: chosen run, spread, how many runs are ok, cost."""
        values = self.samples[definition].get(address, np.array([]))
        spread = np.quantile(values, SPREAD) if values.size else np.full(len(SPREAD), np.nan)
        best = self.best.loc[address] if address in self.best.index else {}
        cost = self.costs.loc[address] if address in self.costs.index else {}
        return {
            "status": self.results.status(address),
            "n_ok": int(values.size),
            "best": float(best.get(definition, np.nan)),
            "best_seed": float(best.get("seed", np.nan)),
            **dict(zip(("minimum", "q1", "median", "q3", "maximum"), map(float, spread), strict=True)),
            **{key: float(cost.get(key, np.nan)) for key in COSTS},
        }

    @cached_property
    def samples(self) -> dict[str, dict[str, np.ndarray]]:
        """The finite values over the ok runs, by metric and address."""
        return {
            metric: {a: group.dropna().to_numpy() for a, group in column.groupby(level="address")}
            for metric, column in self.scores.items()
        }


def read_ours(settings: dict[str, Any]) -> dict[str, Ours]:
    """Return published data set -> our results, of the first data set that stands for it."""
    found: dict[str, Ours] = {}
    for each in settings["datasets"]:
        folder, name = Path(settings["results"]), each["dataset"]
        if each["published"] and each["published"] not in found:
            study = Study.read(folder / "tables" / f"{name}.statistics.json")
            word = read_findings(folder / name / "verify.json").word
            found[each["published"]] = Ours(read_results(settings, each), study, word)
    return found


def read_results(settings: dict[str, Any], dataset: dict[str, Any]) -> Results:
    """Return scores and records of one of the data sets in ``settings``."""
    folder = Path(settings["results"]) / dataset["dataset"]
    shared = {"rows": settings["rows"], "budget": settings["budget"]}
    return Results.read(dataset | shared, folder / "scores.csv", folder / "runs.csv")


def compare(layout: Layout, ours: Mapping[str, Ours]) -> list[Compared]:
    """Return one record per printed number and row of ours that stands for it; at least one per printed number."""
    return [record for part in layout.parts for record in _compare_part(layout, part, ours.get(part.dataset))]


def _compare_part(layout: Layout, part: Part, ours: Ours | None) -> Iterator[Compared]:
    for row in layout.methods:
        for metric in layout.metrics:
            yield from _compare_number(layout, part, row, metric, ours)


def _compare_number(layout: Layout, part: Part, row: str, metric: str, ours: Ours | None) -> Iterator[Compared]:
    """Yield one printed number beside each row of ours, or alone."""
    printed = part.numbers[row, metric]
    known = {"table": layout.id, "dataset": part.dataset, "row": row, "metric": metric, "printed": printed}
    known["emphasis"] = part.emphasis.get((row, metric), "")
    if ours is None or not ours.readings(row):
        missing = "data set" if ours is None else "row"
        yield Compared(**known, verdict=NO_DATA, reason=f"no {missing} of this run stands for it")
        return
    study = ours.study.metric("paper", metric)
    proposed, control = ours.proposed(layout.proposed), ours.best_control(metric)
    for reading, address in ours.readings(row):
        definition, values = ours.nearest(address, metric, printed)
        judged, reason = _judge(layout, part, metric, printed, ours, address, values)
        to_proposed, to_control = against(study, address, proposed), against(study, address, control)
        yield Compared(
            **known,
            address=address,
            reading=reading,
            verdict=judged.verdict,
            reason=reason,
            low=judged.low,
            high=judged.high,
            definition=find("paper", definition).title,
            **ours.numbers(address, definition),
            p_proposed=to_proposed.p,
            proposed=to_proposed.sign,
            control_row=control or "",
            p_control=to_control.p,
            control=to_control.sign,
        )


def _judge(
    layout: Layout, part: Part, metric: str, printed: Printed, ours: Ours, address: str, values: np.ndarray
) -> tuple[Judged, str]:
    """Return the verdict, and why there is none."""
    if not values.size:
        return Judged(NO_DATA, np.nan, np.nan), "no run is ok"
    reason = ours.barred(part.n_clusters) or ours.barred_row(address)
    if reason:
        return Judged(NOT_COMPARABLE, np.nan, np.nan), reason
    return judge(printed, values, layout.best_of, metric == HEADLINE, ours.rows[address]["deterministic"]), ""
