"""Published label vectors scored on a cube: which printed numbers come out, and by which definition."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from regimebench.dataset import Cube
from regimebench.evidence.published import AGREES, DIFFERS, NEAR, OPEN, Printed, Published
from regimebench.metrics import METRICS, find, score_partitions
from regimebench.preprocess import MULTIPLE

__all__ = ["ENOUGH", "NOT_METRICS", "Labels", "Number", "compare_labels", "printed_numbers"]

ENOUGH = 6  # digits that count as all: the cube holds single precision, and one notebook printed it
FEW = 3  # digits from which on a number is near
PROTOCOLS = ("paper", "standard")
NOT_METRICS = ("labels", "row", "evaluated_on")


@dataclass(frozen=True)
class Number:
    """One number that a notebook printed for a label vector, what a table made of it, and ours.

    ``ours`` is that of the definition which comes nearest, ``digits`` how many leading digits of the notebook's number
    it has.
    """

    row: str
    metric: str
    vector: str
    notebook: str
    table: str | None
    definition: str
    ours: float
    digits: int
    of_digits: int
    status: str
    in_table: str
    note: str

    @property
    def name(self) -> str:
        """The number, for sentences."""
        return f"{self.row} {self.metric}"


@dataclass(frozen=True)
class Labels:
    """Everything that published label vectors say; ``reason`` where they cannot be scored on this cube."""

    status: str
    reason: str
    numbers: list[Number] = field(default_factory=list)
    scores: dict[str, dict[str, float]] = field(default_factory=dict)
    without: list[str] = field(default_factory=list)

    @property
    def sentence(self) -> str:
        """How many numbers come out."""
        if self.reason:
            return self.reason
        count = {status: sum(number.status == status for number in self.numbers) for status in (AGREES, NEAR, DIFFERS)}
        text = f"{count[AGREES]} of {len(self.numbers)} numbers printed for published label vectors are reproduced"
        return text + (f" and {count[NEAR]} nearly" if count[NEAR] else "")

    @property
    def missed(self) -> list[str]:
        """Printed numbers that no definition reproduces."""
        return [number.name for number in self.numbers if number.status != AGREES]


def compare_labels(cube: Cube, published: Published) -> Labels:
    """Return our metrics of the published label vectors beside the printed ones."""
    vectors = published.labels
    if vectors is None:
        return Labels(OPEN, "no label vector is published for these data")
    days = vectors.index.to_numpy().astype("datetime64[D]")
    if not np.array_equal(cube.time.astype("datetime64[D]"), days):
        return Labels(OPEN, f"published label vectors need exactly the days from {days[0]} to {days[-1]}")
    scores = _score(cube, {name: vectors[name].to_numpy() for name in vectors})
    printed = printed_numbers(published)
    numbers = [
        _compare(row, metric, entry["labels"], text, printed.get((entry.get("row", row), metric)), scores)
        for row, entry in published.notebook.items()
        if entry["labels"] in scores
        for metric, text in entry.items()
        if metric not in NOT_METRICS
    ]
    return Labels(_overall(numbers), "", numbers, scores, _without_vector(published))


def _score(cube: Cube, vectors: dict[str, np.ndarray]) -> dict[str, dict[str, float]]:
    """Return vector -> definition -> value, with the pooled variance of the zero-padded grid and of the grid alone."""
    values = cube.unpadded().values
    padding = [(0, 0), *((0, -size % MULTIPLE) for size in values.shape[1:3]), (0, 0)]
    inside = np.pad(np.ones(values.shape[1:], dtype=bool), padding[1:])
    table = np.pad(values, padding).reshape(len(values), -1)
    found = score_partitions(table, np.stack(list(vectors.values())), PROTOCOLS, inside.ravel())
    names, scores = list(vectors), {name: {} for name in vectors}
    for partition, protocol, key, value in found.itertuples(index=False):
        scores[names[partition]][find(protocol, key).title] = float(value)
    return scores


def printed_numbers(published: Published) -> dict[tuple[str, str], str]:
    """Return what the tables made from the notebooks print, by row and metric."""
    chosen = [table for table in published.tables if table["id"] in published.facts["label_tables"]]
    return {
        (row, metric): text
        for table in chosen
        for row, values in table["rows"].items()
        for metric, text in values.items()
    }


def _definitions(metric: str) -> list[str]:
    """Return the titles of the definitions that could be meant by a printed metric."""
    return [m.title for m in METRICS if m.protocol in PROTOCOLS and m.key.startswith(metric)]


def _compare(
    row: str, metric: str, vector: str, notebook: str, table: str | None, scores: dict[str, dict[str, float]]
) -> Number:
    number = Printed(notebook)
    values = {name: scores[vector][name] for name in _definitions(metric)}
    best = min(values, key=lambda name: (-number.digits_of(values[name]), abs(values[name] - number.value)))
    ours = values[best]
    digits, of_digits = number.digits_of(ours), min(number.n_digits, ENOUGH)
    status = AGREES if digits >= of_digits else NEAR if digits >= FEW else DIFFERS
    in_table, note = _in_table(table, ours, number)
    return Number(row, metric, vector, notebook, table, best, ours, digits, number.n_digits, status, in_table, note)


def _in_table(table: str | None, ours: float, notebook: Printed) -> tuple[str, str]:
    """Return how ours gives the table's number, and a note where table and notebook contradict each other."""
    if table is None:
        return "", ""
    printed = Printed(table)
    note = "" if printed.holds(notebook.value) else "table contradicts notebook"
    return printed.made_from(ours), note


def _overall(numbers: list[Number]) -> str:
    """Return the status of all numbers together; most suffice for near, because a printed one may be wrong itself."""
    if not numbers:
        return OPEN
    if all(number.status == AGREES for number in numbers):
        return AGREES
    return NEAR if sum(number.status != DIFFERS for number in numbers) > len(numbers) / 2 else DIFFERS


def _without_vector(published: Published) -> list[str]:
    """Return the printed rows that no published label vector belongs to."""
    scored = {row: entry for row, entry in published.notebook.items() if entry["labels"] in published.labels}
    rows_with = {entry.get("row", row) for row, entry in scored.items()}
    found = [f"{row} (notebook)" for row in published.notebook if row not in scored]
    for table in published.tables:
        made = table["id"] in published.facts["label_tables"]
        rows = [row for row in table["rows"] if not (made and row in rows_with)]
        found += [f"{', '.join(rows)} ({table['source']})"] if rows else []
    return found
