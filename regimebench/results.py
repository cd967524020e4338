"""Scores and records of one data set, and the numbers that tables are made of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from regimebench.alarms import ALARMS, Alarm
from regimebench.metrics import find, metrics_of
from regimebench.notes import budget
from regimebench.records import DIAGNOSTICS, SKIPPED, WITH_LABELS, status_summary
from regimebench.tables import Cell, Table, best_in_column

HEADLINE = "silhouette"
REFERENCES = {"(truth)": "(planted truth)", "(oracle)": "(oracle)"}
QUARTILES = {"median": 0.5, "q1": 0.25, "q3": 0.75}
OK_SHARE = 0.5  # a row is marked best only if at least so many of its runs are ok
ALARM_SHARE = 0.5  # a row carries the mark of an alarm that at least so many of its runs with labels raise


@dataclass(frozen=True)
class Results:
    """Scores and records of one data set.

    Only runs that are ``ok`` have a say in medians, tests, marks and costs; the others are counted in the column runs.
    """

    settings: dict[str, Any]
    values: pd.DataFrame
    records: pd.DataFrame

    @classmethod
    def read(cls, settings: dict[str, Any], scores: Path, runs: Path) -> Results:
        """Return those of ``scores.csv`` and ``runs.csv`` of a data set."""
        return cls(settings, pd.read_csv(scores), pd.read_csv(runs))

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """What the tables show, in their order: the configuration's, twins last, none of which no run was tried."""
        shown = [row for row in self.settings["rows"] if row["address"] not in self.skipped]
        return sorted(shown, key=lambda row: row["kind"] == "twin")

    @cached_property
    def skipped(self) -> dict[str, str]:
        """Rows of which no run was tried, with the reason."""
        untried = self.records[self.records["status"] == SKIPPED].groupby("address")["message"].first()
        tried = set(self.records.loc[self.records["status"] != SKIPPED, "address"])
        return {address: reason for address, reason in untried.items() if address not in tried}

    @cached_property
    def addresses(self) -> list[str]:
        """The rows' addresses."""
        return [row["address"] for row in self.rows]

    @cached_property
    def twins(self) -> list[str]:
        """Rows that repeat another one in another framework: evidence about that row, and no competitors."""
        return [row["address"] for row in self.rows if row["kind"] == "twin"]

    def name(self, address: str) -> Cell:
        """Return the first cell of a row: the address, marked where the method was reconstructed or is a twin."""
        (row,) = (row for row in self.rows if row["address"] == address)
        marks = {" †": row["fidelity"] == "reconstructed", " ‡": address in self.twins}
        return Cell(address + "".join(mark for mark, applies in marks.items() if applies))

    @cached_property
    def references(self) -> list[str]:
        """Rows that are no runs: the planted truth and its oracle."""
        return [name for name in REFERENCES if (self.values["address"] == name).any()]

    @cached_property
    def ok(self) -> pd.DataFrame:
        """Records of the runs that are ok."""
        return self.records[self.records["status"] == "ok"]

    def scores(self, protocol: str) -> pd.DataFrame:
        """Return one row per ok run, indexed by (address, seed), and one column per metric."""
        table = wide(self.values, protocol)
        return table[table.index.isin(pd.MultiIndex.from_frame(self.ok[["address", "seed"]]))]

    def status(self, address: str) -> str:
        """Return how many runs are ok, and why the others are not."""
        return self._statuses.get(address, status_summary(()))

    @cached_property
    def _statuses(self) -> dict[str, str]:
        runs = self.records.groupby("address")["status"]
        return {address: status_summary({"status": each} for each in statuses) for address, statuses in runs}

    def clusters(self, address: str) -> float:
        """Return the median number of clusters found in ok runs."""
        return float(self.ok.loc[self.ok["address"] == address, "clusters_found"].median())

    @cached_property
    def few_clusters(self) -> list[str]:
        """Rows that usually find fewer clusters than asked: their scores are not comparable."""
        return [address for address in self.addresses if self.clusters(address) < self.settings["n_clusters"]]

    @cached_property
    def unreliable(self) -> list[str]:
        """Rows most of whose runs are not ok."""
        counts = {a: (self.records.loc[self.records["address"] == a, "status"] == "ok").mean() for a in self.addresses}
        return [address for address, share in counts.items() if not share >= OK_SHARE]

    @cached_property
    def labelled(self) -> pd.DataFrame:
        """Records of the runs that have labels, degenerate ones included, by address."""
        return self.records[self.records["status"].isin(WITH_LABELS)].set_index("address")

    @cached_property
    def diagnostics(self) -> pd.DataFrame:
        """Diagnostics of the runs that have labels, by address, one column each."""
        found = self.labelled.filter(regex=f"^{re.escape(DIAGNOSTICS)}")
        return found.rename(columns=lambda name: name.removeprefix(DIAGNOSTICS))

    @cached_property
    def alarms(self) -> dict[str, list[Alarm]]:
        """The alarms that enough of each row's runs raise to be shown."""
        known = {name: self.labelled[name] for name in ("clusters_found", "epochs")}
        values = self.diagnostics.assign(**known, n_clusters=self.settings["n_clusters"])
        raised = pd.DataFrame(
            {alarm.mark: [alarm.raised(run) for run in values.to_dict("records")] for alarm in ALARMS},
            index=values.index,
        )
        share = raised.groupby(level="address").mean().reindex(self.addresses)
        return {a: [alarm for alarm in ALARMS if share.at[a, alarm.mark] >= ALARM_SHARE] for a in self.addresses}

    def marks(self, protocol: str, table: pd.DataFrame) -> dict[str, pd.Series]:
        """Return, per metric, which rows of ``table`` are the best among those that may be marked."""
        barred = [*self.few_clusters, *self.unreliable, *self.twins]
        allowed = table.drop(index=barred).reindex(table.index)
        return {metric: best_in_column(allowed[metric], rises(protocol, metric)) for metric in table.columns}

    def summary(self, protocol: str) -> dict[str, pd.DataFrame]:
        """Return median and quartiles over ok runs: one frame each, rows by address, columns by metric."""
        grouped = self.scores(protocol)[keys(protocol)].groupby(level="address")
        return {part: grouped.quantile(q).reindex(self.addresses) for part, q in QUARTILES.items()}

    def table(
        self, about: str, caption: str, header: Sequence[str], rows: Sequence[Sequence[Cell]], notes: Sequence[str] = ()
    ) -> Table:
        """Return a table about this data set, whose caption says so if the run was shortened."""
        title = f"{self.settings['title']}: {about}"
        return Table(title, header, rows, caption + budget(self.settings), notes)


def wide(values: pd.DataFrame, protocol: str) -> pd.DataFrame:
    """Return one row per (address, seed), references included, and one column per metric of ``protocol``."""
    chosen = values[values["protocol"] == protocol]
    table = chosen.pivot(index=["address", "seed"], columns="metric", values="value")
    return table.reindex(columns=[metric.key for metric in metrics_of(protocol)]).astype(float)


def best_of(paper: pd.DataFrame) -> pd.DataFrame:
    """Return, per address, the run with the highest cosine silhouette, as the DSC paper selects (section 5.4).

    Parameters
    ----------
    paper : DataFrame
        Scores of the paper protocol as :func:`wide` or :meth:`Results.scores` gives them.
    """
    ranked = paper.dropna(subset=HEADLINE).sort_values(HEADLINE, ascending=False, kind="stable").reset_index("seed")
    return ranked[~ranked.index.duplicated()]


def keys(protocol: str) -> list[str]:
    """Return the headline metrics of a protocol, in table order."""
    return [metric.key for metric in metrics_of(protocol) if not metric.extra]


def rises(protocol: str, metric: str) -> bool:
    """Say whether more is better."""
    return find(protocol, metric).better == "higher"
