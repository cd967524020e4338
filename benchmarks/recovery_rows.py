"""Which fits the page on recovery shows: families, data sets, parameters, and what each network claims to find."""

from __future__ import annotations

from regimebench import registry

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

LONG, LONG_WARM_UP = " (320 passes)", {"warmup_epochs": 320}
LONGER = {
    "a_datsc": ("centroids", "subspaces"),
    **{f"a_datsc/{variant}": ("centroids",) for variant in ("gat", "dec", "window_30")},
    **{f"a_datsc/{variant}": ("subspaces",) for variant in ("no_skips", "messages", "mean_pooling")},
}
"""Behind the address of a network: four times as long a warm-up, on some families, for the cost.

After 80 passes the embeddings of `no_skips`, `messages` and `mean_pooling` hardly differ from day to day (README of
A-DATSC), too early to judge what these variants lack. The others' do; they are here to be compared with each other.
"""

MANY, MANY_DRAWS = ("a_datsc", "a_datsc/untrained", REFERENCE), range(100, 110)
"""A network that is compared with its rivals on more data sets, and these.

With five, only a gain on all of them is told from chance, and what is found of waves and dynamics in 72 days varies
much from one data set to the next.
"""

MOST_DRAWS = {"dynamics": range(100, 150)}
"""Where ten of them left open whether training helps: how many more was fixed before they were looked at."""

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


def ranked() -> list[str]:
    """Return every address of the registry that is not a twin."""
    return [address for address in registry.addresses() if registry.method(address).kind != "twin"]


def shown() -> list[str]:
    """Return the rows of the first table, but for the oracle."""
    return [row for address in ranked() for row in (address, *([address + LONG] if address in LONGER else []))]


def everything() -> list[str]:
    """Return every row that is fitted: the oracle, those shown, and the untrained selves of variants that train."""
    selves = [untrained_self(address) for address in ranked() if "/" in address and claimed(address)]
    return [ORACLE, *shown(), *selves]


def claimed(address: str) -> bool:
    """Say whether an address is a network whose training has to show."""
    spec = registry.method(address)
    return spec.kind == "method" and spec.framework == "torch"


def families_of(address: str) -> tuple[str, ...]:
    """Return the families that a method claims; none if nothing is declared."""
    return CLAIMS.get(address, CLAIMS.get(address.partition("/")[0], ()))


def fitted_to(address: str) -> tuple[str, ...]:
    """Return the families that an address is fitted to: a variant that is trained, to those that it claims alone."""
    if address.endswith(LONG):
        return LONGER[address.removesuffix(LONG)]
    name = address.removesuffix(SELF)
    return families_of(name) if "/" in name and claimed(name) else tuple(FAMILIES)


def draws_of(address: str, family: str) -> range:
    """Return the seeds of the data sets of a family that an address is fitted to."""
    return MOST_DRAWS.get(family, MANY_DRAWS) if address in MANY else DRAWS


def untrained_self(address: str) -> str:
    """Return the row that a trained network has to beat."""
    return f"{address}{SELF}" if "/" in address else f"{address}/untrained"


def fitted_as(row: str) -> tuple[str, dict[str, object]]:
    """Return the address that a row fits, and the parameters that it changes."""
    name = row.removesuffix(SELF).removesuffix(LONG)
    if row.endswith(LONG):
        return name, LONG_WARM_UP
    return name, untrained(name) if row.endswith(SELF) else {}


def untrained(address: str) -> dict[str, object]:
    """Return the parameters by which a network of this plugin stays untrained."""
    plugin = address.partition("/")[0]
    usual = registry.method(plugin).parameters
    return {
        name: value for name, value in registry.method(f"{plugin}/untrained").parameters.items() if value != usual[name]
    }


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
