"""Stage 6, report: figures and one page that a reader can open in a browser."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader

from regimebench import __version__, notes
from regimebench.aggregate import tables_of
from regimebench.cube import read_cube
from regimebench.curves import draw_curves, read_history
from regimebench.dataset import Cube
from regimebench.evidence import shown as evidence
from regimebench.files import replacing
from regimebench.maps import draw_calendar, draw_cluster_means
from regimebench.provenance import git_state
from regimebench.records import load_labels, row_folder, seed_folder
from regimebench.results import HEADLINE, Results, best_of
from regimebench.verify import read_findings

TEMPLATES = Path(__file__).resolve().parents[1] / "workflow" / "report"
NO_CUBE = "The data of this section did not come with the results, so it has no calendar and no maps."
MAPS_SHOWN = 3  # rows whose cluster means are drawn: the best by cosine silhouette


def report(settings: dict[str, Any], page: Path) -> None:
    """Draw the figures of every data set and write the page that links tables and figures."""
    results = Path(settings["results"])
    sections = [_section(results, each, page.parent) for each in settings["datasets"]]
    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True)
    text = environment.get_template("index.html.j2").render(sections=sections, version=_version())
    with replacing(page) as temporary:
        temporary.write_text(text)


def _version() -> str:
    git = git_state()
    if not git:
        return __version__
    return f"{__version__}, commit {git['commit'][:10]}" + (" with changes" if git["dirty"] else "")


def _section(results: Path, settings: dict[str, Any], base: Path) -> dict[str, Any]:
    """Return what the page shows about one data set."""
    name = settings["dataset"]
    path = results / name / "cube.nc"
    cube = read_cube(path) if path.is_file() else None  # a bundle may leave it out
    findings = read_findings(results / name / "verify.json") if settings["published"] else None
    found = Results.read(settings, results / name / "scores.csv", results / name / "runs.csv")
    best = best_runs(found)
    labels = {
        address: _labels(results, name, address, int(best.loc[address, "seed"]))
        for address in (row["address"] for row in settings["rows"])
        if address in best.index
    }
    planted = bool(found.references)
    figures = _figures(results / "figures" / name, settings, cube, best, labels, coast=not planted) if cube else []
    curves = _curves(results, name, found, best)
    return {
        "title": settings["title"],
        "facts": _facts(cube, settings) if cube else NO_CUBE,
        "choice": notes.choice(settings),
        "tables": tables_of(settings, results / name),
        "findings": findings,
        "evidence": evidence.tables(findings) if findings else [],
        "figures": [(os.path.relpath(path, base), caption) for path, caption in figures],
        "curves": [(os.path.relpath(path, base), caption) for path, caption in curves],
        "files": [(os.path.relpath(path, base), path.name) for path in sorted((results / "tables").glob(f"{name}.*"))],
    }


def best_runs(results: Results) -> pd.DataFrame:
    """Return, per address, the best run by cosine silhouette of those that are ok: a collapsed one may score higher."""
    return best_of(results.scores("paper"))


def _labels(results: Path, dataset: str, address: str, seed: int) -> np.ndarray:
    return load_labels(seed_folder(row_folder(results / dataset, address), seed))


def _figures(
    folder: Path,
    settings: dict[str, Any],
    cube: Cube,
    best: pd.DataFrame,
    labels: dict[str, np.ndarray],
    coast: bool,
) -> list[tuple[Path, str]]:
    ranked = [address for address in best.sort_values(HEADLINE, ascending=False).index if address in labels]
    twins = {row["address"] for row in settings["rows"] if row["kind"] == "twin"}
    if not ranked:
        return []
    calendar = folder / "best-runs.png"  # no address of a method has a hyphen
    ordered = sorted(ranked, key=twins.__contains__)
    draw_calendar(cube, [(address, labels[address]) for address in ordered], calendar)
    order = "rows in order of their cosine silhouette" + (", twins last" if twins else "")
    found = [(calendar, f"The best run of each row, day by day; {order}.")]
    for address in [address for address in ordered if address not in twins][:MAPS_SHOWN]:
        path = folder / f"{address.replace('/', '.')}.png"
        draw_cluster_means(cube, labels[address], f"{settings['title']}, {address}", path, coast)
        found.append((path, f"{address}: cluster means in physical units, best run by cosine silhouette."))
    return found


def _curves(results: Path, dataset: str, found: Results, best: pd.DataFrame) -> list[tuple[Path, str]]:
    """Draw the curves of training of every row whose method records any, best seed first."""
    drawn = []
    for address in (row["address"] for row in found.rows):
        seeds = found.records.loc[found.records["address"] == address, "seed"].dropna().astype(int).tolist()
        if address in best.index:
            seeds.sort(key=lambda seed, first=int(best.loc[address, "seed"]): seed != first)
        folder = row_folder(results / dataset, address)
        histories = [history for seed in seeds if (history := read_history(seed_folder(folder, seed)))]
        if histories:
            path = results / "figures" / dataset / f"{address.replace('/', '.')}-training.png"
            draw_curves(histories, f"{found.settings['title']}, {address}", path)
            drawn.append((path, f"{address}: {len(histories)} seeds; black: the best by cosine silhouette."))
    return drawn


def _facts(cube: Cube, settings: dict[str, Any]) -> str:
    shape, padded = (" x ".join(map(str, each.values.shape[1:3])) for each in (cube.unpadded(), cube))
    padding = f" (with zeros to {padded})" if padded != shape else ""
    return (
        f"{cube.n_days} days from {cube.time[0].astype('datetime64[D]')} to {cube.time[-1].astype('datetime64[D]')}, "
        f"{shape} cells{padding}, {len(cube.variables)} variables ({', '.join(cube.variables)}), "
        f"preprocessing {settings['preprocess']}, k = {settings['n_clusters']}."
    )
