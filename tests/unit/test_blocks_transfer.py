from __future__ import annotations

import hashlib
import os
import resource
import shutil
import socket
import subprocess
import sys
import time
import traceback
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from datasets.blocks import transfer
from datasets.blocks.transfer import NotFound, TransferError, fetch_url
from tests.servers.files import FaultyFiles, Hosted

BODY = np.random.default_rng(0).bytes(3_000_000)
OTHER = np.random.default_rng(1).bytes(3_000_000)
MD5 = hashlib.md5(BODY).hexdigest()
URL = "/data/file.nc"
CANARY = "11111111-2222-3333-4444-canarycanary"
ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.usefixtures("quick_network")


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


def stopped(server: FaultyFiles, target: Path, **known) -> None:
    """Let a download end for good after its first 983,040 bytes."""
    server.files[URL].faults = ["close at 1000000"] + ["503"] * 6
    with pytest.raises(TransferError, match=r"in 7 tries; at last the server answered 503 .*; the 0\.9 MiB so far are"):
        fetch_url(server.address + URL, target, **known)
    assert not target.exists()
    server.requests.clear()


def test_a_later_call_goes_on_where_the_first_one_ended(server, tmp_path):
    stopped(server, tmp_path / "file.nc")
    seen = []
    fetch_url(server.address + URL, tmp_path / "file.nc", progress=lambda *report: seen.append(report), label="air")
    assert (tmp_path / "file.nc").read_bytes() == BODY
    (request,) = server.asked(URL)
    assert (request.range, request.headers["If-Range"]) == ("bytes=983040-", server.files[URL].etag)
    assert seen[0] == ("air", 983_040, len(BODY), "B")
    assert seen[-1] == ("air", len(BODY), len(BODY), "B")


@pytest.mark.parametrize(
    ("validators", "faults", "md5", "ranges"),
    [
        (True, [], False, ["bytes=983040-"]),  # If-Range: the server sends all
        (True, ["no If-Range"], False, ["bytes=983040-", None]),  # the server does not know If-Range
        (False, [], False, [None]),  # nothing tells whether the file is the same
        (False, [], True, ["bytes=983040-", None]),  # the md5 sum tells afterwards
    ],
)
def test_two_versions_of_a_file_are_never_put_together(server, tmp_path, validators, faults, md5, ranges):
    server.files[URL] = Hosted(OTHER, validators=validators)
    known = {"md5": MD5} if md5 else {}
    stopped(server, tmp_path / "file.nc", **known)
    server.files[URL] = Hosted(BODY, faults=list(faults), validators=validators)
    fetch_url(server.address + URL, tmp_path / "file.nc", **known)
    assert (tmp_path / "file.nc").read_bytes() == BODY
    assert [request.range for request in server.asked(URL)] == ranges


def test_a_complete_leftover_is_not_fetched_again(server, tmp_path):
    fetch_url(server.address + URL, tmp_path / "file.nc")
    (tmp_path / "file.nc").rename(tmp_path / "file.nc.part")
    (tmp_path / "file.nc.part.json").write_text('{"size": 3000000, "etag": "x", "modified": ""}')
    server.requests.clear()
    fetch_url(server.address + URL, tmp_path / "file.nc", md5=MD5)
    assert server.requests == []
    assert (tmp_path / "file.nc").read_bytes() == BODY


@pytest.mark.parametrize(
    ("faults", "known", "sentence"),
    [
        (["html"], {}, r"answered with a web page \('Scheduled maintenance'\) instead of data; open the address"),
        (["html as data"], {}, r"answered with a web page \('Scheduled maintenance'\) instead of data"),
        (["403"], {}, r"answered 403 Forbidden; the file cannot be had from there"),
        (["404"], {}, r"answered 404 Not Found: there is no such file"),
        (["503"] * 6, {}, r"could not be downloaded in 6 tries; at last the server answered 503 Service Unavailable"),
        (["reset at 0"] * 6, {}, r"in 6 tries; at last the connection broke"),
        (["hang at 0"] * 6, {}, r"in 6 tries; at last the server stopped sending"),
        ([], {"size": 2_999_999}, r"offers 3,000,000 bytes where 2,999,999 were announced"),
        ([], {"md5": "0" * 32}, rf"has the md5 sum {MD5} where 0{{32}} was announced; it is not kept"),
        (["close at 1000000"], {"md5": "0" * 32}, rf"has the md5 sum {MD5} where 0{{32}} was announced"),
    ],
)
def test_what_cannot_be_cured_is_one_sentence_without_secrets(server, tmp_path, caplog, faults, known, sentence):
    server.files[URL].faults = list(faults)
    url = server.address.replace("//", f"//user:{CANARY}@") + f"{URL}?X-Amz-Signature={CANARY}"
    with pytest.raises(TransferError, match=sentence) as caught:
        fetch_url(url, tmp_path / "file.nc", **known)
    assert f"file.nc: {server.address}{URL}" in str(caught.value) or "md5" in sentence
    text = "".join(traceback.format_exception(caught.value)) + caplog.text
    assert CANARY not in text
    assert not (tmp_path / "file.nc").exists()


