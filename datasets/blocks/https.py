"""Fetch parts that a provider offers as whole files over HTTPS, without an account."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from datasets.blocks.answers import shown
from datasets.blocks.parts import Accept, Part, alone, now, read_record, to_fetch, write_done, write_record
from datasets.blocks.transfer import PATIENT, WAITS, TransferError, fetch_url
from regimebench.dataset import DataError, Progress

ARRIVALS = ".arriving"  # within the data set's folder: what is not accepted yet
RECEIVED, REFUSED = "received", "refused"  # then parts.DONE

log = logging.getLogger(__name__)


def fetch_https(
    parts: Sequence[Part], folder: Path, accept: Accept, progress: Progress, about: Mapping[str, Any]
) -> None:
    """Fetch the parts that are not there yet, or not what they were, each from the first address that has it.

    Parameters
    ----------
    parts : sequence of Part
        ``urls`` says where each lies, the preferred address first.
    folder : path
        Takes the parts and their records.
    accept : Accept
        Checks what arrived and makes the part's file of it. What it refuses is kept beside it as ``*.refused``, for
        whoever wants to look, and fetched again by the next call.
    progress : Progress
        Told the bytes of each transfer.
    about : mapping
        ``licence``, ``attribution`` and ``doi``, for the records.

    Raises
    ------
    DataError
        At once if the server or the disk stands against it, or another process fetches into the folder. If single
        files are not there or were refused: when all others are there, naming each.
    """
    with alone(folder):
        if todo := to_fetch(parts, folder):
            _fetch(todo, len(parts), folder, accept, progress, about)
        shutil.rmtree(folder / ARRIVALS, ignore_errors=True)


def _fetch(
    todo: Sequence[Part], total: int, folder: Path, accept: Accept, progress: Progress, about: Mapping[str, Any]
) -> None:
    there, failures, waits = total - len(todo), [], WAITS
    for part in todo:
        arrivals = _Arrivals(part, folder, f"{part.stem} ({there + len(failures) + 1} of {total})", progress, waits)
        try:
            arrivals.take(accept, about)
            there, waits = there + 1, PATIENT  # a server that has sent a file is there, and comes back
        except TransferError as error:
            raise DataError("\n".join([*failures, f"{error} ({_count(there, total)})"])) from None
        except DataError as error:
            log.warning("%s", error)
            failures.append(str(error))
    if failures:
        raise DataError("\n".join([*failures, _count(there, total)]))


def _count(there: int, total: int) -> str:
    return f"{there} of {total} files are there and stay"


class _Arrivals:
    """Where one part arrives, and how it gets there."""

    def __init__(self, part: Part, folder: Path, label: str, progress: Progress, waits: Sequence[float]):
        self.part, self.folder, self.label, self.progress, self.waits = part, folder, label, progress, waits
        self.target = part.file(folder)

    def take(self, accept: Accept, about: Mapping[str, Any]) -> None:
        """Fetch the part, let it be judged, and write the record of a complete part."""
        refused = self.target.with_name(f"{self.target.name}.refused")
        if not self._taken():
            self._judge(self._received(), refused, accept)
        refused.unlink(missing_ok=True)
        client = f"pooch {version('pooch')}"
        write_done(self.part, self.folder, {**read_record(self.part, self.folder), **about, "client": client})
        log.info("%s: complete", self.label)

    def _taken(self) -> bool:
        """Return whether an earlier process was ended between accepting the file and saying so."""
        arrived = (self.folder / ARRIVALS / self.target.name).exists()
        return read_record(self.part, self.folder).get("state") == RECEIVED and self.target.is_file() and not arrived

    def _judge(self, received: Path, refused: Path, accept: Accept) -> None:
        try:
            accept(received, self.target, self.part)
        except DataError as error:
            if received.exists():
                os.replace(received, refused)
            write_record(self.part, self.folder, {**read_record(self.part, self.folder), "state": REFUSED})
            raise DataError(
                f"{self.part.stem}: {error} (what arrived is kept as {refused.name}; run again to fetch it anew)"
            ) from error
        received.unlink(missing_ok=True)

    def _received(self) -> Path:
        """Return the complete bytes, from the first address that has them."""
        import pooch

        pooch.get_logger().setLevel("WARNING")  # its advice to pin the hash does not suit files that may be re-issued
        absent = []
        for url in self.part.urls:
            try:
                # Whole as it is only under its own name: what a process left there before it ended is used again.
                path = pooch.retrieve(
                    url, known_hash=None, fname=self.target.name, path=self.folder / ARRIVALS, downloader=self._download
                )
                return Path(path)
            except TransferError as error:
                if error.status is None:
                    raise
                absent.append(f"{shown(url)} ({error.status})")
        raise DataError(
            f"{self.part.stem}: the file is at none of its addresses: {', '.join(absent)}; check that the provider has "
            "it, or name a mirror"
        )

    def _download(self, url: str, file: str, _: Any) -> None:
        """Fetch one address for pooch, which cannot resume: its own file is a new one in every process."""
        path = self.folder / ARRIVALS / f"{self.target.name}.bytes"
        got = fetch_url(url, path, progress=self.progress, label=self.label, waits=self.waits)
        record = {"source": self.part.source, "request": self.part.request, "state": RECEIVED, "downloaded": now()}
        described = {"from": shown(url), "etag": got.etag, "last_modified": got.modified, "md5": got.md5}
        os.replace(path, file)
        self.target.unlink(missing_ok=True)  # from here on a file of this name was made from what arrived now
        write_record(self.part, self.folder, {**record, "received": described})
