"""The page ``docs/recovery-subspaces.md``: a year of planted subspaces, and where the labels come from.

``python -m benchmarks.recovery_subspaces`` fits what ``docs/recovery-subspaces.csv`` does not hold yet, two fits at a
time, and writes the page from that file alone.
"""

from __future__ import annotations

import sys
import time
import warnings
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import adjusted_rand_score
from tabulate import tabulate

from benchmarks import fitted_rows
from benchmarks.recovery import made
from benchmarks.recovery_page import spread
from benchmarks.recovery_rows import CLAIMS, ORACLE, SMALL, ranked
from regimebench import registry
from regimebench.alarms import ALARMS
from regimebench.dataset import Cube
from regimebench.diagnostics import diagnose
from regimebench.failures import describe
from regimebench.files import replacing
from regimebench.method import check_fit

YEAR = {"family": "subspaces", "n_days": 365, "height": 16, "width": 16, "n_variables": 3, "n_clusters": 7}
DRAWS = range(200, 205)
"""Seeds of the planted data sets and of the fits; settings were chosen with others in view."""

CONTROLS = ("random", "calendar", "kmeans", "eof_kmeans", "hierarchical")
SHOWN = (
    *("agreement_plain_cut", "agreement_raw_data", "effective_rank_centred", "norm_ratio"),
    *("residual", "c_norm", "c_diagonal", "twins", "dead_units"),
)


def addresses() -> list[str]:
    """Return the rows: controls, and all variants of methods that claim subspaces and are made for such small days."""
    claiming = {name for name, families in CLAIMS.items() if "subspaces" in families and name not in SMALL}
    return [*CONTROLS, *(address for address in ranked() if address.partition("/")[0] in claiming)]


@cache
def planted(draw: int) -> tuple[Cube, np.ndarray, np.ndarray]:
    """Return the cube of one planted year, its regimes, and what the oracle finds."""
    return made(**YEAR, seed=draw)


def run(address: str, draw: int) -> dict[str, object]:
    """Fit one method to one year and return a row; a fit that fails is a row."""
    cube, truth, oracle = planted(draw)
    row = {"address": address, "draw": draw, "status": "ok"}
    if address == ORACLE:
        return row | {"ari": adjusted_rand_score(truth, oracle)}
    spec, k = registry.method(address), YEAR["n_clusters"]
    started = time.process_time()
    try:
        method = registry.load(spec)(n_clusters=k, seed=draw, **spec.parameters)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fit = check_fit(method.fit(cube), cube.n_days, k)
    except Exception as error:
        status, message = describe(error, spec.folder)
        print(f"{address}, {draw}: {message}", file=sys.stderr)
        return row | {"status": status}
    seconds = time.process_time() - started
    values = diagnose(fit, cube.time, k) | {"clusters_found": len(set(fit.labels)), "n_clusters": k}
    raised = [alarm for alarm in ALARMS if alarm.raised(values)]
    scores = {f"ari_{name}": adjusted_rand_score(truth, labels) for name, labels in fit.other_labels.items()}
    return row | {
        "status": "degenerate" if any(alarm.collapse for alarm in raised) else "ok",
        "ari": adjusted_rand_score(truth, fit.labels),
        "seconds": seconds,
        "marks": " ".join(alarm.mark for alarm in raised),
        **scores,
        **{name: values[name] for name in SHOWN if name in values},
    }


def fit_missing(csv: Path, chosen: list[str], jobs: int) -> None:
    """Fit what ``csv`` lacks of some rows, and add the rows as they come."""
    known = read(csv)
    done = set(zip(known["address"], known["draw"], strict=True))
    rows = known.to_dict("records")
    for row in fitted_rows.fitted(run, [job for job in product(chosen, DRAWS) if job not in done], jobs):
        rows.append(row)
        write(csv, pd.DataFrame(rows))


def read(csv: Path) -> pd.DataFrame:
    """Return the rows so far."""
    return fitted_rows.read(csv, ["address", "draw", "status"])


