"""Static figures for papers, each as PNG and PDF: ``results/figures/<dataset>/``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from regimebench.files import replacing
from regimebench.records import row_folder, seed_folder
from regimebench.reporting import charts
from regimebench.reporting.curves import draw_curves, read_history
from regimebench.reporting.maps import draw_calendar, draw_cluster_means
from regimebench.reporting.material import Material

__all__ = ["figures"]

ROWS_SHOWN = 3  # whose maps and curves are drawn: the best by the headline metric, no twins
STYLE = {"savefig.dpi": 200, "pdf.fonttype": 42}  # letters stay letters


def figures(settings: dict[str, Any], folder: Path) -> None:
    """Draw the figures of one data set, and remove those of an earlier run.

    Parameters
    ----------
    settings : dict
        ``results``, the results folder, and what the tables of the data set need to know.
    folder : Path
        Where to write ``<name>.png`` and ``<name>.pdf``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for old in [*folder.glob("*.png"), *folder.glob("*.pdf")]:
        old.unlink()
    for name, figure in _drawn(Material.read(settings, Path(settings["results"]))):
        save(figure, folder / name)


def save(figure: Figure, stem: Path) -> None:
    """Write a figure as PNG and as PDF, the same bytes for the same figure."""
    with mpl.rc_context(STYLE):
        figure.get_layout_engine().execute(figure)
        figure.set_layout_engine(None)  # the layout, which takes long, is that of both files
        for suffix, dated in ((".png", {}), (".pdf", {"CreationDate": None})):
            with replacing(stem.with_name(stem.name + suffix)) as temporary:
                figure.savefig(temporary, format=suffix[1:], metadata=dated)


def _drawn(material: Material) -> Iterator[tuple[str, Figure]]:
    """Yield names, which no address of a method has (a hyphen), or which begin with one and a dot, and figures."""
    if not material.matched:
        return
    title, twins = material.settings["title"], material.results.twins
    for protocol in ("standard", *(["truth"] if material.planted else [])):
        yield f"distributions-{protocol}", charts.distributions(material, protocol)
    yield "cost-quality", charts.cost(material)
    yield "agreement-rows", charts.agreement(material)
    yield "calendar-best-runs", draw_calendar(material.cube, list(material.matched.items()))
    shown = [address for address in material.matched if address not in twins][:ROWS_SHOWN]
    for address in shown:
        stem = address.replace("/", ".")
        yield (
            f"{stem}.maps",
            draw_cluster_means(material.cube, material.matched[address], f"{title}, {address}", not material.planted),
        )
        yield f"{stem}.space", charts.space(material, address)
    for address in [*shown, *_trained(material, shown)]:
        if histories := _histories(material, address):
            yield f"{address.replace('/', '.')}.training", draw_curves(histories, f"{title}, {address}")


def _trained(material: Material, shown: list[str]) -> list[str]:
    """Return the best methods that record a history and are not among ``shown``."""
    kinds = {row["address"]: row["kind"] for row in material.results.rows}
    others = [a for a in material.matched if kinds[a] == "method" and a not in shown]
    return [address for address in others if _histories(material, address)][:ROWS_SHOWN]


def _histories(material: Material, address: str) -> list[dict]:
    """Return the histories of a row's runs, the best by cosine silhouette first."""
    best = int(material.best.loc[address, "seed"])
    records = material.results.records
    seeds = records.loc[records["address"] == address, "seed"].astype(int).tolist()
    folder = row_folder(material.folder, address)
    read = (read_history(seed_folder(folder, seed)) for seed in sorted(seeds, key=lambda seed: seed != best))
    return [history for history in read if history]
