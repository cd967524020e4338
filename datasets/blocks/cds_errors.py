"""What the Climate Data Store's refusals mean, each as one sentence that says what to do."""

from __future__ import annotations

import re
from http.client import responses
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from datasets.blocks.answers import PAGE, TITLE, reason
from datasets.blocks.credentials import DEFAULT_URL, PROFILE, SITE, Credentials
from regimebench.dataset import DataError

if TYPE_CHECKING:
    import requests

STATUS_PAGE = "https://status.ecmwf.int"
ADDRESS = re.compile(r"https?://[^\s'\"<>]+[^\s'\"<>.,;)]")
LONGEST = 300  # characters of the service's own words


class Refused(DataError):
    """The service refuses or failed one request; others may succeed."""


class Stopped(Refused):
    """No request will succeed until the user has done something: about the account, the data set or the service."""


class TooLarge(Refused):
    """One request asks for more than the service gives at once; the data set knows how to ask for less."""


class JobFailed(Refused):
    """The service accepted a request and could not make the data."""


class Gone(Exception):
    """A job or its results are no longer there; the message says why."""


class NotReady(Exception):
    """The results of a job are not there yet."""


def explained(error: requests.HTTPError, source: str, credentials: Credentials) -> Exception:
    """Return the exception that an error of the service becomes.

    Parameters
    ----------
    error : HTTPError
        With the service's answer.
    source : str
        The collection that was asked for.
    credentials : Credentials
        For where the key was found; the key itself appears in no message.
    """
    answer = error.response
    title, detail, trace = _said(answer)
    title, detail, trace = (credentials.redacted(text) for text in (title, detail, trace))
    code, path = answer.status_code, answer.url.partition("?")[0]
    words = _brief(": ".join(filter(None, (title, detail))) or responses.get(code, "no reason given"))
    if code in (401, 403) and urlsplit(path).netloc != urlsplit(credentials.url).netloc:
        return Stopped(
            f"{credentials.url} leads to another server ({path}), which is not given the key; check the url, which "
            f"should be {DEFAULT_URL}, and whether a proxy is in between"
        )
    if code == 401:
        return Stopped(
            f"the Climate Data Store does not accept the key in {credentials.where} ({code}, {words}); copy the "
            f"personal access token from {PROFILE} in its place"
        )
    if code == 429:
        return Stopped(
            f"the Climate Data Store takes no more requests from this account for now ({code}, {words}); run again "
            "later"
        )
    if code < 500 and not (title or detail) and PAGE.match(answer.content):
        return not_json(answer.text, credentials)
    if code >= 500:
        return Stopped(
            f"{credentials.url} answers {code} {responses.get(code, '')}: the service is overloaded or under "
            f"maintenance; look at {STATUS_PAGE} and run again later, submitted requests are not lost"
        )
    if path.endswith("/results"):
        return _of_results(code, title, detail, trace, words)
    if "/jobs/" in path and code in (403, 404, 410):
        return Gone(words)
    if code == 403:
        return _forbidden(title, detail, words, source)
    if code == 404:
        return Stopped(
            f"{credentials.url} has no data set {source} ({code}, {words}); see {SITE}/datasets/{source}, and check "
            "the url if it is not your usual one"
        )
    return Refused(
        f"the Climate Data Store takes this for no valid request to {source} ({code}, {words}); check variables, days "
        "and area in the configuration"
    )


def not_json(text: str, credentials: Credentials) -> Stopped:
    """Return the exception for an answer that should have been JSON."""
    raw = text.encode()
    title = TITLE.search(raw)
    what = "something that is not JSON"
    if title or PAGE.match(raw):
        name = credentials.redacted(_brief(title[1].decode("utf-8", "replace"))) if title else ""
        what = f"a web page ({name!r})"
    return Stopped(
        f"{credentials.url} answers with {what}: it is not the address of the service, which is {DEFAULT_URL}, or a "
        f"proxy or maintenance is in between; open it in a browser, look at {STATUS_PAGE}, and run again"
    )


def unknown_form(credentials: Credentials, error: Exception) -> Stopped:
    """Return the exception for an answer in JSON that is not what the protocol says."""
    return Stopped(
        f"{credentials.url} does not answer as the Climate Data Store does ({type(error).__name__}); check the url, "
        f"which should be {DEFAULT_URL}"
    )


def unreachable(error: requests.RequestException, credentials: Credentials) -> Stopped:
    """Return the exception for a service that cannot be reached, or does not answer."""
    return Stopped(
        f"{credentials.url} cannot be reached: {reason(error)}; check the network, the url and the proxy "
        "(HTTPS_PROXY), and run again: submitted requests are not lost"
    )


def _said(answer: requests.Response) -> tuple[str, str, str]:
    """Return title, detail and traceback of the service's own form of errors, empty if it has another form."""
    try:
        body = answer.json()
    except ValueError:
        return "", "", ""
    if not isinstance(body, dict):
        return "", "", ""
    return tuple(str(body.get(key) or "") for key in ("title", "detail", "traceback"))


def _brief(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."


def _of_results(code: int, title: str, detail: str, trace: str, words: str) -> Exception:
    if "not ready" in title:
        return NotReady(words)
    if code in (403, 404, 410):
        return Gone(words)
    cause = _brief(": ".join(filter(None, (title, trace, detail))))
    return JobFailed(
        f"the Climate Data Store could not make the data ({cause}); it is asked anew in the next run. If that fails as "
        "well, ask for something else, or report it at https://support.ecmwf.int"
    )


def _forbidden(title: str, detail: str, words: str, source: str) -> Refused:
    address = ADDRESS.search(detail)
    if "licence" in title:
        page = address[0] if address else f"{SITE}/datasets/{source}?tab=download#manage-licences"
        return Stopped(
            f"the licence of {source} is not accepted yet: log in, accept it at the bottom of {page} and run again"
        )
    if "policies" in title or "policies" in detail:
        page = f"{address[0]} and {PROFILE}" if address else PROFILE
        return Stopped(
            f"the terms of the Climate Data Store are not accepted yet ({words}): log in, read and accept them at "
            f"{page}, and run again"
        )
    if "cost" in title or "too large" in detail:
        return TooLarge(f"the Climate Data Store refuses the request as too large ({words})")
    return Stopped(
        f"the Climate Data Store does not deliver {source} at the moment (403, {words}); see {SITE}/datasets/{source} "
        "and run again later"
    )
