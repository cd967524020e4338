"""Curves of training: every series that a method's history holds, one line per seed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from regimebench.records import FIT, load_arrays

PREFIX = "history_"
COLUMNS = 4
MOST_SEEDS = 20  # drawn; more lines tell nothing more


def read_history(folder: Path) -> dict[str, np.ndarray]:
    """Return the series of one seed's ``fit.npz``, by name; nothing if there is no such file."""
    if not (folder / FIT).is_file():
        return {}
    stored = load_arrays(folder, lambda name: name.startswith(PREFIX))
    return {name.removeprefix(PREFIX): series for name, series in stored.items()}


def panels(names: Sequence[str]) -> dict[str, list[str]]:
    """Return which series share a panel: those whose names differ in the number at the end alone."""
    grouped: dict[str, list[str]] = {}
    for name in names:
        grouped.setdefault(re.sub(r"_\d+$", "", name), []).append(name)
    return grouped


def draw_curves(histories: Sequence[Mapping[str, np.ndarray]], title: str) -> Figure:
    """Return one panel per series: a line per seed, the first seed black; numbered series of the first seed in colours.

    Parameters
    ----------
    histories : sequence of mapping
        Series by name, one mapping per seed.
    title : str
    """
    shown = panels(list(dict.fromkeys(name for history in histories for name in history)))
    columns = min(COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    figure = Figure(figsize=(2.6 * columns, 0.4 + 1.7 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis, (name, series) in zip(axes.flat, shown.items(), strict=False):
        seeds = histories[:1] if len(series) > 1 else histories[:MOST_SEEDS][::-1]
        for history in seeds:
            shade = {"color": "black" if history is histories[0] else "0.7"} if len(series) == 1 else {}
            for each in series:
                values = history.get(each, np.empty(0))
                axis.plot(np.arange(1, len(values) + 1), values, linewidth=1, marker="." * (len(values) == 1), **shade)
        axis.set_title(name.replace("_", " "), fontsize=8)
        axis.tick_params(labelsize=7)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
        axis.yaxis.get_offset_text().set_fontsize(7)
        axis.spines[["top", "right"]].set_visible(False)
    for axis in axes.flat[len(shown) :]:
        axis.set_visible(False)
    figure.suptitle(title, fontsize=10)
    return figure
