"""The bundle file: a ZIP archive of results with a manifest, written the same way every time and read with distrust.

The format is described in ``docs/bundles.md``. Nothing outside the list of names in :data:`KINDS` is read or written.
"""

from __future__ import annotations

import hashlib
import json
import re
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from regimebench.files import replacing
from regimebench.records import FIT, RECORD, SCHEMA_VERSION, InvalidRecord, check
from regimebench.schema import problems
from regimebench.untrusted import Refused, decode, parse_json

FORMAT, VERSION, MANIFEST = "regimebench bundle", 1, "manifest.json"
BLOCK = 2**20
NAME = r"[a-z][a-z0-9_]{0,99}"
SEED = rf"(?P<dataset>{NAME})/(?P<method>{NAME})/(?P<variant>{NAME})/seed-(?P<seed>\d{{4,9}})"
# What a bundle may hold, and the largest size of each in bytes: first what is made from the others.
DERIVED = {
    rf"{NAME}/(scores|runs|agreement|shifted)\.csv": 2**30,
    rf"{NAME}/verify\.json": 2**22,
    rf"tables/{NAME}[a-z0-9_.-]{{0,99}}\.(md|tex|csv)": 2**26,
}
KINDS = {
    **DERIVED,
    rf"{SEED}/{re.escape(RECORD)}": 2**22,
    rf"{SEED}/{re.escape(FIT)}": 2**33,
    rf"{NAME}/cube\.nc": 2**36,
    rf"truth/{NAME}\.csv": 2**26,
    re.escape(MANIFEST): 2**26,
}
MEMBERS = 200_000
SUSPICIOUS_BYTES, SUSPICIOUS_RATIO = 2**30, 200  # so much data never packs that well
Source = Callable[[], IO[bytes]]


class InvalidBundle(ValueError):
    """A bundle cannot be used; the message names the file and the reason."""


