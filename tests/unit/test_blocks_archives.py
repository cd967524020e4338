"""ZIP archives from elsewhere: what is unpacked, what is refused, and that nothing is left half done."""

import errno
import shutil
import stat
import zipfile

import pytest

from datasets.blocks import archives
from datasets.blocks.archives import is_zip, members, unpack
from regimebench.dataset import DataError

CONTENT = {"instant.nc": b"first" * 1000, "accum.nc": b"second" * 1000}


def make(path, content=CONTENT, **changes):
    """Write an archive; ``changes`` are set on every member's entry."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            for key, value in changes.items():
                setattr(info, key, value)
            archive.writestr(info, data)
    return path


def patched(path, before, after):
    """Replace bytes of an archive, as nobody's tool would write them."""
    data = path.read_bytes()
    assert before in data
    path.write_bytes(data.replace(before, after))
    return path


def left_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_members_are_unpacked_in_the_order_of_the_archive(tmp_path):
    path = make(tmp_path / "answer.nc")
    assert is_zip(path)
    assert members(path) == ["instant.nc", "accum.nc"]
    files = unpack(path, tmp_path / "deep" / "raw")
    assert files == [tmp_path / "deep" / "raw" / name for name in CONTENT]
    assert [file.read_bytes() for file in files] == list(CONTENT.values())
    assert left_in(tmp_path / "deep") == ["raw"]


def test_folders_are_dropped_from_names(tmp_path):
    path = make(tmp_path / "a.zip", {"data/": b"", "data/2021/a.nc": b"a", "b.nc": b"b"})
    assert [file.name for file in unpack(path, tmp_path / "raw")] == ["a.nc", "b.nc"]
    assert left_in(tmp_path / "raw") == ["a.nc", "b.nc"]


@pytest.mark.parametrize(
    ("start", "zipped"), [(b"\x89HDF\r\n", False), (b"CDF\x01", False), (b"", False), (b"PK", False)]
)
def test_other_files_are_no_archives(tmp_path, start, zipped):
    (tmp_path / "a").write_bytes(start)
    assert is_zip(tmp_path / "a") is zipped


def test_what_is_unpacked_is_used_again(tmp_path):
    path = make(tmp_path / "a.zip")
    before = [file.stat().st_mtime_ns for file in unpack(path, tmp_path / "raw")]
    assert [file.stat().st_mtime_ns for file in unpack(path, tmp_path / "raw")] == before


@pytest.mark.parametrize("change", ["damaged", "shorter", "missing", "more"])
def test_what_does_not_fit_is_unpacked_again(tmp_path, change):
    path = make(tmp_path / "a.zip")
    first, second = unpack(path, tmp_path / "raw")
    if change == "damaged":
        first.write_bytes(b"FIRST" * 1000)
    if change == "shorter":
        first.write_bytes(b"first")
    if change == "missing":
        second.unlink()
    if change == "more":
        (tmp_path / "raw" / "c.nc").write_bytes(b"of another archive")
    files = unpack(path, tmp_path / "raw")
    assert [file.read_bytes() for file in files] == list(CONTENT.values())
    assert left_in(tmp_path / "raw") == ["accum.nc", "instant.nc"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../a.nc", "leads out of its folder"),
        ("x/../../a.nc", "leads out of its folder"),
        ("/etc/a.nc", "leads out of its folder"),
        ("..\\a.nc", "not every system can store"),
        ("C:a.nc", "not every system can store"),
        ("a\n.nc", "not every system can store"),
        ("a" * 300 + ".nc", "not every system can store"),
    ],
)
def test_names_that_lead_elsewhere_are_refused(tmp_path, name, reason):
    path = make(tmp_path / "a.zip", {"good.nc": b"good", name: b"bad"})
    with pytest.raises(DataError, match=reason):
        unpack(path, tmp_path / "deep" / "raw")
    assert left_in(tmp_path) == ["a.zip"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"external_attr": (stat.S_IFLNK | 0o777) << 16}, "is not a plain file"),
        ({"external_attr": (stat.S_IFIFO | 0o666) << 16}, "is not a plain file"),
        ({"compress_type": zipfile.ZIP_BZIP2}, "is packed in an unusual way"),
    ],
)
def test_links_pipes_and_unusual_packing_are_refused(tmp_path, changes, reason):
    path = make(tmp_path / "a.zip", {"a.nc": b"/etc/passwd"}, **changes)
    with pytest.raises(DataError, match=f"the member 'a.nc' {reason}"):
        unpack(path, tmp_path / "raw")


