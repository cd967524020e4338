from __future__ import annotations

import errno
import hashlib
import json

import pytest

from datasets.blocks.parts import (
    Part,
    alone,
    damaged,
    is_complete,
    missing,
    provenance,
    read_record,
    refuse_damaged,
    to_fetch,
    write_done,
    write_record,
)
from regimebench.dataset import DataError

PART = Part("2021-03", ".nc", "reanalysis-x", {"year": "2021", "month": ["03"], "area": [43, -33, 33, -23]})


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (Part("another name", ".grib", PART.source, PART.request), True),
        (Part(PART.stem, PART.suffix, PART.source, dict(reversed(PART.request.items()))), True),
        (Part(PART.stem, PART.suffix, PART.source, PART.request, ("https://mirror.example/x.nc",)), True),
        (Part(PART.stem, PART.suffix, "reanalysis-y", PART.request), False),
        (Part(PART.stem, PART.suffix, PART.source, {**PART.request, "area": [43, -33, 33, -24]}), False),
    ],
)
def test_the_key_follows_from_source_and_request_alone(other, same):
    assert (other.key == PART.key) is same
    assert len(PART.key) == 8


def test_file_and_record_lie_beside_each_other_and_carry_the_key(tmp_path):
    assert PART.file(tmp_path) == tmp_path / f"2021-03.{PART.key}.nc"
    assert PART.record(tmp_path) == tmp_path / f"2021-03.{PART.key}.nc.json"


def test_a_part_is_complete_when_its_record_says_so_and_the_file_has_the_size(tmp_path):
    assert missing([PART], tmp_path) == [PART]
    PART.file(tmp_path).write_bytes(b"data")
    assert not is_complete(PART, tmp_path), "a file without a record may be anything"
    write_record(PART, tmp_path, {"state": "submitted", "bytes": 4})
    assert not is_complete(PART, tmp_path)
    write_done(PART, tmp_path, {"job": "1"})
    assert is_complete(PART, tmp_path)
    assert missing([PART], tmp_path) == []
    PART.file(tmp_path).write_bytes(b"dat")
    assert not is_complete(PART, tmp_path)
    PART.file(tmp_path).unlink()
    assert not is_complete(PART, tmp_path)


def test_a_file_that_was_changed_is_noticed_although_it_has_the_size(tmp_path, caplog):
    other = Part("2021-04", ".nc", PART.source, {**PART.request, "month": ["04"]})
    for part in (PART, other):
        part.file(tmp_path).write_bytes(b"data")
        write_done(part, tmp_path, {})
    refuse_damaged([PART, other], tmp_path)
    assert to_fetch([PART, other], tmp_path) == []
    PART.file(tmp_path).write_bytes(b"date")
    assert is_complete(PART, tmp_path)
    assert damaged([PART, other], tmp_path) == to_fetch([PART, other], tmp_path) == [PART]
    assert f"{PART.file(tmp_path)}: changed since the download" in caplog.text
    with pytest.raises(DataError, match=rf"{PART.file(tmp_path).name} in .*: changed since the download .* delete it"):
        refuse_damaged([PART, other], tmp_path)


def test_one_process_at_a_time_fetches_into_a_folder(tmp_path):
    with alone(tmp_path / "raw"), alone(tmp_path / "other"):
        second = alone(tmp_path / "raw")
        with pytest.raises(DataError, match=r"another process is fetching into .*raw/; wait until it has ended"):
            second.__enter__()
    with alone(tmp_path / "raw"):
        assert list((tmp_path / "raw").iterdir()) == []


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "raw").write_text("a file in its place")
    second = alone(tmp_path / "raw")
    with pytest.raises(DataError, match=r"raw cannot be written \(File exists\); mend that and run again"):
        second.__enter__()


def test_a_disk_that_fills_up_under_the_records_is_one_sentence(tmp_path):
    def write():
        with alone(tmp_path):
            raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "x.json.tmp"))

    with pytest.raises(DataError, match=r"x\.json\.tmp cannot be written \(No space left on device\)"):
        write()


@pytest.mark.parametrize("content", ["", "{", "[1]", "\udcff"])
def test_an_unreadable_record_is_none(tmp_path, content):
    PART.record(tmp_path).write_bytes(content.encode("utf-8", "surrogateescape"))
    assert read_record(PART, tmp_path) == {}
    assert not is_complete(PART, tmp_path)


def test_a_record_is_replaced_in_one_step(tmp_path):
    folder = tmp_path / "not yet there"
    write_record(PART, folder, {"state": "intended"})
    with pytest.raises(ValueError, match="JSON compliant"):
        write_record(PART, folder, {"size": float("nan")})
    assert read_record(PART, folder) == {"state": "intended"}


def test_provenance_lists_what_is_there_without_signatures(tmp_path):
    other = Part("2021-04", ".nc", PART.source, {**PART.request, "month": ["04"]})
    PART.file(tmp_path).write_bytes(b"data")
    href = "https://user:secret@store.example/cache/x.nc?signature=abc#f"
    write_done(PART, tmp_path, {"job": "1", "urls": [href], "from": {"href": href}, "licence": "CC-BY 4.0"})
    write_record(other, tmp_path, {"state": "submitted", "job": "2"})
    (found,) = provenance([PART, other], tmp_path)
    assert found == {
        "file": PART.file(tmp_path).name,
        "source": "reanalysis-x",
        "request": PART.request,
        "job": "1",
        "urls": ["https://store.example/cache/x.nc"],
        "from": {"href": "https://store.example/cache/x.nc"},
        "licence": "CC-BY 4.0",
        "state": "done",
        "bytes": 4,
        "sha256": hashlib.sha256(b"data").hexdigest(),
    }
    assert "secret" not in json.dumps(found)
