"""The page ``docs/recovery.md``: which planted family each method finds, and whether training helps.

First ``snakemake --cores all --configfile config/recovery.yaml`` (hours), then ``python -m benchmarks.recovery``. It
copies the scores it needs to ``docs/recovery.csv`` and writes the page from that file alone.
"""

from __future__ import annotations

import argparse
import datetime
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from tabulate import tabulate

from regimebench import provenance, registry
from regimebench.config import make_plan, read_config
from regimebench.files import replacing

ROOT = Path(__file__).resolve().parents[1]
CONFIG, DOCS = ROOT / "config" / "recovery.yaml", ROOT / "docs"
COLUMNS = ["address", "family", "dataset", "status", "ari", "seconds"]
REFERENCE, ORACLE = "kmeans", "(oracle)"

CLAIMS = {
    "dec": ("centroids",),
    "dtc": ("waves",),
    "dtc/days": ("dynamics",),
    "dtcr": ("dynamics",),
    "dsc": ("waves", "dynamics"),
    "dsc/published_code": ("waves",),
    "dsc/cnn_encoder": ("waves",),
    "dsc/cnn_autoencoder": ("waves",),
}
"""The families whose mechanism a trained network claims; a variant without an entry claims what its plugin claims.

DEC: clusters about centres in a code. Convolutions and shape distances along the grid: a pattern wherever it is.
Models of sequences of days: how the state moves; the published DSC has sequences of one day.
"""


def collect(results: Path, datasets: dict[str, str], addresses: list[str]) -> pd.DataFrame:
    """Return one row per address and data set, with status ``not run`` where there is no record.

    Parameters
    ----------
    results : Path
        Results folder of a run, whose data sets have been evaluated or not.
    datasets : dict of str to str
        Data set -> family.
    addresses : list of str
        Methods that the table must show.

    Returns
    -------
    DataFrame
        Columns :data:`COLUMNS`; ``ari`` is missing where there are no labels.
    """
    rows = []
    for dataset, family in datasets.items():
        folder = results / dataset
        runs, ari = {}, {}
        if (folder / "scores.csv").is_file():
            scores = pd.read_csv(folder / "scores.csv")
            chosen = scores[(scores["protocol"] == "truth") & (scores["metric"] == "ari") & (scores["seed"] == 0)]
            ari = chosen.set_index("address")["value"].to_dict()
            found = pd.read_csv(folder / "runs.csv")
            runs = found[found["seed"] == 0].set_index("address")[["status", "seconds"]].to_dict("index")
        if ORACLE in ari:
            runs[ORACLE] = {"status": "ok", "seconds": np.nan}
        for address in [ORACLE, *addresses]:
            run = runs.get(address, {"status": "not run", "seconds": np.nan})
            rows.append([address, family, dataset, run["status"], ari.get(address, np.nan), run["seconds"]])
    return pd.DataFrame(rows, columns=COLUMNS)


def spread(values: pd.Series) -> str:
    """Return median and quartiles."""
    low, middle, high = values.quantile([0.25, 0.5, 0.75])
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def cell(runs: pd.DataFrame) -> str:
    """Return the ARI of one address on one family, and what became of the runs that are not ok."""
    others = runs.loc[runs["status"] != "ok", "status"].value_counts()
    trouble = ", ".join(f"{n} {status}" for status, n in others.items())
    known = runs["ari"].dropna()
    if known.empty:
        return trouble
    return spread(known) + (f"; {trouble}" if trouble else "")


def table(runs: pd.DataFrame) -> str:
    """Return the table of all addresses as Markdown."""
    families = list(dict.fromkeys(runs["family"]))
    rows = []
    for address in dict.fromkeys(runs["address"]):
        own = runs[runs["address"] == address]
        taken = own["seconds"].dropna()
        seconds = f"{taken.median():.2g}" if len(taken) else ""
        rows.append([address, *(cell(own[own["family"] == family]) for family in families), seconds])
    return _markdown(rows, ["method", *families, "s per fit"])


def p_greater(differences: np.ndarray) -> float:
    """Return the exact one-sided p value of the sign-flip test that the mean of paired differences is above zero."""
    flips = np.array(list(product([1, -1], repeat=len(differences))))
    means = flips @ differences
    return float(np.mean(means >= means[0] - 1e-12))


