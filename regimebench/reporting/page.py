"""From views to one HTML file that holds style, script, data, images and tables, and asks no server for anything."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

TEMPLATES = Path(__file__).resolve().parents[2] / "workflow" / "report"
STYLES = ("style.css", "charts.css")
SCRIPTS = ("tools.js", "tables.js", "board.js", "charts.js", "page.js")

__all__ = ["TEMPLATES", "island", "render"]


def render(**content: Any) -> str:
    """Return the page; ``data`` becomes the script's data, the rest is the template's.

    Everything is escaped where it is written. The policy in the head lets the browser run this script and no other, and
    load nothing, whatever a message or title holds.
    """
    script = "\n".join((TEMPLATES / name).read_text(encoding="utf-8") for name in SCRIPTS)
    script = f"'use strict';\n(() => {{\n{script}}})();\n"
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {"signed": signed, "number": number, "breakable": breakable}
    return environment.get_template("index.html.j2").render(
        style=Markup("\n".join((TEMPLATES / name).read_text(encoding="utf-8") for name in STYLES)),
        script=Markup(script),
        policy=f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'",
        island=island(content.pop("data")),
        **content,
    )


def island(data: Any) -> Markup:
    """Return data as JSON that no text in it can end: an HTML parser sees neither tags nor comments."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"), ensure_ascii=False)
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return Markup(text)


def breakable(text: str) -> Markup:
    """Return a name that may be broken after a slash or underscore where space is short."""
    return Markup("/<wbr>").join(Markup("_<wbr>").join(map(escape, part.split("_"))) for part in text.split("/"))


def number(value: float, digits: int = 1) -> str:
    """Return a number for the page; a dash for NaN."""
    return f"{value:.{digits}f}".replace("-", "\u2212") if value == value else "–"


def signed(value: float, digits: int = 3) -> str:
    """Return a number with its sign."""
    return f"{value:+.{digits}f}".replace("-", "\u2212") if value == value else "–"
