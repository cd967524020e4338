"""The Climate Data Store on the loopback interface, as ECMWF's clients see it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Self

from tests.servers.cds_scenarios import SCENARIOS, Reply, Scenario, error
from tests.servers.files import FaultyFiles, Hosted, send

CANARY = "11111111-2222-3333-4444-canarycanary"

Answer = Callable[[str, dict[str, Any]], tuple[bytes, str, str]]


@dataclass(frozen=True)
class Call:
    """One call: ``route`` is the part of the protocol that it belongs to, ``body`` what was sent (None: nothing)."""

    route: str
    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class Job:
    """One job as the service keeps it."""

    id: str
    collection: str
    request: dict[str, Any]
    created: datetime
    state: str = "accepted"
    asked: int = 0


ROUTES = (
    ("messages", "GET", r"/api/catalogue/v1/messages"),
    ("process", "GET", r"/api/retrieve/v1/processes/([\w.-]+)"),
    ("execution", "POST", r"/api/retrieve/v1/processes/([\w.-]+)/execution"),
    ("jobs", "GET", r"/api/retrieve/v1/jobs"),
    ("job", "GET", r"/api/retrieve/v1/jobs/([\w-]+)"),
    ("results", "GET", r"/api/retrieve/v1/jobs/([\w-]+)/results"),
    ("asset", "GET", r"/cache/.*"),
)
STATED = {"failed": "failed", "rejected": "been rejected"}
OPEN = ("messages", "process")  # answered without a key


class CdsServer(FaultyFiles):
    """Answers while its context is open.

    Parameters
    ----------
    answer : callable
        ``answer(collection, request)`` returns content, media type and suffix of the result.
    scenario : str or Scenario
        A key of ``SCENARIOS``, or one's own.
    key : str
        The only key that is accepted.
    """

    def __init__(self, answer: Answer, scenario: str | Scenario = "ok", key: str = CANARY):
        super().__init__()
        self.answer, self.key = answer, key
        self.scenario = SCENARIOS[scenario] if isinstance(scenario, str) else scenario
        self.calls: list[Call] = []
        self.jobs: dict[str, Job] = {}
        self.violations: list[str] = []
        self.released = threading.Event()
        self._answers: dict[str, tuple[bytes, str, str]] = {}
        self._making = threading.Lock()
        self._first = {route: list(replies) for route, replies in self.scenario.first.items()}
        self._transfer = list(self.scenario.transfer)
        self._stop = self.scenario.stop

    def __enter__(self) -> Self:
        super().__enter__()
        self.url = f"{self.address}/api"
        return self

    def environment(self, home: Path) -> dict[str, str]:
        """Return the environment of a process that talks to this server and knows no other configuration."""
        strange = re.compile(r".*_proxy|(ecmwf_datastores|cdsapi)_.*", re.IGNORECASE)
        kept = {name: value for name, value in os.environ.items() if not strange.fullmatch(name)}
        return {
            **kept,
            "ECMWF_DATASTORES_URL": self.url,
            "ECMWF_DATASTORES_KEY": self.key,
            "ECMWF_DATASTORES_RC_FILE": str(home / "no-rc"),
            "CDSAPI_RC": str(home / "no-rc"),
            "NO_PROXY": "127.0.0.1,localhost",
            "HOME": str(home),
            "REGIMEBENCH_PATIENCE": "0.01",
        }

    @property
    def posted(self) -> list[tuple[str, dict[str, Any]]]:
        """Collection and request of every job that was asked for, in order."""
        calls = [call for call in self.calls if call.route == "execution"]
        return [(call.path.split("/")[-2], call.body["inputs"]) for call in calls]

    def count(self, route: str) -> int:
        """Return how often a route was called."""
        return sum(call.route == route for call in self.calls)

    def add_job(self, collection: str, request: dict[str, Any], age: timedelta = timedelta(0)) -> Job:
        """Keep a job, as if it had been submitted some time ago."""
        job = Job(str(uuid.uuid4()), collection, request, datetime.now(UTC) - age)
        self.jobs[job.id] = job
        return job

    def respond(self, handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers.get("Content-Length") or 0)
        body = json.loads(handler.rfile.read(length)) if length else None
        path = handler.path.partition("?")[0]
        method = "GET" if handler.command == "HEAD" else handler.command
        match = ((name, re.fullmatch(pattern, path)) for name, verb, pattern in ROUTES if verb == method)
        route, found = next(((name, found) for name, found in match if found), ("", None))
        if found is None:
            return _send(handler, error(404, "not found", f"{handler.command} {path}"))
        call = Call(route, handler.command, handler.path, dict(handler.headers), body)
        self.calls.append(call)
        self._judge(call)
        if route == "asset":
            return super().respond(handler)
        self._stop_here(f"{route} before")
        reply = self._reply(call, *found.groups())
        self._stop_here(f"{route} after")
        return _send(handler, reply)

    def _judge(self, call: Call) -> None:
        """Note what the real service would not mind but a careful client never does."""
        told = call.headers.get("PRIVATE-TOKEN")
        if call.route == "asset" and self.key in json.dumps(call.headers):
            self.violations.append(f"{call.path}: the key was sent to the file store")
        if call.route not in ("asset", *OPEN) and told is None:
            self.violations.append(f"{call.path}: no key was sent")
        if call.route == "execution" and (not isinstance(call.body, dict) or set(call.body) != {"inputs"}):
            self.violations.append(f"{call.path}: the body is {call.body}")
        if self.key in call.path:
            self.violations.append(f"{call.path}: the key stands in the address")

    def _stop_here(self, place: str) -> None:
        if self._stop in (place, "every call"):
            self._stop = self._stop if self._stop == "every call" else ""
            self.stuck.set()
            self._ends.wait()

    def _reply(self, call: Call, name: str = "") -> Reply:
        if self._first.get(call.route):
            return self._first[call.route].pop(0)
        if call.route in self.scenario.always:
            return self.scenario.always[call.route]
        if call.route not in OPEN and call.headers.get("PRIVATE-TOKEN") != self.key:
            return error(401, "Authentication failed", "operation not allowed")
        if call.route in ("job", "results") and name not in self.jobs:
            return error(404, "job not found", f"job {name} not found")
        return getattr(self, f"_{call.route}")(name, call)

    def _messages(self, name: str, call: Call) -> Reply:
        return Reply(200, {"messages": []})

    def _process(self, name: str, call: Call) -> Reply:
        return Reply(200, {"id": name, "title": name, "links": []})

    def _execution(self, name: str, call: Call) -> Reply:
        job = self.add_job(name, call.body["inputs"])
        return Reply(201, self._status(job, "monitor"), {"Location": self._address(job)})

    def _jobs(self, name: str, call: Call) -> Reply:
        newest = sorted(self.jobs.values(), key=lambda job: job.created, reverse=True)
        return Reply(200, {"jobs": [self._status(job, "self") for job in newest], "links": []})

    def _job(self, name: str, call: Call) -> Reply:
        job = self.jobs[name]
        if job.state in ("accepted", "running") and (self.released.is_set() or not self.scenario.queue):
            job.state = self.scenario.states[min(job.asked, len(self.scenario.states) - 1)]
            job.asked += 1
        status = self._status(job, "self")
        if "request=" in call.path:
            status["metadata"]["request"] = {"ids": job.request, "labels": {}}
        return Reply(200, status)

    def _results(self, name: str, call: Call) -> Reply:
        job = self.jobs[name]
        if job.state in STATED:
            body = {"type": "job results failed", "title": f"The job has {STATED[job.state]}", "status": 400}
            return Reply(400, {**body, "traceback": "MARS returned: no data for 1799 (99)"})
        if job.state != "successful":
            return error(404, "job results not ready")
        content, media_type, suffix = self._answered(job)
        path = f"/cache/{job.id}{suffix}"
        if path not in self.files:
            self.files[path] = Hosted(content, self._transfer, media_type)
            self._transfer = []
        md5 = int(hashlib.md5(content).hexdigest(), 16)
        value = {
            "type": media_type,
            "href": f"{self.address}{path}?signature=secret",
            "file:size": len(content) + self.scenario.size,
            "file:checksum": self.scenario.md5 or f"{md5:x}",  # a number, without leading zeros, as it is there
            "file:local_path": f"s3:/{path}",
        }
        return Reply(200, {"asset": {"value": value}})

    def _answered(self, job: Job) -> tuple[bytes, str, str]:
        """Return the answer to a request, made once, and one at a time: the NetCDF library is not safe in threads."""
        key = json.dumps([job.collection, job.request], sort_keys=True)
        with self._making:
            if key not in self._answers:
                self._answers[key] = self.answer(job.collection, job.request)
            return self._answers[key]

    def _address(self, job: Job) -> str:
        return f"{self.url}/retrieve/v1/jobs/{job.id}"

    def _status(self, job: Job, rel: str) -> dict[str, Any]:
        stamp = job.created.replace(tzinfo=None).isoformat()  # the service's times are UTC and do not say so
        links = [{"href": self._address(job), "rel": rel, "type": "application/json", "title": "job status info"}]
        times = {"created": stamp, "updated": stamp}
        if job.state == "successful":
            links.append({"href": f"{self._address(job)}/results", "rel": "results"})
            times |= {"started": stamp, "finished": stamp}
        return {
            "processID": job.collection,
            "type": "process",
            "jobID": job.id,
            "status": job.state,
            **times,
            "links": links,
            "metadata": {"datasetMetadata": {"messages": []}, "origin": "api"},
        }


def _send(handler: BaseHTTPRequestHandler, reply: Reply) -> None:
    if isinstance(reply.body, bytes):
        return send(handler, reply.status, reply.body, "text/html", reply.headers)
    return send(handler, reply.status, json.dumps(reply.body).encode(), "application/json", reply.headers)
