"""What the Climate Data Store announces as a file's sum, and whether a file has it."""

import hashlib
from itertools import count

import numpy as np
import pytest

from datasets.blocks.partial import Received
from datasets.blocks.sums import MIB, agrees, md5_of
from datasets.blocks.transfer import TransferError, fetch_url
from tests.servers.files import FaultyFiles, Hosted

BODY = np.random.default_rng(0).bytes(12 * MIB)


def md5(content):
    return hashlib.md5(content).hexdigest()


def of_pieces(body, size):
    return md5(b"".join(hashlib.md5(body[start : start + size]).digest() for start in range(0, len(body), size)))


def received(body, etag):
    return Received(len(body), md5(body), hashlib.sha256(body).hexdigest(), f'"{etag}"', "")


def test_a_sum_that_begins_with_zeros_is_announced_without_them():
    content = next(text for text in map(str, count()) if md5(text.encode()).startswith("00"))
    full = md5(content.encode())
    for announced in (f"{int(full, 16):x}", int(full, 16), full.upper(), f" {full} "):
        assert md5_of(announced) == full


@pytest.mark.parametrize("announced", [None, "", "sha256:abc", "1220" + "a" * 64, True, "g" * 32])
def test_what_is_no_sum_is_none(announced):
    assert md5_of(announced) is None


@pytest.fixture
def stored(tmp_path):
    (tmp_path / "file").write_bytes(BODY)
    return tmp_path / "file"


@pytest.mark.parametrize("size", [5 * MIB, 8 * MIB, 10 * MIB])
def test_a_file_stored_in_pieces_of_a_usual_size_has_the_sum_of_their_sums(stored, size):
    announced, pieces = of_pieces(BODY, size), -(-len(BODY) // size)
    assert agrees(received(BODY, f"{announced}-{pieces}"), announced, stored) is True


def test_pieces_of_an_unusual_size_cannot_be_compared(stored):
    announced = of_pieces(BODY, 3 * MIB)
    assert agrees(received(BODY, f"{announced}-4"), announced, stored) is None


@pytest.mark.parametrize("etag", ["", "0123456789abcdef", f"{'a' * 32}-2", md5(BODY)])
def test_another_sum_is_another_file_whatever_the_tag(stored, etag):
    assert agrees(received(BODY, etag), "b" * 32, stored) is False


@pytest.mark.parametrize(("size", "warned"), [(8 * MIB, False), (3 * MIB, True)])
def test_such_files_are_fetched(quick_network, tmp_path, caplog, size, warned):
    announced = of_pieces(BODY, size)
    hosted = Hosted(BODY, tag=f"{announced}-{-(-len(BODY) // size)}")
    with FaultyFiles({"/data": hosted}) as server:
        fetch_url(f"{server.address}/data", tmp_path / "out", size=len(BODY), md5=announced, label="2021-01")
    assert (tmp_path / "out").read_bytes() == BODY
    assert ("2021-01: stored in pieces of unknown size" in caplog.text) == warned


def test_a_resumed_file_that_cannot_be_compared_is_fetched_in_one_go(quick_network, tmp_path):
    announced = of_pieces(BODY, 3 * MIB)
    hosted = Hosted(BODY, ["close at 5000000"], tag=f"{announced}-4")
    with FaultyFiles({"/data": hosted}) as server:
        fetch_url(f"{server.address}/data", tmp_path / "out", size=len(BODY), md5=announced)
        assert [request.range is None for request in server.asked("/data")] == [True, False, True]
    assert (tmp_path / "out").read_bytes() == BODY


def test_wrong_bytes_under_a_tag_of_pieces_are_refused(quick_network, tmp_path):
    wrong = bytes([BODY[0] ^ 1]) + BODY[1:]
    announced = of_pieces(BODY, 8 * MIB)
    hosted = Hosted(wrong, tag=f"{'c' * 32}-2")
    with FaultyFiles({"/data": hosted}) as server, pytest.raises(TransferError, match="has the md5 sum"):
        fetch_url(f"{server.address}/data", tmp_path / "out", size=len(BODY), md5=announced)
