"""The page ``docs/recovery-stages.md``: where networks that find no planted regimes lose them.

``python -m benchmarks.recovery_stages`` fits what ``docs/recovery-stages.csv`` does not hold yet, two fits at a time
(half an hour on two cores), and writes the page from that file alone.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans
from sklearn.linear_model import RidgeClassifierCV
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tabulate import tabulate

from benchmarks import fitted_rows
from benchmarks.recovery import fit, planted
from benchmarks.recovery_page import spread
from benchmarks.recovery_rows import DRAWS, SIZE, families_of, untrained
from datasets.synthetic.oracles import scaled_table
from regimebench.files import replacing

FIELDS = "(fields)"
"""The days as they are, without a network."""

STOPS: dict[str, dict[str, dict[str, object]]] = {
    "dec": {"pre-trained": {"max_steps": 0}},
    "dsc": {"pre-trained": {"max_steps": 0}},
    "dtc": {"pre-trained": {"epochs": 0}},
    "dtc/days": {"pre-trained": {"epochs": 0}},
    "dtcr": {},
    "dtcr/days": {},
    "clustergan": {"300 steps": {"steps": 300}},
    "infogan": {"500 updates": {"steps": 500}},
    "infogan/conv": {},
}
"""What is changed to stop a network on its way."""

STAGES = {FIELDS: {"": {}}} | {
    address: {"untrained": untrained(address), **stops, "trained": {}} for address, stops in STOPS.items()
}

GENERATED = ("nearest_generated", "code_occupancy")
"""Diagnostics of generative networks: whether days that they make lie among the days."""

FOLDS = 6
COLUMNS = ["address", "stage", "family", "draw", "labels", "kmeans", "readout", *GENERATED]


def families(address: str) -> tuple[str, ...]:
    """Return the families that a row is fitted to: those that it claims, and for the fields those of all rows."""
    if address == FIELDS:
        return tuple(dict.fromkeys(family for other in STAGES if other != FIELDS for family in families(other)))
    return families_of(address)


def run(address: str, stage: str, family: str, draw: int) -> dict[str, object]:
    """Fit one method up to a stage and return a row of the table."""
    cube, truth, _ = planted(family, draw)
    row = {"address": address, "stage": stage, "family": family, "draw": draw}
    if address == FIELDS:
        table = scaled_table(np.where(cube.mask, cube.values, np.nan))
        return row | {"kmeans": kmeans(table, truth), "readout": readout(table, truth)}
    found = fit(address, cube, draw, **STAGES[address][stage])
    row["labels"] = adjusted_rand_score(truth, found.labels)
    if found.embedding is not None:
        code = found.embedding.reshape(len(truth), -1)
        row |= {"kmeans": kmeans(code, truth), "readout": readout(code, truth)}
    return row | {name: found.diagnostics[name] for name in GENERATED if name in found.diagnostics}


def kmeans(code: np.ndarray, truth: np.ndarray) -> float:
    """Return the index of k-means on a code."""
    return adjusted_rand_score(truth, KMeans(SIZE["n_clusters"], n_init=20, random_state=0).fit_predict(code))


def readout(code: np.ndarray, truth: np.ndarray) -> float:
    """Return the index of what a linear classifier, told the regimes of the other days, says of stretches of days.

    The days are left out in ``FOLDS`` sets of three stretches of four days each: neighbours of a day are alike.
    """
    stretches = np.arange(len(truth)) // 4
    reader = make_pipeline(StandardScaler(), RidgeClassifierCV(np.logspace(-2, 4, 13)))
    told = cross_val_predict(reader, code, truth, groups=stretches, cv=GroupKFold(FOLDS, shuffle=True, random_state=0))
    return adjusted_rand_score(truth, told)


def fit_missing(csv: Path, addresses: list[str], jobs: int) -> None:
    """Fit what ``csv`` lacks, and add the rows as they come."""
    rows = read(csv).to_dict("records")
    done = {tuple(row[name] for name in ("address", "stage", "family", "draw")) for row in rows}
    wanted = [(a, stage, *which) for a in addresses for stage in STAGES[a] for which in product(families(a), DRAWS)]
    for row in fitted_rows.fitted(run, [job for job in wanted if job not in done], jobs):
        rows.append(row)
        write(csv, pd.DataFrame(rows, columns=COLUMNS))


def read(csv: Path) -> pd.DataFrame:
    """Return the rows so far."""
    return fitted_rows.read(csv, COLUMNS).fillna({"stage": ""})


def write(csv: Path, runs: pd.DataFrame) -> None:
    """Write the rows in the order of the page."""
    place = {pair: i for i, pair in enumerate((address, stage) for address in STAGES for stage in STAGES[address])}
    order = [place[pair] for pair in zip(runs["address"], runs["stage"], strict=True)]
    fitted_rows.write(csv, runs.assign(order=order).sort_values(["order", "family", "draw"]).drop(columns="order"))


def table(runs: pd.DataFrame) -> str:
    """Return the medians of every stage as Markdown."""
    rows = []
    for address in STAGES:
        for family, stage in product(families(address), STAGES[address]):
            own = runs[(runs["address"] == address) & (runs["stage"] == stage) & (runs["family"] == family)]
            cells = [_spread(own[name]) for name in ("labels", "kmeans", "readout", *GENERATED)]
            lacking = len(DRAWS) - len(own)
            rows.append([address, family, f"{stage} ({lacking} not run)" if lacking else stage, *cells])
    head = ["method", "family", "stage", "labels", "k-means", "told the regimes"]
    head += ["nearest generated", "categories used"]
    return tabulate(rows, head, tablefmt="pipe", disable_numparse=True)


def _spread(values: pd.Series) -> str:
    known = values.dropna()
    return spread(known) if len(known) else ""


def page(csv: Path) -> str:
    """Return the page, made from the CSV file alone."""
    runs = read(csv)
    return f"""# Where regimes are lost

Written by `python -m benchmarks.recovery_stages` from `recovery-stages.csv` ({fitted_rows.about(csv)}). Do not edit.

Networks that, on the family they claim, do not beat their untrained selves or k-means in [recovery](recovery.md), on
the same {len(DRAWS)} data sets and with the same parameters, stopped after each stage. (For subspaces, see
[a year of subspaces](recovery-subspaces.md): they meet at the mean day, where no linear classifier tells them apart.)
Adjusted Rand index with the planted regimes, median (quartiles):

- labels: the method's own;
- k-means: of its code, best of 20 starts. Where labels are below it, the method's own clustering loses regimes;
- told the regimes: a linear classifier on the code, which is told the regimes of five sixths of the days and says
  those of the others, stretches of four days at a time. Where it is below that of `{FIELDS}`, or of an earlier stage,
  the code has lost some of what tells regimes apart; where it is high and k-means low, the regimes are in the code, but
  are not its groups. A benchmark may know the truth; no method does.

For generative networks, the median distance from a day to the nearest generated one in units of the median distance
to the nearest other day, and the categories that the days have, of {SIZE["n_clusters"]}.

{table(runs)}
"""


def main() -> None:
    """Fit what is missing, and write ``docs/recovery-stages.csv`` and ``docs/recovery-stages.md``."""
    chosen = fitted_rows.options(__doc__, list(STAGES)).parse_args()
    csv = chosen.docs / "recovery-stages.csv"
    if chosen.only:
        known = read(csv)
        write(csv, known[~known["address"].isin(chosen.only)])
    fit_missing(csv, chosen.only or list(STAGES), chosen.jobs)
    with replacing(chosen.docs / "recovery-stages.md") as temporary:
        temporary.write_text(page(csv))


if __name__ == "__main__":
    main()