@pytest.mark.parametrize(("status", "kind"), [(404, NotFound), (410, NotFound), (403, TransferError)])
def test_absent_files_can_be_told_from_refused_ones(server, tmp_path, status, kind):
    server.files[URL].faults = [str(status)]
    with pytest.raises(TransferError) as caught:
        fetch_url(server.address + URL, tmp_path / "file.nc")
    assert type(caught.value) is kind
    assert caught.value.status == status


def test_a_server_that_is_not_there(server, tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(TransferError, match=r"in 6 tries; at last no connection could be made"):
            fetch_url(address + URL, tmp_path / "file.nc")


@pytest.mark.parametrize("name", ["http_proxy", "all_proxy"])
def test_a_proxy_that_is_not_there_is_blamed(monkeypatch, tmp_path, name):
    monkeypatch.setenv(name, "http://127.0.0.1:9")
    with pytest.raises(TransferError, match=r"at last the proxy cannot be reached, or refuses"):
        fetch_url("http://example.invalid/x.nc", tmp_path / "file.nc")


def test_a_server_may_ask_for_longer_waits_and_not_for_shorter_ones(server, tmp_path, monkeypatch):
    slept: list[float] = []
    monkeypatch.setattr(transfer, "time", SimpleNamespace(sleep=slept.append))
    monkeypatch.setenv("REGIMEBENCH_PATIENCE", "1")
    server.files[URL].faults = ["429 after 0", "429 after 2", "429 after 9999"]
    fetch_url(server.address + URL, tmp_path / "file.nc")
    assert slept == [1.0, 4.0, 600.0]


def test_a_web_page_does_not_destroy_what_is_there(server, tmp_path):
    stopped(server, tmp_path / "file.nc")
    server.files[URL].faults = ["html"]
    with pytest.raises(TransferError, match="web page"):
        fetch_url(server.address + URL, tmp_path / "file.nc")
    server.requests.clear()
    fetch_url(server.address + URL, tmp_path / "file.nc")
    assert [request.range for request in server.asked(URL)] == ["bytes=983040-"]


def test_the_disk_is_too_small(server, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2**20))
    with pytest.raises(TransferError, match=r"file\.nc: 2\.9 MiB more are needed in .*, where 1\.0 MiB are free"):
        fetch_url(server.address + URL, tmp_path / "file.nc")
    assert sum(path.stat().st_size for path in tmp_path.glob("*.part")) == 0


def test_the_disk_fills_up_on_the_way(server, tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, hard))
    try:
        with pytest.raises(TransferError, match=r"1\.9 MiB more are needed .*; the 1\.0 MiB so far are kept"):
            fetch_url(server.address + URL, tmp_path / "file.nc")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    server.requests.clear()
    fetch_url(server.address + URL, tmp_path / "file.nc")
    assert [request.range for request in server.asked(URL)] == ["bytes=1048576-"]
    assert (tmp_path / "file.nc").read_bytes() == BODY


def test_a_killed_process_is_continued_by_the_next(server, tmp_path):
    server.files[URL].faults = ["hang at 1500000"]
    code = "import sys, pathlib; from datasets.blocks.transfer import fetch_url; "
    code += "fetch_url(sys.argv[1], pathlib.Path(sys.argv[2]))"
    command = [sys.executable, "-c", code, server.address + URL, str(tmp_path / "file.nc")]
    environment = {**os.environ, "REGIMEBENCH_PATIENCE": "1"}
    with subprocess.Popen(command, cwd=ROOT, env=environment) as process:
        try:
            assert server.stuck.wait(60)
            part = tmp_path / "file.nc.part"
            while not (part.exists() and part.stat().st_size >= 1_441_792):
                assert process.poll() is None
                time.sleep(0.01)
        finally:
            process.kill()
    assert not (tmp_path / "file.nc").exists()
    subprocess.run(command, cwd=ROOT, env=environment, check=True)
    assert [request.range for request in server.asked(URL)] == [None, "bytes=1441792-"]
    assert (tmp_path / "file.nc").read_bytes() == BODY
