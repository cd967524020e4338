"""The Climate Data Store through ECMWF's client: with our patience, our sentences, and no job asked for twice."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from datasets.blocks.answers import TRANSIENT, asked_wait
from datasets.blocks.cds_errors import Gone, explained, not_json, unknown_form, unreachable
from datasets.blocks.credentials import Credentials
from datasets.blocks.parts import Part
from datasets.blocks.sums import md5_of
from datasets.blocks.transfer import CONNECT, PATIENT, SILENCE, WAITS, seconds

if TYPE_CHECKING:
    import requests
    from ecmwf.datastores import Remote

ALIVE = ("accepted", "running", "successful")
# What the client raises where the service sends other JSON than it knows.
MISREAD = (AssertionError, AttributeError, LookupError, TypeError, ValueError)
CLOCKS = timedelta(minutes=10)  # by which the service's clock and ours may differ
RECENT = 50  # jobs of the account among which a lost one is looked for

log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True)
class Asset:
    """The file that answers a request: where it lies, its size in bytes, md5 sum and media type."""

    href: str
    size: int | None
    md5: str | None
    type: str
    finished: str | None  # when the job was


class Service:
    """One account.

    The client retries without limit of sense (500 times 120 s), also a submission whose answer was lost, so it is told
    not to retry at all; :meth:`_ask` does: for minutes until a job is there, so that a wrong address shows soon; for
    hours afterwards, so that neither maintenance nor a lost network ends a run that has waited in the queue.
    """

    def __init__(self, credentials: Credentials):
        from ecmwf.datastores import Client

        self.credentials = credentials
        self._said: set[str] = set()
        self._waits = WAITS
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            self._client = Client(
                credentials.url,
                credentials.key,
                timeout=(seconds(CONNECT), seconds(SILENCE)),
                progress=False,
                maximum_tries=1,
                session=_session(credentials.url),
                log_callback=self._log,
            )
        for warning in caught:  # the service's news could not be had, which the next call will explain
            self._log(logging.DEBUG, str(warning.message))

    def submit(self, part: Part, since: str, known: Collection[str], lost: bool) -> Remote:
        """Ask for a part and return its job.

        Parameters
        ----------
        part : Part
            What to ask for.
        since : str
            When it was decided to ask, ISO format with an offset.
        known : collection of str
            Jobs that answered the same request before and are of no use.
        lost : bool
            Whether an earlier process may have asked without noting the job: it is looked for first.
        """
        process = self._ask(lambda: self._client.get_process(part.source), part.source)
        look = lost

        def once() -> Remote:
            nonlocal look
            found = self._lost_job(part, since, known) if look else None
            look = True  # an answer that got lost on the way must not become a second job
            return found or process.submit(part.request)

        job = self._ask(once, part.source)
        self._waits = PATIENT
        return job

    def job(self, job: str, source: str) -> Remote:
        """Return a job by its id; Gone if the service does not know it (any more)."""
        remote = self._ask(lambda: self._client.get_remote(job), source)
        self._waits = PATIENT
        return remote

    def state(self, job: Remote, source: str) -> str:
        """Return ``accepted``, ``running`` or ``successful``.

        Raises
        ------
        JobFailed
            If the service could not make the data.
        Gone
            If the job was dismissed or deleted.
        """
        state = self._ask(lambda: job.status, source)
        if state in ("failed", "rejected"):
            self._ask(job.get_results, source)  # raises with the reason
        if state not in ALIVE:
            raise Gone(f"it is {state}")
        return state

    def asset(self, job: Remote, source: str) -> Asset:
        """Return the file of a successful job; Gone or NotReady if it has none."""
        results = self._ask(job.get_results, source)

        def read() -> Asset:
            value, finished = results.asset, job.finished_at
            size, md5 = value.get("file:size"), md5_of(value.get("file:checksum"))
            when = finished.isoformat(timespec="seconds") if finished else None
            return Asset(results.location, size, md5, results.content_type, when)

        return self._ask(read, source)

    def _lost_job(self, part: Part, since: str, known: Collection[str]) -> Remote | None:
        """Return the account's newest job with the same request, made after ``since``, if there is one."""
        jobs = self._client.get_jobs(limit=RECENT, sortby="-created").json["jobs"]
        for job in jobs:
            recent = _utc(job["created"]) >= _utc(since) - CLOCKS
            if job["processID"] != part.source or job["status"] not in ALIVE or job["jobID"] in known or not recent:
                continue
            remote = self._client.get_remote(job["jobID"])
            if _plain(remote.request) == _plain(part.request):
                log.info("%s: job %s is taken up, which an earlier run asked for", part.stem, job["jobID"])
                return remote
        return None

    def _ask(self, call: Callable[[], T], source: str) -> T:
        """Return what a call to the client returns, trying again when waiting may help."""
        import requests
        from ecmwf.datastores.processing import LinkError, ProcessingFailedError

        waits = self._waits
        for wait in (*waits, None):
            transient, longer = waits is PATIENT, None  # a hotel's login page or certificate may go away again
            try:
                return call()
            except requests.HTTPError as error:
                trouble = explained(error, source, self.credentials)
                code = error.response.status_code
                transient, longer = code in TRANSIENT or code >= 500, asked_wait(error.response)
            except requests.exceptions.JSONDecodeError as error:
                trouble = not_json(error.doc, self.credentials)
            except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
                trouble = unreachable(error, self.credentials)
                transient |= not isinstance(error, requests.exceptions.SSLError)
            except ProcessingFailedError as error:  # dismissed between two questions
                trouble, transient = Gone(self.credentials.redacted(str(error))), False
            except (requests.RequestException, LinkError, *MISREAD) as error:
                trouble, transient = unknown_form(self.credentials, error), False
            if wait is None or not transient:
                raise trouble  # outside of the clause: the client's own errors may carry what was sent
            wait = max(wait, longer or 0)
            log.warning("%s; trying again in %g s", str(trouble).partition("; ")[0], wait)
            time.sleep(seconds(wait))
        raise AssertionError  # the last round returned or raised

    def _log(self, level: int, message: str, *_: Any, **__: Any) -> None:
        """Pass on what the client logs, without the key; the service's warnings once, not at every question."""
        if message.startswith("REPLY "):  # whole answers, with signed addresses in them
            return
        text = self.credentials.redacted(message)
        if level >= logging.WARNING and text not in self._said:
            self._said.add(text)
            log.log(level, "%s", text)
        else:
            log.debug("%s", text)


def _session(root: str) -> requests.Session:
    """Return a session that keeps the key from every other server: requests itself drops only ``Authorization``."""
    import requests

    class Session(requests.Session):
        def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
            if self.should_strip_auth(root, request.url):
                request.headers.pop("PRIVATE-TOKEN", None)
            return super().send(request, **kwargs)

    return Session()


def _utc(stamp: str) -> datetime:
    """Return a time of the service, which is UTC where it has no offset."""
    when = datetime.fromisoformat(stamp)
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def _plain(request: dict[str, Any]) -> dict[str, list[str]]:
    """Return a request in one form: the service takes ``"2021"``, ``["2021"]`` and ``[2021.0]`` for the same."""
    return {
        key: [f"{item:.10g}" if isinstance(item, float) else str(item) for item in _list(value)]
        for key, value in request.items()
    }


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
