"""The study of one data set: what may be said about differences between its rows, metric by metric."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from regimebench.files import replacing
from regimebench.metrics import PROTOCOLS, find, metrics_of
from regimebench.schema import InvalidFile
from regimebench.stats.letters import letters
from regimebench.stats.location import interquartile_mean, iqm_interval
from regimebench.stats.omnibus import omnibus
from regimebench.stats.pairwise import ALPHA, compare
from regimebench.stats.practical import ROPE, practical
from regimebench.stats.profiles import profile
from regimebench.stats.redundancy import Oriented, identity_error, redundancy, truth_ranking
from regimebench.stats.samples import Samples, samples

if TYPE_CHECKING:
    from regimebench.results import Results

__all__ = ["MetricStudy", "Study", "kept", "study"]

VERSION = 1
TRUTH = "ari"  # agreement with the truth that internal metrics are held against
DIGITS = 6
AT_MOST_ONE = ("silhouette", "silhouette_cosine", "ari", "nmi", "accuracy")  # where an interval ends at 1


@dataclass(frozen=True)
class MetricStudy:
    """One metric.

    Parameters
    ----------
    omnibus : dict
        ``test``, ``statistic``, ``p``, ``rows`` compared: is there any difference at all?
    summary : DataFrame
        One row per address, indexed by it; columns in ``docs/statistics.md``.
    pairs : DataFrame
        One row per pair of addresses, see :func:`regimebench.stats.pairwise.compare`.
    profile : dict
        Share of runs that reach a score, see :func:`regimebench.stats.profiles.profile`.
    practical : DataFrame
        Better, equivalent or worse, see :func:`regimebench.stats.practical.practical`; without rows for most metrics.
    """

    omnibus: dict[str, Any]
    summary: pd.DataFrame
    pairs: pd.DataFrame
    profile: dict[str, Any]
    practical: pd.DataFrame

    def pair(self, a: str, b: str) -> dict[str, Any]:
        """Return the comparison of two rows as seen from ``a``."""
        forward = self.pairs[(self.pairs["a"] == a) & (self.pairs["b"] == b)]
        if len(forward):
            return forward.iloc[0].to_dict()
        backward = self.pairs[(self.pairs["a"] == b) & (self.pairs["b"] == a)]
        if not len(backward):
            raise KeyError(f"{a} and {b} are not compared; rows are {', '.join(self.summary.index)}")
        found = backward.iloc[0].to_dict()
        turned = {"a": a, "b": b, "n_a": found["n_b"], "n_b": found["n_a"], "cliffs_delta": -found["cliffs_delta"]}
        shares = {"superiority": "superiority", "low": "high", "high": "low"}
        return found | turned | {key: 1 - found[other] for key, other in shares.items()}

    def against_best(self, addresses: Sequence[str]) -> tuple[str | None, dict[str, float]]:
        """Return the row of best rank among those that draw seeds, and each row's ``p_holm`` against it.

        NaN for the reference itself and for rows of ``addresses`` that are not compared with it.
        """
        p = dict.fromkeys(addresses, np.nan)
        compared = self.pairs[self.pairs["p"].notna()]
        rows = {*compared["a"], *compared["b"]} - set(self.summary.index[self.summary["deterministic"]])
        if not rows:
            return None, p
        ranks = self.summary["rank"]
        reference = min((row for row in self.summary.index if row in rows), key=ranks.__getitem__)
        for a, b, value in zip(compared["a"], compared["b"], compared["p_holm"], strict=True):
            if reference in (a, b):
                p[b if a == reference else a] = float(value)
        return reference, p


@dataclass(frozen=True)
class Study:
    """All metrics of one data set.

    Parameters
    ----------
    dataset : str
        Its name in the results.
    metrics : dict of str to MetricStudy
        By ``<protocol>.<metric>``, such as ``standard.silhouette``.
    redundancy : dict
        By protocol, see :func:`regimebench.stats.redundancy.redundancy`; ``identity_error`` beside it.
    truth_ranking : dict of str to DataFrame
        On planted data, by protocol, see :func:`regimebench.stats.redundancy.truth_ranking`; empty elsewhere.
    """

    dataset: str
    metrics: dict[str, MetricStudy]
    redundancy: dict[str, dict[str, Any]]
    truth_ranking: dict[str, pd.DataFrame]

    def metric(self, protocol: str, metric: str) -> MetricStudy:
        """Return one metric."""
        return self.metrics[f"{protocol}.{metric}"]

    def write(self, path: Path) -> None:
        """Write as JSON, in one step."""
        document = {
            "schema_version": VERSION,
            "dataset": self.dataset,
            "alpha": ALPHA,
            "metrics": {
                key: {
                    "omnibus": _plain(each.omnibus),
                    "summary": _columns(each.summary.rename_axis("address").reset_index()),
                    "pairs": _columns(each.pairs),
                    "profile": _plain(each.profile),
                    "practical": _columns(each.practical),
                }
                for key, each in self.metrics.items()
            },
            "redundancy": _plain(self.redundancy),
            "truth_ranking": {protocol: _columns(table) for protocol, table in self.truth_ranking.items()},
        }
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(document, allow_nan=False, separators=(",", ":")) + "\n")

    @classmethod
    def read(cls, path: Path) -> Study:
        """Return what :meth:`write` wrote; null is NaN again.

        Raises
        ------
        InvalidFile
            If the file has another version.
        """
        document = json.loads(path.read_text())
        if document.get("schema_version") != VERSION:
            text = f"schema_version is {document.get('schema_version')!r}; {VERSION} is required: run aggregate again"
            raise InvalidFile(str(path), [text])
        metrics = {
            key: MetricStudy(
                _defined(each["omnibus"]),
                _frame(each["summary"]).set_index("address"),
                _frame(each["pairs"]),
                each["profile"],
                _frame(each["practical"]),
            )
            for key, each in document["metrics"].items()
        }
        ranking = {protocol: _frame(table) for protocol, table in document["truth_ranking"].items()}
        return cls(document["dataset"], metrics, _defined(document["redundancy"]), ranking)


def kept(results: Results, tables: Path) -> Study:
    """Return the statistics that aggregate wrote into ``tables``; new ones where it wrote none."""
    made = tables / f"{results.settings['dataset']}.statistics.json"
    return Study.read(made) if made.is_file() else study(results)


def study(results: Results) -> Study:
    """Return the statistics of one data set.

    Parameters
    ----------
    results : Results
        Scores and records. Twins are no competitors and take no part.
    """
    metrics: dict[str, MetricStudy] = {}
    known: dict[str, MetricStudy] = {}  # two protocols may define a metric alike
    for protocol in PROTOCOLS:
        keys = [metric.key for metric in metrics_of(protocol)]
        if protocol == "truth" and not results.references:
            continue
        for each in samples(results, protocol, keys):
            quantity = find(protocol, each.metric).quantity
            if quantity not in known or each.key in ROPE:
                known[quantity] = _study(each)
            metrics[each.key] = known[quantity]
    oriented = {protocol: _oriented(results, protocol) for protocol in ("paper", "standard")}
    clusters = results.ok.set_index(["address", "seed"])["clusters_found"]
    related = {}
    for protocol, scores in oriented.items():
        table = results.scores(protocol)
        found = {"identity_error": identity_error(table, clusters.reindex(table.index))}
        related[protocol] = redundancy(scores) | found
    ranking = {}
    if results.references:
        truth = results.scores("truth")[TRUTH]
        ranking = {protocol: truth_ranking(scores, truth) for protocol, scores in oriented.items()}
    return Study(results.settings["dataset"], metrics, related, ranking)


def _oriented(results: Results, protocol: str) -> Oriented:
    """Return the headline metrics of all rows but twins."""
    table = results.scores(protocol)
    table = table[~table.index.get_level_values("address").isin(results.twins)]
    directions = {each.key: each.better == "higher" for each in metrics_of(protocol) if not each.extra}
    return Oriented(table, directions)


def _study(each: Samples) -> MetricStudy:
    pairs = compare(each)
    return MetricStudy(omnibus(each), _summary(each, pairs), pairs, profile(each), practical(each))


def _summary(each: Samples, pairs: pd.DataFrame) -> pd.DataFrame:
    """Return one row per address: counts, location over runs with a score, rank and letters over all runs."""
    rows = []
    for row, _ in enumerate(each.addresses):
        values = each.values(row)
        low, high = (np.nan, np.nan) if each.deterministic[row] else iqm_interval(values)
        high = min(high, 1.0) if each.metric in AT_MOST_ONE else high
        q1, median, q3 = np.quantile(values, [0.25, 0.5, 0.75]) if values.size else [np.nan] * 3
        numbers = {"median": median, "q1": q1, "q3": q3, "iqm": interquartile_mean(values)}
        rows.append(numbers | {"iqm_low": low, "iqm_high": high})
    summary = pd.DataFrame(rows, index=pd.Index(each.addresses, name="address"))
    for place, (name, column) in enumerate(
        {"n": each.tried, "n_failed": each.tried - each.ok, "deterministic": each.deterministic}.items()
    ):
        summary.insert(place, name, column)
    return summary.join(_ranks(each, pairs))


def _ranks(each: Samples, pairs: pd.DataFrame) -> pd.DataFrame:
    """Return rank, its simultaneous 95 % interval and letters; none for rows without runs."""
    here = np.flatnonzero(each.tried > 0)
    centre = np.array([np.quantile(each.scores[row][~np.isnan(each.scores[row])], 0.5, method="lower") for row in here])
    names = np.array(each.addresses, dtype=object)[here]
    order = pd.Series(centre, index=names).rank(ascending=False, method="min")
    better, worse = _beaten(pairs, names)
    differ = better | worse
    best_first = np.argsort(order.to_numpy(), kind="stable")
    shown = dict(zip(names[best_first], letters(differ[np.ix_(best_first, best_first)]), strict=True))
    return pd.DataFrame(
        {
            "rank": order,
            "rank_low": pd.Series(1 + worse.sum(axis=1), index=names),
            "rank_high": pd.Series(len(names) - better.sum(axis=1), index=names),
            "letters": pd.Series(shown, dtype=object),
        }
    )


def _beaten(pairs: pd.DataFrame, names: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return which rows (first axis) are told to be better, and worse, than which others."""
    place = {name: number for number, name in enumerate(names)}
    better = np.zeros((len(names), len(names)), dtype=bool)
    told = pairs[pairs["differ"]]
    for a, b, share in zip(told["a"], told["b"], told["superiority"], strict=True):
        first, second = (a, b) if share > 0.5 else (b, a)
        better[place[first], place[second]] = True
    return better, better.T


