"""Parts: the pieces that a data set is fetched in, each one file with a record of where it came from beside it."""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from regimebench.dataset import DataError

DONE = "done"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Part:
    """One request and the file that answers it.

    Parameters
    ----------
    stem : str
        Name for humans, such as ``2021-03``.
    suffix : str
        Of the file, such as ``.nc``.
    source : str
        Collection of the Climate Data Store, or data provider.
    request : dict
        JSON. For files over HTTPS what tells the file from others of the provider, such as ``{"file": "slp.2021.nc"}``.
    urls : tuple of str
        Where a file over HTTPS lies, the preferred address first. They do not count for :attr:`key`: the same file from
        a mirror is the same part.
    """

    stem: str
    suffix: str
    source: str
    request: dict[str, Any]
    urls: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Eight hexadecimal digits that change with the request, so that no file answers another one."""
        text = json.dumps([self.source, self.request], sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    def file(self, folder: Path) -> Path:
        """Return the part's file in a folder."""
        return folder / f"{self.stem}.{self.key}{self.suffix}"

    def record(self, folder: Path) -> Path:
        """Return the part's record in a folder."""
        return folder / f"{self.file(folder).name}.json"


class Accept(Protocol):
    """Checks what arrived, so that a bad answer never becomes a part."""

    def __call__(self, received: Path, target: Path, part: Part) -> None:
        """Turn complete, verified bytes into ``target`` in one step (``os.replace``), or raise DataError.

        Parameters
        ----------
        received : Path
            The bytes as the service sent them, under a temporary name in the folder of ``target``. It may be moved.
        target : Path
            ``part.file(folder)``.
        part : Part
            What was asked for.

        Raises
        ------
        DataError
            If the content is not what was asked for; nothing is at ``target`` then.
        """


def read_record(part: Part, folder: Path) -> dict[str, Any]:
    """Return a part's record; empty if there is none, or none that can be read."""
    try:
        record = json.loads(part.record(folder).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def write_record(part: Part, folder: Path, record: Mapping[str, Any]) -> None:
    """Write a part's record in one step: a reader sees the old one or the new one."""
    path = part.record(folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.tmp")
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump(record, file, indent=1, allow_nan=False)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    handle = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(handle)  # or a power cut could bring the old record back, and a job would be asked for twice
    finally:
        os.close(handle)


def write_done(part: Part, folder: Path, record: Mapping[str, Any]) -> None:
    """Write the record of a part whose file is in place, with the file's size and SHA-256."""
    path = part.file(folder)
    described = {"source": part.source, "request": part.request, **record}
    write_record(part, folder, {**described, "state": DONE, "bytes": path.stat().st_size, "sha256": _sha256(path)})


def is_complete(part: Part, folder: Path) -> bool:
    """Return whether the part's record says done and its file is there with the recorded size."""
    record = read_record(part, folder)
    try:
        return record.get("state") == DONE and part.file(folder).stat().st_size == record["bytes"]
    except (OSError, KeyError):
        return False


def missing(parts: Iterable[Part], folder: Path) -> list[Part]:
    """Return the parts that are still to be fetched."""
    return [part for part in parts if not is_complete(part, folder)]


def damaged(parts: Iterable[Part], folder: Path) -> list[Part]:
    """Return the complete parts whose file is not the recorded one any more, although it has its size; reads them."""
    return [
        part
        for part in parts
        if is_complete(part, folder) and _sha256(part.file(folder)) != read_record(part, folder).get("sha256")
    ]


def refuse_damaged(parts: Iterable[Part], folder: Path) -> None:
    """Raise DataError, naming them, if files are not what was fetched."""
    if found := damaged(parts, folder):
        names = ", ".join(part.file(folder).name for part in found)
        raise DataError(
            f"{names} in {folder}/: changed since the download (the SHA-256 is not the recorded one); delete it and "
            f"{folder}/manifest.json, and run again to fetch it anew"
        )


def to_fetch(parts: Iterable[Part], folder: Path) -> list[Part]:
    """Return the parts that are missing or damaged, in their order; says which are damaged."""
    parts = list(parts)
    changed = {part.file(folder) for part in damaged(parts, folder)}
    for path in sorted(changed):
        log.warning("%s: changed since the download; it is fetched again", path)
    return [part for part in parts if part.file(folder) in changed or not is_complete(part, folder)]


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Make the folder and keep other processes from fetching into it; a process that is killed lets go by that.

    Raises
    ------
    DataError
        If another one does already: both would write into the same files, and ask for everything twice. Also if files
        cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
        try:
            _lock(handle, folder)
            yield
        finally:
            os.close(handle)
    except OSError as error:
        raise DataError(
            f"{error.filename or folder} cannot be written ({error.strerror or error}); mend that and run again, which "
            "goes on from here"
        ) from error


def _lock(handle: int, folder: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise DataError(f"another process is fetching into {folder}/; wait until it has ended, and run again") from None
    except OSError as error:
        log.debug("%s: this file system cannot lock (%s)", folder, error.strerror)


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def provenance(parts: Iterable[Part], folder: Path) -> list[dict[str, Any]]:
    """Return for each part that is there what its record says, JSON-ready: addresses without their query."""
    return [
        {"file": part.file(folder).name, **_public(read_record(part, folder))}
        for part in parts
        if is_complete(part, folder)
    ]


def now() -> str:
    """Return the time in UTC, to the second, as records hold it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _public(value: Any) -> Any:
    """Drop user, password, query and fragment, which may be signatures, from every address in a JSON value."""
    if isinstance(value, Mapping):
        return {key: _public(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_public(item) for item in value]
    if isinstance(value, str) and value.startswith(("http://", "https://")):
        parts = urlsplit(value)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    return value
