"""How a method depends on single parameters: ``python -m benchmarks.sensitivity a_datsc``.

Reads ``benchmarks/sweeps/<name>.yaml``, fits what ``docs/sensitivity-<name>.csv`` does not hold yet, two fits at a
time, and writes page and figure from that file alone. A sweep of another method is another file.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import warnings
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn.metrics import adjusted_rand_score
from tabulate import tabulate

from benchmarks import fitted_rows
from benchmarks.recovery import made
from benchmarks.recovery_rows import REFERENCE
from regimebench import registry
from regimebench.alarms import ALARMS
from regimebench.dataset import Cube
from regimebench.diagnostics import diagnose
from regimebench.failures import describe
from regimebench.files import replacing
from regimebench.method import Fit, check_fit
from regimebench.schema import load_yaml

SWEEPS = Path(__file__).parent / "sweeps"
KEY = ["parameter", "value", "seed"]
DRAWN = {"ari": "ARI", "outside": "outside", "seconds": "CPU s"}
HEAD = {
    "ari": "ARI",
    "outside": "outside",
    "discriminator": "L_D",
    "labels_changed": "labels changed",
    "seconds": "s",
    "weights": "weights",
}
ENDS = ("discriminator", "labels_changed")
"""Curves whose last value is shown, where a method records them."""

PAGE = """# Sensitivity of {title}

Made by `python -m benchmarks.sensitivity {name}` from `sensitivity-{name}.csv` ({about}) and
`benchmarks/sweeps/{name}.yaml`. Do not edit.

One planted data set ({data}), {n} fits with seeds {seeds}. Parameters are those of `method.yaml`, but for
{parameters}. One value at a time is changed; **bold** is the value of all other rows. Median [least, largest] over the
seeds. ARI: adjusted Rand index of the labels with the planted regimes; k-means on the fields has {reference}. Outside:
the energy of embeddings (at length 1) outside the best subspace of {rank} dimensions of their cluster, over the same
for clusters of the same sizes drawn at random; below 1 there is evidence of subspaces. Between seeds: how far the
labels of two fits agree (ARI; mean over pairs). L_D, the discriminator's hinge, and the share of labels that changed
are the last values of the curves of training. s: CPU seconds. Weights: trainable parameters.

![ARI, energy outside and CPU seconds: a dot per seed, a line of medians, grey the usual value](sensitivity-{name}.png)

{table}
"""


@dataclass(frozen=True)
class Sweep:
    """What is fitted: a method, planted data, and the values of single parameters."""

    name: str
    method: str
    data: dict[str, Any]
    seeds: list[int]
    parameters: dict[str, Any]
    values: dict[str, list[Any]]

    def base(self) -> dict[str, Any]:
        """Return the parameters of the method when nothing is varied."""
        return {**registry.method(self.method).parameters, **self.parameters}

    def points(self) -> list[tuple[str, str]]:
        """Return parameters and values (as JSON) to be fitted; what all have in common is a point of its own."""
        base = self.base()
        changed = [(name, value) for name, values in self.values.items() for value in values if value != base[name]]
        return [("", ""), *((name, json.dumps(value)) for name, value in changed)]

    def jobs(self) -> list[tuple[str, str, str, int]]:
        """Return what :func:`run` is to be called with."""
        return [(self.name, *point, seed) for seed in self.seeds for point in self.points()]


def read_sweep(name: str) -> Sweep:
    """Return the sweep in ``benchmarks/sweeps/<name>.yaml``.

    Raises
    ------
    ValueError
        If it names a parameter that the method does not have.
    """
    sweep = Sweep(name, **load_yaml(SWEEPS / f"{name}.yaml"))
    known = registry.method(sweep.method).parameters
    unknown = sorted({*sweep.parameters, *sweep.values} - set(known))
    if unknown:
        raise ValueError(
            f"benchmarks/sweeps/{name}.yaml: {sweep.method} has no parameter {', '.join(unknown)}; "
            f"it has {', '.join(known)}"
        )
    return sweep


@cache
def planted(name: str) -> tuple[Cube, np.ndarray]:
    """Return the cube of a sweep's data set, and its regimes."""
    cube, truth, _ = made(**read_sweep(name).data)
    return cube, truth


