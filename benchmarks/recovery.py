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
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import adjusted_rand_score
from tabulate import tabulate

from benchmarks import fitted_rows
from benchmarks.planted_families import defaults, masked_fields
from datasets.synthetic.oracles import ORACLES
from datasets.synthetic.settings import planting
from regimebench import registry
from regimebench.dataset import Cube
from regimebench.failures import describe
from regimebench.files import replacing
from regimebench.method import Fit, check_fit
from regimebench.preprocess import preprocess

COLUMNS = ["address", "family", "draw", "status", "ari", "seconds"]
REFERENCE, ORACLE = "kmeans", "(oracle)"
SELF = " (untrained)"
"""Behind the address of a variant: its own network with its initial weights, which may be another than its plugin's."""

SIZE = {"n_days": 72, "height": 16, "width": 16, "n_variables": 3, "n_clusters": 3}
FAMILIES = {"centroids": {"offset": 0.5}, "subspaces": {}, "waves": {}, "dynamics": {}}
"""Sizes at which every family's oracle succeeds and k-means does not (see planted_families.py)."""

DRAWS = range(100, 105)
"""Seeds of the planted data sets; the families' constants were chosen on others."""

SCALED = {
    "dec": {"layer_steps": 200, "joint_steps": 400, "decay_steps": 80},
    "dec/idec": {"layer_steps": 200, "joint_steps": 400, "decay_steps": 80},
    "clustergan/published_code": {"steps": 2500},
    "infogan/published_code": {"steps": 1000},
}
"""Counts of steps in proportion to the number of days, 72 of 365.

DSC keeps its counts: its network gives back the mean day for some 250 steps, however few the days (its README).
ClusterGAN's authors take 100,000 steps, hours for each fit; 2,500 are twice the default here, for the cost alone. So
are InfoGAN's 1,000 updates of 5,000.
"""

NARROW = ("dsc",)
WIDTHS, NARROWING = ("filters", "units", "code", "decoder"), 4
"""Plugins whose layers are a quarter as wide here, and the parameters that say how wide they are.

For the cost: with all of it a fit took 7 to 12 minutes beside other work. What a quarter finds in two of the data sets
of two families was looked at before it was chosen, and the page says so.
"""

SMALL = {
    "a_datsc": {
        "filters": [8, 16],
        "patch": [1, 1],
        "n_heads": 2,
        "latent": 128,
        "hidden": [64, 64, 256],
        "rank": 3,
        "warmup_epochs": 80,
        "warmup_lr": 0.003,
        "joint_epochs": 40,
        "joint_lr": 0.003,
    },
}
"""Plugins whose network is made for larger days, and what it is here, where a variant says nothing else.

A-DATSC's four levels leave one node of 16 x 16 cells. 80 passes are 160 updates; a year at the default has 400. What
was looked at while this network was designed is on the page.
"""

MANY, MANY_DRAWS = ("a_datsc", "a_datsc/untrained", REFERENCE), range(100, 110)
"""A network that is compared with its rivals on more data sets, and these.

With five, only a gain on all of them is told from chance, and what is found of waves and dynamics in 72 days varies
much from one data set to the next.
"""

FROM_CENTRES = ("faithful", "gat", "dec", "window_30")
FROM_SUBSPACES = ("edesc", "spectral", "no_balance", "no_skips", "messages", "mean_pooling", "window_73")
FROM_C = ("cnn_lstm", "no_adversary", "transformer", "held_target", "printed_expression")
"""A-DATSC's ablations are fitted to some families, for the cost: centroids where clusters start from k-means,
subspaces where they start from C or, `edesc`, from bases; waves and dynamics too where the part that is left out or
changed may matter for what moves."""

