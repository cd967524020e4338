"""Arrays of fits, read so that nothing in the file is executed or larger than its bytes (``docs/security.md``).

The supervisor imports this module, so whatever takes time to import is imported where it is used.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from regimebench.untrusted import Refused

if TYPE_CHECKING:
    import numpy as np

ARRAYS = 1000  # in one fit.npz
DIMENSIONS = 8
HEADER_BYTES = 10_000
HEADER = re.compile(
    rb"\{'descr': '(?P<kind>[<|](?:b1|[iu][1248]|f[248]))', 'fortran_order': (?P<fortran>True|False), "
    rb"'shape': \((?P<shape>(?:\d{1,15}, ?)*(?:\d{1,15})?)\), \}\s*"
)


def arrays(path: Path, wanted: Callable[[str], bool]) -> dict[str, np.ndarray]:
    """Return the arrays of an NPZ file whose names are ``wanted``; nothing in it is executed.

    Raises
    ------
    Refused
        If the file is no archive of plain number arrays, or an array is not as large as it claims.
    OSError
        If it cannot be read.
    """
    with open(path, "rb") as file:
        return _arrays(file, wanted)


def arrays_in(content: bytes, wanted: Callable[[str], bool]) -> dict[str, np.ndarray]:
    """Return the same of the content of an NPZ file."""
    return _arrays(io.BytesIO(content), wanted)


def _arrays(stream: IO[bytes], wanted: Callable[[str], bool]) -> dict[str, np.ndarray]:
    import zipfile
    import zlib

    found = {}
    try:
        with zipfile.ZipFile(stream) as archive:
            for info in _members(archive):
                name = info.filename.removesuffix(".npy")
                if wanted(name):
                    with archive.open(info) as file:
                        found[name] = _array(file, name, info.file_size)
    except Refused:
        raise
    except (
        zipfile.BadZipFile,
        zlib.error,
        NotImplementedError,
        EOFError,
        RuntimeError,
        ValueError,
        TypeError,
    ) as error:
        raise Refused(f"it is no readable archive of arrays ({error})") from error
    return found


def _members(archive: Any) -> Iterator[Any]:
    """Yield the members; what is stored and not packed cannot be larger than its file."""
    import zipfile

    infos = archive.infolist()
    if len(infos) > ARRAYS:
        raise Refused(f"it holds {len(infos)} arrays; at most {ARRAYS} are read")
    if len({info.filename for info in infos}) < len(infos):
        raise Refused("it holds two arrays of one name")
    for info in infos:
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
            raise Refused(f"the array {info.filename!r} is packed; fits are stored as they are")
        yield info


def _array(file: Any, name: str, size: int) -> np.ndarray:
    """Read one array; its header is compared with what NumPy writes, not evaluated, and with the bytes that follow."""
    import numpy as np

    start = file.read(8)
    width = {b"\x93NUMPY\x01\x00": 2, b"\x93NUMPY\x02\x00": 4}.get(start)
    if width is None:
        raise Refused(f"{name!r} is no array in a format that is read")
    length = int.from_bytes(file.read(width), "little")
    header = HEADER.fullmatch(file.read(length)) if length <= HEADER_BYTES else None
    if header is None:
        raise Refused(f"{name!r} is no array of numbers as NumPy stores it")
    dtype = np.dtype(header["kind"].decode())
    shape = tuple(int(part) for part in header["shape"].split(b",") if part.strip())
    count = math.prod(shape)
    if len(shape) > DIMENSIONS or count * dtype.itemsize != size - 8 - width - length:
        raise Refused(f"the array {name!r} says it has the shape {shape}, which is not what follows")
    data = file.read(count * dtype.itemsize)
    if len(data) != count * dtype.itemsize:
        raise Refused(f"the array {name!r} ends early")
    order = "F" if header["fortran"] == b"True" else "C"
    return np.frombuffer(bytearray(data), dtype).reshape(shape, order=order)
