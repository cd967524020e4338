"""Join bundles from several machines; what they contradict each other about is reported, never chosen silently."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from regimebench import archive
from regimebench.archive import Bundle, InvalidBundle, Source
from regimebench.arrays import arrays_in
from regimebench.records import FIT, RECORD
from regimebench.unpack import check_records
from regimebench.untrusted import Refused

SETTINGS = ("plugin", "title", "preprocess", "gaps", "n_clusters", "published", "of", "change", "seed")  # of a data set
NAMED = 4  # seeds named in one sentence
# Which part of a record's fingerprint may differ, and what it is called.
PARTS = {"plugin": "code", "data": "data", "config": "parameters or number of clusters"}


class Conflicts(ValueError):
    """Bundles contradict each other; the message lists every conflict."""

    def __init__(self, found: Sequence[str]) -> None:
        self.found = list(found)
        many = "1 conflict" if len(self.found) == 1 else f"{len(self.found)} conflicts"
        hint = "--prefer BUNDLE takes that bundle's fits where fits differ; other conflicts have to be mended first"
        super().__init__("\n  - ".join([f"the bundles were not merged, {many}", *self.found]) + f"\n{hint}")


@dataclass
class Merged:
    """Members to write, where they come from, and what is to be said about them."""

    sources: dict[str, Source] = field(default_factory=dict)
    records: int = 0
    same: int = 0
    choices: list[str] = field(default_factory=list)


Runs = dict[str, dict[str, Any]]


def merge(paths: Sequence[Path], out: Path, prefer: Path | None = None) -> Merged:
    """Write one bundle from several.

    A fit that several bundles hold counts once if status and labels are the same; the record of the first bundle named
    is kept, and with it its cost. Scores and tables are left out where bundles were joined, because they are made anew.

    Parameters
    ----------
    paths : sequence of Path
        Bundles to join.
    out : Path
        The bundle to write.
    prefer : Path, optional
        One of them, whose fits are taken where fits differ. Each such choice is listed in the manifest.

    Raises
    ------
    InvalidBundle
        If a bundle is refused.
    Conflicts
        If bundles differ about a fit, a data set or the configuration; nothing is written.
    """
    if prefer is not None and prefer not in paths:
        raise InvalidBundle(f"{prefer} is not one of the bundles to merge, so it cannot be preferred")
    with ExitStack() as stack:
        bundles = [stack.enter_context(archive.opened(path)) for path in paths]
        runs = [check_records(bundle) for bundle in bundles]
        configs = [bundle.manifest["config"] for bundle in bundles]
        config, conflicts = _join_configs(bundles, configs)
        conflicts += _data_conflicts(bundles)
        merged = Merged()
        favourite = paths.index(prefer) if prefer is not None else None
        kept, found = _join_rows(bundles, runs, favourite, merged)
        conflicts += found
        if conflicts:
            raise Conflicts(conflicts)
        for name, index in kept.items():
            merged.sources[name] = bundles[index].source(name)
            fit = name.removesuffix(RECORD) + FIT
            if fit in bundles[index].files:
                merged.sources[fit] = bundles[index].source(fit)
        _join_others(bundles, merged)
        merged.records = len(kept)
        manifests = [bundle.manifest for bundle in bundles]
        about = {
            "config": config,
            "data": {name: content for each in manifests for name, content in each["data"].items()},
            "origins": [origin for each in manifests for origin in each["origins"]],
            "choices": [*(choice for each in manifests for choice in each["choices"]), *merged.choices],
        }
        archive.write(out, merged.sources, about)
    return merged


def _join_configs(bundles: Sequence[Bundle], configs: Sequence[dict[str, Any]]) -> tuple[dict[str, Any], list[str]]:
    """Return the configuration of all data sets and rows, and what the configurations contradict each other about."""
    found: list[str] = []
    values: dict[tuple[str, ...], tuple[Any, str]] = {}
    for bundle, config in zip(bundles, configs, strict=True):
        for path, value in _leaves(config):
            before, where = values.setdefault(path, (value, bundle.name))
            if before != value:
                found.append(f"{'.'.join(path)}: {_shown(before)} in {where}, {_shown(value)} in {bundle.name}")
    rows: dict[str, Any] = {}
    for config in configs:
        for row in config["methods"]:
            rows.setdefault(next(iter(row)) if isinstance(row, dict) else row, row)
    datasets = {name: entry for config in configs for name, entry in config["datasets"].items()}
    seeds = max(config.get("seeds", 1) for config in configs)
    return {**configs[0], "seeds": seeds, "datasets": datasets, "methods": list(rows.values())}, found


def _leaves(config: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield what must be the same in all bundles that have it, by the path of its key."""
    yield ("budget",), config.get("budget")
    for name, entry in config["datasets"].items():
        for key in SETTINGS:
            yield ("datasets", name, key), (entry or {}).get(key)
        yield ("datasets", name, "params"), (entry or {}).get("params") or {}
    for row in config["methods"]:
        address, params = next(iter(row.items())) if isinstance(row, dict) else (row, {})
        yield ("methods", address), params


def _data_conflicts(bundles: Sequence[Bundle]) -> list[str]:
    """Return which data sets, and planted truths, are not the same everywhere."""
    found, contents, truths = [], {}, {}
    for bundle in bundles:
        for name, content in bundle.manifest["data"].items():
            before, where = contents.setdefault(name, (content, bundle.name))
            if before != content:
                found.append(
                    f"data set {name}: {where} and {bundle.name} hold different data (SHA-256 {before[:12]}, "
                    f"{content[:12]}); give one of them another name"
                )
        for match in bundle.names(r"truth/.*"):
            content = bundle.files[match[0]]["sha256"]
            before, where = truths.setdefault(match[0], (content, bundle.name))
            if before != content:
                found.append(f"{match[0]}: {where} and {bundle.name} hold different planted labels")
    return found