class Bundle:
    """An open bundle whose names, sizes and manifest are in order; contents are checked as they are read.

    Parameters
    ----------
    path : Path
        The file.
    archive : ZipFile
        The same, open.

    Raises
    ------
    InvalidBundle
        If it is no bundle, is damaged, or holds anything that a bundle may not hold.
    """

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self.path, self.archive = path, archive
        self.infos = self._members()
        self.manifest = self._manifest()
        self.files: dict[str, dict[str, Any]] = self.manifest["files"]
        self._compare()

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.name

    def refuse(self, reason: str) -> InvalidBundle:
        """Return the error that says why this bundle is refused."""
        return InvalidBundle(f"{self.path} is refused: {reason}; nothing was unpacked")

    def read(self, name: str) -> bytes:
        """Return the content of a member, which has the SHA-256 in the manifest."""
        with self._reading(name):
            content = self.archive.read(self.infos[name])
        self._verify(name, hashlib.sha256(content))
        return content

    def extract(self, name: str, target: Path) -> None:
        """Write a member to a file that is not there yet."""
        target.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        with self._reading(name), self.archive.open(self.infos[name]) as packed, open(target, "xb") as file:
            while block := packed.read(BLOCK):
                digest.update(block)
                file.write(block)
        self._verify(name, digest)

    def source(self, name: str) -> Source:
        """Return what opens a member, for :func:`write`."""
        return lambda: self.archive.open(self.infos[name])

    def names(self, pattern: str) -> list[re.Match[str]]:
        """Return the members whose whole names match, in order."""
        found = (re.fullmatch(pattern, name) for name in self.files)
        return [match for match in found if match]

    def record(self, match: re.Match[str]) -> dict[str, Any]:
        """Return the valid record that a match of its name (:data:`SEED`) leads to."""
        name = match[0]
        try:
            record = parse_json(decode(self.read(name)))
            check(record, Path(name))
        except (Refused, InvalidRecord) as error:
            raise self.refuse(f"{name}: {error}" if isinstance(error, Refused) else str(error)) from error
        where = {key: match[key] for key in ("dataset", "method", "variant")} | {"seed": int(match["seed"])}
        wrong = [f"{key} {record[key]!r}" for key, value in where.items() if record[key] != value]
        address = match["method"] + ("" if match["variant"] == "default" else f"/{match['variant']}")
        if wrong or record["address"] != address:
            raise self.refuse(f"{name} is the record of another fit ({', '.join(wrong) or record['address']})")
        fit = self.files.get(str(Path(name).with_name(FIT)), {}).get("sha256")
        if fit != record["hashes"]["fit"]:
            raise self.refuse(f"the labels beside {name} are not those of its record")
        return record

    def _members(self) -> dict[str, zipfile.ZipInfo]:
        infos, packed = self.archive.infolist(), self.path.stat().st_size
        if len(infos) > MEMBERS:
            raise self.refuse(f"it holds {len(infos)} files; at most {MEMBERS} are read")
        found: dict[str, zipfile.ZipInfo] = {}
        for info in infos:
            name = info.orig_filename
            limit = next((limit for pattern, limit in KINDS.items() if re.fullmatch(pattern, name)), None)
            reasons = {
                "is nothing that a bundle holds": limit is None,
                "occurs twice": name in found,
                f"is larger than {limit} bytes": limit is not None and info.file_size > limit,
                "is not a plain file": stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG),
                "begins outside the file": not 0 <= info.header_offset < packed,
                "is encrypted": bool(info.flag_bits & 1),
                "is packed in an unusual way": info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED),
            }
            for reason, applies in reasons.items():
                if applies:
                    raise self.refuse(f"the member {name[:200]!r} {reason}")
            found[name] = info
        size = sum(info.file_size for info in infos)
        if size > SUSPICIOUS_BYTES and size > SUSPICIOUS_RATIO * packed:
            raise self.refuse(f"its {packed:,} bytes would unpack to {size:,}, which no results do")
        if MANIFEST not in found:
            raise self.refuse(f"it is a ZIP archive without {MANIFEST}, so no bundle")
        return found

    def _manifest(self) -> dict[str, Any]:
        with self._reading(MANIFEST):
            content = self.archive.read(self.infos[MANIFEST])
        try:
            manifest = parse_json(decode(content))
        except Refused as error:
            raise self.refuse(f"{MANIFEST}: {error}") from error
        if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
            raise self.refuse(f"its {MANIFEST} does not say that it is a bundle of this suite")
        for key, known in (("schema_version", VERSION), ("record_schema_version", SCHEMA_VERSION)):
            if manifest.get(key) != known:
                raise self.refuse(
                    f"its {key} is {str(manifest.get(key))[:40]!r} and this suite reads {known}; use the version "
                    "that wrote it"
                )
        found = problems(manifest, "bundle")
        if found:
            raise self.refuse(f"{MANIFEST}: {'; '.join(found[:5])}")
        return manifest

    def _compare(self) -> None:
        listed, there = set(self.files), set(self.infos) - {MANIFEST}
        for names, reason in ((listed - there, "is missing"), (there - listed, "is not in its manifest")):
            if names:
                raise self.refuse(f"the member {min(names)[:200]!r} {reason}")
        for name, about in self.files.items():
            if self.infos[name].file_size != about["bytes"]:
                raise self.refuse(f"the member {name!r} has not the size in the manifest")

    def _verify(self, name: str, digest: Any) -> None:
        if digest.hexdigest() != self.files[name]["sha256"]:
            raise self.refuse(f"the member {name!r} does not have the SHA-256 in the manifest")

    @contextmanager
    def _reading(self, name: str) -> Iterator[None]:
        try:
            yield
        except DAMAGE as error:
            raise self.refuse(f"the member {name!r} is damaged ({error})") from error


DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)


@contextmanager
def opened(path: Path) -> Iterator[Bundle]:
    """Open a bundle (errors as for :class:`Bundle`)."""
    try:
        archive = zipfile.ZipFile(path)
    except OSError as error:
        raise InvalidBundle(f"{path} cannot be read: {error.strerror or error}") from error
    except (*DAMAGE, LookupError, OverflowError, MemoryError) as error:
        raise InvalidBundle(f"{path} is refused: it is no readable ZIP archive ({error})") from error
    with archive:
        yield Bundle(path, archive)


def write(path: Path, sources: Mapping[str, Source], about: Mapping[str, Any]) -> None:
    """Write a bundle in one step; the same contents give the same bytes.

    Parameters
    ----------
    path : Path
        The file.
    sources : mapping
        Name of each member -> what opens its content.
    about : mapping
        The manifest but for format, versions and files.
    """
    files = {}
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name in sorted(sources):
            digest, size = hashlib.sha256(), 0
            with sources[name]() as source, archive.open(_info(name), "w", force_zip64=True) as target:
                while block := source.read(BLOCK):
                    digest.update(block)
                    size += len(block)
                    target.write(block)
            files[name] = {"bytes": size, "sha256": digest.hexdigest()}
        versions = {"format": FORMAT, "schema_version": VERSION, "record_schema_version": SCHEMA_VERSION}
        text = json.dumps({**versions, **about, "files": files}, indent=1, allow_nan=False)
        archive.writestr(_info(MANIFEST), text + "\n")


def _info(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)  # dated 1980, whatever the clock says
    info.compress_type = zipfile.ZIP_STORED if name.endswith(".nc") else zipfile.ZIP_DEFLATED
    info.external_attr, info.create_system = (stat.S_IFREG | 0o644) << 16, 3
    return info
