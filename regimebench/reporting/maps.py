"""Maps of cluster means in physical units."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from regimebench.dataset import Cube
from regimebench.reporting.agreement import by_size, matched

MAX_CLUSTERS = 10  # columns that stay readable on one page
COAST_POINTS = 400
SCALE_PERCENTILE = 99.5  # single cells on steep orography would hide everything else


def cluster_means(cube: Cube, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean field of each cluster in physical units, largest cluster first.

    Parameters
    ----------
    cube : Cube
    labels : ndarray of int, shape (time,)

    Returns
    -------
    sizes : ndarray of int, shape (k,)
        Days per cluster, decreasing.
    means : ndarray, shape (k, y, x, variable)
        NaN where the cube is masked.
    """
    names, counts = np.unique(labels, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    means = np.stack([cube.values[labels == name].mean(axis=0, dtype=np.float64) for name in names[order]])
    return counts[order], cube.physical(means)


def draw_cluster_means(cube: Cube, labels: np.ndarray, title: str, path: Path, coast: bool = True) -> None:
    """Save a grid of maps: one row per variable, the year's mean first, then each cluster's departure from it.

    Departures share one scale per variable, symmetric about zero, so that colours compare between clusters; the few
    cells beyond it take its last colour. Coast lines are drawn when the cube has a regular latitude-longitude grid
    inside the globe, unless ``coast`` is false: planted fields know no land.
    """
    cube = cube.unpadded()
    sizes, means = cluster_means(cube, labels)
    found = len(sizes)
    sizes, means = sizes[:MAX_CLUSTERS], means[:MAX_CLUSTERS]
    overall = cube.physical(cube.values.mean(axis=0, dtype=np.float64))
    rows, columns = len(cube.variables), 1 + len(sizes)
    shape = _panel_shape(cube)
    figure = Figure(figsize=(1.2 + columns * shape[0], 0.9 + rows * shape[1]), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    land = _coast(cube) if coast else None
    for row, (name, units) in enumerate(zip(cube.variables, cube.units, strict=True)):
        departures = means[..., row] - overall[..., row]
        limit = float(np.nanpercentile(np.abs(departures), SCALE_PERCENTILE)) or 1.0
        low, high = np.nanpercentile(overall[..., row], (100 - SCALE_PERCENTILE, SCALE_PERCENTILE))
        first = _field(axes[row, 0], cube, overall[..., row], land, cmap="viridis", vmin=low, vmax=high)
        figure.colorbar(first, ax=axes[row, 0], shrink=0.85, aspect=15, extend="both").ax.tick_params(labelsize=7)
        axes[row, 0].set_ylabel(f"{name} ({units})" if units else name)
        for column, departure in enumerate(departures, start=1):
            image = _field(axes[row, column], cube, departure, land, cmap="RdBu_r", vmin=-limit, vmax=limit)
        figure.colorbar(image, ax=axes[row, 1:], shrink=0.85, aspect=15, extend="both").ax.tick_params(labelsize=7)
    axes[0, 0].set_title("mean", fontsize=9)
    for column, size in enumerate(sizes, start=1):
        axes[0, column].set_title(f"cluster {column}: {size} days", fontsize=9)
    shown = (
        "each cluster's mean"
        if found <= MAX_CLUSTERS
        else f"the means of the {MAX_CLUSTERS} largest of {found} clusters"
    )
    figure.suptitle(f"{title}: mean of all days, and departure of {shown}", fontsize=10)
    path.parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context({"savefig.dpi": 110}):
        figure.savefig(path)


def draw_calendar(cube: Cube, rows: list[tuple[str, np.ndarray]], path: Path) -> None:
    """Save one strip per method: the cluster of each day, in order of time.

    The first row's clusters are coloured by size; every other row takes the colours that overlap most with the first's,
    so that rows that agree look alike.
    """
    figure = Figure(figsize=(10, 0.8 + 0.28 * len(rows)), layout="constrained")
    axis = figure.subplots()
    reference = by_size(rows[0][1])
    colours = np.stack([matched(labels, reference) for _, labels in rows])
    shades = 10 if colours.max() < 10 else 20
    style = {"cmap": f"tab{shades}", "vmin": -0.5, "vmax": shades - 0.5}
    axis.imshow(colours % shades, aspect="auto", interpolation="nearest", **style)
    axis.set_yticks(range(len(rows)), [name for name, _ in rows], fontsize=8)
    ticks = np.linspace(0, cube.n_days - 1, 7).astype(int)
    axis.set_xticks(ticks, [str(cube.time[tick].astype("datetime64[D]")) for tick in ticks], fontsize=8)
    axis.set_title("Cluster of each day, colours matched to the first row", fontsize=10)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def _field(axis, cube: Cube, values: np.ndarray, land, **style):
    image = axis.pcolormesh(cube.lon, cube.lat, values, shading="nearest", **style)
    axis.tick_params(labelsize=7)
    axis.xaxis.set_major_formatter("{x:g}°")
    axis.yaxis.set_major_formatter("{x:g}°")
    if land is not None:
        axis.contour(*land, levels=[0.5], colors="0.25", linewidths=0.6)
    return image


def _panel_shape(cube: Cube) -> tuple[float, float]:
    """Return a panel's width and height in inches, in the region's own proportions within limits."""
    height = np.ptp(cube.lat)
    width = np.ptp(cube.lon) * np.cos(np.radians(np.mean(cube.lat)))
    return 1.9, 1.9 * float(np.clip(height / width if width else 1, 0.5, 1.4))


def _coast(cube: Cube) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Return longitudes, latitudes and a land mask (True on land) for the cube's region, or None off a regular grid."""
    if cube.lat.ndim != 1 or np.max(np.abs(cube.lat)) > 90 or np.min(cube.lon) < -180 or np.max(cube.lon) >= 180:
        return None
    from global_land_mask import globe

    lon = np.linspace(np.min(cube.lon), np.max(cube.lon), COAST_POINTS)
    lat = np.linspace(np.min(cube.lat), np.max(cube.lat), COAST_POINTS)
    land = globe.is_land(*np.meshgrid(np.clip(lat, -89.9, 89.9), lon, indexing="ij"))
    return (lon, lat, land.astype(float)) if land.any() and not land.all() else None
