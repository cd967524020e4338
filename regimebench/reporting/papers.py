"""What other stages have made for the page: the papers' tables beside ours, the audit, the choice of k."""

from __future__ import annotations

import html
import io
import re
from pathlib import Path
from typing import Any

from markupsafe import Markup
from PIL import Image

from regimebench.reporting.colours import data_uri

__all__ = ["choice_of_k", "papers"]

COLOURS = 64  # of a chart that is embedded as an image


def papers(tables: Path) -> list[dict[str, Any]]:
    """Return the fragments about the papers, each with its title; none if the run has made none.

    Parameters
    ----------
    tables : Path
        Folder of tables.
    """
    paths = [*sorted(tables.glob("paper.*.html")), tables / "audit.html"]
    return [_fragment(path) for path in paths if path.is_file()]


def choice_of_k(results: Path, dataset: str) -> dict[str, Any] | None:
    """Return table and figure of the choice of k of one data set, or None."""
    table = results / "tables" / f"{dataset}.k.html"
    picture = results / "figures" / dataset / "choice-of-k.png"
    if not (table.is_file() and picture.is_file()):
        return None
    return {**_fragment(table), "image": _small(picture)}


def _fragment(path: Path) -> dict[str, Any]:
    """Return a fragment, in which everything from outside has been escaped, and its caption up to the first stop."""
    text = path.read_text(encoding="utf-8")
    found = re.search(r"<(caption|h2)>(.*?)(\. |</\1>)", text, re.DOTALL)
    return {"title": html.unescape(found[2]).rstrip(".") if found else path.stem, "html": Markup(text)}


def _small(path: Path) -> str:
    with Image.open(path) as image:
        reduced = image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    file = io.BytesIO()
    reduced.save(file, "PNG", optimize=True)
    return data_uri(file.getvalue(), "image/png")
