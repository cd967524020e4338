"""Unpack ZIP archives that nobody has looked into: no path leaves the folder, no bomb fills the disk."""

from __future__ import annotations

import os
import shutil
import stat
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from regimebench.dataset import DataError

MAGIC = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")  # with members, empty, in several volumes
MEMBERS = 10_000
BYTES = 2**36  # 64 GiB; the largest answers of the Climate Data Store are below 20 GiB
# A file of one repeated value shrinks to a thousandth: beyond this size such an archive is taken to be a trap.
SUSPICIOUS_BYTES, SUSPICIOUS_RATIO = 2**32, 100
BLOCK = 2**20
NAME_BYTES = 200


def is_zip(path: Path) -> bool:
    """Return whether a file begins as ZIP archives do, whatever it is called."""
    with open(path, "rb") as file:
        return file.read(4) in MAGIC


def members(path: Path) -> list[str]:
    """Return the names that the members of an archive get when unpacked, in the order of the archive.

    Folders inside the archive are dropped from the names. Nothing is unpacked.

    Raises
    ------
    DataError
        If the archive is damaged, or holds anything but a bounded number and size of plain files with plain names.
    """
    with _opened(path) as archive:
        return [_plain_name(info, path) for info in _checked(archive, path)]


def unpack(path: Path, folder: Path) -> list[Path]:
    """Unpack an archive into a folder of its own and return the files, in the order of the archive.

    The folder appears in one step, complete, every member checked against its CRC-32. If it is there already and holds
    just these members, they are used again; if it holds anything else, it is replaced.

    Parameters
    ----------
    path : path
        The archive.
    folder : path
        Where to unpack; it belongs to the archive alone.

    Raises
    ------
    DataError
        If :func:`members` refuses the archive, a member is damaged, or the disk is full.
    """
    with _opened(path) as archive:
        infos = _checked(archive, path)
        names = [_plain_name(info, path) for info in infos]
        if not _is_unpacked(infos, names, folder):
            _unpack(archive, infos, names, path, folder)
    return [folder / name for name in names]


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise DataError(f"{path} is not a readable ZIP archive ({error}); fetch it again") from error


def _checked(archive: zipfile.ZipFile, path: Path) -> list[zipfile.ZipInfo]:
    """Return the members of an archive without its folders, all of them fit to be unpacked."""
    infos = [info for info in archive.infolist() if not info.is_dir()]
    if not infos:
        raise DataError(f"{path} is a ZIP archive without files; fetch it again")
    if len(infos) > MEMBERS:
        raise DataError(f"{path} holds {len(infos)} files; at most {MEMBERS} are unpacked")
    size = sum(info.file_size for info in infos)
    packed = path.stat().st_size
    if size > BYTES or (size > SUSPICIOUS_BYTES and size > SUSPICIOUS_RATIO * packed):
        raise DataError(
            f"{path} ({packed:,} bytes) would unpack to {size:,} bytes, which no data file does; "
            "unpack it by hand if you trust it, and name its members"
        )
    seen: dict[str, str] = {}
    for info in infos:
        name = _plain_name(info, path)
        key = name.casefold()
        if key in seen:
            raise DataError(
                f"{path}: the members {seen[key]!r} and {info.orig_filename!r} would both be called {name!r}; "
                "unpack the archive by hand and rename one"
            )
        seen[key] = info.orig_filename
    return infos


def _plain_name(info: zipfile.ZipInfo, path: Path) -> str:
    """Return a member's name without folders, or refuse the member."""
    name = info.orig_filename
    kind = stat.S_IFMT(info.external_attr >> 16)
    reasons = {
        "leads out of its folder": name.startswith("/") or ".." in name.split("/"),
        "has a name that not every system can store": (
            any(character in '\\:"*?<>|' or not character.isprintable() for character in name)
            or not 0 < len(os.fsencode(PurePosixPath(name).name)) <= NAME_BYTES
        ),
        "is not a plain file": kind not in (0, stat.S_IFREG),
        "is encrypted": bool(info.flag_bits & 1),
        "is packed in an unusual way": info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED),
    }
    for reason, found in reasons.items():
        if found:
            raise DataError(f"{path}: the member {name!r} {reason}; nothing was unpacked, so do it by hand")
    return PurePosixPath(name).name


def _is_unpacked(infos: Sequence[zipfile.ZipInfo], names: Sequence[str], folder: Path) -> bool:
    """Return whether a folder holds these members and nothing else."""
    if not folder.is_dir() or sorted(file.name for file in folder.iterdir()) != sorted(names):
        return False
    files = [folder / name for name in names]
    if any(file.stat().st_size != info.file_size for file, info in zip(files, infos, strict=True)):
        return False
    return all(_crc(file) == info.CRC for file, info in zip(files, infos, strict=True))


def _crc(file: Path) -> int:
    value = 0
    with open(file, "rb") as stream:
        while block := stream.read(BLOCK):
            value = zlib.crc32(block, value)
    return value


def _unpack(
    archive: zipfile.ZipFile, infos: Sequence[zipfile.ZipInfo], names: Sequence[str], path: Path, folder: Path
) -> None:
    """Write all members beside the folder, then give them its name."""
    temporary = folder.with_name(f".{folder.name}.unpacking")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir(parents=True)
        for info, name in zip(infos, names, strict=True):
            # zipfile reads no more than the declared size and compares the CRC-32 at its end.
            with archive.open(info) as packed, open(temporary / name, "xb") as file:
                shutil.copyfileobj(packed, file, BLOCK)
        if folder.exists():
            shutil.rmtree(folder)
        temporary.rename(folder)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise DataError(f"{path} is damaged ({error}); fetch it again") from error
    except OSError as error:
        raise DataError(f"{path} could not be unpacked into {folder} ({error.strerror}); make room there") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
