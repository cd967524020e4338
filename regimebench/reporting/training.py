"""Curves of training for the page: small vector drawings of every series that a method's history holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from regimebench.records import row_folder, seed_folder
from regimebench.reporting.curves import panels, read_history
from regimebench.reporting.material import Material

__all__ = ["curves"]

POINTS = 80  # along a curve: the picture is as wide as a thumb
WIDTH, HEIGHT = 100, 50
MOST_PANELS = 24


def curves(material: Material) -> list[dict[str, Any]]:
    """Return the panels of each row whose method records a history, in the order of the tables."""
    found = []
    for address in material.results.addresses:
        records = material.results.records
        seeds = records.loc[records["address"] == address, "seed"].astype(int).tolist()
        folder = row_folder(material.folder, address)
        histories = {seed: history for seed in seeds if (history := read_history(seed_folder(folder, seed)))}
        if histories:
            best = int(material.best.loc[address, "seed"]) if address in material.best.index else None
            first = best if best in histories else next(iter(histories))
            found.append(_row(address, histories, first, first == best))
    return found


def _row(address: str, histories: Mapping[int, Mapping[str, np.ndarray]], first: int, is_best: bool) -> dict[str, Any]:
    shown = panels(list(dict.fromkeys(name for history in histories.values() for name in history)))
    made = [_panel(name, series, histories, first) for name, series in shown.items()]
    made = [panel for panel in made if panel]
    return {
        "address": address,
        "seeds": len(histories),
        "first": first,
        "is_best": is_best,
        "panels": made[:MOST_PANELS],
        "left_out": [panel["name"] for panel in made[MOST_PANELS:]],
    }


def _panel(
    name: str, series: Sequence[str], histories: Mapping[int, Mapping[str, np.ndarray]], first: int
) -> dict[str, Any] | None:
    """Return one drawing: the first seed's line over the range of all seeds, or the first seed's numbered series."""
    lines = [np.asarray(histories[first].get(each, ()), dtype=float) for each in series]
    lines = [line for line in lines if np.isfinite(line).any()]
    others = (
        [] if len(series) > 1 else [np.asarray(h[series[0]], dtype=float) for h in histories.values() if series[0] in h]
    )
    if not lines:
        return None
    values = np.concatenate([each[np.isfinite(each)] for each in (*lines, *others)])
    low, high = float(values.min()), float(values.max())
    length = max(len(each) for each in (*lines, *others))
    scale = (low, high, length)
    return {
        "name": name.replace("_", " "),
        "low": f"{low:.3g}",
        "high": f"{high:.3g}",
        "length": length,
        "lines": [_line(line, scale) for line in lines],
        "band": _band(others, scale) if len(others) > 1 else "",
        "last": f"{lines[0][np.isfinite(lines[0])][-1]:.3g}" if len(lines) == 1 else "",
    }


def _line(line: np.ndarray, scale: tuple[float, float, int]) -> str:
    """Return a series as the data of an SVG path; what is not finite leaves a gap."""
    at = _chosen(len(line))
    parts, pen = [], "M"
    for x, y in zip(*_placed(at, line[at], scale), strict=True):
        if np.isnan(y):
            pen = "M"
            continue
        parts.append(f"{pen}{x:.4g} {y:.4g}")
        pen = "L"
    if len(parts) == 1:
        parts.append("h0.01")  # a single point, made visible by round ends
    return "".join(parts)


def _band(lines: Sequence[np.ndarray], scale: tuple[float, float, int]) -> str:
    """Return the range over seeds as a closed path; where a seed has ended, it has no say."""
    length = max(map(len, lines))
    table = np.full((len(lines), length), np.nan)
    for row, line in zip(table, lines, strict=True):
        row[: len(line)] = line
    at = _chosen(length)
    table = table[:, at]
    known = np.isfinite(table).any(axis=0)
    if known.sum() < 2:
        return ""
    at, table = at[known], table[:, known]
    x, top = _placed(at, np.nanmax(table, axis=0), scale)
    _, bottom = _placed(at, np.nanmin(table, axis=0), scale)
    points = [*zip(x, top, strict=True), *zip(x[::-1], bottom[::-1], strict=True)]
    return "M" + "L".join(f"{a:.4g} {b:.4g}" for a, b in points) + "Z"


def _chosen(length: int) -> np.ndarray:
    """Return which entries are drawn: all of a short series, evenly spaced ones of a long one, with both ends."""
    return np.unique(np.rint(np.linspace(0, length - 1, min(length, POINTS))).astype(int))


def _placed(at: np.ndarray, values: np.ndarray, scale: tuple[float, float, int]) -> tuple[np.ndarray, np.ndarray]:
    low, high, length = scale
    values = np.where(np.isfinite(values), values, np.nan)
    y = HEIGHT * (1 - (values - low) / (high - low)) if high > low else np.where(np.isnan(values), np.nan, HEIGHT / 2)
    return WIDTH * at / max(1, length - 1), y
