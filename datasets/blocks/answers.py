"""What a server's answer to a GET means: which bytes of which file it offers, or why it is of no use."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import requests

TRANSIENT = (408, 429, 500, 502, 503, 504)
LONGEST_WAIT = 600.0  # seconds: a server that asks for more is asked again after this long
RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)$")
TITLE = re.compile(rb"<title[^>]*>\s*(.*?)\s*</title", re.IGNORECASE | re.DOTALL)
PAGE = re.compile(rb"\s*<(!doctype html|html|\?xml)", re.IGNORECASE)


@dataclass(frozen=True)
class Offer:
    """One file as a server describes it.

    Parameters
    ----------
    size : int or None
        Bytes of the whole file; None if the server does not say.
    etag, modified : str
        What changes when the file changes; empty if the server does not say.
    """

    size: int | None
    etag: str
    modified: str

    @property
    def validator(self) -> str:
        """What ``If-Range`` may carry: a strong entity tag or else the date (RFC 9110, section 13.1.5)."""
        return self.etag if self.etag and not self.etag.startswith("W/") else self.modified

    def same_as(self, other: Offer) -> bool:
        """Return whether both describe the same bytes, judged by all that both say."""
        pairs = ((self.size, other.size), (self.etag, other.etag), (self.modified, other.modified))
        return all(mine == theirs for mine, theirs in pairs if mine and theirs)


def offered(answer: requests.Response) -> tuple[int, Offer]:
    """Return at which byte an answer with status 200 or 206 begins (-1: it does not say), and of which file."""
    start, size = 0, answer.headers.get("Content-Length", "")
    if answer.status_code == 206:
        found = RANGE.match(answer.headers.get("Content-Range", ""))
        start, size = (int(found[1]), found[2]) if found else (-1, "")
    whole = int(size) if size.isdigit() else None
    return start, Offer(whole, answer.headers.get("ETag", ""), answer.headers.get("Last-Modified", ""))


def page(answer: requests.Response, first: bytes) -> str | None:
    """Return the title of the web page (or its beginning) that came in place of data, None if it is none."""
    declared = answer.headers.get("Content-Type", "").lower()
    if not (declared.startswith(("text/html", "application/xhtml")) or (first and PAGE.match(first))):
        return None
    title = TITLE.search(first)
    return " ".join((title[1] if title else first[:60]).decode("utf-8", "replace").split())[:80]


def asked_wait(answer: requests.Response) -> float | None:
    """Return the seconds that ``Retry-After`` asks for (a number or a date), None if it is absent or unreadable."""
    text = answer.headers.get("Retry-After", "").strip()
    if text.isdigit():
        return min(float(text), LONGEST_WAIT)
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return None
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return min(max(0.0, (until - datetime.now(UTC)).total_seconds()), LONGEST_WAIT)


def reason(error: requests.RequestException) -> str:
    """Return what went wrong on the way, without the URL that the libraries put into their own texts."""
    import requests
    from urllib3 import exceptions

    cause = error.args[0] if error.args else None
    cause = getattr(cause, "reason", None) or cause
    if isinstance(cause, exceptions.NameResolutionError):
        return "the name of the server could not be resolved (no network?)"
    if isinstance(error, requests.exceptions.ProxyError) or isinstance(cause, exceptions.ProxyError):
        return "the proxy cannot be reached, or refuses"
    if isinstance(cause, exceptions.NewConnectionError):  # also a ConnectTimeoutError, so it is asked for first
        return "no connection could be made"
    if isinstance(error, requests.ConnectTimeout) or isinstance(cause, exceptions.ConnectTimeoutError):
        return "the server did not accept a connection in time"
    if isinstance(error, requests.ReadTimeout) or isinstance(cause, exceptions.ReadTimeoutError):
        return "the server stopped sending"
    if isinstance(error, requests.exceptions.SSLError):
        return "no secure connection could be made (certificate or TLS)"
    return f"the connection broke ({type(cause if isinstance(cause, Exception) else error).__name__})"


def shown(url: str) -> str:
    """Return a URL fit for messages and records: without user, password, query and fragment."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