def _join_rows(
    bundles: Sequence[Bundle], runs: Sequence[Runs], favourite: int | None, merged: Merged
) -> tuple[dict[str, int], list[str]]:
    """Return which bundle each record is taken from, and the conflicts."""
    kept: dict[str, int] = {}
    found: list[str] = []
    rows: dict[tuple[str, str], list[tuple[int, str]]] = {}
    for index, records in enumerate(runs):
        for name, record in records.items():
            rows.setdefault((record["dataset"], record["address"]), []).append((index, name))
    for (dataset, address), members in sorted(rows.items()):
        reason = _row_conflict(bundles, runs, members)
        inside = [(index, name) for index, name in members if index == favourite]
        if reason and inside:
            merged.choices.append(f"{dataset} {address}: {reason}; taken from {bundles[favourite].name} alone")
            members = inside
        elif reason:
            found.append(f"{dataset} {address}: {reason}")
            continue
        for name in dict.fromkeys(name for _, name in members):
            indices = [index for index, other in members if other == name]
            kept[name], reason = _choose(bundles, runs, indices, name)
            merged.same += len(indices) - 1
            if reason and favourite in indices:
                kept[name] = favourite
                merged.choices.append(f"{reason}; taken from {bundles[favourite].name}")
            elif reason:
                found.append(reason)
    return kept, found


def _row_conflict(bundles: Sequence[Bundle], runs: Sequence[Runs], members: Sequence[tuple[int, str]]) -> str:
    """Return how the fits of one row differ in code, data or parameters; they have to be fits of one thing."""
    tried = [(index, runs[index][name]) for index, name in members if runs[index][name]["fingerprint"]]
    if len({record["fingerprint"] for _, record in tried}) < 2:
        return ""
    texts = []
    for part, title in PARTS.items():
        seen: dict[Any, list[tuple[int, int]]] = {}
        for index, record in tried:
            seen.setdefault(record["hashes"][part], []).append((index, record["seed"]))
        if len(seen) > 1:
            where = [f"{str(value)[:12]} ({_where(bundles, fits)})" for value, fits in seen.items()]
            texts.append(f"different {title}: {' and '.join(where)}{_parameters(tried) if part == 'config' else ''}")
    return "; ".join(texts) or "different fingerprints though code, data and parameters are the same"


def _where(bundles: Sequence[Bundle], fits: Sequence[tuple[int, int]]) -> str:
    names = ", ".join(dict.fromkeys(bundles[index].name for index, _ in fits))
    seeds = sorted({seed for _, seed in fits})
    more = f" and {len(seeds) - NAMED} more" if len(seeds) > NAMED else ""
    return f"{names}, seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds[:NAMED]))}{more}"


def _parameters(tried: Sequence[tuple[int, dict[str, Any]]]) -> str:
    """Return which parameters differ."""
    all_keys = dict.fromkeys(key for _, record in tried for key in record["parameters"])
    texts = []
    for key in all_keys:
        values = list(dict.fromkeys(_shown(record["parameters"].get(key)) for _, record in tried))
        if len(values) > 1:
            texts.append(f"{key} = {' / '.join(values)}")
    counts = sorted({record["n_clusters"] for _, record in tried})
    texts += [f"n_clusters = {' / '.join(map(str, counts))}"] if len(counts) > 1 else []
    return f" [{', '.join(texts)}]" if texts else ""


def _choose(bundles: Sequence[Bundle], runs: Sequence[Runs], indices: Sequence[int], name: str) -> tuple[int, str]:
    """Return which bundle's record of one fit to keep, and, if they contradict each other, how."""
    tried = [index for index in indices if runs[index][name]["fingerprint"]]
    first, *others = tried or indices
    for other in others:
        one, two = runs[first][name], runs[other][name]
        what = f"{one['dataset']} {one['address']} seed {one['seed']}"
        who = f"{bundles[first].name} and {bundles[other].name}"
        if one["status"] != two["status"]:
            return first, f"{what}: {one['status']} in {bundles[first].name}, {two['status']} in {bundles[other].name}"
        if one["hashes"]["fit"] != two["hashes"]["fit"]:
            fit = name.removesuffix(RECORD) + FIT
            labels = [_labels(bundles[index], fit) for index in (first, other)]
            if not np.array_equal(*labels):
                return first, f"{what}: {_difference(*labels)} in {who}"
    return first, ""


def _labels(bundle: Bundle, name: str) -> np.ndarray:
    try:
        labels = arrays_in(bundle.read(name), "labels".__eq__).get("labels")
    except Refused as error:
        raise bundle.refuse(f"{name}: {error}") from error
    if labels is None or labels.ndim != 1:
        raise bundle.refuse(f"{name} holds no labels, one whole number per day")
    return labels


def _difference(one: np.ndarray, two: np.ndarray) -> str:
    if one.shape != two.shape:
        return f"labels of {len(one)} and {len(two)} days"
    return f"different labels on {np.count_nonzero(one != two)} of {len(one)} days"


def _join_others(bundles: Sequence[Bundle], merged: Merged) -> None:
    """Add cubes and truths, each from the first bundle that has it."""
    for bundle in bundles:
        for match in bundle.names(r"[^/]+/cube\.nc|truth/.*"):
            merged.sources.setdefault(match[0], bundle.source(match[0]))


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
