"""Cluster composites for the page: mean fields and departures in physical units, small images under outlines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from regimebench.dataset import Cube
from regimebench.reporting.colours import gradient, painted
from regimebench.reporting.outlines import Line, Outlines, outlines

__all__ = ["Frame", "bars", "composites", "departures_of"]

MOST_CELLS = 96  # along a side of a map; finer grids are averaged
SCALE_PERCENTILE = 99.5  # single cells on steep orography would hide everything else
MEAN, DEPARTURE = "viridis", "RdBu_r"


@dataclass(frozen=True)
class Frame:
    """What the maps of one data set share."""

    cube: Cube
    outlines: Outlines

    @classmethod
    def of(cls, cube: Cube, coast: bool) -> Frame:
        """Return the frame of a cube, padded cells left out."""
        cube = cube.unpadded()
        return cls(cube, outlines(cube, coast))

    @property
    def drawing(self) -> dict[str, Any]:
        """Paths, ticks and height over width (in hundredths of the width), as the template draws them."""
        height = 100 * self.outlines.aspect
        return {
            "height": round(height, 1),
            "coast": _path(self.outlines.coast, height),
            "graticule": _path(self.outlines.graticule, height),
            "lat": [(round(at * height, 1), text) for at, text in self.outlines.lat_ticks],
            "lon": [(round(at * 100, 1), text) for at, text in self.outlines.lon_ticks],
        }

    def image(self, field: np.ndarray, low: float, high: float, cmap: str) -> str:
        """Return a field, shape (y, x), as an image with north up."""
        field = field[::-1] if self.outlines.upside_down else field
        step = -(-max(field.shape) // MOST_CELLS)
        return painted(_averaged(field, step) if step > 1 else field, low, high, cmap)


def composites(frame: Frame, labels: np.ndarray, n_clusters: int) -> list[dict[str, Any]]:
    """Return, per variable, the mean of all days and each cluster's departure from it.

    Departures of one variable share one scale, symmetric about zero, so that colours compare between clusters.

    Parameters
    ----------
    frame : Frame
    labels : ndarray of int, shape (n_days,)
    n_clusters : int
        Clusters named 0 .. ``n_clusters`` - 1; empty ones are left out.
    """
    cube = frame.cube
    overall, departures = departures_of(cube, labels, n_clusters)
    shown = []
    for index, (name, units) in enumerate(zip(cube.variables, cube.units, strict=True)):
        each = {cluster: field[..., index] for cluster, field in departures.items()}
        limit = float(np.nanpercentile(np.abs(list(each.values())), SCALE_PERCENTILE)) or 1.0
        low, high = map(float, np.nanpercentile(overall[..., index], (100 - SCALE_PERCENTILE, SCALE_PERCENTILE)))
        shown.append(
            {
                "name": name,
                "long_name": (cube.attrs.get("long_names") or [""] * len(cube.variables))[index],
                "units": units,
                "mean": {
                    "image": frame.image(overall[..., index], low, high, MEAN),
                    "low": _number(low, high - low),
                    "high": _number(high, high - low),
                },
                "limit": _number(limit, limit),
                "departures": [
                    {
                        "cluster": cluster,
                        "image": frame.image(field, -limit, limit, DEPARTURE),
                        "least": _number(np.nanmin(field), limit),
                        "most": _number(np.nanmax(field), limit),
                    }
                    for cluster, field in each.items()
                ],
            }
        )
    return shown


def departures_of(cube: Cube, labels: np.ndarray, n_clusters: int) -> tuple[np.ndarray, dict[int, np.ndarray]]:
    """Return the mean of all days and each cluster's departure from it, shape (y, x, variable), in physical units."""
    overall = cube.physical(cube.values.mean(axis=0, dtype=np.float64))
    found = [cluster for cluster in range(n_clusters) if (labels == cluster).any()]
    means = {cluster: cube.values[labels == cluster].mean(axis=0, dtype=np.float64) for cluster in found}
    return overall, {cluster: cube.physical(mean) - overall for cluster, mean in means.items()}


def bars() -> dict[str, str]:
    """Return the colour bars as CSS gradients."""
    return {"mean": gradient(MEAN), "departure": gradient(DEPARTURE)}


def _averaged(field: np.ndarray, step: int) -> np.ndarray:
    """Return means of blocks of ``step`` x ``step`` cells, NaN cells left out, incomplete blocks at the end kept."""
    height, width = (-(-size // step) for size in field.shape)
    padded = np.full((height * step, width * step), np.nan)
    padded[: field.shape[0], : field.shape[1]] = field
    blocks = padded.reshape(height, step, width, step).swapaxes(1, 2).reshape(height, width, -1)
    known = np.isfinite(blocks).sum(axis=-1)
    total = np.nansum(blocks, axis=-1)
    return np.divide(total, known, out=np.full(total.shape, np.nan), where=known > 0)


def _number(value: float, span: float) -> str:
    """Return a number with as many digits as its span needs: about three."""
    digits = int(np.clip(2 - np.floor(np.log10(span)), 0, 12)) if span > 0 else 2
    text = f"{value:.{digits}f}" if abs(value) < 1e6 and (digits < 7) else f"{value:.3g}"
    return text.replace("-", "\u2212")


def _path(lines: list[Line], height: float) -> str:
    """Return lines as the data of an SVG path over a picture 100 wide."""
    return "".join("M" + " ".join(f"{100 * x:.1f} {height * y:.1f}" for x, y in line) for line in lines)
