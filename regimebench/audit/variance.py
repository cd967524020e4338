"""The printed "average variance": which array it was computed on, and what it can tell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from regimebench.audit.finding import Finding, table
from regimebench.evidence.inertia import judge_printed
from regimebench.evidence.published import DIFFERS, Printed, Published
from regimebench.preprocess import MULTIPLE
from regimebench.tables import Table

__all__ = ["families", "variance"]

FACTOR = 1.5  # between one family and the next
QUESTION = (
    "The authors' code takes the variance v of all entries of a cluster's days about their one mean m, weighted by "
    "size. With p columns, v is RMSE²/p and the spread of the columns' means, so at least RMSE²/p; and it is the "
    "variance of all days less the spread B of m between clusters, which is at most (T/n − RMSE²)/p. It changes when "
    "columns of zeros are added: with a share s of columns that are data, v' = s v + s (1 − s) M, where M, the mean of "
    "m² over days, is at least the square of the mean of all data, and at most B more."
)


@dataclass(frozen=True)
class Number:
    """One printed variance."""

    row: str
    source: str
    printed: Printed
    rmse: str

    @property
    def within(self) -> float:
        """Inertia per day within clusters."""
        return float(self.rmse) ** 2


def variance(datasets: list[Published]) -> Finding:
    """Return the families of the printed variances, and what follows from them."""
    sentences, tables = [], []
    for published in datasets:
        common, rows = judge_printed(published)
        numbers = _numbers(published)
        if common is None or not numbers:
            continue
        total, groups = sum(common) / 2, families(numbers)
        sentences.append(_families(published.name, groups))
        sentences += _constant(published.name, numbers)
        odd = {(row.row, row.rmse) for row in rows if row.status == DIFFERS}
        sound = [number for number in numbers if (number.row, number.rmse) not in odd]
        sentences += _one_array(published.name, numbers, sound, total)
        if "shape" in published.facts and len(groups) == 2:
            sentences += _padding(published, *groups, total)
        tables.append(_table(published, numbers))
    return Finding("variance", "Average variance", QUESTION, sentences, tables)


def families(numbers: list[Number]) -> list[list[Number]]:
    """Return the numbers in groups of increasing value, a new one where the next is over 1.5 times the last."""
    ordered = sorted(numbers, key=lambda number: number.printed.value)
    groups = [[ordered[0]]]
    for number in ordered[1:]:
        if number.printed.value > FACTOR * groups[-1][-1].printed.value:
            groups.append([])
        groups[-1].append(number)
    return groups


def _numbers(published: Published) -> list[Number]:
    found = {}
    for entry in published.tables:
        for row, values in entry["rows"].items():
            printed = Printed(values["variance"])
            number = Number(row, entry["source"], printed, values["rmse"])
            found.setdefault((row, values["variance"], values["rmse"]), number)
    return list(found.values())


def _families(name: str, groups: list[list[Number]]) -> str:
    shown = [
        f"{group[0].printed.text} to {group[-1].printed.text} ({', '.join(dict.fromkeys(n.row for n in group))})"
        if len(group) > 1
        else f"{group[0].printed.text} ({group[0].row})"
        for group in groups
    ]
    if len(groups) == 1 and groups[0][0].printed.text == groups[0][-1].printed.text:
        shown = [f"{groups[0][0].printed.text} in all {len(groups[0])} rows"]
    return f"{name}: {'; '.join(shown)}."


def _constant(name: str, numbers: list[Number]) -> Iterator[str]:
    """Say so where the number is the same in all rows, though RMSE is not."""
    if len({number.printed.text for number in numbers}) == 1:
        rmse = sorted((number.rmse for number in numbers), key=float)
        yield (
            f"{name}: RMSE goes from {rmse[0]} to {rmse[-1]} over these rows, and no printed digit of the variance "
            "changes, so it does not tell them apart."
        )


def _one_array(name: str, numbers: list[Number], sound: list[Number], total: float) -> Iterator[str]:
    """Say which numbers cannot be of one array: a row needs more columns than another number leaves it.

    Only ``sound`` rows, whose RMSE belongs to the total inertia, can be asked.
    """
    found: dict[str, tuple[float, str]] = {}
    for a, b in product(numbers, sound):
        difference = a.printed.interval[0] - b.printed.interval[1]
        if difference <= 0:
            continue
        need, leave = b.within / b.printed.interval[1], (total - b.within) / difference
        if need > leave and need / leave > found.get(b.row, (1.0, ""))[0]:
            text = (
                f"{b.row} ({b.printed.text}) needs RMSE²/v = {need:,.0f} columns or more, and beside {a.row} "
                f"({a.printed.text}) it leaves (T/n − RMSE²)/(difference of v) = {leave:,.0f} or fewer"
            )
            found[b.row] = need / leave, text
    if found:
        strongest = max(found, key=lambda row: found[row][0])
        others = [row for row in found if row != strongest]
        also = f" The same follows for {', '.join(others)}." if others else ""
        yield f"{name}: these numbers are not all of one array. {found[strongest][1]}.{also}"


def _padding(published: Published, low: list[Number], high: list[Number], total: float) -> Iterator[str]:
    """Compare the two families with an array of the published shape, padded and not."""
    share, columns = _shape(published)
    both = share * (1 - share)
    most = min(n.printed.interval[1] + (total - n.within) / columns for n in low)  # variance of all days
    means = [((n.printed.interval[0] - share * most) / both, (total - n.within) / columns) for n in high]
    least = max(mean - spread for mean, spread in means) ** 0.5
    cells = [int(size) for size in published.facts["shape"]]
    shapes = [" x ".join(str(size + pad * (-size % MULTIPLE)) for size in cells) for pad in (0, 1)]
    yield (
        f"{published.name}: with {shapes[0]} cells in {shapes[1]}, s = {share:.4f}. The lower family bounds the "
        f"variance of all days by {most:.4f}; the upper family then needs a mean of all data of {least:.2f} or more, "
        "which scaled data can have: it fits the padded array, and the lower family the grid alone. Numbers of the two "
        "families cannot be compared with each other."
    )
    for row, entry in published.notebook.items():
        if "evaluated_on" in entry:
            yield _stated(row, entry, columns, share, least)


def _stated(row: str, entry: dict[str, str], columns: int, share: float, least: float) -> str:
    value, floor = float(entry["variance"]), float(entry["rmse"]) ** 2 / columns
    most = ((value - share * floor) / (share * (1 - share))) ** 0.5
    return (
        f"{row}: its notebook shows an array of {entry['evaluated_on'].removesuffix(' as shown')} and prints "
        f"{value:.5f}. There v is at least RMSE²/p = {floor:.5f} before padding, so the mean of all data would be at "
        f"most {most:.2f}; the rows of the upper family need {least:.2f} or more on the same data. The number can be "
        "of the grid alone; no definition gives it on the array that is shown."
    )


def _table(published: Published, numbers: list[Number]) -> Table:
    columns = _shape(published)[1] if "shape" in published.facts else None
    header = ["row", "source", "variance", "RMSE"] + (["RMSE²/p", "spread of the columns' means"] if columns else [])
    rows = []
    for n in numbers:
        floor = [f"{n.within / columns:.4f}", f"{n.printed.value - n.within / columns:.4f}"] if columns else []
        rows.append([n.row, n.source, n.printed.text, n.rmse, *floor])
    caption = f"p = {columns}, of the grid alone." if columns else ""
    return table(f"Printed variances of {published.name}", header, rows, caption)


def _shape(published: Published) -> tuple[float, int]:
    """Return the share of columns that are data after the notebooks' padding, and the columns of the grid."""
    cells = [int(size) for size in published.facts["shape"]]
    padded = [size + -size % MULTIPLE for size in cells]
    share = cells[0] * cells[1] / (padded[0] * padded[1])
    return share, cells[0] * cells[1] * len(published.facts["variables"])
