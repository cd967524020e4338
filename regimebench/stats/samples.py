"""What enters the statistics: the scores of all runs that were tried, failures as the worst of all."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from regimebench.metrics import find
from regimebench.records import SKIPPED

if TYPE_CHECKING:
    from regimebench.results import Results

__all__ = ["Samples", "samples"]


@dataclass(frozen=True)
class Samples:
    """Scores of one metric.

    Parameters
    ----------
    protocol, metric : str
        Which metric.
    sign : int
        1 if more is better, -1 if less is.
    addresses : list of str
        The rows compared, R of them; twins are left out.
    deterministic : ndarray of bool, shape (R,)
        Rows whose one score stands for all seeds.
    pairing : list of str or None
        Rows with the same word share what a seed draws, so their runs are paired by seed.
    scores : ndarray, shape (R, S)
        One column per seed, higher is better (``sign`` times the metric): NaN where no run was tried, ``-inf`` where
        the run failed, collapsed (``degenerate``) or has no defined score.
    """

    protocol: str
    metric: str
    sign: int
    addresses: list[str]
    deterministic: np.ndarray
    pairing: list[str | None]
    scores: np.ndarray

    @property
    def key(self) -> str:
        """Name of the metric in a study."""
        return f"{self.protocol}.{self.metric}"

    @cached_property
    def tried(self) -> np.ndarray:
        """Number of runs of each row."""
        return (~np.isnan(self.scores)).sum(axis=1)

    @cached_property
    def ok(self) -> np.ndarray:
        """Number of runs of each row that have a score."""
        return np.isfinite(self.scores).sum(axis=1)

    def values(self, row: int) -> np.ndarray:
        """Return the metric of the runs of one row that have a score, in the order of seeds."""
        scores = self.scores[row]
        return self.sign * scores[np.isfinite(scores)]

    def only_ok(self) -> Samples:
        """Return the same without the runs that have no score."""
        scores = np.where(np.isfinite(self.scores), self.scores, np.nan)
        return replace(self, scores=scores)


def samples(results: Results, protocol: str, metrics: list[str]) -> list[Samples]:
    """Return the scores of some metrics of one protocol.

    Every run that was tried counts. One that was not (its framework is not installed) is no run.
    """
    rows = [row for row in results.rows if row["kind"] != "twin"]
    addresses = [row["address"] for row in rows]
    tried = results.records[results.records["status"] != SKIPPED]
    tried = tried[tried["address"].isin(addresses)]
    seeds = np.sort(tried["seed"].unique())
    place = (
        tried["address"].map({address: i for i, address in enumerate(addresses)}),
        np.searchsorted(seeds, tried["seed"]),
    )
    scored = results.scores(protocol).reindex(list(zip(tried["address"], tried["seed"], strict=True)))
    found = []
    for metric in metrics:
        sign = 1 if find(protocol, metric).better == "higher" else -1
        scores = np.full((len(rows), len(seeds)), np.nan)
        column = sign * scored[metric].to_numpy(dtype=float)
        scores[place] = np.where(np.isfinite(column), column, -np.inf)
        found.append(
            Samples(
                protocol,
                metric,
                sign,
                addresses,
                np.array([row["deterministic"] for row in rows], dtype=bool),
                [row.get("pairing") for row in rows],
                scores,
            )
        )
    return found
