"""A file server with faults, for the loopback interface."""

from __future__ import annotations

import hashlib
import os
import re
import socket
import struct
import sys
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

PAGE = b"<!DOCTYPE html>\n<html><head><title>Scheduled maintenance</title></head><body>Come back later</body></html>"


@dataclass
class Hosted:
    """One file, and what goes wrong with the first requests for it.

    Parameters
    ----------
    body : bytes
        Its content; the entity tag follows from it.
    faults : list of str
        One for each GET until the list is used up: a status (``503``), ``429 after 2`` (with Retry-After), ``html``
        (a page that says so), ``html as data``, ``no ranges`` (200 whatever was asked for), ``no If-Range`` (206 even
        if the file has changed), ``other size`` (another Content-Length), ``close at N``, ``reset at N`` or
        ``hang at N`` (after N bytes of the body).
    validators : bool
        Whether ETag and Last-Modified are sent.
    tag : str
        The entity tag in place of that of the content.
    """

    body: bytes
    faults: list[str] = field(default_factory=list)
    content_type: str = "application/octet-stream"
    validators: bool = True
    modified: str = "Fri, 05 Feb 2021 10:00:00 GMT"
    tag: str = ""

    @property
    def etag(self) -> str:
        return f'"{self.tag or hashlib.sha256(self.body).hexdigest()[:16]}"'


@dataclass(frozen=True)
class Request:
    """What a client asked for."""

    method: str
    path: str
    headers: dict[str, str]

    @property
    def range(self) -> str | None:
        return self.headers.get("Range")


class FaultyFiles:
    """Serves ``files`` (by path) while the context is open; a subclass may answer other paths in :meth:`respond`.

    ``stuck`` is set when a request begins to hang, so that a test can end the client there.
    """

    def __init__(self, files: dict[str, Hosted] | None = None):
        self.files = dict(files or {})
        self.requests: list[Request] = []
        self.stuck = threading.Event()
        self._ends = threading.Event()
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.owner = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def asked(self, path: str) -> list[Request]:
        """Return the GET requests for one path."""
        return [request for request in self.requests if (request.method, request.path) == ("GET", path)]

    def respond(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request; ``handler.path`` may carry a query."""
        hosted = self.files.get(handler.path.partition("?")[0])
        if hosted is None:
            return send(handler, 404, PAGE, "text/html")
        with self._lock:
            fault = hosted.faults.pop(0) if hosted.faults and handler.command == "GET" else ""
        if fault[:3].isdigit():
            after = {"Retry-After": fault.split()[-1]} if " after " in fault else {}
            return send(handler, int(fault[:3]), PAGE, "text/html", after)
        if fault.startswith("html"):
            return send(handler, 200, PAGE, hosted.content_type if fault == "html as data" else "text/html")
        self._send_file(handler, hosted, fault)
        return None

    def _send_file(self, handler: BaseHTTPRequestHandler, hosted: Hosted, fault: str) -> None:
        whole = len(hosted.body)
        wanted = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        current = handler.headers.get("If-Range") in (None, hosted.etag, hosted.modified) or fault == "no If-Range"
        start = int(wanted[1]) if wanted and current and fault != "no ranges" else 0
        if start >= whole > 0:
            return send(handler, 416, b"", "text/plain", {"Content-Range": f"bytes */{whole}"})
        handler.send_response(206 if start else 200)
        handler.send_header("Content-Type", hosted.content_type)
        handler.send_header("Content-Length", str(whole - start + (fault == "other size")))
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{whole - 1}/{whole}")
        if fault != "no ranges":
            handler.send_header("Accept-Ranges", "bytes")
        if hosted.validators:
            handler.send_header("ETag", hosted.etag)
            handler.send_header("Last-Modified", hosted.modified)
        handler.end_headers()
        if handler.command == "HEAD":
            return None
        how, _, until = fault.partition(" at ")
        handler.wfile.write(hosted.body[start : max(start, int(until)) if until else whole])
        if until:
            self._break_off(handler, how)
        return None

    def _break_off(self, handler: BaseHTTPRequestHandler, how: str) -> None:
        if how == "hang":
            self.stuck.set()
            self._ends.wait()
        if how == "reset":
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(handler.connection.detach())
        handler.close_connection = True


def send(
    handler: BaseHTTPRequestHandler, status: int, body: bytes, content_type: str, headers: dict[str, str] | None = None
) -> None:
    """Send one small answer."""
    handler.send_response(status)
    handler.send_header("Content-Type", content_type)
    handler.send_header("Content-Length", str(len(body)))
    for name, value in (headers or {}).items():
        handler.send_header(name, value)
    handler.end_headers()
    if handler.command != "HEAD":
        handler.wfile.write(body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing about clients that go away, which the tests make them do."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def any(self) -> None:
        owner = self.server.owner
        owner.requests.append(Request(self.command, self.path, dict(self.headers)))
        try:
            owner.respond(self)
        except OSError:
            self.close_connection = True  # the client has gone

    def log_message(self, *_: object) -> None:
        pass


for verb in ("GET", "HEAD", "POST", "PUT", "DELETE"):
    setattr(_Handler, f"do_{verb}", _Handler.any)
