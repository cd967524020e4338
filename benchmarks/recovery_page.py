"""The page ``docs/recovery.md``, made from ``docs/recovery.csv`` alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import permutation_test
from tabulate import tabulate

from benchmarks import fitted_rows
from benchmarks.recovery_rows import (
    COLUMNS,
    DRAWS,
    FAMILIES,
    MANY,
    MANY_DRAWS,
    MOST_DRAWS,
    NARROW,
    ORACLE,
    REFERENCE,
    SCALED,
    SIZE,
    SMALL,
    claimed,
    draws_of,
    families_of,
    fitted_as,
    fitted_to,
    shown,
    untrained_self,
)


def page(csv: Path) -> str:
    """Return the page, made from the CSV file alone."""
    runs = fitted_rows.read(csv, COLUMNS)
    size = (
        f"{SIZE['n_days']} days x {SIZE['height']} x {SIZE['width']} x {SIZE['n_variables']}, k = {SIZE['n_clusters']}"
    )
    steps = "; ".join(
        f"`{address}` {', '.join(f'{name} {value}' for name, value in values.items())}"
        for address, values in SCALED.items()
    )
    small = " ".join(
        f"`{plugin}` is a small network ({', '.join(f'{name} {value}' for name, value in values.items())}); its design "
        "was chosen with data sets 100, 101 and 200 to 207 and their regimes in view; the design before it had been "
        "fitted to all of this page, which showed that it fails on waves and dynamics."
        for plugin, values in SMALL.items()
    )
    more = ", ".join(f"{len(draws)} of {family}" for family, draws in MOST_DRAWS.items())
    return f"""# Recovery of planted regimes

Written by `python -m benchmarks.recovery` from `recovery.csv` ({fitted_rows.about(csv)}). Do not edit.

Four families of planted regimes ([datasets/synthetic](../datasets/synthetic/README.md)), {len(DRAWS)} data sets each
({size}), with seeds of their own, each fitted once with a seed of its own. The adjusted Rand index with the planted
regimes: median (quartiles) over the data sets. Rows are all methods and variants of the registry; twins in another
framework are left out, since they are to agree with what they repeat. Plugins and controls are fitted to all families,
variants at least to those whose mechanism they claim (the second table); other cells may be empty. Rows of 320 passes
have four times as long a warm-up.
Parameters are those of `method.yaml`, but for counts of steps, in proportion to the days or, for `published_code`, cut
for the cost: {steps}. The layers of {" and ".join(f"`{name}`" for name in NARROW)} and its variants,
made for 41 x 41 cells, are a quarter as wide, for the cost; two data sets of `waves` and `centroids` were looked at
before that was chosen. {small}
Fits that are not ok are counted behind the number; those that put all days into one cluster ("degenerate") have an
index of 0 that counts. `(oracle)` knows how its family is made, not the labels. Seconds: wall clock, median
over all fits, each on one thread. Rows were fitted at different times on different machines, and other work ran beside
some, so they are no measure of speed ([deep-speed.md](deep-speed.md) is).

{table(runs, shown())}

## Does training help where it claims to?

Each trained network against its untrained self (the same network with its initial weights, and the same way to
labels) and against k-means on the data, on the families whose mechanism it claims (`CLAIMS` in
`benchmarks/recovery_rows.py`): median difference of the index on the same data sets, and the one-sided p value of
the sign-flip test for paired differences, exact up to 16 of them. "Yes" is p < 0.05; with five data sets that takes a
gain on all of them (p = 0.031). `{MANY[0]}` has {len(MANY_DRAWS)} data sets here, {more}, the first
five of which are those above. No correction is made for the number of rows. Where it is "no", the method's README says
why, most of them from [recovery-stages.md](recovery-stages.md).

{claims(runs, shown())}
"""


def table(runs: pd.DataFrame, addresses: list[str]) -> str:
    """Return the table of the oracle and all addresses as Markdown."""
    families = list(FAMILIES)
    rows = []
    for address in [ORACLE, *addresses]:
        own = runs[(runs["address"] == address) & runs["draw"].isin(DRAWS)]
        taken = own["seconds"].dropna()
        seconds = f"{taken.median():.2g}" if len(taken) else ""
        cells = [cell(own[own["family"] == family], family in fitted_to(address)) for family in families]
        rows.append([address, *cells, seconds])
    return _markdown(rows, ["method", *families, "s per fit"])


def cell(runs: pd.DataFrame, wanted: bool = True) -> str:
    """Return the ARI of one address on one family, and what became of the runs that are not ok or are missing."""
    if runs.empty and not wanted:
        return ""
    others = runs.loc[runs["status"] != "ok", "status"].value_counts().to_dict()
    if len(runs) < len(DRAWS):
        others["not run"] = len(DRAWS) - len(runs)
    trouble = ", ".join(f"{n} {status}" for status, n in others.items())
    known = runs["ari"].dropna()
    if known.empty:
        return trouble
    return spread(known) + (f"; {trouble}" if trouble else "")


def spread(values: pd.Series) -> str:
    """Return median and quartiles."""
    low, middle, high = values.quantile([0.25, 0.5, 0.75])
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def claims(runs: pd.DataFrame, addresses: list[str]) -> str:
    """Return the table of claims as Markdown: each trained network against its untrained self and raw k-means."""
    ari = runs.pivot(index=["family", "draw"], columns="address", values="ari")
    rows = []
    for address in addresses:
        name, _ = fitted_as(address)
        if not claimed(name):
            continue
        rivals = [untrained_self(name), REFERENCE]
        for family in filter(fitted_to(address).__contains__, families_of(name)):
            own = ari.reindex(pd.MultiIndex.from_product([[family], draws_of(address, family)]))
            rows.append([address, family, *(_against(own, address, rival) for rival in rivals)])
    return _markdown(rows, ["method", "family", "gain over its untrained self", "gain over k-means"])


def _against(ari: pd.DataFrame, address: str, rival: str) -> str:
    """Return median difference, p and a verdict, on the data sets that both have labels for."""
    if address not in ari or rival not in ari:
        return "not run"
    difference = (ari[address] - ari[rival]).dropna().to_numpy()
    if not len(difference):
        return "not run"
    p = p_greater(difference)
    verdict = "yes" if p < 0.05 else "no"
    rounded = f"p = {p:.3f}" if p >= 0.0005 else "p < 0.001"
    return f"{verdict}: {np.median(difference):+.2f}, {rounded}, n = {len(difference)}"


def p_greater(differences: np.ndarray) -> float:
    """Return the one-sided p value of the sign-flip test that the mean of paired differences is above zero.

    Exact up to 16 differences; of more, from 100,000 flips of the 2^n.
    """
    options = {"permutation_type": "samples", "alternative": "greater", "n_resamples": 99_999, "rng": 0}
    return float(permutation_test((differences,), np.mean, **options).pvalue)


def _markdown(rows: list[list[str]], head: list[str]) -> str:
    return tabulate(rows, head, tablefmt="pipe", disable_numparse=True)