CLAIMS = {
    "dec": ("centroids",),
    "dtc": ("waves",),
    "dtc/days": ("dynamics",),
    "dtcr": ("dynamics",),
    "dsc": ("waves", "dynamics"),
    "dsc/published_code": ("waves",),
    "dsc/cnn_encoder": ("waves",),
    "dsc/cnn_autoencoder": ("waves",),
    "dsc_net": ("subspaces",),
    "dasc": ("subspaces",),
    "dsc_dag": ("subspaces",),
    "edesc": ("subspaces",),
    "pro_dsc": ("subspaces",),
    "senet": ("subspaces",),
    "clustergan": ("centroids",),
    "infogan": ("centroids",),
    "a_datsc": ("centroids", "subspaces", "waves", "dynamics"),
    **{f"a_datsc/{variant}": ("centroids",) for variant in FROM_CENTRES},
    **{f"a_datsc/{variant}": ("subspaces",) for variant in FROM_SUBSPACES},
    **dict.fromkeys(("a_datsc/sel", "a_datsc/tabular"), ("centroids", "subspaces", "waves", "dynamics")),
    **{f"a_datsc/{variant}": ("subspaces", "waves", "dynamics") for variant in FROM_C},
}
"""The families whose mechanism a trained network claims; a variant without an entry claims what its plugin claims.

DEC: clusters about centres in a code. Convolutions and shape distances along the grid: a pattern wherever it is.
Models of sequences of days: how the state moves; the published DSC has sequences of one day.
Self-expression and learnt bases: subspaces. Generative networks: a mode of the data for each category. A-DATSC claims
all of it: ConvLSTM and attention for what moves, centres, self-expression and bases for what stands.
"""


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
    name = address.removesuffix(SELF)
    try:
        labels = fit(name, cube, draw, **(untrained(name) if name != address else {})).labels
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


def untrained(address: str) -> dict[str, object]:
    """Return the parameters by which a network of this plugin stays untrained."""
    plugin = address.partition("/")[0]
    usual = registry.method(plugin).parameters
    return {
        name: value for name, value in registry.method(f"{plugin}/untrained").parameters.items() if value != usual[name]
    }


def untrained_self(address: str) -> str:
    """Return the row that a trained network has to beat."""
    return f"{address}{SELF}" if "/" in address else f"{address}/untrained"


def scaled(address: str) -> dict[str, object]:
    """Return the parameters that are other than in ``method.yaml``."""
    plugin = address.partition("/")[0]
    known, usual = registry.method(address).parameters, registry.method(plugin).parameters
    small = {name: value for name, value in SMALL.get(plugin, {}).items() if known[name] == usual[name]}
    narrow = {name: _narrow(known[name]) for name in WIDTHS if plugin in NARROW and name in known}
    alike = {"precision": "float32"} if "precision" in known else {}  # on every processor
    return narrow | alike | small | SCALED.get(address, {})


def _narrow(width: object) -> object:
    """Return a width, or each width of a list, divided; the names of layers without one stay."""
    if isinstance(width, list):
        return [_narrow(one) for one in width]
    return width // NARROWING if isinstance(width, int) else width


def missing(known: pd.DataFrame, addresses: list[str], families: list[str]) -> list[tuple[str, str, int]]:
    """Return the fits that have no row yet, methods in the order given."""
    done = set(known[["address", "family", "draw"]].itertuples(index=False, name=None))
    jobs = [job for address in addresses for job in product([address], families, draws_of(address))]
    return [job for job in jobs if job not in done and job[1] in fitted_to(job[0])]


def draws_of(address: str) -> range:
    """Return the seeds of the data sets that an address is fitted to."""
    return MANY_DRAWS if address in MANY else DRAWS


def fitted_to(address: str) -> tuple[str, ...]:
    """Return the families that an address is fitted to: a variant that is trained, to those that it claims alone."""
    name = address.removesuffix(SELF)
    return families_of(name) if "/" in name and claimed(name) else tuple(FAMILIES)


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


def spread(values: pd.Series) -> str:
    """Return median and quartiles."""
    low, middle, high = values.quantile([0.25, 0.5, 0.75])
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


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


def p_greater(differences: np.ndarray) -> float:
    """Return the exact one-sided p value of the sign-flip test that the mean of paired differences is above zero."""
    flips = np.array(list(product([1, -1], repeat=len(differences))))
    means = flips @ differences
    return float(np.mean(means >= means[0] - 1e-12))


def families_of(address: str) -> tuple[str, ...]:
    """Return the families that a method claims; none if nothing is declared."""
    return CLAIMS.get(address, CLAIMS.get(address.partition("/")[0], ()))


