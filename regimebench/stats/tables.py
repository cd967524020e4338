"""The study of a data set as tables for people."""

from __future__ import annotations

import numpy as np
import pandas as pd

from regimebench import notes
from regimebench.formats import heading, number, p_value
from regimebench.metrics import find
from regimebench.results import HEADLINE, Results, keys
from regimebench.stats.context import context_tables
from regimebench.stats.pairwise import ALPHA
from regimebench.stats.practical import ROPE
from regimebench.stats.study import MetricStudy, Study
from regimebench.tables import Cell, Table

__all__ = ["statistics_tables"]


def statistics_tables(
    results: Results, study: Study, agreement: pd.DataFrame, shifted: pd.DataFrame
) -> tuple[list[Table], pd.DataFrame]:
    """Return the tables of differences over seeds and of what scores are worth, and all summaries, unrounded.

    Parameters
    ----------
    agreement, shifted : DataFrame
        See :func:`regimebench.stats.context.context_tables`.
    """
    protocols = ["standard", *(["truth"] if results.references else [])]
    tables = []
    for protocol in protocols:
        tables += [_groups(results, study, protocol), _headline(results, study, protocol)]
    tables += [_omnibus(results, study), *context_tables(results, study, agreement, shifted)]
    data = [each.summary.reset_index().assign(metric=key) for key, each in study.metrics.items()]
    return tables, pd.concat(data, ignore_index=True)[["metric", *data[0].columns[:-1]]]


def _groups(results: Results, study: Study, protocol: str) -> Table:
    metrics = keys(protocol)
    rows = [
        [results.name(address), *(Cell(_group(study.metric(protocol, metric), address)) for metric in metrics)]
        for address in study.metric(protocol, metrics[0]).summary.index
    ]
    return results.table(
        about=f"which rows can be told apart, {protocol} protocol",
        caption="Rows that share a letter are not told apart at 5 % after Holm's correction over all pairs; in brackets"
        " the ranks that are possible, for all rows at once with 95 % confidence.",
        header=["method", *(heading(protocol, metric) for metric in metrics)],
        rows=rows,
        notes=[notes.SEEDS, notes.FAILURES],
    )


def _group(found: MetricStudy, address: str) -> str:
    row = found.summary.loc[address]
    if not isinstance(row["letters"], str):
        return "–"
    low, high = int(row["rank_low"]), int(row["rank_high"])
    return f"{row['letters']} ({low}–{high})" if low < high else f"{row['letters']} ({low})"


def _headline(results: Results, study: Study, protocol: str) -> Table:
    """Return location and effect sizes of the first metric of a protocol."""
    metric = HEADLINE if protocol != "truth" else keys("truth")[0]
    found = study.metric(protocol, metric)
    reference, p = found.against_best(found.summary.index)
    rows = []
    for address, row in found.summary.iterrows():
        iqm = number(row["iqm"], protocol, metric)
        if np.isfinite(row["iqm_low"]):
            iqm += f" [{number(row['iqm_low'], protocol, metric)}, {number(row['iqm_high'], protocol, metric)}]"
        cells = [str(row["n"]), str(row["n_failed"]), iqm, *_effect(found, reference, address, p)]
        rows.append([results.name(str(address)), *map(Cell, cells)])
    return results.table(
        about=f"{find(protocol, metric).title} over seeds",
        caption="Interquartile mean of the runs that have a score with 95 % interval; probability that a run scores"
        " better than one of ref., with 95 % interval; Cliff's delta; p with failed runs last, and without them.",
        header=[
            "method",
            "tried",
            "failed",
            "IQM",
            "better than ref.",
            "delta",
            "test",
            "p",
            "p without failed",
            "practically",
        ],
        rows=rows,
        notes=[
            notes.test(find(protocol, metric).title, found, reference, bool(results.twins)),
            notes.TESTS,
            notes.practical(ROPE[f"{protocol}.{metric}"]),
        ],
    )


def _effect(found: MetricStudy, reference: str | None, address: str, p: dict[str, float]) -> list[str]:
    if reference is None:
        return ["–"] * 6
    if address == reference:
        return ["ref.", "", "", "", "", ""]
    pair = found.pair(address, reference)
    if not np.isfinite(pair["superiority"]):
        return ["–"] * 6
    share = f"{pair['superiority']:.2f}"
    if np.isfinite(pair["low"]):
        share += f" [{pair['low']:.2f}, {pair['high']:.2f}]"
    tests = pair["test"], p_value(p[address]), p_value(pair["p_holm_ok"])
    return [share, f"{pair['cliffs_delta']:+.2f}", *tests, _practically(found, address, reference)]


def _practically(found: MetricStudy, a: str, b: str) -> str:
    """Return how probable it is that ``a`` is better, equivalent and worse."""
    table, parts = found.practical, ["p_better", "p_equivalent", "p_worse"]
    for first, second, order in ((a, b, parts), (b, a, parts[::-1])):
        row = table[(table["a"] == first) & (table["b"] == second)]
        if len(row):
            return " / ".join(f"{row.iloc[0][part]:.2f}" for part in order)
    return "–"


def _omnibus(results: Results, study: Study) -> Table:
    rows = []
    for key, found in study.metrics.items():
        protocol, _, metric = key.partition(".")
        tested = found.pairs[found.pairs["p"].notna()]
        floor = tested["smallest_p"].min() if len(tested) else np.nan
        cells = [
            protocol,
            str(found.omnibus["rows"]),
            "–" if np.isnan(found.omnibus["statistic"]) else f"{found.omnibus['statistic']:.1f}",
            p_value(found.omnibus["p"]),
            str(len(tested)),
            str(int((tested["p_holm"] <= ALPHA).sum())),
            "–" if np.isnan(floor) else f"{floor:.2g}",
        ]
        rows.append([Cell(find(protocol, metric).title), *map(Cell, cells)])
    return results.table(
        about="is there any difference, metric by metric",
        caption="Kruskal-Wallis test of all rows that draw seeds; pairs told apart at 5 % after Holm's correction; the "
        "smallest corrected p that the numbers of runs allow.",
        header=["metric", "protocol", "rows", "H", "p", "pairs tested", "told apart", "smallest p"],
        rows=rows,
    )