def families_of(address: str) -> tuple[str, ...]:
    """Return the families that a method claims; none if nothing is declared."""
    return CLAIMS.get(address, CLAIMS.get(address.partition("/")[0], ()))


def claims(runs: pd.DataFrame) -> str:
    """Return the table of claims as Markdown: each trained network against its untrained self and raw k-means."""
    ari = runs.pivot(index="dataset", columns="address", values="ari")
    rows = []
    for address in [
        address for address in ari.columns.intersection(list(dict.fromkeys(runs["address"]))) if claimed(address)
    ]:
        for family in families_of(address):
            own = ari[runs.drop_duplicates("dataset").set_index("dataset")["family"].reindex(ari.index) == family]
            rivals = [f"{address.partition('/')[0]}/untrained", REFERENCE]
            rows.append([address, family, *(_against(own, address, rival) for rival in rivals)])
    return _markdown(rows, ["method", "family", "gain over its untrained self", "gain over k-means"])


def claimed(address: str) -> bool:
    """Say whether an address is a network whose training has to show."""
    if address == ORACLE:
        return False
    spec = registry.method(address)
    return spec.kind == "method" and spec.framework == "torch"


def _against(ari: pd.DataFrame, address: str, rival: str) -> str:
    """Return median difference, p and a verdict, on the data sets that both have labels for."""
    if rival not in ari:
        return f"there is no {rival}"
    difference = (ari[address] - ari[rival]).dropna().to_numpy()
    if not len(difference):
        return "not run"
    p = p_greater(difference)
    verdict = "yes" if p < 0.05 else "no"
    return f"{verdict}: {np.median(difference):+.2f}, p = {p:.3f}, n = {len(difference)}"


def _markdown(rows: list[list[str]], head: list[str]) -> str:
    return tabulate(rows, head, tablefmt="pipe", disable_numparse=True)


def page(csv: Path) -> str:
    """Return the page, made from the CSV file alone."""
    about = csv.read_text().partition("\n")[0].removeprefix("# ")
    runs = pd.read_csv(csv, comment="#")
    draws = runs.groupby("family")["dataset"].nunique().max()
    return f"""# Recovery of planted regimes

Written by `python -m benchmarks.recovery` from `recovery.csv`, which it took from a run of `config/recovery.yaml` with
the parameters of each `method.yaml` ({about}). Do not edit.

Four families of planted regimes ([datasets/synthetic](../datasets/synthetic/README.md)): {draws} data sets each, with
seeds of their own, each fitted once. The adjusted Rand index with the planted regimes: median (quartiles) over the data
sets. Rows are all methods and variants of the registry; twins in another framework are left out, since they are to
agree with what they repeat. Runs that are not ok are counted behind the number. Of those, runs that put all days into
one cluster ("degenerate") have an index of 0 that counts; the others have none. `(oracle)` knows how its family is
made, not the labels.

{table(runs)}

## Does training help where it claims to?

Each trained network against k-means on the code of its untrained self and against k-means on the data, on the families
whose mechanism it claims (`CLAIMS` in `benchmarks/recovery.py`): median difference of the index on the same data sets,
and the exact one-sided p value of the sign-flip test for paired differences. "Yes" is p < 0.05; with five data sets
that takes a gain on all of them (p = 0.031). No correction is made for the number of rows.

{claims(runs)}
"""


def main() -> None:
    """Write ``docs/recovery.csv`` and ``docs/recovery.md``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, help="results folder (default: that of config/recovery.yaml)")
    parser.add_argument("--docs", type=Path, default=DOCS, help="folder to write to")
    chosen = parser.parse_args()
    plan = make_plan(read_config(CONFIG), str(CONFIG))
    datasets = {name: entry.params["family"] for name, entry in plan.datasets.items()}
    runs = collect(chosen.results or ROOT / plan.results, datasets, ranked())
    machine = ", ".join(f"{key} {value}" for key, value in provenance.machine().items())
    csv = chosen.docs / "recovery.csv"
    with replacing(csv) as temporary:
        temporary.write_text(f"# {datetime.date.today()}, {machine}\n{runs.round(6).to_csv(index=False)}")
    with replacing(chosen.docs / "recovery.md") as temporary:
        temporary.write_text(page(csv))


def ranked() -> list[str]:
    """Return every address of the registry that is not a twin."""
    return [address for address in registry.addresses() if registry.method(address).kind != "twin"]


if __name__ == "__main__":
    main()
