"""Grids as Markdown, LaTeX (booktabs) and HTML, and the compared numbers as CSV."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path

import pandas as pd
from tabulate import tabulate

from regimebench.files import replacing
from regimebench.fragments import fragment
from regimebench.papers.compare import Compared
from regimebench.papers.grid import Block, Entry, Grid, Line, Section
from regimebench.tables import escaped

__all__ = ["as_csv", "as_html", "as_latex", "as_markdown", "write_grid"]

MARKDOWN_FACES = {"bold": "**{}**", "italic": "*{}*", "": "{}"}
LONG = 12  # letters of a heading in LaTeX, where width is scarce
LATEX_FACES = {"bold": r"\textbf{{{}}}", "italic": r"\textit{{{}}}", "": "{}"}


def write_grid(grid: Grid, data: pd.DataFrame, stem: Path) -> None:
    """Write ``<stem>.md``, ``.tex``, ``.html`` and ``.csv``."""
    contents = {
        ".md": as_markdown(grid),
        ".tex": as_latex(grid),
        ".html": as_html(grid),
        ".csv": data.to_csv(index=False, lineterminator="\n"),
    }
    for suffix, text in contents.items():
        with replacing(stem.with_name(stem.name + suffix)) as temporary:
            temporary.write_text(text)


def as_markdown(grid: Grid) -> str:
    """Return the grid as Markdown, printed numbers with the paper's emphasis."""
    rows = []
    for section in grid.sections:
        rows += [[f"**{section.title}**", *[""] * (len(grid.header) + 1)]] if section.title else []
        for block in section.blocks:
            for title, line in _titled(block):
                cells = [_plain(entry, MARKDOWN_FACES[entry.face]) for entry in line.entries]
                rows.append([title.replace("|", "\\|"), line.label, *cells])
    align = ["left", "left", *["left" if grid.words else "right"] * len(grid.header)]
    header = [grid.corner, "", *grid.header]
    body = tabulate(rows, headers=header, tablefmt="pipe", colalign=align, disable_numparse=True)
    notes = "\n".join(f"- {note}" for note in [*grid.legend, *grid.notes])
    return f"## {grid.title}\n\n{grid.caption}\n\n{body}\n\n{notes}\n"


def as_latex(grid: Grid) -> str:
    """Return one ``table`` environment per section, then legend and notes; it needs booktabs and graphicx."""
    tables = [_latex_section(grid, section, first=number == 0) for number, section in enumerate(grid.sections)]
    notes = "\n".join(rf"\item {escaped(text)}" for text in [*grid.legend, *grid.notes])
    return "\n".join([*tables, f"{{\\scriptsize\n\\begin{{itemize}}\n{notes}\n\\end{{itemize}}}}\n"])


def as_html(grid: Grid) -> str:
    """Return a fragment of HTML: one ``section`` with table, legend and notes, and no style of its own."""
    return fragment("grid.html.j2", grid=grid)


def as_csv(records: Sequence[Compared]) -> pd.DataFrame:
    """Return one row per printed number and row of ours, unrounded; the printed number as printed."""
    rows = [asdict(record) | {"printed": record.printed.text} for record in records]
    return pd.DataFrame(rows)


def _titled(block: Block) -> Iterator[tuple[str, Line]]:
    """Yield each line with the block's title before the first."""
    for number, line in enumerate(block.lines):
        yield block.title if number == 0 else "", line


def _plain(entry: Entry, face: str) -> str:
    text = face.format(entry.text) if entry.text else ""
    return " ".join(part for part in (text, entry.symbol, entry.marks) if part)


def _latex_section(grid: Grid, section: Section, first: bool) -> str:
    rows = list(_latex_blocks(section.blocks))
    caption = f"{grid.title}{f', {section.title}' if section.title else ''}."
    lines = [
        r"\begin{table}",
        r"\centering\footnotesize\setlength{\tabcolsep}{3pt}",
        rf"\caption{{{escaped(f'{caption} {grid.caption}' if first else caption)}}}",
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{ll{('l' if grid.words else 'r') * len(grid.header)}}}",
        r"\toprule",
        *_latex_groups(grid.groups),
        _latex_row([grid.corner, "", *map(_stacked, grid.header)]),
        r"\midrule",
        *rows,
        r"\bottomrule",
        r"\end{tabular}}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _stacked(title: str) -> str:
    """Return a long heading on two lines."""
    spaces = [at for at, letter in enumerate(title) if letter == " "]
    if len(title) <= LONG or not spaces:
        return escaped(title)
    middle = min(spaces, key=lambda at: abs(at - len(title) / 2))
    return rf"\shortstack[r]{{{escaped(title[:middle])}\\{escaped(title[middle + 1 :])}}}"


def _latex_groups(groups: Sequence[tuple[str, int]]) -> list[str]:
    if not groups:
        return []
    cells = [rf"\multicolumn{{{span}}}{{c}}{{{escaped(title)}}}" for title, span in groups]
    ends = [2]
    for _, span in groups:
        ends.append(ends[-1] + span)
    rules = "".join(rf"\cmidrule(lr){{{start + 1}-{end}}}" for start, end in pairwise(ends))
    return [_latex_row(["", "", *cells]), rules]


def _latex_blocks(blocks: Sequence[Block]) -> Iterator[str]:
    for number, block in enumerate(blocks):
        if number:
            yield r"\addlinespace"
        for title, line in _titled(block):
            cells = [_plain_latex(entry) for entry in line.entries]
            yield _latex_row([escaped(title), escaped(line.label), *cells])


def _plain_latex(entry: Entry) -> str:
    text = LATEX_FACES[entry.face].format(escaped(entry.text)) if entry.text else ""
    return " ".join(part for part in (text, escaped(entry.symbol), escaped(entry.marks)) if part)


def _latex_row(cells: Iterable[str]) -> str:
    # A bracket at the start of a line would be taken for an argument of the \\ before it.
    return " & ".join(f"{{{cell}}}" if cell.startswith("[") else cell for cell in cells) + r" \\"