def claims(runs: pd.DataFrame, addresses: list[str]) -> str:
    """Return the table of claims as Markdown: each trained network against its untrained self and raw k-means."""
    ari = runs.pivot(index=["family", "draw"], columns="address", values="ari")
    rows = []
    for address in filter(claimed, addresses):
        rivals = [untrained_self(address), REFERENCE]
        for family in families_of(address):
            own = ari.reindex(pd.MultiIndex.from_product([[family], draws_of(address)]))
            rows.append([address, family, *(_against(own, address, rival) for rival in rivals)])
    return _markdown(rows, ["method", "family", "gain over its untrained self", "gain over k-means"])


def claimed(address: str) -> bool:
    """Say whether an address is a network whose training has to show."""
    spec = registry.method(address)
    return spec.kind == "method" and spec.framework == "torch"


def _against(ari: pd.DataFrame, address: str, rival: str) -> str:
    """Return median difference, p and a verdict, on the data sets that both have labels for."""
    if address not in ari or rival not in ari:
        return "not run"
    difference = (ari[address] - ari[rival]).dropna().to_numpy()
    if not len(difference):
        return "not run"
    p = p_greater(difference)
    verdict = "yes" if p < 0.05 else "no"
    return f"{verdict}: {np.median(difference):+.2f}, p = {p:.3f}, n = {len(difference)}"


def _markdown(rows: list[list[str]], head: list[str]) -> str:
    return tabulate(rows, head, tablefmt="pipe", disable_numparse=True)


def page(csv: Path, addresses: list[str]) -> str:
    """Return the page, made from the CSV file alone."""
    runs = read(csv)
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
    return f"""# Recovery of planted regimes

Written by `python -m benchmarks.recovery` from `recovery.csv` ({fitted_rows.about(csv)}). Do not edit.

Four families of planted regimes ([datasets/synthetic](../datasets/synthetic/README.md)), {len(DRAWS)} data sets each
({size}), with seeds of their own, each fitted once with a seed of its own. The adjusted Rand index with the planted
regimes: median (quartiles) over the data sets. Rows are all methods and variants of the registry; twins in another
framework are left out, since they are to agree with what they repeat. Plugins and controls are fitted to all families,
variants at least to those whose mechanism they claim (the second table); other cells may be empty.
Parameters are those of `method.yaml`, but for counts of steps, in proportion to the days or, for `published_code`, cut
for the cost: {steps}. The layers of {" and ".join(f"`{name}`" for name in NARROW)} and its variants,
made for 41 x 41 cells, are a quarter as wide, for the cost; two data sets of `waves` and `centroids` were looked at
before that was chosen. {small}
Fits that are not ok are counted behind the number; those that put all days into one cluster ("degenerate") have an
index of 0 that counts. `(oracle)` knows how its family is made, not the labels. Seconds: wall clock, median
over all fits, each on one thread. Rows were fitted at different times on different machines, and other work ran beside
some, so they are no measure of speed ([deep-speed.md](deep-speed.md) is).

{table(runs, addresses)}

## Does training help where it claims to?

Each trained network against its untrained self (the same network with its initial weights, and the same way to
labels) and against k-means on the data, on the families whose mechanism it claims (`CLAIMS` in
`benchmarks/recovery.py`): median difference of the index on the same data sets, and the exact one-sided p value of the
sign-flip test for paired differences. "Yes" is p < 0.05; with five data sets that takes a gain on all of them
(p = 0.031). `{MANY[0]}` has {len(MANY_DRAWS)} data sets here, the first
five of which are those above. No correction is made for the number of rows. Where it is "no", the method's README says
why, most of them from [recovery-stages.md](recovery-stages.md).

{claims(runs, addresses)}
"""


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
        temporary.write_text(page(csv, ranked()))


def ranked() -> list[str]:
    """Return every address of the registry that is not a twin."""
    return [address for address in registry.addresses() if registry.method(address).kind != "twin"]


def everything() -> list[str]:
    """Return every row that is fitted: the oracle, all addresses, and the untrained selves of variants that train."""
    selves = [untrained_self(address) for address in ranked() if "/" in address and claimed(address)]
    return [ORACLE, *ranked(), *selves]


if __name__ == "__main__":
    main()
