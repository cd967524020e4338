"""How well each mechanism is found in each planted family: the table in ``datasets/synthetic/README.md``.

Run ``python -m benchmarks.planted_families`` (three to six minutes on one core); ``--seeds 2`` is a quick look.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score
from tabulate import tabulate

from datasets.synthetic.oracles import ORACLES, scaled_table
from datasets.synthetic.planting import Planting
from datasets.synthetic.settings import planting

DECLARED = Path(__file__).parents[1] / "datasets" / "synthetic" / "dataset.yaml"

FIRST_SEED = 100
"""The families' constants were chosen on seeds 0 to 11; the table is made with others."""

SETTINGS: tuple[dict[str, Any], ...] = (
    {"family": "centroids"},
    {"family": "centroids", "offset": 0.5},
    {"family": "centroids", "offset": 2.0},
    {"family": "subspaces", "noise": 0.3},
    {"family": "subspaces"},
    {"family": "waves", "noise": 0.3},
    {"family": "waves"},
    {"family": "waves", "noise": 1.0},
    {"family": "dynamics"},
)


def defaults() -> dict[str, Any]:
    """Return the declared parameter values."""
    declared = yaml.safe_load(DECLARED.read_text())["parameters"]
    return {name: entry["value"] for name, entry in declared.items()}


def masked_fields(plan: Planting) -> np.ndarray:
    """Return the planted fields (time, lat, lon, variable), NaN where the second variable meets land."""
    fields = plan.anomalies()
    fields[:, plan.land(), 1:2] = np.nan
    return fields


def principal_axes(table: np.ndarray) -> np.ndarray:
    """Rotate a wide table onto its principal axes: the same distances in at most as many columns as days."""
    return PCA(svd_solver="full").fit_transform(table)


def kmeans(days: np.ndarray, k: int, n_init: int = 10) -> np.ndarray:
    """Best of ``n_init`` k-means starts."""
    return KMeans(k, n_init=n_init, random_state=0).fit_predict(days)


def eof_kmeans(days: np.ndarray, k: int) -> np.ndarray:
    """k-means on the leading EOFs that hold 90 % of the variance; ``days`` are on their principal axes."""
    share = np.cumsum(days.var(axis=0)) / days.var(axis=0).sum()
    return kmeans(days[:, : int(np.searchsorted(share, 0.9)) + 1], k, n_init=20)


def scores(params: Mapping[str, Any]) -> list[float]:
    """Return the adjusted Rand indices of each solver on one planted data set, in the order of ``SOLVERS``."""
    plan = planting(params)
    fields = masked_fields(plan)
    days = principal_axes(scaled_table(fields))
    return [adjusted_rand_score(plan.labels, solve(plan, fields, days)) for solve in SOLVERS.values()]


SOLVERS: dict[str, Callable[[Planting, np.ndarray, np.ndarray], np.ndarray]] = {
    "k-means": lambda plan, fields, days: kmeans(days, plan.n_clusters),
    "EOF + k-means": lambda plan, fields, days: eof_kmeans(days, plan.n_clusters),
    "self-expression": lambda plan, fields, days: ORACLES["subspaces"](plan, fields),
    "Fourier magnitudes": lambda plan, fields, days: ORACLES["waves"](plan, fields),
    "the family's oracle": lambda plan, fields, days: ORACLES[plan.family](plan, fields),
}


def row(setting: Mapping[str, Any], seeds: int) -> list[str]:
    """Return one table row: the setting, then mean (lowest to highest) over the seeds for each solver."""
    params = {**defaults(), **setting}
    found = np.array([scores({**params, "seed": FIRST_SEED + i}) for i in range(seeds)])
    cells = [f"{column.mean():.2f} ({column.min():.2f} to {column.max():.2f})" for column in found.T]
    return [
        params["family"],
        f"{params['noise']:g}",
        f"{params['offset']:g}" * (params["family"] == "centroids"),
        *cells,
    ]


def main() -> None:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10, help="planted data sets per row (default: 10)")
    seeds = parser.parse_args().seeds
    rows = [row(setting, seeds) for setting in SETTINGS]
    print(tabulate(rows, ["family", "noise", "offset", *SOLVERS], tablefmt="github", disable_numparse=True))


if __name__ == "__main__":
    main()