def write(csv: Path, runs: pd.DataFrame) -> None:
    """Write the rows in the order of the page."""
    place = {address: i for i, address in enumerate([ORACLE, *addresses()])}
    ordered = runs[runs["address"].isin(place)]
    ordered = ordered.sort_values(["address", "draw"], key=lambda column: column.map(place).fillna(column))
    fitted_rows.write(csv, ordered)


def table(runs: pd.DataFrame) -> str:
    """Return the index of the labels, and of labels read off in other ways, as Markdown."""
    head = {"ari": "labels", "ari_plain_cut": "plain cut of C", "ari_raw_data": "same step on raw data"}
    rows = []
    for address in [ORACLE, *addresses()]:
        own = runs[runs["address"] == address]
        others = own.loc[own["status"] != "ok", "status"].value_counts().to_dict()
        if len(own) < len(DRAWS):
            others["not run"] = len(DRAWS) - len(own)
        trouble = ", ".join(f"{n} {status}" for status, n in others.items())
        cells = [_spread(own, name) for name in head]
        cells[0] = "; ".join(filter(None, (cells[0], trouble)))
        rows.append([address, *cells, _median(own, "seconds", ".2g")])
    return tabulate(rows, ["method", *head.values(), "s per fit"], tablefmt="pipe", disable_numparse=True)


def diagnostics(runs: pd.DataFrame) -> str:
    """Return the medians of the diagnostics of methods that have an embedding or a C, as Markdown."""
    rows = []
    for address in addresses():
        own = runs[runs["address"] == address]
        cells = [_median(own, name, ".3g") for name in SHOWN]
        if any(cells):
            counts = own["marks"].fillna("").str.split().explode().dropna().value_counts()
            often = [alarm.mark for alarm in ALARMS if counts.get(alarm.mark, 0) >= len(own) / 2]
            rows.append([address, " ".join(often), *cells])
    return tabulate(rows, ["method", "marks", *SHOWN], tablefmt="pipe", disable_numparse=True)


def _spread(runs: pd.DataFrame, name: str) -> str:
    known = runs[name].dropna() if name in runs else []
    return spread(known) if len(known) else ""


def _median(runs: pd.DataFrame, name: str, form: str) -> str:
    known = runs[name].dropna() if name in runs else []
    return f"{known.median():{form}}" if len(known) else ""


def page(csv: Path) -> str:
    """Return the page, made from the CSV file alone."""
    runs, about = read(csv), fitted_rows.about(csv)
    return f"""# Recovery of a year of subspaces

Written by `python -m benchmarks.recovery_subspaces` from `recovery-subspaces.csv` ({about}). Do not edit.

Family `subspaces` of [datasets/synthetic](../datasets/synthetic/README.md) at the length of the papers' data: 365
days x 16 x 16 x 3, seven regimes of 22 to 100 days, data sets and fits with seeds {DRAWS[0]} to {DRAWS[-1]}, on
which no setting was chosen. Parameters are those of `method.yaml`. Adjusted Rand index with the planted regimes:
median (quartiles) of {len(DRAWS)} fits; fits that are not ok are counted behind it. `(oracle)` knows how the family
is made, not the labels. Beside the labels: the plain cut of the same C, and the same step from C to labels on the
least-squares C of the raw data, without any network. Seconds: CPU time on one thread, median.

{table(runs)}

## Diagnostics

Medians; what each means, and the marks: [diagnostics](diagnostics.md).

{diagnostics(runs)}
"""


def main() -> None:
    """Fit what is missing, and write ``docs/recovery-subspaces.csv`` and ``docs/recovery-subspaces.md``."""
    chosen = fitted_rows.options(__doc__, addresses()).parse_args()
    csv = chosen.docs / "recovery-subspaces.csv"
    if chosen.only:
        known = read(csv)
        write(csv, known[~known["address"].isin(chosen.only)])
    fit_missing(csv, chosen.only or [ORACLE, *addresses()], chosen.jobs)
    with replacing(chosen.docs / "recovery-subspaces.md") as temporary:
        temporary.write_text(page(csv))


if __name__ == "__main__":
    main()
