"""The choice of k that the papers made by the elbow method, with what k-means gives over k: table, figure, sentence."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from regimebench.cube import read_cube
from regimebench.elbow import Curves, gap_choice, knee, knees, scan
from regimebench.files import replacing
from regimebench.fragments import table_fragment
from regimebench.tables import Cell, Table, write

__all__ = ["choose_k"]

K_MIN, K_MAX = 2, 12
RANGES = [(first, last) for first in (1, K_MIN) for last in (8, 10, K_MAX)]
# references and starts of each k-means, by budget
EFFORT = {"full": (20, 5), "smoke": (5, 5)}
BLUE, ORANGE, GREY = "#0072b2", "#d55e00", "#777777"  # Okabe & Ito: told apart by colour-blind readers


def choose_k(settings: dict[str, Any], cube: Path, tables: Path, figures: Path) -> None:
    """Write ``<dataset>.k.{md,tex,html,csv}`` and ``choice-of-k.{png,pdf}``.

    Parameters
    ----------
    settings : dict
        Data set name, title, number of clusters, budget, and the published data set it stands for.
    cube : Path
        See :mod:`regimebench.cube`.
    tables, figures : Path
        Folders to write into.
    """
    curves = scan(read_cube(cube).table, K_MAX, *EFFORT[settings["budget"]])
    table, data = _table(settings, curves)
    stem = tables / f"{settings['dataset']}.k"
    write([table], data, stem)
    with replacing(stem.with_name(stem.name + ".html")) as temporary:
        temporary.write_text(table_fragment(table))
    _draw(settings, curves, figures)


def sentences(settings: dict[str, Any], curves: Curves) -> list[str]:
    """Return what the curves say about k, the verdict on the chosen k first."""
    k, at = settings["n_clusters"], _knee(curves)
    who = "which A-DATSC's authors chose by the elbow method" if settings["published"] else "which is configured here"
    verdict = f"k = {k}, {who}, is {'' if at == k else 'not '}the knee of the inertia"
    verdict += "." if at == k else f": over k = {curves.k[1]} to {curves.k[-1]} that is {at}."
    by_range = knees(curves, RANGES)
    others = ", ".join(f"{knee_at} over {first} to {last}" for (first, last), knee_at in by_range.items())
    inside = curves.k >= K_MIN
    without = Counter(knee(curves.k[inside], each[inside]) for each in curves.reference)
    told = ", ".join(f"{each} ({count} of {len(curves.reference)})" for each, count in sorted(without.items()))
    gap = gap_choice(curves)
    return [
        verdict,
        f"A knee depends on where the curve is cut: it is at {others}.",
        f"Data without clusters have a knee, too: uniform references of the same extent have theirs at {told}.",
        f"The silhouette is highest at k = {_top(curves, curves.silhouette)} (Euclidean) and "
        f"{_top(curves, curves.silhouette_cosine)} (cosine).",
        "The gap statistic grows up to the last k and chooses none."
        if gap is None
        else f"The gap statistic chooses k = {gap}"
        + (", that is, no clusters that uniform data do not have." if gap == 1 else "."),
    ]


def _knee(curves: Curves) -> int:
    inside = curves.k >= K_MIN
    return knee(curves.k[inside], curves.inertia[inside])


def _top(curves: Curves, values: np.ndarray) -> int:
    return int(curves.k[int(np.nanargmax(values))])


def _table(settings: dict[str, Any], curves: Curves) -> tuple[Table, pd.DataFrame]:
    marked = {"knee": _knee(curves), "gap": gap_choice(curves)}
    data = pd.DataFrame(
        {
            "k": curves.k,
            "inertia": curves.inertia,
            "silhouette": curves.silhouette,
            "silhouette_cosine": curves.silhouette_cosine,
            "gap": curves.gap,
            "gap_error": curves.gap_error,
            "reference_inertia": np.median(curves.reference, axis=0),
        }
    )
    best = {name: _top(curves, data[name].to_numpy()) for name in ("silhouette", "silhouette_cosine")}
    rows = [
        [
            Cell(str(row.k), row.k == settings["n_clusters"]),
            Cell(f"{row.inertia:.6g}" + (" (knee)" if row.k == marked["knee"] else ""), row.k == marked["knee"]),
            *(Cell(_number(getattr(row, name)), row.k == at) for name, at in best.items()),
            Cell(f"{row.gap:.4f} ± {row.gap_error:.4f}", row.k == marked["gap"]),
        ]
        for row in data.itertuples()
    ]
    n_references, n_init = EFFORT[settings["budget"]]
    notes = [
        f"k-means on the cube, best of {n_init} starts. Bold: the k of this run, the knee, the highest silhouettes, "
        "and the smallest k with gap(k) at least gap(k + 1) − s(k + 1).",
        "Knee: the k whose inertia lies furthest below the chord between the ends, both axes scaled to 0 to 1.",
        f"Gap: ± s, over {n_references} references that are uniform along each principal component.",
    ]
    return Table(
        title=f"{settings['title']}: the choice of k",
        caption=" ".join(sentences(settings, curves)),
        header=["k", "inertia", "silhouette (Euclidean)", "silhouette (cosine)", "gap"],
        rows=rows,
        notes=notes,
    ), data


def _number(value: float) -> str:
    return f"{value:.4f}" if np.isfinite(value) else "–"


def _draw(settings: dict[str, Any], curves: Curves, folder: Path) -> None:
    figure = Figure(figsize=(10.5, 3.6), layout="constrained")
    inertia, silhouette, gap = figure.subplots(1, 3)
    _draw_inertia(inertia, curves)
    silhouette.plot(curves.k, curves.silhouette, "o-", color=BLUE, label="Euclidean")
    silhouette.plot(curves.k, curves.silhouette_cosine, "s--", color=ORANGE, label="cosine")
    silhouette.set_ylabel("silhouette")
    gap.errorbar(curves.k, curves.gap, yerr=curves.gap_error, fmt="o-", color=BLUE, capsize=3, label="gap ± s")
    chosen = gap_choice(curves)
    if chosen is not None:
        gap.plot(chosen, curves.gap[chosen - 1], "o", ms=13, mfc="none", mec=ORANGE, mew=2, label=f"chosen: {chosen}")
    gap.set_ylabel("gap")
    for axis in (inertia, silhouette, gap):
        axis.axvline(settings["n_clusters"], color=GREY, lw=1, ls=":", label=f"k = {settings['n_clusters']}")
        axis.set_xticks(curves.k)
        axis.set_xlabel("number of clusters k")
        axis.legend(frameon=False, fontsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"{settings['title']}: the choice of k", fontsize=10)
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / "choice-of-k.png", dpi=110)
    figure.savefig(folder / "choice-of-k.pdf", metadata={"CreationDate": None})


def _draw_inertia(axis: Any, curves: Curves) -> None:
    """Draw the inertia as a share of that of one cluster, with the chord, the knee and the references."""
    share, inside = curves.inertia / curves.inertia[0], curves.k >= K_MIN
    reference = np.median(curves.reference / curves.reference[:, :1], axis=0)
    at = _knee(curves)
    axis.plot(curves.k, share, "o-", color=BLUE, label="data")
    axis.plot(curves.k, reference, ".--", color=GREY, label="without clusters")
    axis.plot(curves.k[inside][[0, -1]], share[inside][[0, -1]], color=ORANGE, lw=1, label="chord")
    axis.plot(at, share[at - 1], "o", ms=13, mfc="none", mec=ORANGE, mew=2, label=f"knee: {at}")
    axis.set_ylabel("inertia / inertia of one cluster")
