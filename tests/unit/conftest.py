"""Fixtures of the tests of downloads."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator

import pytest

from tests.servers.cds import CANARY, Answer, CdsServer
from tests.servers.cds_scenarios import Scenario
from tests.unit.cds_run import answer


@pytest.fixture
def quick_network(monkeypatch, tmp_path) -> None:
    """Wait briefly, and know no proxy and no configuration of the user."""
    monkeypatch.setenv("REGIMEBENCH_PATIENCE", "0.005")
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture
def start_cds(monkeypatch, tmp_path, caplog) -> Iterator[Callable[..., CdsServer]]:
    """Return a function that starts a server and points this process at it.

    Afterwards the key must be in no file, in no log down to DEBUG, and at no address where it does not belong.
    """
    opened: list[CdsServer] = []
    caplog.set_level(logging.DEBUG)

    def start(scenario: str | Scenario = "ok", answers: Answer = answer) -> CdsServer:
        server = CdsServer(answers, scenario).__enter__()
        opened.append(server)
        wanted = {**server.environment(tmp_path), "REGIMEBENCH_PATIENCE": "0.005"}
        for name in set(os.environ) - set(wanted):
            monkeypatch.delenv(name)
        for name, value in wanted.items():
            monkeypatch.setenv(name, value)
        return server

    yield start
    for server in opened:
        server.__exit__()
        assert server.violations == []
    assert CANARY not in caplog.text
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or CANARY.encode() not in path.read_bytes(), f"the key stands in {path.name}"
