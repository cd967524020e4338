"""A printed table with our lines below each printed one, ready to be written in any format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

__all__ = ["Block", "Entry", "Grid", "Line", "Section"]


@dataclass(frozen=True)
class Entry:
    """One number or text.

    Parameters
    ----------
    text : str
    face : str
        ``bold`` or ``italic`` where the paper emphasises it, else empty.
    symbol : str
        Of the verdict.
    marks : str
        Significance marks.
    title : str
        What a reader can ask for: the verdict in words, its interval or the reason why there is none.
    """

    text: str
    face: str = ""
    symbol: str = ""
    marks: str = ""
    title: str = ""


@dataclass(frozen=True)
class Line:
    """One line: what it holds (``kind``: printed, ours, median, quartiles or cost), its label, and its entries."""

    kind: str
    label: str
    entries: Sequence[Entry]


@dataclass(frozen=True)
class Block:
    """A printed row with our lines below it."""

    title: str
    lines: Sequence[Line]


@dataclass(frozen=True)
class Section:
    """Blocks under one heading, of one data set; without a heading where the table has only one."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Grid:
    """The whole table.

    Parameters
    ----------
    id, title, caption : str
    corner : str
        Heading of the first column.
    header : sequence of str
        Headings of the columns with entries.
    groups : sequence of (str, int)
        Headings above columns with how many each covers; empty for none.
    sections : sequence of Section
    legend, notes : sequence of str
        What symbols mean; what a reader must know.
    words : bool
        Entries are words, to be set on the left.
    """

    id: str
    title: str
    caption: str
    corner: str
    header: Sequence[str]
    sections: Sequence[Section]
    groups: Sequence[tuple[str, int]] = ()
    legend: Sequence[str] = field(default_factory=tuple)
    notes: Sequence[str] = field(default_factory=tuple)
    words: bool = False
