"""What the regimes of single rows look like: calendar strips, maps, transitions, embeddings."""

from __future__ import annotations

from typing import Any

import numpy as np

from regimebench.records import load_arrays, row_folder, seed_folder
from regimebench.reporting.colours import cluster_colour, strip
from regimebench.reporting.composites import Frame, composites
from regimebench.reporting.material import Material
from regimebench.reporting.persistence import transitions
from regimebench.reporting.projection import principal_components

__all__ = ["calendar", "portraits", "shown_rows", "space"]

MOST_PORTRAITS = 8
GRID = 999  # positions of a picture of an embedding
MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


def shown_rows(material: Material) -> list[str]:
    """Return the rows whose regimes are shown: the best by the headline metric, and the best control; no twins."""
    results = material.results
    ranked = [address for address in material.ranked if address in material.matched and address not in results.twins]
    controls = {row["address"] for row in results.rows if row["kind"] == "control"}
    chosen = ranked[:MOST_PORTRAITS]
    if not controls & set(chosen):
        chosen += [address for address in ranked if address in controls][:1]
    return chosen


def calendar(material: Material) -> dict[str, Any]:
    """Return a strip per row, one pixel per day, and the ticks of the months below; no strips without a cube."""
    if material.cube is None:
        return {"strips": [], "ticks": [], "legend": []}
    time = material.cube.time.astype("datetime64[D]")
    strips = [
        {
            "address": address,
            "image": strip(labels),
            "seed": int(material.best.loc[address, "seed"]),
            "alt": f"Regime of each day for {address}: " + _shares(labels),
            "stays": transitions(labels, time, int(labels.max()) + 1).stays[0],
        }
        for address, labels in material.matched.items()
    ]
    regimes = max((int(labels.max()) + 1 for labels in material.matched.values()), default=0)
    return {"strips": strips, "ticks": ticks(time), "legend": [_swatch(cluster) for cluster in range(regimes)]}


def ticks(time: np.ndarray, most: int = 13) -> list[tuple[float, str]]:
    """Return where months (of long series, years) begin, in hundredths of the strip, with their names."""
    months = time.astype("datetime64[M]")
    starts = np.flatnonzero(np.r_[True, months[1:] != months[:-1]])
    if len(starts) > 3 * most:
        years = time.astype("datetime64[Y]")
        starts = np.flatnonzero(np.r_[True, years[1:] != years[:-1]])
        starts = starts[:: -(-len(starts) // most)]
        return [(round(100 * at / len(time), 2), str(years[at])) for at in starts]
    starts = starts[:: -(-len(starts) // most)]
    named = [(at, MONTHS[int(months[at].astype(int)) % 12]) for at in starts]
    return [(round(100 * at / len(time), 2), name) for at, name in named if at < 0.97 * len(time)]


def space(material: Material, rows: list[str]) -> dict[str, Any]:
    """Return the days in two dimensions, every row's labels as text, and own embeddings of ``rows``."""
    own = {address: _own_embedding(material, address, int(material.best.loc[address, "seed"])) for address in rows}
    found = material.space
    return {
        "pca": _on_grid(found["pca"]),
        "tsne": None if found["tsne"] is None else _on_grid(found["tsne"]),
        "shares": [round(100 * share, 1) for share in found["shares"]],
        "labels": {address: encoded(labels) for address, labels in material.matched.items()},
        "own": {address: each for address, each in own.items() if each},
    }


def portraits(material: Material, frame: Frame, rows: list[str]) -> list[dict[str, Any]]:
    """Return maps, spells, transitions and the own embedding of each of ``rows``."""
    return [_portrait(material, frame, address) for address in rows]


def _portrait(material: Material, frame: Frame, address: str) -> dict[str, Any]:
    labels, seed = material.matched[address], int(material.best.loc[address, "seed"])
    k = int(labels.max()) + 1
    return {
        "address": address,
        "seed": seed,
        "variables": composites(frame, labels, k),
        **spells(labels, material.cube.time, k),
    }


def spells(labels: np.ndarray, time: np.ndarray, k: int) -> dict[str, Any]:
    """Return one line per regime (days, months, spells) and the matrix of transitions, as the page shows them."""
    found = transitions(labels, time, k)
    month = time.astype("datetime64[M]").astype(int) % 12
    matrix, present = found.probabilities, np.flatnonzero(found.sizes)
    lines = [
        {
            **_swatch(i),
            "days": int(found.sizes[i]),
            "share": 100 * found.sizes[i] / found.sizes.sum(),
            "months": _season(month[labels == i]),
            "spell": found.spell[i],
            "random_spell": found.random_spell[i],
            "next": [{"p": matrix[i, j], "shade": _shade(matrix[i, j]), "stays": i == j} for j in present],
        }
        for i in present
    ]
    stays, random = found.stays
    return {"regimes": lines, "stays": stays, "random_stays": random}


def encoded(labels: np.ndarray) -> str:
    """Return labels as text, one character per day, from ``A`` on; the page reads it back."""
    return "".join(chr(ord("A") + int(label)) for label in labels)


def _own_embedding(material: Material, address: str, seed: int) -> dict[str, Any] | None:
    """Return the first two principal components of what the method stored as its embedding; None if it has none."""
    folder = seed_folder(row_folder(material.folder, address), seed)
    stored = load_arrays(folder, "embedding".__eq__)
    if "embedding" not in stored or len(stored["embedding"]) != material.cube.n_days:
        return None
    Z = stored["embedding"].reshape(material.cube.n_days, -1)
    scores, shares = principal_components(Z, 2)
    if scores.shape[1] < 2:
        scores = np.pad(scores, ((0, 0), (0, 2 - scores.shape[1])))
    return {"points": _on_grid(scores), "dimensions": Z.shape[1], "shares": [round(100 * float(s), 1) for s in shares]}


def _on_grid(points: np.ndarray) -> list[int]:
    """Return x0, y0, x1, y1, ... as whole numbers in 0 .. GRID, one scale for both axes."""
    low = points.min(axis=0)
    span = float((points.max(axis=0) - low).max()) or 1.0
    margin = (span - (points.max(axis=0) - low)) / 2
    return np.rint((points - low + margin) / span * GRID).astype(int).ravel().tolist()


def _swatch(cluster: int) -> dict[str, Any]:
    return {"number": cluster + 1, "colour": cluster_colour(cluster)}


def _shares(labels: np.ndarray) -> str:
    counts = np.bincount(labels)
    return ", ".join(f"regime {i + 1} {n} days" for i, n in enumerate(counts) if n) + "."


def _season(months: np.ndarray) -> str:
    """Return the shortest stretch of months that holds at least 80 % of a regime's days."""
    counts = np.bincount(months, minlength=12)
    for length in range(1, 12):
        sums = [counts[np.arange(start, start + length) % 12].sum() for start in range(12)]
        start = int(np.argmax(sums))
        if sums[start] >= 0.8 * counts.sum():
            return MONTHS[start] if length == 1 else f"{MONTHS[start]}\u2013{MONTHS[(start + length - 1) % 12]}"
    return "all year"


def _shade(p: float) -> int:
    """Return a probability as per cent of colour."""
    return 0 if np.isnan(p) else round(100 * float(p))
