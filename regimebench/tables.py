"""One table, three formats: Markdown, LaTeX (booktabs) and CSV."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from tabulate import tabulate

from regimebench.files import replacing

LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\n": " ",
    "\r": " ",
    "_": r"\_",
    "%": r"\%",
    "&": r"\&",
    "#": r"\#",
    "±": r"$\pm$",
    "≥": r"$\geq$",
    "–": "--",
    "†": r"$\dagger$",
    "‡": r"$\ddagger$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "≈": r"$\approx$",
    "▲": r"$\bigtriangleup$",
    "▼": r"$\bigtriangledown$",
    "×": r"$\times$",
    "−": "$-$",
    "²": r"$^2$",
    "“": "``",
    "”": "''",
    "Δ": r"$\Delta$",
    "α": r"$\alpha$",
    "<": r"$<$",
    ">": r"$>$",
}


@dataclass(frozen=True)
class Cell:
    """A text that may be the best of its column."""

    text: str
    best: bool = False


@dataclass(frozen=True)
class Table:
    """Rows of cells under a header, with what a reader must know above and below it."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""
    notes: Sequence[str] = field(default_factory=tuple)


def markdown(table: Table) -> str:
    """Return the table as Markdown with title, caption and notes; no text in it can begin a column, a line or a tag."""

    def show(cell: Cell) -> str:
        text = _one_line(cell.text).replace("|", r"\|")
        return f"**{text}**" if cell.best and text else text

    body = _tabulate(table, show, lambda head: _one_line(head).replace("|", r"\|"), "pipe")
    notes = "\n".join(f"- {_one_line(note)}" for note in table.notes)
    parts = (f"## {_one_line(table.title)}", _one_line(table.caption), body, notes)
    return "\n\n".join(part for part in parts if part) + "\n"


def _one_line(text: str) -> str:
    return re.sub(r"<(?=[A-Za-z/!?])", "&lt;", re.sub(r"[\r\n]+", " ", text))


def latex(table: Table) -> str:
    """Return the table as a LaTeX ``table`` environment; it needs the package booktabs."""

    def show(cell: Cell) -> str:
        text = escaped(cell.text)
        return rf"\textbf{{{text}}}" if cell.best and text else text

    body = _tabulate(table, show, escaped, "latex_booktabs")
    notes = " ".join(escaped(note) for note in table.notes)
    caption = escaped(f"{table.title}. {table.caption}")
    return (
        "\\begin{table}\n\\centering\n\\small\n"
        f"\\caption{{{caption}}}\n{body}\n\n\\footnotesize {notes}\n\\end{{table}}\n"
    )


def write(tables: Sequence[Table], data: pd.DataFrame, stem: Path) -> None:
    """Write ``<stem>.md``, ``<stem>.tex`` (all tables in order) and ``<stem>.csv`` (``data``, unrounded)."""
    contents = {
        ".md": "\n".join(map(markdown, tables)),
        ".tex": "\n".join(map(latex, tables)),
        ".csv": data.to_csv(index=False),
    }
    for suffix, text in contents.items():
        with replacing(stem.with_name(stem.name + suffix)) as temporary:
            temporary.write_text(text)


def best_in_column(values: pd.Series, higher_is_better: bool) -> pd.Series:
    """Return True where a value is the best of its column; ties are all best, and NaN never is."""
    best = values.max() if higher_is_better else values.min()
    return values.eq(best) & values.notna()


def _tabulate(table: Table, show: Callable[[Cell], str], head: Callable[[str], str], form: str) -> str:
    rows = [[show(cell) for cell in row] for row in table.rows]
    align = ["left", *["right"] * (len(table.header) - 1)]
    form = "latex_raw" if form == "latex_booktabs" else form
    text = tabulate(
        rows,
        headers=[head(h) for h in table.header],
        tablefmt=form,
        colalign=align if rows else None,
        disable_numparse=True,
    )
    return _booktabs(text) if form == "latex_raw" else text


def _booktabs(text: str) -> str:
    """Replace tabulate's raw rules (the format that leaves commands in cells alone) with those of booktabs."""
    lines = text.splitlines()
    rules = [number for number, line in enumerate(lines) if line.strip() == r"\hline"]
    for number, rule in zip(rules, (r"\toprule", r"\midrule", r"\bottomrule"), strict=True):
        lines[number] = rule
    return "\n".join(lines)


def escaped(text: str) -> str:
    """Return text for LaTeX."""
    return "".join(LATEX.get(letter, letter) for letter in text)
