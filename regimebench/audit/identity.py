"""RMSE and Calinski-Harabasz index of one partition fix the total inertia of its data: what printed rows imply."""

from __future__ import annotations

import math
from collections.abc import Iterator

from regimebench.audit.finding import Finding, table
from regimebench.evidence.inertia import Row, agreeing, judge_printed
from regimebench.evidence.published import DIFFERS, Published
from regimebench.metrics import implied_ch
from regimebench.tables import Table

__all__ = ["identity"]

DAYS = range(300, 400)  # lengths of a year of data, with room on both sides
QUESTION = (
    "For a partition of n days into k clusters with inertia W within clusters and T in all, RMSE² = W/n and "
    "CH = ((T − W)/(k − 1)) / (W/(n − k)). So each row that prints both implies T/n = RMSE² (1 + CH (k − 1)/(n − k)), "
    "which belongs to the data alone: rows of one data set must agree on it. A printed number stands for one unit of "
    "its last digit to each side; a row may have fewer clusters with days than k."
)


def identity(datasets: list[Published]) -> Finding:
    """Return what the rows of every data set imply."""
    sentences, tables = [], []
    for published in datasets:
        common, rows = judge_printed(published)
        if common is None:
            continue
        n, k, theirs = int(published.facts["n_days"]), int(published.tables[0]["n_clusters"]), sum(common) / 2
        sentences += [_agree(published.name, rows, theirs, k), *_differ(published.name, rows, theirs, n, k)]
        sentences += [_days(published), _random(published.name, theirs, n, k)]
        tables.append(_rows(published.name, rows, n, k))
        if without := _without_ch(published):
            tables.append(_implied(published.name, without, theirs, n, k))
    return Finding("identity", "RMSE and Calinski-Harabasz index", QUESTION, sentences, tables)


def _agree(name: str, rows: list[Row], theirs: float, k: int) -> str:
    agreeing_rows = [row for row in rows if row.status != DIFFERS]
    fewer = [f"{row.row} {row.note}" for row in agreeing_rows if row.note]
    text = f"{name}: {len(agreeing_rows)} of {len(rows)} rows agree on T/n = {theirs:.2f}"
    return text + (f"; of these {', '.join(fewer)}, the others with {k}." if fewer else ".")


def _differ(name: str, rows: list[Row], theirs: float, n: int, k: int) -> Iterator[str]:
    for row in rows:
        if row.status == DIFFERS:
            text = f"{name}, {row.row}: {row.implied:.2f}. {row.note[0].upper()}{row.note[1:]}"
            if theirs > float(row.rmse) ** 2:
                text += f"; CH {implied_ch(float(row.rmse), theirs, n, k):.2f} would fit its RMSE"
            yield text + "."


def _days(published: Published) -> str:
    counts = {days: agreeing(published, days) for days in DAYS}
    most = max(counts.values())
    best = [days for days, count in counts.items() if count == most]
    return (
        f"{published.name}: of all n from {DAYS[0]} to {DAYS[-1]}, most rows ({most}) agree for "
        f"n = {', '.join(map(str, best))}."
    )


def _rows(name: str, rows: list[Row], n: int, k: int) -> Table:
    return table(
        f"Inertia per day implied by the rows of {name}",
        ["row", "source", "RMSE² (1 + CH (k − 1)/(n − k))", "T/n", "status", "note"],
        [
            [
                *(row.row, row.source, f"{row.rmse}² (1 + {row.ch} · {k - 1}/{n - k})", f"{row.implied:.3f}"),
                *(row.status, row.note),
            ]
            for row in rows
        ],
    )


def _without_ch(published: Published) -> dict[str, str]:
    """Return row -> RMSE of the tables that do not print the Calinski-Harabasz index, as far as they are distinct."""
    return {
        row: values["rmse"]
        for entry in published.tables
        for row, values in entry["rows"].items()
        if "calinski_harabasz" not in values
    }


def _random(name: str, theirs: float, n: int, k: int) -> str:
    expected = math.sqrt(theirs * (n - k) / (n - 1))
    return (
        f"{name}: days assigned at random leave W = T (n − k)/(n − 1) on average, so they have an RMSE near "
        f"{expected:.2f} and a CH near 1; all days in one cluster have an RMSE of {math.sqrt(theirs):.2f}."
    )


def _implied(name: str, rows: dict[str, str], theirs: float, n: int, k: int) -> Table:
    return table(
        f"Rows of {name} printed without Calinski-Harabasz index",
        ["row", "RMSE", "W/T = RMSE²/(T/n)", "CH that belongs to it"],
        [
            [row, rmse, f"{float(rmse) ** 2 / theirs:.3f}", f"{implied_ch(float(rmse), theirs, n, k):.2f}"]
            for row, rmse in rows.items()
        ],
        f"If T/n is {theirs:.2f} there, too.",
    )
