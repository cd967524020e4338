"""Run records: one ``record.json`` and, if there are labels, one ``fit.npz`` per (data set, method, variant, seed).

The format is described in ``docs/results-format.md`` and checked against ``workflow/schemas/record.schema.yaml``.
The supervisor imports this module, so whatever takes time to import is imported where it is used.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from regimebench.arrays import arrays
from regimebench.files import replacing
from regimebench.untrusted import Refused, read_json

SCHEMA_VERSION = 1
WITH_LABELS = ("ok", "degenerate")
FAILED = ("error", "timeout", "oom", "killed")
SKIPPED = "skipped"  # not tried: the method's framework is not installed
RECORD, FIT = "record.json", "fit.npz"
SEED_RECORD = re.compile(rf"seed-\d{{4,9}}/{RECORD}")  # as a batch file names it: nothing leads out of its folder
DIAGNOSTICS = "diagnostics."  # begins the names of their columns where runs are a table


class InvalidRecord(ValueError):
    """A record cannot be used; the message names the file and what is wrong with it."""


def row_folder(dataset: Path, address: str) -> Path:
    """Return the folder of one method and variant under the results folder of a data set."""
    method, _, variant = address.partition("/")
    return Path(dataset) / method / (variant or "default")


def seed_folder(out: Path, seed: int) -> Path:
    """Return the folder of one seed's record under the folder of its method and variant."""
    return Path(out) / f"seed-{seed:04d}"


def sha256_json(value: Any) -> str:
    """Return the SHA-256 of a JSON value, independent of the order of keys.

    Raises
    ------
    ValueError
        If it contains NaN or infinity, which JSON cannot hold.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file's content."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(
    address: str, parameters: Mapping[str, Any], n_clusters: int, plugin: str | None, data: str | None
) -> str | None:
    """Return the hash of everything that determines a fit but its seed; None if a part of it is unknown.

    Parameters
    ----------
    address : str
        ``method`` or ``method/variant``.
    parameters : mapping
        Every parameter with the value used.
    n_clusters : int
        Clusters asked for.
    plugin, data : str or None
        SHA-256 of the plugin's code and of the cube's content.
    """
    if plugin is None or data is None:
        return None
    return sha256_json([SCHEMA_VERSION, address, dict(parameters), n_clusters, plugin, data])


def write_json(path: Path, document: Any) -> None:
    """Write a JSON file in one step: a reader sees the old file or the new one, never half of one."""
    with replacing(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        json.dump(document, file, indent=1, allow_nan=False)
        file.write("\n")


def glance(path: Path) -> dict[str, Any]:
    """Return what a record says, unchecked; nothing if it cannot be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def load(path: Path, verify_fit: bool = False) -> dict[str, Any]:
    """Return a record.

    Parameters
    ----------
    path : Path
        A ``record.json``.
    verify_fit : bool
        Also compare ``fit.npz`` beside it with the hash in the record.

    Raises
    ------
    InvalidRecord
        If the file is missing, damaged or of another schema version, or its ``fit.npz`` is missing or changed.
    """
    try:
        record = read_json(path)
    except OSError as error:
        raise InvalidRecord(f"{path} cannot be read: {error.strerror}; run the fit stage again") from error
    except Refused as error:
        raise InvalidRecord(f"{path} cannot be used: {error}; run the fit stage again") from error
    check(record, path)
    expected = record["hashes"]["fit"]
    if expected is not None:
        fit = path.with_name(FIT)
        if not fit.is_file():
            raise InvalidRecord(f"{fit} is missing, though the record says {record['status']}; run the fit stage again")
        if verify_fit and sha256_file(fit) != expected:
            raise InvalidRecord(f"{fit} does not have the SHA-256 in its record; run the fit stage again")
    return record


def check(record: Any, path: Path) -> None:
    """Raise :class:`InvalidRecord` if what was read from ``path`` is not a valid record."""
    from regimebench.schema import problems

    found = problems(record, "record")
    if found:
        raise InvalidRecord(f"{path} is not a valid record: {'; '.join(found)}; run the fit stage again")


