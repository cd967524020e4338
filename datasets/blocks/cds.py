"""Fetch parts from the Climate Data Store: queued together, never asked for twice, each verified before it counts."""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasets.blocks.answers import shown
from datasets.blocks.cds_errors import Gone, JobFailed, NotReady, Refused, Stopped, TooLarge
from datasets.blocks.cds_service import Asset, Service
from datasets.blocks.credentials import find_credentials
from datasets.blocks.parts import Accept, Part, alone, now, read_record, to_fetch, write_done, write_record
from datasets.blocks.transfer import NO_ROOM, PATIENT, NotFound, Partial, Received, TransferError, fetch_url, seconds
from regimebench.dataset import DataError, Progress

if TYPE_CHECKING:
    from ecmwf.datastores import Remote

CLIENT = "ecmwf-datastores-client"
IN_FLIGHT = 4  # jobs that queue while one is fetched; the service runs only a few per account at a time
FIRST_WAIT, LONGEST_WAIT, GROWTH = 1.0, 60.0, 1.5  # seconds between questions how the jobs are
INTENDED, SUBMITTED, RECEIVED, REFUSED = "intended", "submitted", "received", "refused"  # then parts.DONE

log = logging.getLogger(__name__)


def fetch_cds(
    parts: Sequence[Part],
    folder: Path,
    accept: Accept,
    progress: Progress,
    about: Mapping[str, Any],
    *,
    smaller: str = "let each request ask for less in the configuration",
) -> None:
    """Fetch the parts that are not there yet, or not what they were.

    What was done is written into each part's record before the next step, so that a process that is ended anywhere
    goes on where it was: with the job that it asked for, the bytes that it has, the file that it received.

    Parameters
    ----------
    parts : sequence of Part
        ``source`` is a collection, ``request`` the inputs of a job.
    folder : path
        Takes the parts and their records.
    accept : Accept
        Makes the part's file from what arrived. What it refuses is kept beside it as ``*.refused``.
    progress : Progress
        Told how many parts are there and which one is waited for, and the bytes of each transfer.
    about : mapping
        ``licence``, ``attribution`` and ``doi``, for the records.
    smaller : str
        What to do if the service refuses a request as too large: which parameters of the data set make it smaller.

    Raises
    ------
    DataError
        If the account or the service stands against it, or another process fetches into the folder: at once, in one
        sentence. If parts failed: when all others are there, naming each.
    """
    with alone(folder):
        if todo := to_fetch(parts, folder):
            _Fetch(len(parts), len(parts) - len(todo), folder, accept, progress, about, smaller).run(todo)


@dataclass
class _Flight:
    """One job that is under way."""

    part: Part
    job: Remote
    began: float
    state: str = ""
    renewed: bool = False
    landed: bool = False


