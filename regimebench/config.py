"""From the configuration to the plan: which data sets, methods and seeds, and the jobs that compute them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from regimebench import registry
from regimebench.queues import Queue
from regimebench.registry import DatasetSpec, MethodSpec
from regimebench.schema import InvalidFile, load_yaml, problems
from regimebench.sources import ROOT

TYPES = {"plugin": str, "params": (dict, type(None))}
# Names in the results that stand for something else than one data set: folders, and first words of tables.
RESERVED = ("across", "audit", "benchmarks", "figures", "logs", "paper", "report", "tables", "truth")
PUBLISHED = ROOT / "published" / "data.yaml"  # one key for each data set of the papers
WORDS = {"all": None, "defaults": 1}  # how many rows of each plugin a word in place of a list of methods stands for
DEFAULTS = {"results": "results", "n_clusters": 7, "seeds": 20, "budget": "full", "retry_failed": False, "shifts": 0}
OF_ANOTHER = ("of", "change", "seed", "title", "n_clusters")  # keys of a data set that is made of another one's cube


@dataclass(frozen=True)
class DatasetEntry:
    """One data set of the configuration: a plugin with its parameters, under the name it has in the results."""

    name: str
    spec: DatasetSpec
    params: dict[str, Any]
    title: str
    preprocess: str
    gaps: str
    n_clusters: int
    published: str | None
    of: str | None = None
    change: str | None = None
    seed: int = 0

    def derivation(self) -> dict[str, Any]:
        """Return what is done to the cube of the data set :attr:`of`, JSON-ready."""
        return {"name": self.name, "change": self.change, "seed": self.seed}

    def instance(self) -> Any:
        """Return the plugin's object.

        Raises
        ------
        InvalidFile
            If the plugin cannot be imported.
        """
        return registry.create(self.spec, self.params)

    def settings(self) -> dict[str, Any]:
        """Return what the preprocess job needs to know, JSON-ready."""
        return {**self.origin(), "title": self.title, "preprocess": self.preprocess, "gaps": self.gaps}

    def origin(self) -> dict[str, Any]:
        """Return what the download job needs to know, JSON-ready."""
        return {"name": self.name, "plugin": self.spec.id, "params": self.params}

    def code(self) -> list[Path]:
        """Return the plugin's files."""
        return [*self.spec.sources, self.spec.folder / "dataset.yaml"]

    @property
    def planted(self) -> bool:
        """Whether the truth is known; a changed cube has none."""
        return self.spec.kind == "planted" and self.of is None


@dataclass(frozen=True)
class MethodEntry:
    """One row of the tables: an address with the parameters it runs with."""

    spec: MethodSpec
    params: dict[str, Any]
    seeds: list[int]
    seeds_per_job: int

    def batches(self) -> list[list[int]]:
        """Return the seeds in the groups that share a worker."""
        return [self.seeds[i : i + self.seeds_per_job] for i in range(0, len(self.seeds), self.seeds_per_job)]


@dataclass(frozen=True)
class Plan:
    """Everything a run will do."""

    results: Path
    datasets: dict[str, DatasetEntry]
    methods: dict[str, MethodEntry]
    budget: str
    retry_failed: bool
    shifts: int = 0
    queue: Queue | None = None  # on a cluster
    given: frozenset[str] = frozenset()  # data sets whose cube came in a bundle

    def method_ids(self) -> list[str]:
        """Return the plugins in use, in order of first appearance."""
        return list(dict.fromkeys(entry.spec.id for entry in self.methods.values()))

    def job(self, dataset: str, address: str, number: int) -> dict[str, Any]:
        """Return the description of one fit job, JSON-ready."""
        entry = self.methods[address]
        resources = entry.spec.resources
        return {
            "dataset": dataset,
            "address": address,
            "parameters": entry.params,
            "n_clusters": self.datasets[dataset].n_clusters,
            "seeds": entry.batches()[number],
            "deadline_seconds": 60 * self.deadline_minutes(entry),
            "memory_mib": resources["memory_mib"],
        }

    def deadline_minutes(self, entry: MethodEntry) -> float:
        """Return how long one seed may take: a queue that allows less than the method does cuts it."""
        declared = entry.spec.resources["deadline_minutes"]
        return min(declared, self.queue.fit_minutes) if self.queue else declared

    def entries(self, method_id: str) -> list[MethodEntry]:
        """Return the rows of one plugin."""
        return [entry for entry in self.methods.values() if entry.spec.id == method_id]

    def problems(self, names: Iterable[str] | None = None) -> list[str]:
        """Return what is missing before the data sets ``names`` (all) can be fetched, one sentence each."""
        found: dict[str, list[str]] = {}
        chosen = self.datasets if names is None else names
        for name in (name for name in chosen if self.datasets[name].of is None):
            for text in self.datasets[name].instance().problems(self.raw(name)):
                found.setdefault(text, []).append(repr(name))
        return [f"data set{'s' * (len(who) > 1)} {', '.join(who)}: {text}" for text, who in found.items()]

    def raw(self, dataset: str) -> Path:
        """Return the folder of a data set's raw files."""
        return self.results / dataset / "raw"

    def planted(self) -> list[str]:
        """Return the data sets whose truth is known."""
        return [name for name, entry in self.datasets.items() if entry.planted]

    def derived(self) -> list[str]:
        """Return the data sets that are made of another one's cube."""
        return [name for name, entry in self.datasets.items() if entry.of is not None]

    def truth_files(self, dataset: str) -> list[Path]:
        """Return the table with the truth of a planted data set, nothing for others."""
        return [self.results / "truth" / f"{dataset}.csv"] if self.datasets[dataset].planted else []

    def n_fits(self) -> int:
        """Return the number of fits."""
        return len(self.datasets) * sum(len(entry.seeds) for entry in self.methods.values())