def test_encrypted_members_are_refused(tmp_path):
    path = make(tmp_path / "a.zip", {"a.nc": b"secret"})
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1  # the flags in the archive's directory
    path.write_bytes(data)
    with pytest.raises(DataError, match="is encrypted"):
        members(path)


@pytest.mark.parametrize("second", ["b/a.nc", "A.NC", "a.nc"])
def test_two_members_of_one_name_are_refused(tmp_path, second):
    path = make(tmp_path / "a.zip", {"a/a.nc": b"1", "x.nc": b"2", "c/b.nc": b"3"})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(second, b"4")
    with pytest.raises(DataError, match="would both be called"):
        unpack(path, tmp_path / "raw")


class TestBombs:
    def test_number_of_members(self, tmp_path, monkeypatch):
        monkeypatch.setattr(archives, "MEMBERS", 3)
        path = make(tmp_path / "a.zip", {f"{number}.nc": b"" for number in range(4)})
        with pytest.raises(DataError, match="holds 4 files; at most 3"):
            unpack(path, tmp_path / "raw")

    @pytest.mark.parametrize("limit", ["BYTES", "SUSPICIOUS_BYTES"])
    def test_declared_size(self, tmp_path, monkeypatch, limit):
        monkeypatch.setattr(archives, limit, 2**20)
        path = make(tmp_path / "a.zip", {"a.nc": bytes(2**21)})
        with pytest.raises(DataError, match=r"would unpack to 2,097,152 bytes"):
            unpack(path, tmp_path / "raw")
        monkeypatch.setattr(archives, limit, 2**22)
        assert unpack(path, tmp_path / "raw")[0].stat().st_size == 2**21

    def test_more_bytes_than_declared_are_never_written(self, tmp_path):
        size = 3_000_001
        path = make(tmp_path / "a.zip", {"a.nc": bytes(size)})
        patched(path, size.to_bytes(4, "little"), (10).to_bytes(4, "little"))
        assert members(path) == ["a.nc"]
        with pytest.raises(DataError, match=r"is damaged .*CRC"):
            unpack(path, tmp_path / "raw")
        assert left_in(tmp_path) == ["a.zip"]


class TestDamage:
    def test_a_truncated_archive(self, tmp_path):
        path = make(tmp_path / "a.nc")
        path.write_bytes(path.read_bytes()[:-30])
        assert is_zip(path)
        with pytest.raises(DataError, match=r"is not a readable ZIP archive .* fetch it again"):
            unpack(path, tmp_path / "raw")

    def test_a_wrong_checksum_leaves_nothing(self, tmp_path):
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            archive.writestr("a.nc", b"content of the file")
        path = patched(tmp_path / "a.zip", b"content of", b"CONTENT of")
        with pytest.raises(DataError, match=r"is damaged .*CRC"):
            unpack(path, tmp_path / "raw")
        assert left_in(tmp_path) == ["a.zip"]

    def test_damage_keeps_what_was_unpacked_before(self, tmp_path):
        (before,) = unpack(make(tmp_path / "a.zip", {"a.nc": b"old"}), tmp_path / "raw")
        with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
            archive.writestr("a.nc", b"content of the file")
        with pytest.raises(DataError):
            unpack(patched(tmp_path / "b.zip", b"content of", b"CONTENT of"), tmp_path / "raw")
        assert before.read_bytes() == b"old"

    def test_an_archive_without_files(self, tmp_path):
        path = make(tmp_path / "a.zip", {})
        assert is_zip(path)
        with pytest.raises(DataError, match="without files"):
            members(path)

    def test_a_full_disk(self, tmp_path, monkeypatch):
        def full(*_):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(shutil, "copyfileobj", full)
        with pytest.raises(DataError, match="No space left on device"):
            unpack(make(tmp_path / "a.zip"), tmp_path / "raw")
        assert left_in(tmp_path) == ["a.zip"]

    def test_what_a_killed_run_left_is_removed(self, tmp_path):
        (tmp_path / ".raw.unpacking").mkdir()
        (tmp_path / ".raw.unpacking" / "half.nc").write_bytes(b"ha")
        unpack(make(tmp_path / "a.zip"), tmp_path / "raw")
        assert left_in(tmp_path) == ["a.zip", "raw"]
