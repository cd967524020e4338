"""All checks of the printed tables, on the terminal, as Markdown and as HTML."""

from __future__ import annotations

from pathlib import Path

from regimebench.audit.finding import Finding
from regimebench.audit.identity import identity
from regimebench.audit.prints import distance, emphasis, listed, notebooks, twice
from regimebench.audit.variance import variance
from regimebench.audit.vectors import vectors
from regimebench.evidence.published import FOLDER, Published
from regimebench.files import replacing
from regimebench.fragments import fragment
from regimebench.papers.layouts import Layout, read_layouts
from regimebench.tables import markdown

__all__ = ["as_html", "as_markdown", "audit", "findings"]

TITLE = "Audit of the printed tables"
INTRODUCTION = (
    "Written by `python -m regimebench audit --out docs/audit.md` from the files in `published/`. Each check is "
    "arithmetic on printed numbers, and needs no data. What is found is stated as found: nothing here says how a "
    "number came about, and numbers of one row may stem from different runs. What can only be checked with the data "
    "(every definition of every metric, for every published label vector) are the business of "
    "`python -m regimebench verify` (docs/verify.md)."
)


def findings(folder: Path = FOLDER) -> list[Finding]:
    """Return what every check finds in the published files of a folder."""
    layouts = [layout for layout in read_layouts(folder) if isinstance(layout, Layout)]
    names = dict.fromkeys(part.dataset for layout in layouts for part in layout.parts)
    datasets = [Published(name, folder) for name in names]
    return [
        identity(datasets),
        variance(datasets),
        distance(datasets),
        notebooks(datasets),
        vectors(datasets),
        twice(datasets),
        listed(layouts),
        emphasis(layouts),
    ]


def as_markdown(found: list[Finding]) -> str:
    """Return all findings as a page of Markdown."""
    parts = [f"# {TITLE}", INTRODUCTION]
    for finding in found:
        sentences = "\n".join(f"- {sentence}" for sentence in finding.sentences)
        tables = [markdown(table).replace("## ", "### ", 1).strip() for table in finding.tables]
        parts += [f"## {finding.title}", finding.question, sentences, *tables]
    return "\n\n".join(parts) + "\n"


def as_html(found: list[Finding]) -> str:
    """Return all findings as a fragment of HTML."""
    return fragment("audit.html.j2", title=TITLE, findings=found)


def audit(out: Path | None, html: Path | None) -> str:
    """Return the findings as Markdown, and write them where asked."""
    found = findings()
    text = as_markdown(found)
    for path, content in ((out, lambda: text), (html, lambda: as_html(found))):
        if path is not None:
            with replacing(path) as temporary:
                temporary.write_text(content())
    return text
