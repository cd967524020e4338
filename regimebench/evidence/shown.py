"""The evidence as tables, for the terminal, Markdown files and the report."""

from __future__ import annotations

from itertools import compress

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from regimebench.evidence.inertia import CLOSE
from regimebench.evidence.labels import ENOUGH, Labels
from regimebench.evidence.published import AGREES, DIFFERS, NEAR, OPEN
from regimebench.evidence.verdict import CONSISTENT, OTHER, UNDECIDED, Findings
from regimebench.tables import Cell, Table, markdown

__all__ = ["as_markdown", "print_findings", "tables"]

COLOURS = {AGREES: "green", NEAR: "yellow", DIFFERS: "red", OPEN: "dim"}
LOG_WIDTH = 160
TINY = 0.01
COLOURS |= {CONSISTENT: "bold green", OTHER: "bold red", UNDECIDED: "bold yellow"}


def tables(findings: Findings) -> list[Table]:
    """Return the tables that have rows."""
    made = [_facts(findings), _spots(findings), _inertia(findings), _numbers(findings.labels), _scores(findings.labels)]
    return [table for table in made if table.rows]


def as_markdown(findings: Findings) -> str:
    """Return the verdict and all tables as Markdown."""
    head = f"# {findings.dataset}: is this the papers' data?\n"
    verdict = f"**{findings.word}**{findings.verdict[len(findings.word) :]}\n"
    return "\n".join([head, verdict, *map(markdown, tables(findings))])


def print_findings(findings: Findings) -> None:
    """Print the tables and, last, the verdict."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=LOG_WIDTH)
    for table in tables(findings):
        console.print(Text(table.title, "bold"), _grid(table))
        for note in filter(None, [table.caption, *table.notes]):
            console.print(Text(note, "dim"))
        console.print()
    rest = findings.verdict[len(findings.word) :]
    console.print(Text.assemble((findings.word, COLOURS[findings.word]), rest), soft_wrap=True)


def _grid(table: Table) -> Grid:
    """Return a table for the terminal, without the columns that are empty."""
    grid = Grid(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    filled = [any(row[column].text for row in table.rows) for column in range(len(table.header))]
    for name in compress(table.header, filled):
        grid.add_column(name, overflow="fold")
    for row in table.rows:
        grid.add_row(*(Text(cell.text, COLOURS.get(cell.text, "")) for cell in compress(row, filled)))
    return grid


def _table(title: str, header: list[str], rows: list[list[object]], caption: str = "", notes: list[str] | None = None):
    cells = [[Cell("" if text is None else str(text)) for text in row] for row in rows]
    return Table(title, header, cells, caption, notes or [])


def _facts(findings: Findings) -> Table:
    rows = [[fact.name, fact.theirs, fact.ours, fact.status] for fact in findings.facts]
    reason = findings.labels.reason
    notes = [f"{reason[0].upper()}{reason[1:]}."] if reason else []
    return _table("The file", ["", "authors' file", "ours", "status"], rows, "", notes)


def _spots(findings: Findings) -> Table:
    rows = [
        [s.place, s.day, s.variable, s.printed, _number(s.ours, ".6g"), _number(s.off_by, "+.3g"), s.status, s.note]
        for s in findings.spots
    ]
    notes = ["off by: units of the last printed digit; near: the next number, which packing can give."]
    if any(spot.accumulated for spot in findings.spots):
        notes.append("Fluxes depend on whether a day's hours are those that end at 01-24 or at 00-23 UTC: unpublished.")
    header = ["place", "day", "variable", "printed", "ours", "off by", "status", "note"]
    return _table("Printed values of the authors' file", header, rows, "", notes)


def _inertia(findings: Findings) -> Table:
    inertia = findings.inertia
    rows = [[r.source, r.row, r.rmse, r.ch, f"{r.implied:.2f}", r.status, r.note] for r in inertia.rows]
    caption = f"Here the {inertia.sentence}. Implied by a row: RMSE² (1 + CH (k-1) / (n-k)), n = {inertia.n_days}."
    notes = [
        "The total depends on the data alone, so a row that differs from the others contradicts them or itself.",
        f"near: within {CLOSE:.0%}, which is a guess at what other hours or packing of the same file could do.",
    ]
    header = ["source", "row", "RMSE", "CH", "implied", "status", "note"]
    return _table("Total inertia per day", header, rows, caption, notes)


def _numbers(labels: Labels) -> Table:
    rows = [
        [
            *(n.vector, n.metric, n.notebook, f"{n.ours:.10g}", n.definition, f"{n.digits} of {n.of_digits}"),
            *(n.status, n.table, n.in_table, n.note),
        ]
        for n in labels.numbers
    ]
    notes = [
        f"Of all definitions the one that comes nearest; {ENOUGH} digits count as all, because a cube holds single "
        "precision.",
        "table: what the paper's table prints; from ours: rounded, cut, or no way.",
        f"Printed without a label vector, so nothing can be said: {'; '.join(labels.without)}.",
    ]
    header = ["vector", "metric", "notebook", "ours", "nearest definition", "digits", "status"]
    header += ["table", "from ours", "note"]
    return _table("Numbers printed for published label vectors", header, rows, labels.sentence + ".", notes)


def _scores(labels: Labels) -> Table:
    definitions = next(iter(labels.scores.values()), {})
    rows = [[name, *(f"{scores[name]:.8g}" for scores in labels.scores.values())] for name in definitions]
    return _table("Published label vectors by every definition", ["", *labels.scores], rows)


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(0.0 if abs(value) < TINY else value, form)
