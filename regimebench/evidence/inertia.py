"""Total inertia per day: a fingerprint of the data that printed table rows betray.

The mean squared distance T/n of a day to the mean day belongs to the scaled data alone. A row that prints RMSE and the
Calinski-Harabasz index implies it (:func:`regimebench.metrics.implied_inertia`), so rows of one data set must agree.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from regimebench.dataset import Cube
from regimebench.evidence.published import AGREES, DIFFERS, NEAR, OPEN, Printed, Published
from regimebench.metrics import implied_inertia
from regimebench.metrics.distances import Points

__all__ = ["CLOSE", "Inertia", "Row", "agreeing", "compare_inertia", "judge_printed"]

CLOSE = 0.01  # share of the papers' value; a guess at what other hours or another packing of the same file could do
Interval = tuple[float, float]


@dataclass(frozen=True)
class Row:
    """One printed row: what it implies, and whether that is what most rows imply."""

    source: str
    row: str
    rmse: str
    ch: str
    implied: float
    status: str
    note: str


@dataclass(frozen=True)
class Inertia:
    """The papers' total inertia per day, None where no two rows agree, and ours."""

    theirs: float | None
    low: float | None
    high: float | None
    n_days: int | None
    ours: float
    status: str
    rows: list[Row]

    @property
    def sentence(self) -> str:
        """Both numbers."""
        if self.theirs is None:
            return f"total inertia per day is {self.ours:.2f}, and no printed rows agree on one"
        change = f"{self.ours / self.theirs - 1:+.1%}" if self.status != AGREES else "within the printed digits"
        return f"total inertia per day is {self.ours:.2f}, and {self.theirs:.2f} in the papers ({change})"


def compare_inertia(cube: Cube, published: Published) -> Inertia:
    """Return the total inertia per day of a cube beside what the printed rows imply."""
    ours = float(Points(cube.table).norms.mean())
    common, judged = judge_printed(published)
    n_days = int(published.facts["n_days"]) if judged else None
    if common is None:
        return Inertia(None, None, None, n_days, ours, OPEN, judged)
    theirs = sum(common) / 2
    status = AGREES if common[0] <= ours <= common[1] else NEAR if abs(ours / theirs - 1) <= CLOSE else DIFFERS
    return Inertia(theirs, *common, n_days, ours, status, judged)


def judge_printed(published: Published) -> tuple[Interval | None, list[Row]]:
    """Return the inertia that most printed rows of a data set allow, and what each row implies; no cube is needed."""
    rows = _printed_rows(published, published.name)
    if "n_days" not in published.facts or not rows:
        return None, []
    n_days = int(published.facts["n_days"])
    common, others = _common(rows, n_days), _others(published)
    return common, [_judge(row, n_days, common, others) for row in rows]


def agreeing(published: Published, n_days: int) -> int:
    """Return how many printed rows would agree on one inertia, had the data set ``n_days`` days."""
    rows = _printed_rows(published, published.name)
    common = _common(rows, n_days)
    return 0 if common is None else sum(row.fits(n_days, common) is not None for row in rows)


@dataclass(frozen=True)
class _Printed:
    """RMSE and Calinski-Harabasz index of one row, printed in one table or in several."""

    source: str
    row: str
    rmse: Printed
    ch: Printed
    k: int

    def implied(self, n: int, k: int) -> Interval:
        """Return the least and largest inertia that the digits allow for k non-empty clusters."""
        low, high = zip(self.rmse.interval, self.ch.interval, strict=True)
        return implied_inertia(*low, n, k), implied_inertia(*high, n, k)

    def fits(self, n: int, value: Interval) -> int | None:
        """Return the number of non-empty clusters, as printed or fewer, for which the row allows ``value``."""
        for k in range(self.k, 1, -1):
            low, high = self.implied(n, k)
            if low <= value[1] and value[0] <= high:
                return k
        return None


def _printed_rows(published: Published, name: str) -> list[_Printed]:
    found: dict[tuple[str, str, str], _Printed] = {}
    for table in published.all_tables:
        for row, values in table["rows"].items() if table["dataset"] == name else ():
            if "rmse" in values and "calinski_harabasz" in values:
                key = row, values["rmse"], values["calinski_harabasz"]
                source = f"{found[key].source}; {table['source']}" if key in found else table["source"]
                found[key] = _Printed(source, row, Printed(key[1]), Printed(key[2]), int(table["n_clusters"]))
    return list(found.values())


def _common(rows: list[_Printed], n: int) -> Interval | None:
    """Return the values that most rows allow, None where no two rows allow the same.

    A row may have found fewer clusters than asked for; of equally many rows those with all clusters count more.
    """
    allowed = [[row.implied(n, k) for k in range(row.k, 1, -1)] for row in rows]
    best, votes = None, (1, 0)
    for edge in sorted(low for intervals in allowed for low, _ in intervals):
        holding = [[low <= edge <= high for low, high in intervals] for intervals in allowed]
        count = sum(map(any, holding)), sum(flags[0] for flags in holding)
        if count[0] > 1 and count > votes:
            tops = [high for intervals in allowed for low, high in intervals if low <= edge <= high]
            best, votes = (edge, min(tops)), count
    return best


def _others(published: Published) -> dict[str, Interval]:
    """Return what the rows of the other data sets agree on."""
    found = {}
    for name in sorted({table["dataset"] for table in published.all_tables} - {published.name}):
        n_days = Published(name, published.folder).facts.get("n_days")
        common = _common(_printed_rows(published, name), int(n_days)) if n_days else None
        if common is not None:
            found[name] = common
    return found


def _judge(row: _Printed, n: int, common: Interval | None, others: dict[str, Interval]) -> Row:
    implied = implied_inertia(row.rmse.value, row.ch.value, n, row.k)
    k = row.fits(n, common) if common else None
    status = OPEN if common is None else AGREES if k else DIFFERS
    note = "" if k in (None, row.k) else f"with {k} clusters that have days"
    if status == DIFFERS:
        note = "; ".join(_contradictions(row, n, sum(common) / 2, others))
    return Row(row.source, row.row, row.rmse.text, row.ch.text, implied, status, note)


def _contradictions(row: _Printed, n: int, theirs: float, others: dict[str, Interval]) -> Iterator[str]:
    """Say what cannot be in a row that implies another inertia than the rest."""
    if row.rmse.value**2 > theirs:
        yield f"RMSE squared, {row.rmse.value**2:.1f}, exceeds the total {theirs:.2f}"
    else:
        fitting = math.sqrt(theirs / implied_inertia(1.0, row.ch.value, n, row.k))
        yield f"RMSE {fitting:.3f} would fit its CH"
    for name, value in others.items():
        k = row.fits(n, value)
        if k is not None:
            yield f"with {k} clusters that have days it fits the data set {name}"