def run(name: str, parameter: str, value: str, seed: int) -> dict[str, Any]:
    """Fit one point of a sweep with one seed and return a row; a fit that fails is a row."""
    sweep, (cube, truth) = read_sweep(name), planted(name)
    row = {"parameter": parameter, "value": value, "seed": seed, "status": "ok"}
    spec, k = registry.method(sweep.method), sweep.data["n_clusters"]
    settings = sweep.base() | ({parameter: json.loads(value)} if parameter else {})
    started = time.process_time()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fit = check_fit(registry.load(spec)(n_clusters=k, seed=seed, **settings).fit(cube), cube.n_days, k)
    except Exception as error:
        status, message = describe(error, spec.folder)
        print(f"{name}, {parameter} {value}, {seed}: {message}", file=sys.stderr)
        return row | {"status": status}
    seconds = time.process_time() - started
    values = diagnose(fit, cube.time, k) | {"clusters_found": len(set(fit.labels)), "n_clusters": k}
    collapsed = any(alarm.collapse and alarm.raised(values) for alarm in ALARMS)
    return row | {
        "status": "degenerate" if collapsed else "ok",
        "ari": adjusted_rand_score(truth, fit.labels),
        "outside": outside(fit, sweep.base()["rank"]) if "rank" in settings and fit.embedding is not None else np.nan,
        "seconds": seconds,
        "weights": fit.n_parameters,
        **{curve: fit.history[curve][-1] for curve in ENDS if fit.history.get(curve)},
        "labels": " ".join(map(str, fit.labels)),
    }


def outside(fit: Fit, rank: int) -> float:
    """Return the energy of embeddings outside the subspaces of their clusters, over that of random clusters.

    Parameters
    ----------
    fit : Fit
        Labels and embedding, brought to length 1 here.
    rank : int
        Dimensions of a subspace.

    Returns
    -------
    float
        1 where clusters are no more like subspaces than random ones of the same sizes.
    """
    Z = fit.embedding / np.linalg.norm(fit.embedding, axis=1, keepdims=True).clip(np.finfo(np.float32).tiny)
    rng = np.random.default_rng(0)
    drawn = [_left(Z, rng.permutation(fit.labels), rank) for _ in range(20)]
    return _left(Z, fit.labels, rank) / max(float(np.mean(drawn)), np.finfo(np.float32).tiny)


def _left(Z: np.ndarray, labels: np.ndarray, rank: int) -> float:
    """Return the squared length that the best subspace of each cluster leaves, over all days."""
    sizes = [np.linalg.svd(Z[labels == k], compute_uv=False)[rank:] for k in np.unique(labels)]
    return float(sum(np.square(rest).sum() for rest in sizes))


def fit_missing(sweep: Sweep, csv: Path, processes: int) -> None:
    """Fit what ``csv`` lacks, and add the rows as they come."""
    rows = read(csv).to_dict("records")
    done = {tuple(row[key] for key in KEY) for row in rows}
    for row in fitted_rows.fitted(run, [job for job in sweep.jobs() if job[1:] not in done], processes):
        rows.append(row)
        order = {job[1:]: i for i, job in enumerate(sweep.jobs())}
        known = sorted((row for row in rows if _key(row) in order), key=lambda row: order[_key(row)])
        fitted_rows.write(csv, pd.DataFrame(known))


def _key(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[key] for key in KEY)


def read(csv: Path) -> pd.DataFrame:
    """Return the rows so far."""
    return fitted_rows.read(csv, [*KEY, "status"]).fillna({"parameter": "", "value": ""})


def of_value(runs: pd.DataFrame, sweep: Sweep, parameter: str, value: Any) -> pd.DataFrame:
    """Return the rows of one value of one parameter."""
    usual = value == sweep.base()[parameter]
    wanted = ("", "") if usual else (parameter, json.dumps(value))
    return runs[(runs["parameter"] == wanted[0]) & (runs["value"] == wanted[1])]


def table(runs: pd.DataFrame, sweep: Sweep) -> str:
    """Return the page's table as Markdown."""
    head = {column: title for column, title in HEAD.items() if column in runs}
    rows = []
    for parameter, values in sweep.values.items():
        for value in values:
            own = of_value(runs, sweep, parameter, value)
            shown = f"**{value}**" if value == sweep.base()[parameter] else str(value)
            others = own.loc[own["status"] != "ok", "status"].value_counts().to_dict()
            if len(own) < len(sweep.seeds):
                others["not run"] = len(sweep.seeds) - len(own)
            trouble = ", ".join(f"{n} {status}" for status, n in others.items())
            cells = [trouble or "ok", between(own), *(_range(own[column]) for column in head)]
            rows.append([f"`{parameter}`", shown, *cells])
    titles = ["parameter", "value", "fits", "between seeds", *head.values()]
    return tabulate(rows, titles, tablefmt="pipe", disable_numparse=True)


