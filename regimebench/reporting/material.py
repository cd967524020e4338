"""Everything the report knows about one data set, read once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from regimebench.cube import read_cube
from regimebench.dataset import Cube
from regimebench.metrics import find, metrics_of
from regimebench.metrics.definitions import PROTOCOLS, Metric
from regimebench.records import RECORD, load_labels, row_folder, seed_folder
from regimebench.reporting.projection import project
from regimebench.reporting.renaming import by_size, matched
from regimebench.results import HEADLINE, REFERENCES, Results, best_of, wide
from regimebench.stats.study import Study, kept

__all__ = ["FIRST", "Material"]

ALWAYS = ("paper", "standard")  # protocols that need no truth
FIRST = ("standard", HEADLINE)  # the metric that a reader sees first


@dataclass(frozen=True)
class Material:
    """Results of one data set with its cube, labels and records.

    Parameters
    ----------
    folder : Path
        ``results/<dataset>``.
    results : Results
    cube : Cube or None
        None where it did not come with the results: a bundle may leave it out.
    """

    folder: Path
    results: Results
    cube: Cube | None

    @classmethod
    def read(cls, settings: Mapping[str, Any], results: Path) -> Material:
        """Return what stands in the results folder."""
        folder = results / settings["dataset"]
        found = Results.read(dict(settings), folder / "scores.csv", folder / "runs.csv")
        path = folder / "cube.nc"
        return cls(folder, found, read_cube(path) if path.is_file() else None)

    @property
    def settings(self) -> dict[str, Any]:
        """What the plan says about the data set."""
        return self.results.settings

    @property
    def planted(self) -> bool:
        """Whether the true labels are known."""
        return bool(self.results.references)

    @cached_property
    def study(self) -> Study:
        """Tests and intervals over seeds, metric by metric."""
        return kept(self.results, self.folder.parent / "tables")

    @cached_property
    def metrics(self) -> list[Metric]:
        """Every metric that applies: the headline first, then in table order."""
        known = {*ALWAYS, *self.results.values["protocol"]}
        found = [metric for protocol in PROTOCOLS if protocol in known for metric in metrics_of(protocol)]
        return sorted(found, key=lambda metric: (metric.protocol, metric.key) != FIRST)

    @cached_property
    def scores(self) -> dict[tuple[str, str], pd.Series]:
        """Scores of ok runs by (address, seed), for each (protocol, metric); missing ones left out."""
        frames = {protocol: self.results.scores(protocol) for protocol in {m.protocol for m in self.metrics}}
        return {(m.protocol, m.key): frames[m.protocol][m.key].dropna() for m in self.metrics}

    @cached_property
    def by_seed(self) -> dict[tuple[str, str], pd.DataFrame]:
        """The same scores with one line per row and one column per seed."""
        return {key: column.unstack("seed") for key, column in self.scores.items()}

    @cached_property
    def reference_scores(self) -> dict[str, dict[tuple[str, str], float]]:
        """What the planted labels and the oracle score, by their name in tables."""
        tables = {protocol: wide(self.results.values, protocol) for protocol in {m.protocol for m in self.metrics}}
        return {
            REFERENCES[name]: {
                (m.protocol, m.key): float(tables[m.protocol].loc[(name, 0), m.key]) for m in self.metrics
            }
            for name in self.results.references
        }

    @cached_property
    def best(self) -> pd.DataFrame:
        """The best run of each row by cosine silhouette, of those that are ok: a collapsed one may score higher."""
        return best_of(self.results.scores("paper"))

    @cached_property
    def ranked(self) -> list[str]:
        """Rows with a run that is ok: best median of the headline metric first, twins last."""
        medians = self.medians(*FIRST).dropna()
        sign = -1 if find(*FIRST).better == "higher" else 1
        return sorted(medians.index, key=lambda a: (a in self.results.twins, sign * medians[a]))

    @cached_property
    def agreement(self) -> pd.DataFrame:
        """Mean adjusted Rand index between runs of two rows, rows in the order of :attr:`ranked`.

        On the diagonal between different seeds of one row; NaN for a row of one run.
        """
        pairs = pd.read_csv(self.folder / "agreement.csv")
        means = pairs.pivot(index="a", columns="b", values="mean")
        names = [address for address in self.ranked if address in {*pairs["a"], *pairs["b"]}]
        means = means.reindex(index=names, columns=names)
        return means.combine_first(means.T).loc[names, names]

    @cached_property
    def space(self) -> dict[str, Any]:
        """The days in two dimensions, see :func:`regimebench.reporting.projection.project`."""
        return project(self.cube.table)

    def labels_of(self, address: str, seed: int) -> np.ndarray:
        """Return the labels of one run, shape (n_days,)."""
        return load_labels(seed_folder(row_folder(self.folder, address), seed))

    @cached_property
    def matched(self) -> dict[str, np.ndarray]:
        """Labels of each row's best run, numbered alike.

        The first row's clusters are numbered by size, from 0; every other row takes the numbers that overlap most with
        the first's, so that one number, and one colour, means the same days wherever that is possible. Empty without
        a cube: there are no days to show them on.
        """
        if self.cube is None:
            return {}
        names = [address for address in self.ranked if address in self.best.index]
        runs = {address: self.labels_of(address, int(self.best.loc[address, "seed"])) for address in names}
        if not names:
            return {}
        first = by_size(runs[names[0]])
        return {address: matched(labels, first) for address, labels in runs.items()}

    def medians(self, protocol: str, metric: str) -> pd.Series:
        """Return the median over ok runs of each row; NaN where there is none."""
        return self.scores[protocol, metric].groupby(level="address").median().reindex(self.results.addresses)

    @cached_property
    def shifted(self) -> pd.DataFrame:
        """What the labels of each run score when they are shifted in time: no structure but sizes and persistence.

        One row per address, one column per ``<protocol>.<metric>``: the median over runs of the score that 5 % of the
        shifts exceed. Empty where the configuration asks for no shifts.
        """
        table = pd.read_csv(self.folder / "shifted.csv")
        table = table.assign(key=table["protocol"] + "." + table["metric"])
        return table.pivot_table(index="address", columns="key", values="p95", aggfunc="median")

    @cached_property
    def records(self) -> list[dict[str, Any]]:
        """Records of all runs, as they stand on disk; evaluate has checked them."""
        pairs = self.results.records[["address", "seed"]].itertuples(index=False)
        paths = [seed_folder(row_folder(self.folder, address), int(seed)) / RECORD for address, seed in pairs]
        return [json.loads(path.read_text(encoding="utf-8")) for path in paths if path.is_file()]
