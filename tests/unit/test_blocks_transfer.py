from __future__ import annotations

import hashlib

import numpy as np
import pytest

from datasets.blocks.transfer import fetch_url
from tests.servers.files import FaultyFiles, Hosted

BODY = np.random.default_rng(0).bytes(3_000_000)
OTHER = np.random.default_rng(1).bytes(3_000_000)
MD5 = hashlib.md5(BODY).hexdigest()
URL = "/data/file.nc"


@pytest.fixture(autouse=True)
def _quick(monkeypatch, tmp_path):
    """Short waits, no proxy, no configuration of the user."""
    monkeypatch.setenv("REGIMEBENCH_PATIENCE", "0.005")
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture
def server():
    with FaultyFiles({URL: Hosted(BODY)}) as files:
        yield files


@pytest.mark.parametrize(
    ("faults", "ranges"),
    [
        ([], [None]),
        (["500"], [None, None]),
        (["503", "503", "429 after 2"], [None] * 4),
        (["close at 1000000"], [None, "bytes=983040-"]),
        (["close at 1000000", "close at 2000000"], [None, "bytes=983040-", "bytes=1966080-"]),
        (["hang at 1000000"], [None, "bytes=983040-"]),
        (["reset at 0"], [None, None]),
        (["close at 1000000", "no ranges"], [None, "bytes=983040-"]),
    ],
)
def test_a_broken_transfer_is_continued_where_it_broke(server, tmp_path, faults, ranges):
    server.files[URL].faults = list(faults)
    received = fetch_url(server.address + URL, tmp_path / "file.nc", size=len(BODY), md5=MD5)
    assert (tmp_path / "file.nc").read_bytes() == BODY
    assert received.sha256 == hashlib.sha256(BODY).hexdigest()
    assert [request.range for request in server.asked(URL)] == ranges
    assert [path.name for path in tmp_path.iterdir()] == ["file.nc"]
