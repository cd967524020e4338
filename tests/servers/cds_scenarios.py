"""What can go wrong with the Climate Data Store, as data for the loopback server."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

SITE = "https://cds.climate.copernicus.eu"
PAGE = b"<!DOCTYPE html><html><head><title>Sorry, we are doing maintenance</title></head><body></body></html>"


@dataclass(frozen=True)
class Reply:
    """An answer in place of the usual one; ``body`` is JSON, or a page if it is bytes."""

    status: int
    body: dict[str, Any] | bytes
    headers: dict[str, str] = field(default_factory=dict)


def error(status: int, title: str, detail: str = "", headers: dict[str, str] | None = None) -> Reply:
    """Return an error in the service's own form."""
    body = {"type": title, "title": title, "status": status, "detail": detail, "trace_id": "0"}
    return Reply(status, body, headers or {})


@dataclass(frozen=True)
class Scenario:
    """What goes wrong.

    Parameters
    ----------
    always, first : dict
        For a route (``messages``, ``process``, ``execution``, ``jobs``, ``job``, ``results``), the reply to every call,
        or to the first ones. The jobs are not touched by a call that is answered so.
    states : tuple of str
        What a job is when it is asked for the first time, the second time, ...; it stays at the last one.
    transfer : tuple of str
        Faults of :class:`~tests.servers.files.Hosted` for the first file.
    size, md5 : int, str or None
        Added to the announced size; announced in place of the right sum.
    stop : str
        Route whose first call is not answered, and ``before`` or ``after`` it did what was asked, as in
        ``execution after``; ``stuck`` is set then. ``every call`` is never answered.
    queue : bool
        Jobs stay accepted until ``released`` is set.
    """

    always: dict[str, Reply] = field(default_factory=dict)
    first: dict[str, list[Reply]] = field(default_factory=dict)
    states: tuple[str, ...] = ("accepted", "running", "successful")
    transfer: tuple[str, ...] = ()
    size: int = 0
    md5: str | None = None
    stop: str = ""
    queue: bool = False


LICENCE = (
    "Not all the required licences have been accepted; please visit "
    f"{SITE}/datasets/reanalysis-x?tab=download#manage-licences to accept the required licence(s)."
)
POLICIES = f"Missing policies are: Terms of use (rev. 2) - {SITE}/licences/terms-of-use-cds"
COMBINATION = "Request has not produced a valid combination of values, please check your selection.\n{'year': ['1799']}"
TOO_LARGE = "Your request is too large, please reduce your selection."
WAIT = "Rate limit exceeded. Please wait 2 seconds."
BUSY = Reply(503, b"")
SCENARIOS = {
    "ok": Scenario(),
    "bad_key": Scenario(
        always={route: error(401, "Authentication failed", "operation not allowed") for route in ("execution", "job")}
    ),
    "no_key": Scenario(always={"execution": error(401, "permission denied", "authentication required")}),
    "licence": Scenario(always={"execution": error(403, "required licences not accepted", LICENCE)}),
    "site_terms": Scenario(always={"execution": error(403, "user didn't accept all required site policies", POLICIES)}),
    "cost": Scenario(always={"execution": error(403, "cost limits exceeded", TOO_LARGE)}),
    "invalid": Scenario(always={"execution": error(400, "invalid request", COMBINATION)}),
    "rate_limit_then_ok": Scenario(
        first={"execution": [error(429, "rate limit exceeded", WAIT, {"Retry-After": "2"})]}
    ),
    "rate_limit": Scenario(always={"execution": error(429, "rate limit exceeded", WAIT, {"Retry-After": "2"})}),
    "busy": Scenario(first={"process": [BUSY], "execution": [BUSY, BUSY], "job": [BUSY], "results": [BUSY, BUSY]}),
    "down": Scenario(always={route: BUSY for route in ("messages", "process", "execution", "job", "results")}),
    "switched_off": Scenario(always={"execution": error(403, "retrieve API disabled", "Out of service until Monday")}),
    "unknown_dataset": Scenario(always={"process": error(404, "process not found", "dataset reanalysis-x not found")}),
    "job_failed": Scenario(states=("accepted", "running", "failed")),
    "job_rejected": Scenario(states=("rejected",)),
    "results_expired": Scenario(first={"results": [error(404, "results expired", "results of job 1 expired")]}),
    "results_always_expired": Scenario(always={"results": error(404, "results expired", "results of job 1 expired")}),
    "results_not_ready": Scenario(first={"results": [error(404, "job results not ready")] * 2}),
    "file_gone": Scenario(transfer=("404",)),
    "truncated": Scenario(transfer=("close at 1500000",)),
    "reset": Scenario(transfer=("reset at 1500000",)),
    "hang": Scenario(transfer=("hang at 1500000",)),
    "html_instead_of_data": Scenario(transfer=("html as data",) * 9),
    "html_instead_of_json": Scenario(always={"process": Reply(200, PAGE)}),
    "strange_json": Scenario(always={"execution": Reply(200, {"message": "hello"})}),
    "wrong_size": Scenario(size=1),
    "wrong_md5": Scenario(md5="0" * 32),
    "mute": Scenario(stop="every call"),
    "queue": Scenario(queue=True),
}
