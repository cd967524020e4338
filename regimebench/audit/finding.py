"""What one check of the printed numbers found: sentences, and the arithmetic as tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from regimebench.tables import Cell, Table

__all__ = ["Finding", "table"]


@dataclass(frozen=True)
class Finding:
    """One check.

    Parameters
    ----------
    key : str
        Name for links.
    title : str
    question : str
        What is checked, and by which arithmetic.
    sentences : sequence of str
        What was found.
    tables : sequence of Table
        The numbers behind it.
    """

    key: str
    title: str
    question: str
    sentences: Sequence[str]
    tables: Sequence[Table] = field(default_factory=tuple)


def table(title: str, header: Sequence[str], rows: Iterable[Sequence[object]], caption: str = "") -> Table:
    """Return a table of texts."""
    return Table(title, header, [[Cell(str(text)) for text in row] for row in rows], caption)
