"""What a reader must know beside a regenerated table, worded once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from regimebench import notes
from regimebench.evidence.published import Published
from regimebench.papers.compare import Compared, Ours
from regimebench.papers.layouts import Layout
from regimebench.papers.verdict import BEST_OF, HIGHER, LOWER, MIN_RUNS, NO_DATA, NOT_COMPARABLE, REPRODUCED, SYMBOLS
from regimebench.stats.pairwise import ALPHA

__all__ = ["legend", "remarks"]

MEANINGS = {
    REPRODUCED: "reproduced within spread: further runs of ours could print this number",
    HIGHER: "ours are higher than printed",
    LOWER: "ours are lower than printed",
    NOT_COMPARABLE: "not comparable, for a reason given below",
    NO_DATA: "no data",
}


def legend(layout: Layout) -> list[str]:
    """Return what lines, symbols and marks mean."""
    chosen = f"best of {layout.best_of}" if layout.best_of else "not stated in the paper"
    symbols = "; ".join(f"{SYMBOLS[verdict]} {meaning}" for verdict, meaning in MEANINGS.items())
    return [
        f"Printed: as in the paper (choice of runs: {chosen}). Ours: the run of highest cosine silhouette; median and "
        "quartiles over all ok runs; metrics as the authors' published code computes them (docs/metrics.md).",
        f"{symbols}.",
        "Could print: the number, one unit of its last digit to each side, touches the interval that holds the best "
        f"and the worst of {layout.best_of or BEST_OF} further runs with 95 % if runs scatter normally; a "
        f"deterministic method must give the number itself, one with seeds needs {MIN_RUNS} ok runs "
        "(docs/paper-tables.md).",
        f"+p, −p: better or worse than the proposed method; +c, −c: than the best control; all runs, failed ones last, "
        f"Holm-corrected over all pairs of rows of the data set, at {ALPHA * 100:g} % (docs/statistics.md).",
    ]


def remarks(layout: Layout, records: Sequence[Compared], ours: Mapping[str, Ours]) -> list[str]:
    """Return what stands in the way of a comparison, and what is ours."""
    found = [*_readings(records), *_controls(layout, records), *_reasons(layout, records)]
    if any(record.metric == "variance" and record.address for record in records):
        found.append(f"{notes.PADDING.replace('so each is set beside both of ours', 'so ours is the nearer of both')}")
    for part in layout.parts:
        found += notes.unlike(layout.source, layout.methods, Published(part.dataset))
        if part.dataset in ours:
            found += [f"{part.title or part.dataset}: {text}" for text in _about(ours[part.dataset])]
    return found


def _readings(records: Sequence[Compared]) -> list[str]:
    named: dict[str, dict[str, None]] = {}
    for record in records:
        if record.address and record.reading:
            named.setdefault(record.reading, {})[record.address] = None
    return [f"Ours, {reading}: {', '.join(addresses)}." for reading, addresses in named.items()]


def _controls(layout: Layout, records: Sequence[Compared]) -> list[str]:
    found = []
    for part in layout.parts:
        best: dict[str, list[str]] = {}
        for metric, title in layout.metrics.items():
            names = {r.control_row for r in records if (r.dataset, r.metric) == (part.dataset, metric)} - {""}
            for name in names:
                best.setdefault(name, []).append(title)
        if best:
            named = "; ".join(f"{name} ({', '.join(titles)})" for name, titles in best.items())
            found.append(f"Best control by median, {part.title or part.dataset}: {named}.")
    return found


def _reasons(layout: Layout, records: Sequence[Compared]) -> list[str]:
    """Return why numbers have no verdict: once per data set and reason, with the rows where it is not all of them."""
    found = []
    for part in layout.parts:
        mine = [record for record in records if record.dataset == part.dataset]
        rows: dict[tuple[str, str], dict[str, None]] = {}
        for record in mine:
            if record.reason:
                rows.setdefault((record.verdict, record.reason), {})[record.address or layout.methods[record.row]] = (
                    None
                )
        everyone = {record.address or layout.methods[record.row] for record in mine}
        for (verdict, reason), names in rows.items():
            whom = "" if set(names) == everyone else f" ({', '.join(names)})"
            found.append(f"{SYMBOLS[verdict]} {part.title or part.dataset}, {verdict}{whom}: {reason}.")
    return found


def _name(layout: Layout, record: Compared) -> str:
    return record.address or layout.methods[record.row]


def _about(ours: Ours) -> list[str]:
    """Return whether the data are the papers', and what of them is our choice."""
    settings = ours.settings
    return [f"{settings['title']}; verify says: {ours.word} (docs/verify.md).", *notes.choice(settings)]
