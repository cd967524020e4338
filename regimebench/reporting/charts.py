"""Static charts for papers: distributions over seeds, cost against quality, agreement of rows, days in space."""

from __future__ import annotations

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from regimebench.metrics import find
from regimebench.reporting.colours import cluster_colour
from regimebench.reporting.comparison import COSTS
from regimebench.reporting.material import FIRST, Material
from regimebench.results import keys

__all__ = ["agreement", "cost", "distributions", "space"]

KINDS = {"method": ("#0072b2", "o"), "control": ("#d55e00", "s"), "twin": ("#8c8c8c", "^")}
MARKERS = "os^DvP"
COST_TITLES = {"seconds": "seconds of a fit", "peak_rss_mib": "peak memory (MiB)", "n_parameters": "parameters"}


def distributions(material: Material, protocol: str) -> Figure:
    """Return every run of every row in the headline metrics of a protocol: dots, quartiles and medians."""
    metrics, rows = keys(protocol), material.ranked
    columns = min(3, len(metrics))
    lines = -(-len(metrics) // columns)
    size = (1.6 + 2.6 * columns, 0.6 + lines * (0.7 + 0.2 * max(1, len(rows))))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(lines, columns, squeeze=False, sharey=True)
    for axis, metric in zip(axes.flat, metrics, strict=False):
        scores = material.scores[protocol, metric]
        for place, address in enumerate(rows):
            values = scores[scores.index.get_level_values("address") == address].to_numpy()
            colour, marker = _style(material, address)
            if len(values) > 1:
                low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
                axis.plot([low, high], [place, place], color="0.8", linewidth=6, solid_capstyle="butt", zorder=1)
                axis.plot([middle, middle], [place - 0.35, place + 0.35], color="black", linewidth=1.2, zorder=3)
            spread = 0.22 * np.sin(2.4 * np.arange(len(values))) * (len(values) > 1)
            axis.plot(values, place + spread, marker, color=colour, markersize=3, alpha=0.7, mew=0, zorder=2)
        found = find(protocol, metric)
        axis.set_title(f"{found.title} ({'higher' if found.better == 'higher' else 'lower'} is better)", fontsize=7)
        axis.tick_params(labelsize=7)
        axis.xaxis.set_major_locator(MaxNLocator(5))
        axis.grid(axis="x", color="0.9", linewidth=0.6)
        axis.set_yticks(range(len(rows)), rows, fontsize=7)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0, 0].invert_yaxis()
    for axis in axes.flat[len(metrics) :]:
        axis.set_visible(False)
    return figure


def cost(material: Material) -> Figure:
    """Return median cost against the median of the headline metric, one panel per cost that is known."""
    medians = material.medians(*FIRST)
    spent = material.results.ok.groupby("address")[list(COSTS)].median().reindex(medians.index)
    known = [name for name in COSTS if (spent[name] > 0).any()]
    figure = Figure(figsize=(0.6 + 3.4 * max(1, len(known)), 3.2), layout="constrained")
    axes = figure.subplots(1, max(1, len(known)), squeeze=False, sharey=True)[0]
    for axis, name in zip(axes, known, strict=False):
        for address in medians.index[(spent[name] > 0) & medians.notna()]:
            colour, marker = _style(material, address)
            axis.plot(spent.at[address, name], medians[address], marker, color=colour, markersize=4)
            place = (spent.at[address, name], medians[address])
            axis.annotate(address, place, (4, 2), textcoords="offset points", fontsize=5.5, color="0.3")
        axis.set_xscale("log")
        axis.set_xlabel(COST_TITLES[name], fontsize=8)
        axis.tick_params(labelsize=7)
        axis.grid(color="0.92", linewidth=0.6)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel(f"{find(*FIRST).title}, median", fontsize=8)
    return figure


def agreement(material: Material) -> Figure:
    """Return the mean adjusted Rand index between runs of rows; on the diagonal between seeds of one row."""
    names, means = list(material.agreement.index), material.agreement.to_numpy()
    side = 1.8 + 0.3 * max(1, len(names))
    figure = Figure(figsize=(side + 0.6, side), layout="constrained")
    axis = figure.subplots()
    image = axis.imshow(means, vmin=0, vmax=1, cmap="viridis")
    for (i, j), value in np.ndenumerate(means):
        if np.isfinite(value) and len(names) <= 25:
            axis.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=5, color="w" if value < 0.6 else "k")
    axis.set_xticks(range(len(names)), names, rotation=90, fontsize=7)
    axis.set_yticks(range(len(names)), names, fontsize=7)
    figure.colorbar(image, ax=axis, shrink=0.7, label="adjusted Rand index").ax.tick_params(labelsize=7)
    return figure


def space(material: Material, address: str) -> Figure:
    """Return t-SNE and PCA of the input space, coloured and shaped by the regimes of one row's best run."""
    labels = material.matched[address]
    pictures = {"t-SNE": material.space["tsne"], "PCA": material.space["pca"]}
    pictures = {name: points for name, points in pictures.items() if points is not None}
    figure = Figure(figsize=(3.2 * len(pictures) + 0.8, 3.2), layout="constrained")
    axes = figure.subplots(1, len(pictures), squeeze=False)[0]
    for axis, (name, points) in zip(axes, pictures.items(), strict=True):
        for cluster in np.unique(labels):
            style = {"color": to_rgb(cluster_colour(cluster)), "marker": MARKERS[cluster % len(MARKERS)]}
            x, y = points[labels == cluster].T
            axis.scatter(x, y, s=10, linewidths=0, label=f"regime {cluster + 1}", **style)
        axis.set_title(f"{name} of the input space, {address}", fontsize=8)
        axis.set_xticks([])
        axis.set_yticks([])
        axis.set_aspect("equal", adjustable="datalim")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right center", fontsize=7, frameon=False)
    return figure


def _style(material: Material, address: str) -> tuple[str, str]:
    (kind,) = (row["kind"] for row in material.results.rows if row["address"] == address)
    return KINDS[kind]
