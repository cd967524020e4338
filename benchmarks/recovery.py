"""The page ``docs/recovery.md``: which planted family each method finds, and whether training helps.

``python -m benchmarks.recovery`` fits what ``docs/recovery.csv`` does not hold yet, two fits at a time (hours for
all methods on two cores; ``--only dec dtc`` fits these again), and writes the page from that file alone.
"""

from __future__ import annotations

import sys
import tempfile
import time
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import adjusted_rand_score

from benchmarks import fitted_rows
from benchmarks.planted_families import defaults, masked_fields
from benchmarks.recovery_page import page
from benchmarks.recovery_rows import COLUMNS, FAMILIES, ORACLE, SIZE, draws_of, everything, fitted_as, fitted_to, scaled
from datasets.synthetic.oracles import ORACLES
from datasets.synthetic.settings import planting
from regimebench import registry
from regimebench.dataset import Cube
from regimebench.failures import describe
from regimebench.files import replacing
from regimebench.method import Fit, check_fit
from regimebench.preprocess import preprocess


@cache
def planted(family: str, draw: int) -> tuple[Cube, np.ndarray, np.ndarray]:
    """Return the cube of one planted data set, its regimes, and what the family's oracle finds."""
    return made(**{**SIZE, **FAMILIES[family], "family": family, "seed": draw})


def made(**chosen: object) -> tuple[Cube, np.ndarray, np.ndarray]:
    """Return the same for any settings of the data set; those left out are its defaults."""
    settings = {**defaults(), **chosen}
    family = settings["family"]
    plan = planting(settings)
    dataset = registry.load(registry.dataset("synthetic"))(**settings)
    with tempfile.TemporaryDirectory() as folder:
        dataset.download(Path(folder))
        with dataset.open(Path(folder)) as fields:
            cube = preprocess(fields, "standard", name=family)
    return cube, plan.labels, ORACLES[family](plan, masked_fields(plan))


def run(address: str, family: str, draw: int) -> list[object]:
    """Fit one method to one planted data set and return a row of the table; a fit that fails is a row."""
    cube, truth, oracle = planted(family, draw)
    started = time.perf_counter()
    status, ari, seconds = "ok", np.nan, np.nan
    if address == ORACLE:
        return [address, family, draw, status, adjusted_rand_score(truth, oracle), np.nan]
    name, changed = fitted_as(address)
    try:
        labels = fit(name, cube, draw, **changed).labels
    except Exception as error:
        status, message = describe(error, registry.method(name).folder)
        print(f"{address}, {family} {draw}: {message}", file=sys.stderr)
    else:
        ari, seconds = adjusted_rand_score(truth, labels), time.perf_counter() - started
        status = "ok" if len(set(labels)) > 1 else "degenerate"
    return [address, family, draw, status, ari, seconds]


def fit(address: str, cube: Cube, seed: int, **changed: object) -> Fit:
    """Fit a method with the parameters of this page, except for those that are ``changed``."""
    spec, k = registry.method(address), SIZE["n_clusters"]
    method = registry.load(spec)(n_clusters=k, seed=seed, **{**spec.parameters, **scaled(address), **changed})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return check_fit(method.fit(cube), cube.n_days, k)


def missing(known: pd.DataFrame, addresses: list[str], families: list[str]) -> list[tuple[str, str, int]]:
    """Return the fits that have no row yet, methods in the order given."""
    done = set(known[["address", "family", "draw"]].itertuples(index=False, name=None))
    rows = [(address, family) for address in addresses for family in families if family in fitted_to(address)]
    jobs = [(*row, draw) for row in rows for draw in draws_of(*row)]
    return [job for job in jobs if job not in done]


def fit_missing(csv: Path, addresses: list[str], families: list[str], jobs: int) -> None:
    """Fit what ``csv`` lacks, and add the rows as they come."""
    known = read(csv)
    for row in fitted_rows.fitted(run, missing(known, addresses, families), jobs):
        known.loc[len(known)] = row
        write(csv, known)


def read(csv: Path) -> pd.DataFrame:
    """Return the rows so far."""
    return fitted_rows.read(csv, COLUMNS)


def write(csv: Path, runs: pd.DataFrame) -> None:
    """Write the rows in the order of the registry."""
    place = {address: i for i, address in enumerate(everything())}
    ordered = runs[runs["address"].isin(place)].sort_values(
        ["address", "family", "draw"],
        key=lambda column: column.map({**place, **{name: i for i, name in enumerate(FAMILIES)}}).fillna(column),
    )
    fitted_rows.write(csv, ordered)


def main() -> None:
    """Fit what is missing, and write ``docs/recovery.csv`` and ``docs/recovery.md``."""
    parser = fitted_rows.options(__doc__, everything())
    parser.add_argument("--families", nargs="+", choices=list(FAMILIES), default=list(FAMILIES))
    chosen = parser.parse_args()
    csv = chosen.docs / "recovery.csv"
    if chosen.only:
        known = read(csv)
        write(csv, known[~(known["address"].isin(chosen.only) & known["family"].isin(chosen.families))])
    fit_missing(csv, chosen.only or everything(), chosen.families, chosen.jobs)
    with replacing(chosen.docs / "recovery.md") as temporary:
        temporary.write_text(page(csv))


if __name__ == "__main__":
    main()