def read_config(path: Path) -> dict[str, Any]:
    """Return the configuration in a YAML file."""
    return load_yaml(path) or {}


def make_plan(config: dict[str, Any], where: str = "configuration") -> Plan:
    """Return the plan for a configuration.

    Raises
    ------
    InvalidFile
        With every problem found, each naming its key and what is allowed.
    """
    found = problems(config, "config")
    if not isinstance(config, dict):
        raise InvalidFile(where, found)
    settings = {**DEFAULTS, **config}
    if found:  # names and parameters are looked at all the same, so that the user sees every problem at once
        settings = _usable(settings)
    datasets, methods = {}, {}
    for name, entry in settings["datasets"].items():
        datasets[name], trouble = _dataset_entry(name, entry or {}, settings)
        found += trouble
    rows, trouble = addresses(settings["methods"])
    found += trouble
    for address, params in rows:
        if address in methods:
            found.append(f"methods: {address!r} is listed twice; a row can have one set of parameters")
        methods[address], trouble = _method_entry(address, params, settings)
        found += trouble
    if found:
        raise InvalidFile(where, dict.fromkeys(found))
    plain = (settings[key] for key in ("budget", "retry_failed", "shifts"))
    return Plan(Path(settings["results"]), datasets, methods, *plain)


def _usable(settings: dict[str, Any]) -> dict[str, Any]:
    """Return an invalid configuration without what has the wrong type."""
    datasets, methods = settings.get("datasets"), settings.get("methods")
    entries = {
        str(name): {key: value for key, value in (entry or {}).items() if isinstance(value, TYPES.get(key, object))}
        for name, entry in (datasets if isinstance(datasets, dict) else {}).items()
        if isinstance(entry, dict | None)
    }
    rows = methods if isinstance(methods, list) else []
    rows = [row for row in rows if isinstance(row, str) or _is_row(row)]
    return {
        **settings,
        "datasets": entries,
        "methods": methods if methods in tuple(WORDS) else rows,
        "seeds": 1,  # a huge number must not become a list
    }


def _is_row(row: Any) -> bool:
    return isinstance(row, dict) and len(row) == 1 and isinstance(next(iter(row.values())), dict)


def addresses(methods: Any) -> tuple[list[tuple[str, dict[str, Any]]], list[str]]:
    """Return the rows with their parameters, and what is wrong."""
    if not isinstance(methods, str):
        return [(item, {}) if isinstance(item, str) else next(iter(item.items())) for item in methods], []
    rows, found = [], [f"methods: {text}" for text in registry.misnamed("methods")]
    for name in registry.folders("methods"):
        try:
            rows += [(address, {}) for address in registry.variants(name)[: WORDS[methods]]]
        except InvalidFile as error:
            found.append(f"methods: {error}")
    return rows, found


def _wrong(where: str, given: dict[str, Any], declared: dict[str, Any], several: bool = False) -> list[str]:
    """Return what is wrong with parameter values: unknown names, and values that are clearly of another type.

    With ``several``, a list of whole numbers may stand for one, as in ``year: [1981, 2020]``: data sets check their
    values themselves, methods do not.
    """
    allowed = ", ".join(sorted(declared)) or "none"
    unknown = [f"{where}.{key}: no parameter has this name; allowed are {allowed}" for key in given.keys() - declared]
    return sorted(unknown) + [
        f"{where}.{key}: found {value!r}; expected {_kind(declared[key])}, as in {declared[key]!r}"
        for key, value in given.items()
        if key in declared and not _same_kind(value, declared[key]) and not (several and _numbers(value, declared[key]))
    ]


