"""A bundle becomes a results folder again, from which the run can go on or its report can be rebuilt."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from regimebench import archive, given, records
from regimebench.archive import DERIVED, SEED, Bundle, InvalidBundle
from regimebench.config import Plan, make_plan
from regimebench.records import FIT, RECORD, row_folder, seed_folder, write_batch
from regimebench.schema import problems

CONFIG = "config.yaml"  # of an unpacked results folder
DAY = 86_400


def unpack(path: Path, folder: Path) -> Plan:
    """Write a bundle's content into a new results folder, from which the run can be continued or its report rebuilt.

    What is made from records (scores, tables) is dated one day back, so that Snakemake makes it again. Cubes are noted
    as given, so that nothing prepares them again. Fits are not looked at again unless some are missing, or
    configuration, code or data are not those they were made with (``docs/bundles.md``).

    Parameters
    ----------
    path : Path
        The bundle.
    folder : Path
        The results folder to make: absent or empty.

    Returns
    -------
    Plan
        What the bundle's configuration asks for.

    Raises
    ------
    InvalidBundle
        If the bundle is refused or the folder is in use.
    InvalidFile
        If this suite cannot run the bundle's configuration, as with a method that it does not have.
    """
    if folder.is_dir() and any(folder.iterdir()):
        raise InvalidBundle(f"{folder} is not empty; name a folder that is not there yet")
    with archive.opened(path) as bundle:
        check_records(bundle)
        config = {**bundle.manifest["config"], "results": folder.as_posix()}
        plan = make_plan(config, f"the configuration in {path.name}")
        _make_room(bundle, folder)
        temporary = folder.absolute().with_name(f".{folder.absolute().name}.unpacking")
        shutil.rmtree(temporary, ignore_errors=True)
        try:
            for name in bundle.files:
                bundle.extract(name, temporary / name)
            (temporary / CONFIG).write_text(yaml.safe_dump(config, sort_keys=False))
            write_batches(plan, temporary)
            given.note(plan, temporary)
            _date(temporary)
            if folder.is_dir():
                folder.rmdir()
            temporary.rename(folder)
        except OSError as error:
            raise InvalidBundle(
                f"{path} could not be unpacked into {folder} ({error.strerror}); make room there"
            ) from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return plan


def check_records(bundle: Bundle) -> dict[str, dict[str, Any]]:
    """Return every record of a bundle by its member's name; all are valid and belong to its configuration and data.

    Raises
    ------
    InvalidBundle
        If one is not, or labels have no record.
    """
    config, data = bundle.manifest["config"], bundle.manifest["data"]
    found = {match[0]: bundle.record(match) for match in bundle.names(f"{SEED}/{re.escape(RECORD)}")}
    trouble = problems(config, "config")
    if trouble:
        raise bundle.refuse(f"its configuration is invalid ({'; '.join(trouble[:3])})")
    rows = config["methods"]
    if isinstance(rows, str):
        raise bundle.refuse("its configuration does not list the methods one by one")
    named = {row if isinstance(row, str) else next(iter(row)) for row in rows}
    for name, record in found.items():
        if (
            record["dataset"] not in data
            or record["dataset"] not in config["datasets"]
            or record["address"] not in named
        ):
            raise bundle.refuse(f"{name} is no fit of its configuration")
        if record["hashes"]["data"] not in (None, data[record["dataset"]]):
            raise bundle.refuse(f"{name} was fitted on other data than the manifest says")
    for match in bundle.names(f"{SEED}/{re.escape(FIT)}"):
        if match[0].removesuffix(FIT) + RECORD not in found:
            raise bundle.refuse(f"{match[0]} has no record")
    return found


def write_batches(plan: Plan, results: Path, unfinished: bool = False) -> None:
    """Write the batch files of a plan that are not there yet, from the records that exist.

    One that lacks fits is left to the next run, which makes it; with ``unfinished`` it is written too, and lists the
    others: so tables can be made of them, and the next run notices that the batch lists other seeds than the plan.
    """
    for dataset in plan.datasets:
        for address, entry in plan.methods.items():
            folder = row_folder(results / dataset, address)
            for number, seeds in enumerate(entry.batches()):
                path = folder / f"batch-{number}.json"
                if not path.is_file():
                    found = records.finished(folder, seeds)
                    if unfinished or len(found) == len(seeds):
                        write_batch(path, dataset, address, found.values())


def missing_fits(plan: Plan, results: Path) -> Counter[str]:
    """Return how many planned fits of each data set have no record."""
    return Counter(
        dataset
        for dataset in plan.datasets
        for address, entry in plan.methods.items()
        for seed in entry.seeds
        if not (seed_folder(row_folder(results / dataset, address), seed) / RECORD).is_file()
    )


def _make_room(bundle: Bundle, folder: Path) -> None:
    size = sum(about["bytes"] for about in bundle.files.values())
    parent = folder.absolute().parent
    try:
        parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(parent).free
    except OSError as error:
        raise InvalidBundle(f"{parent} cannot be used ({error.strerror}); name another folder") from error
    if size > free:
        raise bundle.refuse(f"it needs {size:,} bytes and {parent} has {free:,}")


def _date(folder: Path) -> None:
    """Give all files one time, and an earlier one to what is made from the others."""
    now = time.time()
    for path in folder.glob("**/*"):
        derived = any(re.fullmatch(pattern, path.relative_to(folder).as_posix()) for pattern in DERIVED)
        os.utime(path, (now, now - DAY if derived else now))