def between(runs: pd.DataFrame) -> str:
    """Return how far the labels of two fits agree, mean over the pairs."""
    pairs = list(combinations(runs["labels"].dropna() if "labels" in runs else [], 2))
    return f"{np.mean([adjusted_rand_score(one.split(), other.split()) for one, other in pairs]):.2f}" if pairs else ""


def _range(values: pd.Series) -> str:
    known = values.dropna()
    if known.empty:
        return ""
    least, middle, most = (
        f"{number:,.0f}" if number >= 1000 else f"{number:.2g}" for number in known.quantile([0, 0.5, 1])
    )
    return middle if least == most else f"{middle} [{least}, {most}]"


def figure(runs: pd.DataFrame, sweep: Sweep) -> Figure:
    """Return one column per parameter: index, evidence of subspaces, and cost; a point per seed, a line of medians."""
    shown = {column: title for column, title in DRAWN.items() if column in runs and runs[column].notna().any()}
    made = Figure(figsize=(1.9 * len(sweep.values) + 1, 1.9 * len(shown)), layout="constrained")
    grid = made.subplots(len(shown), len(sweep.values), sharey="row", squeeze=False)
    for j, (parameter, values) in enumerate(sweep.values.items()):
        for axes, (column, title) in zip(grid[:, j], shown.items(), strict=True):
            places = range(len(values))
            found = [of_value(runs, sweep, parameter, value)[column].dropna() for value in values]
            for place, numbers in zip(places, found, strict=True):
                axes.plot([place] * len(numbers), numbers, "o", color="0.6", markersize=4)
            axes.plot(places, [numbers.median() for numbers in found], color="black")
            usual = [place for place, value in zip(places, values, strict=True) if value == sweep.base()[parameter]]
            for place in usual:
                axes.axvline(place, color="0.85", linewidth=8, zorder=0)
            axes.set_xticks(places, [str(value).replace(" ", "") for value in values], rotation=40, ha="right")
            axes.spines[["top", "right"]].set_visible(False)
            if j == 0:
                axes.set_ylabel(title)
        grid[0, j].set_title(parameter, fontsize=9)
    for axes in grid[:, 0]:  # the others of a row share its scale, once all are drawn
        axes.set_ylim(bottom=min(0, axes.get_ylim()[0]))
    for axes in grid[:-1].flat:
        axes.set_xticklabels([])
    return made


def page(csv: Path, sweep: Sweep) -> str:
    """Return the page, made from the CSV file and the sweep alone."""
    runs = read(csv)
    return PAGE.format(
        title=registry.method(sweep.method).title,
        name=sweep.name,
        about=fitted_rows.about(csv),
        data=", ".join(f"{key} {value}" for key, value in sweep.data.items()),
        n=len(sweep.seeds),
        seeds=", ".join(map(str, sweep.seeds)),
        parameters=", ".join(f"`{key}` {value}" for key, value in sweep.parameters.items()),
        reference=f"{reference(sweep):.2f}",
        rank=sweep.base().get("rank", ""),
        table=table(runs, sweep),
    )


def reference(sweep: Sweep) -> float:
    """Return the index of k-means on the fields."""
    (cube, truth), spec = planted(sweep.name), registry.method(REFERENCE)
    kmeans = registry.load(spec)(n_clusters=sweep.data["n_clusters"], seed=sweep.seeds[0], **spec.parameters)
    return float(adjusted_rand_score(truth, kmeans.fit(cube).labels))


def main() -> None:
    """Fit what is missing, and write table, page and figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=sorted(file.stem for file in SWEEPS.glob("*.yaml")))
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="fits at a time (default: one per core)")
    parser.add_argument("--docs", type=Path, default=fitted_rows.DOCS, help="folder to write to")
    parser.add_argument("--anew", action="store_true", help="forget earlier fits, as after a change of the method")
    chosen = parser.parse_args()
    sweep, csv = read_sweep(chosen.name), chosen.docs / f"sensitivity-{chosen.name}.csv"
    if chosen.anew:
        csv.unlink(missing_ok=True)
    fit_missing(sweep, csv, chosen.jobs)
    figure(read(csv), sweep).savefig(csv.with_suffix(".png"), dpi=110)
    with replacing(csv.with_suffix(".md")) as temporary:
        temporary.write_text(page(csv, sweep))


if __name__ == "__main__":
    main()
