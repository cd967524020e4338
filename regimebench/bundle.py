"""Results that travel: pack a results folder into one file, and unpack it so that the run can go on elsewhere."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from regimebench import __version__, archive, records
from regimebench.archive import InvalidBundle, Source
from regimebench.config import DEFAULTS, Plan, addresses, make_plan, read_config
from regimebench.cube import stored_hash
from regimebench.provenance import ROOT, URL_USER, git_state
from regimebench.records import FIT, RECORD, InvalidRecord, row_folder, seed_folder

SCORES = ("scores.csv", "runs.csv", "agreement.csv", "shifted.csv")
LOCAL_KEYS = ("results", "retry_failed", "n_clusters", "methods")


@dataclass(frozen=True)
class Packed:
    """What went into a bundle, and what did not, with the reason."""

    records: int
    planned: int
    left_out: list[str]


def pack(config: Path, out: Path, cubes: bool = True) -> Packed:
    """Write the bundle of the run that a configuration describes, finished or not.

    Parameters
    ----------
    config : Path
        The configuration file of the run.
    out : Path
        The file to write.
    cubes : bool
        Include the cubes; without them a report has no maps, and scores are taken as they are.

    Raises
    ------
    InvalidFile
        If the configuration is invalid.
    InvalidBundle
        If there is nothing to pack, data are mixed up, or a file names a folder of this machine.
    """
    settings = read_config(config)
    plan = make_plan(settings, str(config))
    files, data, found, left_out = {}, {}, 0, []
    for name in plan.datasets:
        runs, damaged = _records(plan, name)
        hashes = _content(plan, name, runs)
        left_out += damaged
        if hashes is None:
            continue
        data[name] = hashes
        for path, record in runs.items():
            if record["hashes"]["data"] not in (None, hashes):
                left_out.append(f"{path}: it was fitted on other data than the cube holds")
                continue
            found += 1
            files |= _named(plan.results, [path, *([path.with_name(FIT)] if record["labels"] else [])])
        files |= _named(plan.results, _beside(plan, name, cubes))
    if not found:
        raise InvalidBundle(f"{plan.results} holds no finished fit of {config}; run the fit stage first")
    _refuse_traces(files, plan.results)
    about = {
        "config": _config(settings, plan),
        "data": data,
        "origins": [{"suite": __version__, "git": git_state(), "records": found}],
        "choices": [],
    }
    sources: dict[str, Source] = {name: partial(open, path, "rb") for name, path in files.items()}
    archive.write(out, sources, about)
    return Packed(found, plan.n_fits(), left_out)


def _records(plan: Plan, dataset: str) -> tuple[dict[Path, dict[str, Any]], list[str]]:
    """Return the valid records of the planned fits by path, and why others are not."""
    found, damaged = {}, []
    for address, entry in plan.methods.items():
        for seed in entry.seeds:
            path = seed_folder(row_folder(plan.results / dataset, address), seed) / RECORD
            if path.is_file():
                try:
                    found[path] = records.load(path, verify_fit=True)
                except InvalidRecord as error:
                    damaged.append(str(error))
    return found, damaged


def _content(plan: Plan, dataset: str, runs: dict[Path, dict[str, Any]]) -> str | None:
    """Return the hash of a data set's content: the cube's, or, where it did not come along, that of its records."""
    path = plan.results / dataset / "cube.nc"
    if path.is_file():
        found = stored_hash(path)
        if found is None:
            raise InvalidBundle(f"{path} is not a readable cube; delete it and run the preprocess stage again")
        return found
    known = {record["hashes"]["data"] for record in runs.values()} - {None}
    if len(known) > 1:
        raise InvalidBundle(f"the records of {dataset} were made from different data, and there is no {path} to tell")
    return known.pop() if known else None


def _beside(plan: Plan, dataset: str, cubes: bool) -> list[Path]:
    """Return the files of a data set that are no records: cube, truth, scores and tables, as far as they exist."""
    results, folder = plan.results, plan.results / dataset
    found = [folder / name for name in (*SCORES, "verify.json", *(["cube.nc"] if cubes else []))]
    found += plan.truth_files(dataset)
    found += [path for end in ("md", "tex", "csv") for path in results.glob(f"tables/{dataset}.*{end}")]
    return [path for path in found if path.is_file()]


def _named(results: Path, paths: list[Path]) -> dict[str, Path]:
    return {path.relative_to(results).as_posix(): path for path in paths}


def _config(settings: dict[str, Any], plan: Plan) -> dict[str, Any]:
    """Return the configuration as it travels: every row named, nothing left to a default, no folder of this machine."""
    kept = {key: value for key, value in {**DEFAULTS, **settings}.items() if key not in LOCAL_KEYS}
    rows = [{address: params} if params else address for address, params in addresses(settings["methods"])[0]]
    datasets = {
        name: {**(settings["datasets"][name] or {}), "n_clusters": entry.n_clusters}
        for name, entry in plan.datasets.items()
    }
    return json.loads(json.dumps(_foreign({**kept, "datasets": datasets, "methods": rows}), default=str))


def _foreign(value: Any) -> Any:
    """Return a value with absolute paths cut to their last part, and without user names in addresses."""
    if isinstance(value, dict):
        return {key: _foreign(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_foreign(each) for each in value]
    if isinstance(value, str) and re.match(r"[/~]", value):
        return Path(value).name
    return URL_USER.sub(r"\1***@", value) if isinstance(value, str) else value


def _refuse_traces(files: dict[str, Path], results: Path) -> None:
    """Refuse to pack a file that names this machine's folders: a bundle is made to be published."""
    folders = {str(ROOT), os.getcwd(), os.path.expanduser("~"), str(results.absolute())}
    needles = [(folder + os.sep).encode() for folder in folders if len(folder) > 1]
    for name, path in files.items():
        with open(path, "rb") as file:
            tail = b""
            while block := file.read(archive.BLOCK):
                if any(needle in tail + block for needle in needles):
                    raise InvalidBundle(
                        f"{path} names a folder of this machine, and a bundle ({name}) is made to be given away; give "
                        "relative paths in the configuration and run the stage that wrote it again"
                    )
                tail = block[-4096:]
