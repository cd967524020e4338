"""Static maps of cluster means in physical units, and the calendar of labels."""

from __future__ import annotations

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from regimebench.dataset import Cube
from regimebench.reporting.colours import cluster_colour
from regimebench.reporting.composites import DEPARTURE, MEAN, SCALE_PERCENTILE, departures_of

MAX_CLUSTERS = 10  # columns that stay readable on one page
COAST_POINTS = 400


def draw_cluster_means(cube: Cube, labels: np.ndarray, title: str, coast: bool = True) -> Figure:
    """Return a grid of maps: one row per variable, the year's mean first, then each cluster's departure from it.

    Departures share one scale per variable, symmetric about zero, so that colours compare between clusters; the few
    cells beyond it take its last colour. Coast lines are drawn when the cube has a regular latitude-longitude grid
    inside the globe, unless ``coast`` is false: planted fields know no land.
    """
    cube = cube.unpadded()
    overall, departures = departures_of(cube, labels, int(labels.max()) + 1)
    found = len(departures)
    shown = dict(sorted(departures.items(), key=lambda item: -np.count_nonzero(labels == item[0]))[:MAX_CLUSTERS])
    shown = dict(sorted(shown.items()))
    rows, columns = len(cube.variables), 1 + len(shown)
    shape = _panel_shape(cube)
    figure = Figure(figsize=(1.2 + columns * shape[0], 0.9 + rows * shape[1]), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    land = _coast(cube) if coast else None
    for row, (name, units) in enumerate(zip(cube.variables, cube.units, strict=True)):
        each = np.stack([field[..., row] for field in shown.values()])
        limit = float(np.nanpercentile(np.abs(each), SCALE_PERCENTILE)) or 1.0
        low, high = np.nanpercentile(overall[..., row], (100 - SCALE_PERCENTILE, SCALE_PERCENTILE))
        first = _field(axes[row, 0], cube, overall[..., row], land, cmap=MEAN, vmin=low, vmax=high)
        figure.colorbar(first, ax=axes[row, 0], shrink=0.85, aspect=15, extend="both").ax.tick_params(labelsize=7)
        axes[row, 0].set_ylabel(f"{name} ({units})" if units else name)
        for column, departure in enumerate(each, start=1):
            image = _field(axes[row, column], cube, departure, land, cmap=DEPARTURE, vmin=-limit, vmax=limit)
        figure.colorbar(image, ax=axes[row, 1:], shrink=0.85, aspect=15, extend="both").ax.tick_params(labelsize=7)
    axes[0, 0].set_title("mean", fontsize=9)
    for column, cluster in enumerate(shown, start=1):
        days = np.count_nonzero(labels == cluster)
        axes[0, column].set_title(f"regime {cluster + 1}: {days} days", fontsize=9)
    of = "each regime's mean" if found <= MAX_CLUSTERS else f"the {MAX_CLUSTERS} largest of {found} regimes"
    figure.suptitle(f"{title}: mean of all days, and departure of {of}", fontsize=10)
    return figure


def draw_calendar(cube: Cube, rows: list[tuple[str, np.ndarray]]) -> Figure:
    """Return one strip per row: the regime of each day, in order of time, one colour per number."""
    figure = Figure(figsize=(10, 0.8 + 0.28 * len(rows)), layout="constrained")
    axis = figure.subplots()
    labels = np.stack([each for _, each in rows])
    palette = np.array([to_rgb(cluster_colour(cluster)) for cluster in range(labels.max() + 1)])
    axis.imshow(palette[labels], aspect="auto", interpolation="nearest")
    axis.set_yticks(range(len(rows)), [name for name, _ in rows], fontsize=8)
    ticks = np.linspace(0, cube.n_days - 1, 7).astype(int)
    axis.set_xticks(ticks, [str(cube.time[tick].astype("datetime64[D]")) for tick in ticks], fontsize=8)
    axis.set_title("Regime of each day", fontsize=10)
    patches = [Patch(color=colour, label=str(number)) for number, colour in enumerate(palette, start=1)]
    figure.legend(handles=patches, loc="outside right center", fontsize=7, frameon=False)
    return figure


def _field(axis, cube: Cube, values: np.ndarray, land, **style):
    if cube.lat.ndim == 1:
        image = axis.pcolorfast(_edges(cube.lon), _edges(cube.lat), values, **style)  # a picture, not a path per cell
    else:
        image = axis.pcolormesh(cube.lon, cube.lat, values, shading="nearest", **style)
    axis.tick_params(labelsize=7)
    axis.xaxis.set_major_formatter("{x:g}°")
    axis.yaxis.set_major_formatter("{x:g}°")
    if land is not None:
        axis.contour(*land, levels=[0.5], colors="0.25", linewidths=0.6)
    return image


def _edges(centres: np.ndarray) -> np.ndarray:
    """Return the limits of cells, halfway between their centres."""
    if len(centres) == 1:
        return centres + np.array([-0.5, 0.5])
    between = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[2 * centres[0] - between[0]], between, [2 * centres[-1] - between[-1]]])


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
