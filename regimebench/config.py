"""From the configuration to the plan: which data sets, methods and seeds, and the jobs that compute them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regimebench import registry
from regimebench.registry import DatasetSpec, MethodSpec
from regimebench.schema import InvalidFile, load_yaml, problems

DEFAULTS = {"results": "results", "n_clusters": 7, "seeds": 20, "budget": "full", "retry_failed": False}


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

    def instance(self) -> Any:
        """Return the plugin's object."""
        return registry.load(self.spec)(**self.params)

    def settings(self) -> dict[str, Any]:
        """Return what the download and preprocess jobs need to know, JSON-ready."""
        keys = ("name", "params", "title", "preprocess", "gaps")
        return {"plugin": self.spec.id, **{key: getattr(self, key) for key in keys}}

    def code(self) -> list[Path]:
        """Return the plugin's files."""
        return [*sorted(self.spec.folder.glob("**/*.py")), self.spec.folder / "dataset.yaml"]


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

    def method_ids(self) -> list[str]:
        """Return the plugins in use, in order of first appearance."""
        return list(dict.fromkeys(entry.spec.id for entry in self.methods.values()))

    def folder(self, dataset: str, address: str) -> Path:
        """Return where the records of one row stand."""
        spec = self.methods[address].spec
        return self.results / dataset / spec.id / spec.variant

    def batch_files(self, dataset: str) -> Iterator[Path]:
        """Yield the batch summaries that a data set's evaluation waits for."""
        for address, entry in self.methods.items():
            for number in range(len(entry.batches())):
                yield self.folder(dataset, address) / f"batch-{number}.json"

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
            "deadline_seconds": 60 * resources["deadline_minutes"],
            "memory_mib": resources["memory_mib"],
            "retry_failed": self.retry_failed,
        }

    def entries(self, method_id: str) -> list[MethodEntry]:
        """Return the rows of one plugin."""
        return [entry for entry in self.methods.values() if entry.spec.id == method_id]

    def problems(self) -> list[str]:
        """Return what is missing before any job can run, one sentence each."""
        return [
            f"data set {name!r}: {text}"
            for name, entry in self.datasets.items()
            for text in entry.instance().problems()
        ]

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
    if found:
        raise InvalidFile(where, found)
    settings = {**DEFAULTS, **config}
    datasets = {}
    for name, entry in settings["datasets"].items():
        made, trouble = _dataset_entry(name, entry or {}, settings)
        datasets[name], found = made, found + trouble
    methods = {}
    for address, params in _addresses(settings["methods"]):
        if address in methods:
            found.append(f"methods: {address!r} is listed twice; a row can have one set of parameters")
        made, trouble = _method_entry(address, params, settings)
        methods[address], found = made, found + trouble
    if found:
        raise InvalidFile(where, found)
    return Plan(Path(settings["results"]), datasets, methods, settings["budget"], settings["retry_failed"])


def _addresses(methods: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    for item in registry.addresses() if methods == "all" else methods:
        yield (item, {}) if isinstance(item, str) else next(iter(item.items()))


def _unknown(where: str, given: dict[str, Any], known: dict[str, Any]) -> list[str]:
    allowed = ", ".join(sorted(known)) or "none"
    return [f"{where}.{key}: no parameter has this name; allowed are {allowed}" for key in given if key not in known]


def _dataset_entry(name: str, entry: dict[str, Any], settings: dict[str, Any]) -> tuple[DatasetEntry | None, list[str]]:
    try:
        spec = registry.dataset(entry.get("plugin", name))
    except (registry.UnknownPlugin, InvalidFile) as error:
        return None, [f"datasets.{name}.plugin: {error}"]
    params = entry.get("params") or {}
    smoke = spec.smoke if settings["budget"] == "smoke" else {}
    made = DatasetEntry(
        name=name,
        spec=spec,
        params={**spec.parameters, **smoke, **params},
        title=entry.get("title", name),
        preprocess=entry.get("preprocess", "standard"),
        gaps=entry.get("gaps", "error"),
        n_clusters=entry.get("n_clusters", settings["n_clusters"]),
        published=entry.get("published"),
    )
    return made, _unknown(f"datasets.{name}.params", params, spec.parameters)


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
    return made, _unknown(f"methods.{address}", params, spec.parameters)