def _columns(table: pd.DataFrame) -> dict[str, list[Any]]:
    return {str(name): _cells(column) for name, column in table.items()}


def _cells(column: pd.Series) -> list[Any]:
    if column.dtype.kind != "f":
        return [_plain(value) for value in column]
    return [
        float(f"{value:.{DIGITS}g}") if known else None
        for value, known in zip(column, np.isfinite(column), strict=True)
    ]


def _frame(columns: dict[str, list[Any]]) -> pd.DataFrame:
    """Return a table in which columns without any text are numbers, also where all of them are undefined."""
    table = pd.DataFrame(columns)
    for name in table:
        if table[name].dtype.kind == "O" and not table[name].map(lambda value: isinstance(value, str | bool)).any():
            table[name] = table[name].astype(float)
    return table


def _defined(value: Any) -> Any:
    """Return a dictionary with NaN where JSON has null."""
    if isinstance(value, dict):
        return {key: _defined(each) for key, each in value.items()}
    return float("nan") if value is None else value


def _plain(value: Any) -> Any:
    """Return a value that JSON has: six significant digits, and null for what is not finite."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, np.ndarray | list):
        return [_plain(each) for each in value]
    if isinstance(value, np.bool_ | bool):
        return bool(value)
    if isinstance(value, np.integer | int):
        return int(value)
    if isinstance(value, np.floating | float):
        return float(f"{value:.{DIGITS}g}") if np.isfinite(value) else None
    return value
