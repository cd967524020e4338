"""Stage 6, report: one page, complete in itself, that a reader can open in a browser, send and print."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from regimebench import __version__, notes
from regimebench.across import tables_over
from regimebench.aggregate import all_tables
from regimebench.alarms import ALARMS
from regimebench.evidence import shown as evidence
from regimebench.files import replacing
from regimebench.metrics import METRICS
from regimebench.provenance import git_state
from regimebench.reporting import comparison, origins, regimes, summary, training, verdicts
from regimebench.reporting.composites import Frame, bars
from regimebench.reporting.material import FIRST, Material
from regimebench.reporting.page import render
from regimebench.reporting.papers import choice_of_k, papers
from regimebench.reporting.projection import SPACE
from regimebench.verify import read_findings


def report(settings: dict[str, Any], page: Path) -> None:
    """Write the page about all data sets of a run.

    Parameters
    ----------
    settings : dict
        The results folder, ``rows`` and ``budget``, which all data sets share, and what else the tables of each need.
    page : Path
        HTML file to write. It holds all it shows; links lead to the files of tables beside it.
    """
    results = Path(settings["results"])
    sections, data = [], []
    shared = {key: settings[key] for key in ("rows", "budget")}
    for each in settings["datasets"]:  # one at a time: a cube may be large
        material = Material.read({**shared, **each}, results)
        section, numbers = _section(material, results, page.parent)
        sections.append(section)
        data.append(numbers)
    text = render(
        sections=sections,
        data={"first": ".".join(FIRST), "datasets": data},
        papers=papers(results / "tables"),
        across=tables_over(settings)[0] if len(sections) > 1 else [],
        limits=summary.overall_limits(sum(not each["of"] for each in settings["datasets"])),
        metrics=METRICS,
        alarms=ALARMS,
        version=_version(),
        bars=bars(),
        space=SPACE,
    )
    with replacing(page) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _version() -> str:
    git = git_state()
    if not git:
        return __version__
    return f"{__version__}, commit {git['commit'][:10]}" + (" with changes" if git["dirty"] else "")


def _section(material: Material, results: Path, base: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what the template and what the script shows about one data set."""
    settings = material.settings
    name = settings["dataset"]
    findings = read_findings(material.folder / "verify.json") if settings["published"] else None
    frame = Frame.of(material.cube, coast=not material.planted) if material.cube else None
    shown = regimes.shown_rows(material)
    section = {
        "id": name,
        "title": settings["title"],
        "facts": summary.facts(material),
        "choice": notes.choice(settings),
        "sentences": summary.sentences(material),
        "limits": summary.limits(material),
        "glance": summary.glance(material),
        "trained": verdicts.against_untrained(material),
        "tables": all_tables(material.results, material.study, material.folder),
        "findings": findings,
        "evidence": evidence.tables(findings) if findings else [],
        "choice_of_k": choice_of_k(results, name),
        "frame": frame.drawing if frame else None,
        "calendar": regimes.calendar(material),
        "portraits": regimes.portraits(material, frame, shown) if frame else [],
        "curves": training.curves(material),
        "failures": origins.failures(material),
        "origins": [origins.data(material), origins.machines(material), origins.code(material)],
        "files": [(os.path.relpath(path, base), path.name) for path in sorted((results / "tables").glob(f"{name}.*"))],
        "csv": [path.name for path in _csv(results, name)],
    }
    return section, _numbers(material, results, shown)


def _numbers(material: Material, results: Path, shown: list[str]) -> dict[str, Any]:
    agreement = material.agreement
    return {
        "id": material.settings["dataset"],
        "title": material.settings["title"],
        "metrics": comparison.metric_list(material),
        "rows": comparison.compared(material),
        "references": {
            name: {f"{protocol}.{key}": comparison.rounded(value) for (protocol, key), value in scores.items()}
            for name, scores in material.reference_scores.items()
        },
        "statistics": comparison.statistics(material),
        "redundancy": comparison.related(material),
        "agreement": {
            "rows": list(agreement.index),
            "ari": [[comparison.rounded(value, 2) for value in line] for line in agreement.to_numpy()],
        },
        "space": regimes.space(material, shown) if material.matched else None,
        "files": {path.name: path.read_text(encoding="utf-8") for path in _csv(results, material.settings["dataset"])},
    }


def _csv(results: Path, name: str) -> list[Path]:
    return sorted((results / "tables").glob(f"{name}.*.csv"))
