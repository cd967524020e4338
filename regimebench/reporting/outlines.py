"""What lies over a map: coast lines and a graticule, in fractions of the grid, so that any grid is drawn alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from contourpy import contour_generator
from scipy.ndimage import map_coordinates

from regimebench.dataset import Cube

__all__ = ["Outlines", "outlines"]

FINE = 240  # points along the longer side where the land mask is asked
MOST_TICKS = 4
STEPS = (0.5, 1, 2, 5, 10, 15, 20, 30, 45, 60, 90)
Line = np.ndarray  # shape (points, 2): x from the left, y from the top, each in 0 .. 1


@dataclass(frozen=True)
class Outlines:
    """Lines over the grid, x to the right and y down, both from 0 to 1 over the cells' outer edges.

    Parameters
    ----------
    aspect : float
        Height over width of the region on the ground, within 0.4 .. 2.
    upside_down : bool
        Whether the first row of the grid lies south, so that rows have to be turned over.
    coast, graticule : list of ndarray, shape (points, 2)
    lat_ticks, lon_ticks : list of (position, text)
        Where parallels cross the left side and meridians the lower side.
    """

    aspect: float
    upside_down: bool
    coast: list[Line]
    graticule: list[Line]
    lat_ticks: list[tuple[float, str]]
    lon_ticks: list[tuple[float, str]]


def outlines(cube: Cube, coast: bool) -> Outlines:
    """Return the outlines of an unpadded cube's region.

    Parameters
    ----------
    cube : Cube
        With one- or two-dimensional ``lat`` and ``lon``.
    coast : bool
        Whether there is land; planted fields know none.
    """
    lat, lon = _positions(cube)
    upside_down = bool(lat[0].mean() < lat[-1].mean())
    if upside_down:
        lat, lon = lat[::-1], lon[::-1]
    if coast and not (np.abs(lat) <= 90).all():
        coast = False
    fine_lat, fine_lon = _finer(lat), _finer(lon)
    parallels, meridians = _levels(lat), _levels(lon)
    # On a regular grid ticks say all that a graticule would.
    curved = cube.lat.ndim == 2
    lines = [*_contours(fine_lat, parallels), *_contours(fine_lon, meridians)] if curved else []
    shore = _coast(fine_lat, fine_lon) if coast else []
    return Outlines(
        aspect=_aspect(lat, lon),
        upside_down=upside_down,
        coast=_onto_cells(shore, lat.shape),
        graticule=_onto_cells(lines, lat.shape),
        lat_ticks=[(at, _degrees(level, "N", "S")) for level in parallels for at in _crossing(lat[:, 0], level)],
        lon_ticks=[(at, _longitude(level)) for level in meridians for at in _crossing(lon[-1], level)],
    )


def _positions(cube: Cube) -> tuple[np.ndarray, np.ndarray]:
    """Return latitude and longitude of each cell, longitudes without a jump."""
    lat, lon = np.asarray(cube.lat, dtype=float), np.asarray(cube.lon, dtype=float)
    if lat.ndim == 1:
        lat, lon = np.broadcast_to(lat[:, None], (len(lat), len(lon))), np.broadcast_to(lon, (len(lat), len(lon)))
    return lat, np.unwrap(np.unwrap(lon, period=360, axis=1), period=360, axis=0)


def _finer(field: np.ndarray) -> np.ndarray:
    """Return a field at up to FINE points per side between the centres of the outer cells."""
    height, width = field.shape
    per_cell = FINE / max(height, width)
    rows, columns = (np.linspace(0, n - 1, max(2, round(n * per_cell))) for n in (height, width))
    return map_coordinates(field, np.meshgrid(rows, columns, indexing="ij"), order=1)


def _contours(field: np.ndarray, levels: list[float]) -> list[Line]:
    generator = contour_generator(z=field)
    return [_thinned(line / _last(field)) for level in levels for line in generator.lines(level)]


def _coast(lat: np.ndarray, lon: np.ndarray) -> list[Line]:
    from global_land_mask import globe

    land = globe.is_land(np.clip(lat, -89.9, 89.9), (lon + 180) % 360 - 180)
    if land.all() or not land.any():
        return []
    return [line for line in _contours(land.astype(float), [0.5]) if len(line) > 3]


def _onto_cells(lines: list[Line], shape: tuple[int, ...]) -> list[Line]:
    """Return lines between the centres of the outer cells as fractions of the cells' outer edges."""
    size = np.array(shape[::-1])
    return [(line * (size - 1) + 0.5) / size for line in lines]


def _last(field: np.ndarray) -> np.ndarray:
    return np.array([max(1, field.shape[1] - 1), max(1, field.shape[0] - 1)])


def _thinned(line: Line) -> Line:
    """Return a line without points that a thousandth of the picture does not move."""
    rounded = np.round(line, 3)
    kept = np.ones(len(line), dtype=bool)
    kept[1:-1] = np.any(np.abs(rounded[:-2] + rounded[2:] - 2 * rounded[1:-1]) > 1e-9, axis=1)
    return rounded[kept]


def _levels(field: np.ndarray) -> list[float]:
    """Return round degrees inside the field, few enough to be labelled."""
    low, high = field.min(), field.max()
    for step in STEPS:
        found = np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step
        if len(found) <= MOST_TICKS:
            return found.tolist()
    return []


def _crossing(edge: np.ndarray, level: float) -> list[float]:
    """Return where values along an edge, one per cell, pass ``level``: fractions of the edge's length, at most one."""
    order = np.argsort(edge)
    if not edge[order[0]] <= level <= edge[order[-1]]:
        return []
    return [float((np.interp(level, edge[order], order) + 0.5) / len(edge))]


def _aspect(lat: np.ndarray, lon: np.ndarray) -> float:
    """Return height over width of the region on the ground."""
    across = np.hypot(np.diff(lon, axis=1) * np.cos(np.radians(lat[:, 1:])), np.diff(lat, axis=1)).sum(axis=1).mean()
    down = np.hypot(np.diff(lat, axis=0), np.diff(lon, axis=0) * np.cos(np.radians(lat[1:]))).sum(axis=0).mean()
    return float(np.clip(down / across, 0.4, 2)) if across > 0 and down > 0 else 1.0


def _degrees(value: float, positive: str, negative: str) -> str:
    return f"{abs(value):g}°{positive if value > 0 else negative if value < 0 else ''}"


def _longitude(value: float) -> str:
    value = (value + 180) % 360 - 180
    return "180°" if value == -180 else _degrees(value, "E", "W")
