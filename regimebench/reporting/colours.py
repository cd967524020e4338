"""Colours that people with any colour vision tell apart, and images made of them."""

from __future__ import annotations

import base64
import io

import matplotlib as mpl
import numpy as np
from PIL import Image

__all__ = ["CLUSTERS", "cluster_colour", "data_uri", "gradient", "painted", "strip"]

# Okabe & Ito (2008), without black, which a dark page hides; then darker tones of the same, for more than eight.
CLUSTERS = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#56b4e9", "#cc79a7", "#f0e442", "#8c8c8c")
CLUSTERS += ("#003f63", "#8a5f00", "#005c43", "#7f3800", "#2f6f93", "#7c4766", "#8f8828", "#4d4d4d")
LEVELS = 64  # colours of a map: more cannot be told apart, and fewer make a small file


def cluster_colour(cluster: int) -> str:
    """Return the colour of a cluster; after sixteen they begin again."""
    return CLUSTERS[cluster % len(CLUSTERS)]


def strip(labels: np.ndarray) -> str:
    """Return labels, shape (n_days,), as an image of one pixel per day."""
    rgb = [int(colour[i : i + 2], 16) for colour in CLUSTERS for i in (1, 3, 5)]
    return _indexed((labels % len(CLUSTERS)).astype(np.uint8)[None], rgb)


def painted(values: np.ndarray, low: float, high: float, cmap: str) -> str:
    """Return a field, shape (y, x), first row on top, as an image of one pixel per cell; NaN is transparent."""
    colours = mpl.colormaps[cmap](np.linspace(0, 1, LEVELS))[:, :3]
    rgb = [*np.rint(255 * colours).astype(int).ravel().tolist(), 0, 0, 0]
    span = high - low if high > low else 1.0
    level = np.floor(np.clip((np.nan_to_num(values, nan=low) - low) / span, 0, 1) * LEVELS)
    index = np.where(np.isnan(values), LEVELS, np.minimum(level, LEVELS - 1)).astype(np.uint8)
    return _indexed(index, rgb, transparent=LEVELS)


def gradient(cmap: str, stops: int = 13) -> str:
    """Return a colour map as a CSS gradient from left to right."""
    colours = mpl.colormaps[cmap](np.linspace(0, 1, stops))
    return f"linear-gradient(to right, {', '.join(mpl.colors.to_hex(colour) for colour in colours)})"


def data_uri(content: bytes, kind: str) -> str:
    """Return bytes as an address that holds them."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _indexed(index: np.ndarray, rgb: list[int], transparent: int | None = None) -> str:
    image = Image.fromarray(index)
    image = image.convert("L")
    image.putpalette(rgb)
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True, **({} if transparent is None else {"transparency": transparent}))
    return data_uri(file.getvalue(), "image/png")
