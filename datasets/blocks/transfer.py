"""One download over HTTP that survives what networks do: it resumes, tries again, and verifies what arrived."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from http.client import responses
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from datasets.blocks.answers import TRANSIENT, Offer, asked_wait, offered, page, reason, shown
from datasets.blocks.partial import Partial, Received
from datasets.blocks.sums import agrees
from regimebench.dataset import DataError, Progress, no_progress

if TYPE_CHECKING:
    import requests

BLOCK = 2**16  # bytes; what is lost of the last block when a connection breaks
CONNECT, SILENCE = 30.0, 60.0  # seconds until a server that does not answer, or stops sending, is given up
WAITS = (1.0, 4.0, 15.0, 60.0, 120.0)  # seconds between tries in a row that bring nothing
PATIENT = (*WAITS, *[300.0] * 36)  # three hours, where a server has just answered: it, or the network, will come back
TRIES = 100  # in all: a connection that often breaks, but brings something each time, goes on
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
MIB = 2**20

log = logging.getLogger(__name__)


class TransferError(DataError):
    """A file could not be downloaded; ``status`` is the HTTP status of the answer, None if there was none."""

    def __init__(self, text: str, status: int | None = None):
        super().__init__(text)
        self.status = status


class NotFound(TransferError):
    """The server has no such file (404 or 410)."""


class _Broken(Exception):
    """A try ended early; the next one may do better. ``wait``: seconds that the server asked for."""

    def __init__(self, text: str, wait: float | None = None):
        super().__init__(text)
        self.wait = wait


def seconds(value: float) -> float:
    """Return a wait or timeout, scaled by the environment variable ``REGIMEBENCH_PATIENCE`` (default 1)."""
    return value * float(os.environ.get("REGIMEBENCH_PATIENCE") or 1)


def fetch_url(
    url: str,
    target: Path,
    *,
    size: int | None = None,
    md5: str | None = None,
    progress: Progress = no_progress,
    label: str = "",
    waits: Sequence[float] = WAITS,
) -> Received:
    """Download a file to ``target``, continuing what an earlier call or process left half done.

    The bytes so far lie in ``<target>.part``, and in ``<target>.part.json`` how the server described the file. They
    are continued only if the server says that the file is still the same (``If-Range``) or ``md5`` can tell.

    Parameters
    ----------
    url : str
        Fetched by plain GET; its query, which may be a signature, appears in no message.
    target : path
        Takes its name when everything is there and verified.
    size, md5 : int, str or None
        What the file must have, if known beforehand; the sum in 32 lower-case digits (see :mod:`datasets.blocks.sums`).
    progress : Progress
        Told ``label``, the bytes so far and those of the whole file (0 if unknown).
    label : str
        Name in messages, by default that of ``target``.
    waits : sequence of float
        Seconds between tries in a row that bring nothing: after the last one it is given up.

    Raises
    ------
    NotFound
        If the server has no such file.
    TransferError
        For everything else that waiting and trying again does not cure.
    """
    download = _Download(url, Partial(target), size, md5, progress, label or target.name, waits)
    target.parent.mkdir(parents=True, exist_ok=True)
    download.complete()
    received = download.part.described()
    right = md5 is None or agrees(received, md5, download.part.path)
    if not right and download.pieces > 1:
        log.warning(
            "%s: the sum of what came in several tries is not the announced one; fetching it in one go", download.label
        )
        download.part.discard()
        download.complete()
        received = download.part.described()
        right = agrees(received, md5, download.part.path)
    if right is None:
        log.warning(
            "%s: stored in pieces of unknown size: its sum cannot be compared; size and tag are right", download.label
        )
    elif not right:
        download.part.discard()
        raise TransferError(
            f"{download.label}: the file from {shown(url)} has the md5 sum {received.md5} where {md5} was "
            "announced; it is not kept. Run again; if this stays, tell the provider"
        )
    download.part.finish(target)
    return received


@dataclass
class _Download:
    url: str
    part: Partial
    size: int | None
    md5: str | None
    progress: Progress
    label: str
    waits: Sequence[float]
    pieces: int = field(default=0)  # answers that the bytes so far come from

    def complete(self) -> None:
        """Try until all bytes are there."""
        if self._leftover_is_whole():
            return
        best, tries, fruitless = self.part.held, 0, 0
        while True:
            try:
                return self._attempt()
            except _Broken as broken:
                last, asked = str(broken), broken.wait or 0.0
            tries += 1
            fruitless = 0 if self.part.held > best else fruitless + 1
            best = max(best, self.part.held)
            if fruitless > len(self.waits) or tries == TRIES:
                break
            wait = max(self.waits[max(fruitless, 1) - 1], asked)
            log.warning("%s: %s; trying again in %g s", self.label, last, wait)
            time.sleep(seconds(wait))
        raise TransferError(
            f"{self.label}: {shown(self.url)} could not be downloaded in {tries} tries; at last {last}"
            f"{self._kept()}. Run again later{' to go on from there' if self.part.held else ''}"
        )

    def _leftover_is_whole(self) -> bool:
        """Return whether an earlier process was ended between the last byte and the new name."""
        held, whole = self.part.held, self.part.offer.size
        self.pieces = int(held > 0)
        if not held or whole is None or held < whole:
            return False
        if held == whole and self.size in (None, whole):
            self.pieces = 2  # or more: nobody knows
            return True
        self.part.discard()
        return False

    def _attempt(self) -> None:
        import requests

        held, known = self.part.held, self.part.offer
        headers = {"Accept-Encoding": "identity"}
        if held and (known.validator or (self.md5 and known.size)):
            headers["Range"] = f"bytes={held}-"
            if known.validator:
                headers["If-Range"] = known.validator
        timeout = (seconds(CONNECT), seconds(SILENCE))
        try:
            with requests.get(self.url, headers=headers, stream=True, timeout=timeout) as answer:
                self._receive(answer, held, known)
        except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
            raise _Broken(reason(error)) from None
        except requests.RequestException as error:
            text = f"{self.label}: {shown(self.url)} cannot be asked for ({type(error).__name__}); check the address"
            raise TransferError(text) from None
        except OSError as error:  # of our own files: the two clauses above have those of the network
            if error.errno not in NO_ROOM:
                raise
            raise self._no_room() from None

    def _receive(self, answer: requests.Response, held: int, known: Offer) -> None:
        """Append what the answer brings, if it fits."""
        self._refuse_status(answer)
        start, offer = offered(answer)
        blocks = answer.iter_content(BLOCK)
        if answer.status_code == 206:
            if start != held or not offer.same_as(known):
                self.part.discard()
                raise _Broken("the file on the server has changed; starting again from the beginning")
            self._refuse_content(answer, b"", offer)
            self.pieces += 1
        else:
            first = next(blocks, b"")
            self._refuse_content(answer, first, offer)
            self.part.begin(offer)
            self.pieces, blocks = 1, chain([first], blocks)
        whole = offer.size or self.size
        self._append(blocks, whole)
        if whole is not None and self.part.held != whole:
            raise _Broken(f"{self.part.held:,} of {whole:,} bytes arrived")

    def _refuse_status(self, answer: requests.Response) -> None:
        code = answer.status_code
        if code in (200, 206):
            return
        said = f"{code} {responses.get(code, '')}".strip()
        if code == 416:
            self.part.discard()
            raise _Broken("the file on the server is shorter than the part of it that is here; starting again")
        if code in TRANSIENT:
            raise _Broken(f"the server answered {said}", asked_wait(answer))
        text = f"{self.label}: {shown(self.url)} answered {said}"
        if code in (404, 410):
            raise NotFound(f"{text}: there is no such file", code)
        raise TransferError(f"{text}; the file cannot be had from there", code)

    def _refuse_content(self, answer: requests.Response, first: bytes, offer: Offer) -> None:
        where = f"{self.label}: {shown(self.url)}"
        title = page(answer, first)
        if title is not None:
            raise TransferError(
                f"{where} answered with a web page ({title!r}) instead of data; open the address in a browser to see "
                "what the provider, or a proxy on the way, wants"
            )
        if answer.headers.get("Content-Encoding", "identity") != "identity":
            raise TransferError(f"{where} sends the file compressed, although asked not to; use another server")
        if None not in (self.size, offer.size) and self.size != offer.size:
            raise TransferError(
                f"{where} offers {offer.size:,} bytes where {self.size:,} were announced. Run again; if this stays, "
                "tell the provider"
            )

    def _append(self, blocks: Iterable[bytes], whole: int | None) -> None:
        done = self.part.held
        if whole is not None and whole - done > self._free():
            raise self._no_room()
        self.progress(self.label, done, whole or 0, "B")
        with open(self.part.path, "ab", buffering=0) as file:
            for block in blocks:
                view = memoryview(block)
                while view:
                    view = view[file.write(view) :]
                done += len(block)
                self.progress(self.label, done, whole or 0, "B")

    def _free(self) -> int:
        return shutil.disk_usage(self.part.path.parent).free

    def _no_room(self) -> TransferError:
        whole = self.part.offer.size or self.size
        needed = "more is needed" if whole is None else f"{(whole - self.part.held) / MIB:,.1f} MiB more are needed"
        return TransferError(
            f"{self.label}: {needed} in {self.part.path.parent}/, where {self._free() / MIB:,.1f} MiB are free or "
            f"allowed{self._kept()}. Make room and run again"
        )

    def _kept(self) -> str:
        held = self.part.held
        return f"; the {held / MIB:,.1f} MiB so far are kept" if held else ""