class _Fetch:
    def __init__(
        self,
        total: int,
        done: int,
        folder: Path,
        accept: Accept,
        progress: Progress,
        about: Mapping[str, Any],
        smaller: str,
    ):
        self.total, self.done, self.smaller = total, done, smaller
        self.folder, self.accept, self.progress, self.about = folder, accept, progress, dict(about)
        self.failures: dict[str, list[str]] = {}

    @cached_property
    def service(self) -> Service:
        return Service(find_credentials())

    def run(self, parts: Sequence[Part]) -> None:
        """Fetch all; whatever happens, nothing that was asked for is lost."""
        try:
            self._run(parts)
        except Stopped as stop:
            queued = sum(read_record(part, self.folder).get("state") == SUBMITTED for part in parts)
            later = f" (requests under way, which the next run goes on with: {queued})" if queued else ""
            raise Stopped("\n".join([*self._failed(), f"{stop}{later}"])) from None
        if self.failures:
            there = f"\n({self.done} of {self.total} parts are there and stay)" if self.done else ""
            raise DataError("\n".join(self._failed()) + there)

    def _failed(self) -> list[str]:
        return [f"{', '.join(stems)}: {text}" for text, stems in self.failures.items()]

    def _run(self, parts: Sequence[Part]) -> None:
        """Keep ``IN_FLIGHT`` jobs queued until every part is there or failed."""
        waiting, flying, wait = deque(parts), [], FIRST_WAIT
        while waiting or flying:
            while waiting and len(flying) < IN_FLIGHT:
                part = waiting.popleft()
                with self._noted(part):
                    flying += filter(None, [self._begin(part)])
            moved = [self._advance(flight) for flight in flying]
            flying = [flight for flight in flying if not flight.landed]
            wait = FIRST_WAIT if any(moved) else min(wait * GROWTH, LONGEST_WAIT)
            if flying and not any(moved):
                self.progress(f"waiting for {flying[0].part.stem} ({flying[0].state})", self.done, self.total)
                time.sleep(seconds(wait))

    @contextmanager
    def _noted(self, part: Part) -> Iterator[None]:
        """Let the failure of one part not stop the others, unless it would stop them as well."""
        try:
            yield
        except Stopped:
            raise
        except DataError as error:
            advice = f"; {self.smaller}" if isinstance(error, TooLarge) else ""
            text = str(error).removeprefix(f"{part.stem}: ") + advice
            log.warning("%s: %s", part.stem, text)
            self.failures.setdefault(text, []).append(part.stem)

    def _begin(self, part: Part) -> _Flight | None:
        """Return the part's job, an earlier one if there is one; None if nothing has to be waited for."""
        record = read_record(part, self.folder)
        if record.get("state") == RECEIVED and self._arrived(part, record):
            self._take(part)
            return None
        if job := record.get("job"):
            try:
                remote = self.service.job(job, part.source)
                log.info("%s: going on with job %s", part.stem, job)
                return _Flight(part, remote, time.monotonic())
            except Gone as gone:
                log.warning("%s: job %s is no longer there (%s); asking anew", part.stem, job, gone)
                self._forget(part)
        return _Flight(part, self._submit(part), time.monotonic())

    def _submit(self, part: Part) -> Remote:
        record = read_record(part, self.folder)
        lost = record.get("state") == INTENDED  # an earlier process may have been ended between asking and noting
        if not lost:
            known = {"forgotten": record["forgotten"]} if record.get("forgotten") else {}
            record = {"source": part.source, "request": part.request, "state": INTENDED, "intended": now(), **known}
            write_record(part, self.folder, record)
        job = self.service.submit(part, record["intended"], record.get("forgotten", []), lost)
        record |= {"state": SUBMITTED, "job": job.request_id, "submitted": now()}
        write_record(part, self.folder, record)
        return job

    def _forget(self, part: Part, **more: Any) -> None:
        """Note that the part's job is of no more use, so that it is asked for anew."""
        record = read_record(part, self.folder)
        forgotten = [*record.get("forgotten", []), record.pop("job")]
        write_record(part, self.folder, {**record, "state": "", **more, "forgotten": forgotten})

    def _advance(self, flight: _Flight) -> bool:
        """Ask how a job is and fetch what is ready; return whether anything changed."""
        part, before = flight.part, flight.state
        flight.landed = True  # unless we come to the end
        with self._noted(part):
            try:
                flight.state = self.service.state(flight.job, part.source)
                if flight.state != before:
                    waited = time.monotonic() - flight.began
                    log.info("%s: job %s is %s after %.0f s", part.stem, flight.job.request_id, flight.state, waited)
                if flight.state == "successful":
                    self._collect(flight)
                    return True
            except NotReady:
                flight.state = "finishing"
            except Gone as gone:
                self._renew(flight, gone)
            except JobFailed as failure:
                self._forget(part, reason=str(failure))
                raise
            flight.landed = False
        return flight.landed or flight.state != before

    def _renew(self, flight: _Flight, gone: Gone) -> None:
        if flight.renewed:
            raise Refused(
                f"the Climate Data Store has lost the results twice ({gone}); run again later, and report it at "
                "https://support.ecmwf.int if it stays"
            )
        log.warning("%s: job %s is of no use (%s); asking anew", flight.part.stem, flight.job.request_id, gone)
        self._forget(flight.part)
        flight.job, flight.renewed, flight.state = self._submit(flight.part), True, ""

    def _collect(self, flight: _Flight) -> None:
        """Fetch the results of a job, note what arrived, and take it."""
        part, target = flight.part, flight.part.file(self.folder)
        asset = self.service.asset(flight.job, part.source)
        got = self._transfer(part, asset)
        target.unlink(missing_ok=True)  # from here on a file of this name was made from what arrived now
        record = {
            **read_record(part, self.folder),
            "state": RECEIVED,
            "finished": asset.finished,
            "downloaded": now(),
            "received": {**asdict(got), "type": asset.type, "from": shown(asset.href)},
        }
        write_record(part, self.folder, record)
        self._take(part)

    def _transfer(self, part: Part, asset: Asset) -> Received:
        path = _beside(part.file(self.folder), "received")

        def progress(message: str, done: int, total: int, unit: str = "") -> None:
            self.progress(f"{message} ({self.done + 1} of {self.total})", done, total, unit)

        again = True
        while True:
            try:
                known = {"size": asset.size, "md5": asset.md5, "waits": PATIENT}
                return fetch_url(asset.href, path, progress=progress, label=part.stem, **known)
            except NotFound:
                raise Gone("the file is no longer there") from None
            except TransferError as error:
                if not again or Partial(path).held:
                    raise
                again = False  # nothing of it was any good: from the beginning, once
                log.warning("%s; fetching it once more", str(error).partition("; ")[0])

    def _arrived(self, part: Part, record: Mapping[str, Any]) -> bool:
        """Return whether what an earlier process received is still there, as it was or already made into the part."""
        path = _beside(part.file(self.folder), "received")
        if not path.exists():
            return part.file(self.folder).is_file()
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "md5").hexdigest() == record.get("received", {}).get("md5")

    def _take(self, part: Part) -> None:
        """Let ``accept`` make the part from what arrived, and write the record of a complete part."""
        target = part.file(self.folder)
        received, refused = _beside(target, "received"), _beside(target, "refused")
        if received.exists():
            try:
                self.accept(received, target, part)
            except DataError as error:
                if _no_room(error):
                    raise Stopped(f"{part.stem}: {error}") from error
                if received.exists():
                    os.replace(received, refused)
                self._forget(part, state=REFUSED, reason=str(error))
                raise DataError(f"{error} (what arrived is kept as {refused.name}; it is asked for anew)") from error
        for path in (received, refused):
            path.unlink(missing_ok=True)
        client = f"{CLIENT} {version(CLIENT)}"
        write_done(part, self.folder, {**read_record(part, self.folder), **self.about, "client": client})
        self.done += 1
        log.info("%s: complete (%d of %d)", part.stem, self.done, self.total)


def _no_room(error: BaseException | None) -> bool:
    """Return whether a full disk is behind an error: nothing is wrong with what arrived then."""
    while error is not None and not (isinstance(error, OSError) and error.errno in NO_ROOM):
        error = error.__cause__
    return error is not None


def _beside(target: Path, what: str) -> Path:
    return target.with_name(f"{target.name}.{what}")
