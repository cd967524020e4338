"""From the compared numbers of one printed table to its grid, with methods down or across as the paper has them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from regimebench.papers.compare import Compared, Ours
from regimebench.papers.grid import Block, Entry, Grid, Line, Section
from regimebench.papers.layouts import Layout, Part
from regimebench.papers.remarks import legend, remarks
from regimebench.papers.verdict import SYMBOLS

__all__ = ["build", "cost_entries"]

COST_TITLES = ("runs", "seconds", "parameters")
MIN_DECIMALS = 3
Records = Mapping[tuple[str, str, str], Compared]  # by row, metric and reading


def build(layout: Layout, records: Sequence[Compared], ours: Mapping[str, Ours]) -> Grid:
    """Return the grid of one printed table."""
    across_metrics = layout.across == "metrics"
    sections = []
    for part in layout.parts:
        chosen = {(r.row, r.metric, r.reading): r for r in records if r.dataset == part.dataset}
        blocks = _methods_down(layout, chosen) if across_metrics else _metrics_down(layout, chosen)
        sections.append(Section(part.title or "", blocks))
    return Grid(
        id=layout.id,
        title=f"{layout.source}, regenerated",
        caption=f"“{layout.caption}” {_datasets(layout.parts, ours)}",
        corner="Method" if across_metrics else "Performance",
        header=[*layout.metrics.values(), *COST_TITLES] if across_metrics else list(layout.methods.values()),
        sections=sections,
        groups=layout.groups,
        legend=legend(layout),
        notes=remarks(layout, records, ours),
    )


def _datasets(parts: Sequence[Part], ours: Mapping[str, Ours]) -> str:
    named = [
        f"{part.title or part.dataset}: {ours[part.dataset].settings['title']}"
        if part.dataset in ours
        else f"{part.title or part.dataset}: no data set of this run"
        for part in parts
    ]
    return f"Ours: {'; '.join(named)}."


def _methods_down(layout: Layout, records: Records) -> list[Block]:
    blocks = []
    for row, title in layout.methods.items():
        lines = [Line("printed", "printed", [*_printed(records, [(row, m) for m in layout.metrics]), *[Entry("")] * 3])]
        for reading in _readings(records, [row]):
            chosen = [records.get((row, metric, reading)) for metric in layout.metrics]
            cost = cost_entries(chosen[0])
            first, *rest = _our_lines(reading, chosen)
            lines.append(Line(first.kind, first.label, [*first.entries, *cost]))
            lines += [Line(line.kind, line.label, [*line.entries, *[Entry("")] * len(cost)]) for line in rest]
        blocks.append(Block(title, lines))
    return blocks


def _metrics_down(layout: Layout, records: Records) -> list[Block]:
    blocks, rows = [], list(layout.methods)
    readings = _readings(records, rows)
    for metric, title in layout.metrics.items():
        lines = [Line("printed", "printed", _printed(records, [(row, metric) for row in rows]))]
        for reading in readings:
            lines += _our_lines(reading, [records.get((row, metric, reading)) for row in rows])
        blocks.append(Block(title, lines))
    first = next(iter(layout.metrics))
    costs = {reading: [cost_entries(records.get((row, first, reading))) for row in rows] for reading in readings}
    for index, title in enumerate(COST_TITLES):
        lines = [Line("cost", _label("ours", r), [each[index] for each in cells]) for r, cells in costs.items()]
        blocks.append(Block(title, lines))
    return blocks


def _readings(records: Records, rows: Sequence[str]) -> list[str]:
    """Return the readings of these rows, the plain one first."""
    found = dict.fromkeys(reading for row, _, reading in records if row in rows)
    return sorted(found, key=bool)


def _printed(records: Records, places: Iterable[tuple[str, str]]) -> list[Entry]:
    found = {(row, metric): record for (row, metric, _), record in records.items()}
    return [Entry(found[place].printed.text, found[place].emphasis) for place in places]


def _our_lines(reading: str, records: Sequence[Compared | None]) -> list[Line]:
    """Return the best run with its verdict, the median with its marks, and the quartiles."""

    def line(kind: str, label: str, entry: Callable[[Compared], Entry]) -> Line:
        return Line(kind, label, [Entry("") if record is None else entry(record) for record in records])

    lines = [
        line("ours", _label("ours", reading), _best),
        line("median", "median", _median),
        line("quartiles", "quartiles", _quartiles),
    ]
    return [lines[0], *(each for each in lines[1:] if any(entry.text for entry in each.entries))]


def _label(name: str, reading: str) -> str:
    return f"{name}, {reading}" if reading else name


def _best(record: Compared) -> Entry:
    text = _number(record.best, record)
    title = record.verdict + (f": {record.reason}" if record.reason else "")
    if np.isfinite(record.low):
        title += f": {_number(record.low, record)} to {_number(record.high, record)}"
    symbol = SYMBOLS[record.verdict]
    return Entry("" if text == symbol else text, symbol=symbol, title=title)


def _median(record: Compared) -> Entry:
    tested = [f"{name} {p:.2g}" for name, p in _tested(record).items()]
    title = f"Holm-adjusted p against {', '.join(tested)}" if tested else ""
    marks = "".join(f"{sign}{letter}" for sign, letter in ((record.proposed, "p"), (record.control, "c")) if sign)
    return Entry(_number(record.median, record), marks=marks, title=title) if record.n_ok else Entry("")


def _tested(record: Compared) -> dict[str, float]:
    found = {"the proposed method": record.p_proposed, f"the control {record.control_row}": record.p_control}
    return {name: p for name, p in found.items() if np.isfinite(p)}


def _quartiles(record: Compared) -> Entry:
    return Entry(f"[{_number(record.q1, record)}, {_number(record.q3, record)}]" if record.n_ok > 1 else "")


def _number(value: float, record: Compared) -> str:
    if not np.isfinite(value):
        return SYMBOLS["no data"]
    decimals = max(MIN_DECIMALS, -record.printed.exact.as_tuple().exponent)
    return f"{value:.{decimals}f}"


def cost_entries(record: Compared | None) -> list[Entry]:
    """Return how many runs are ok, and the medians of seconds and parameters."""
    if record is None:
        return [Entry("")] * len(COST_TITLES)
    seconds = f"{record.seconds:.3g}" if np.isfinite(record.seconds) else SYMBOLS["no data"]
    parameters = f"{record.n_parameters:,.0f}" if np.isfinite(record.n_parameters) else SYMBOLS["no data"]
    return [Entry(record.status or SYMBOLS["no data"]), Entry(seconds), Entry(parameters)]