def load_arrays(folder: Path, wanted: Callable[[str], bool]) -> dict[str, Any]:
    """Return the arrays of ``fit.npz`` in a seed's folder whose names are ``wanted``.

    Raises
    ------
    InvalidRecord
        If it cannot be read.
    """
    path = folder / FIT
    try:
        return arrays(path, wanted)
    except (OSError, Refused) as error:
        raise InvalidRecord(f"{path} holds no readable labels ({error}); run the fit stage again") from error


def load_labels(folder: Path) -> Any:
    """Return the labels in a seed's folder, an integer array of shape (time,).

    Raises
    ------
    InvalidRecord
        If its ``fit.npz`` holds none.
    """
    path = folder / FIT
    labels = load_arrays(folder, "labels".__eq__).get("labels")
    if labels is None or labels.ndim != 1 or labels.dtype.kind not in "iu" or (labels.size and labels.min() < 0):
        raise InvalidRecord(f"{path} holds no readable labels, one whole number per day; run the fit stage again")
    return labels


def finished(out: Path, seeds: Iterable[int]) -> dict[int, dict[str, Any]]:
    """Return the usable records that exist for ``seeds``; damaged ones are left out, so that they are made again."""
    found = {}
    for seed in seeds:
        path = seed_folder(out, seed) / RECORD
        if path.is_file():
            try:
                found[seed] = load(path, verify_fit=True)
            except InvalidRecord:
                continue
    return found


def write_batch(path: Path, dataset: str, address: str, done: Iterable[Mapping[str, Any]]) -> None:
    """Write the list of the records beside ``path``, each with its SHA-256, so that a new record makes a new file.

    Snakemake compares small files by content: without the hashes a batch that was fitted again would look unchanged.
    """
    done = list(done)
    names = [f"{seed_folder(Path(), record['seed'])}/{RECORD}" for record in done]
    batch = {
        "dataset": dataset,
        "address": address,
        "seeds": [record["seed"] for record in done],
        "skipped": [record["seed"] for record in done if record["status"] == SKIPPED],
        "fingerprints": sorted({record["fingerprint"] for record in done} - {None}),
        "records": names,
        "sha256": [sha256_file(path.parent / name) for name in names],
    }
    write_json(path, batch)


def batch_facts(path: Path) -> dict[str, list[Any]]:
    """Return which ``seeds`` a batch file lists, which were ``skipped``, and their ``fingerprints``; None if unknown.

    A batch file that cannot be read lists nothing.
    """
    try:
        batch = read_json(path)
        return {name: batch.get(name) for name in ("seeds", "skipped", "fingerprints")}
    except (OSError, ValueError, AttributeError):
        return {"seeds": [], "skipped": [], "fingerprints": None}


def skipped_seeds(path: Path) -> list[int]:
    """Return the seeds of a batch that were not tried; nothing for a batch file that cannot be read."""
    return batch_facts(path)["skipped"] or []


def read_batch(path: Path) -> list[dict[str, Any]]:
    """Return the records that a batch file lists.

    Raises
    ------
    InvalidRecord
        If the batch file or one of its records cannot be used.
    """
    try:
        listed = [SEED_RECORD.fullmatch(name)[0] for name in read_json(path)["records"]]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InvalidRecord(f"{path} is not a readable batch file; run the fit stage again") from error
    return [load(path.parent / name) for name in listed]


def intact(path: Path) -> bool:
    """Return whether every result that a batch file lists is there as it was when the file was written."""
    try:
        batch = json.loads(path.read_text(encoding="utf-8"))
        for name, digest in zip(batch["records"], batch["sha256"], strict=True):
            record = path.parent / name
            if sha256_file(record) != digest or not _fit_intact(record):
                return False
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return True


def _fit_intact(record: Path) -> bool:
    expected = json.loads(record.read_text(encoding="utf-8"))["hashes"]["fit"]
    return expected is None or sha256_file(record.with_name(FIT)) == expected


def status_summary(records: Iterable[Mapping[str, Any]]) -> str:
    """Return how many fits are ok and why the others are not, such as ``18/20 ok (1 timeout, 1 error)``."""
    counts = Counter(record["status"] for record in records)
    others = [f"{n} {status}" for status, n in counts.most_common() if status != "ok"]
    return f"{counts['ok']}/{counts.total()} ok" + (f" ({', '.join(others)})" if others else "")