# What a value may be where the declared one is of this type. A plugin may take one item for a list, or a rule per item
# for a word, and says itself what it does not take; null stands for "none" or "all" anywhere.
KINDS: dict[type, tuple[str, tuple[type, ...]]] = {
    bool: ("true or false", (bool,)),
    int: ("a whole number", (int,)),
    float: ("a number (with a decimal point: 1.0e-3)", (int, float)),
    str: ("a word", (str, list, dict, date)),
    list: ("a list", (list, str, dict)),
    dict: ("names with values", (dict,)),
}


def _numbers(value: Any, declared: Any) -> bool:
    return type(declared) is int and isinstance(value, list) and all(type(each) is int for each in value)


def _kind(declared: Any) -> str:
    return KINDS[type(declared)][0]


def _same_kind(value: Any, declared: Any) -> bool:
    if value is None or type(declared) not in KINDS:
        return True
    return isinstance(value, KINDS[type(declared)][1]) and (isinstance(value, bool) == isinstance(declared, bool))


@cache
def _known() -> list[str]:
    """Return the data sets of the papers."""
    return list(load_yaml(PUBLISHED))


def _dataset_entry(name: str, entry: dict[str, Any], settings: dict[str, Any]) -> tuple[DatasetEntry | None, list[str]]:
    if "of" in entry:
        return _derived_entry(name, entry, settings)
    try:
        spec = registry.dataset(entry.get("plugin", name))
    except (registry.UnknownPlugin, InvalidFile) as error:
        return None, [f"datasets.{name}.plugin: {error}"]
    params = entry.get("params") or {}
    found = _wrong(f"datasets.{name}.params", params, spec.parameters, several=True)
    if name in RESERVED:
        found.append(
            f"datasets.{name}: the results have something else of this name already; a data set cannot be called "
            f"{', '.join(RESERVED)}"
        )
    published, known = entry.get("published"), _known()
    if isinstance(published, str) and published not in known:
        found.append(
            f"datasets.{name}.published: nothing is published about {published!r}; known are {', '.join(known)}; leave "
            "the key out for data of your own"
        )
    smoke = spec.smoke if settings["budget"] == "smoke" else {}
    made = DatasetEntry(
        name=name,
        spec=spec,
        params={**spec.parameters, **smoke, **params},
        title=entry.get("title", name),
        preprocess=entry.get("preprocess", "standard"),
        gaps=entry.get("gaps", "error"),
        n_clusters=entry.get("n_clusters", settings["n_clusters"]),
        published=published,
    )
    return made, found


def _derived_entry(name: str, entry: dict[str, Any], settings: dict[str, Any]) -> tuple[DatasetEntry | None, list[str]]:
    """Return a data set that is made of another one's cube, and what is wrong."""
    where, others = f"datasets.{name}", settings["datasets"]
    found = [
        f"{where}.{key}: a data set made of another one's cube takes this from it; leave the key out"
        for key in entry
        if key not in OF_ANOTHER
    ]
    origins = [other for other, each in others.items() if "of" not in (each or {})]
    if entry["of"] not in origins:
        found.append(
            f"{where}.of: found {entry['of']!r}; required is one of this configuration that is made of no other: "
            f"{', '.join(origins) or 'there is none'}"
        )
        return None, found
    origin, trouble = _dataset_entry(entry["of"], others[entry["of"]] or {}, settings)
    if origin is None:
        return None, found + trouble
    if name in RESERVED:
        found.append(f"{where}: the results have a folder of this name already; choose another one")
    made = replace(
        origin,
        name=name,
        title=entry.get("title", f"{origin.title}, {str(entry.get('change')).replace('_', '-')}"),
        n_clusters=entry.get("n_clusters", origin.n_clusters),
        published=None,
        of=origin.name,
        change=entry.get("change"),
        seed=entry.get("seed", 0),
    )
    return made, found


def _method_entry(
    address: str, params: dict[str, Any], settings: dict[str, Any]
) -> tuple[MethodEntry | None, list[str]]:
    try:
        spec = registry.method(address)
    except (registry.UnknownPlugin, InvalidFile) as error:
        return None, [f"methods: {error}"]
    smoke = spec.smoke if settings["budget"] == "smoke" else {}
    seeds = [0] if spec.deterministic else list(range(settings["seeds"]))
    per_job = settings.get("seeds_per_job", spec.resources["seeds_per_job"])
    made = MethodEntry(spec, {**spec.parameters, **smoke, **params}, seeds, per_job)
    return made, _wrong(f"methods.{address}", params, spec.parameters)
