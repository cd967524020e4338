"""What the sum means that a service announces for a file.

The Climate Data Store announces the tag of its object store, written as a number: the MD5 sum of the file without
leading zeros or, for a file that was stored in pieces, the MD5 sum of the pieces' MD5 sums. Only the tag in the store's
own answer tells, because it ends in the number of pieces then (source: cacholote, the service's cache, and s3fs).
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

from datasets.blocks.partial import Received

DIGITS = 32
SUM = re.compile(r"[0-9a-f]{1,32}")
PIECES = re.compile(r'"?([0-9a-f]{32})-(\d{1,5})"?')
MIB = 2**20
SIZES = tuple(size * MIB for size in (5, 8, 10, 15, 16, 20, 25, 32, 50, 64, 100, 128, 200, 256, 500, 512, 1024))
BLOCK = MIB


def md5_of(announced: Any) -> str | None:
    """Return an announced sum with all its 32 digits, None if it is none."""
    if isinstance(announced, int) and not isinstance(announced, bool):
        announced = f"{announced:x}"
    text = str(announced or "").strip().lower()
    return text.zfill(DIGITS) if SUM.fullmatch(text) else None


def agrees(received: Received, md5: str, path: Path) -> bool | None:
    """Return whether a file has the announced sum, None if that cannot be known.

    It cannot if the store's tag says that the sum is of pieces, and no usual size of pieces gives it.

    Parameters
    ----------
    received : Received
        Size, sum and tag of the file.
    md5 : str
        The announced sum, 32 digits.
    path : path
        The file, read again if it was stored in pieces.
    """
    if received.md5 == md5:
        return True
    found = PIECES.fullmatch(received.etag)
    if found is None or found[1] != md5:
        return False
    count = int(found[2])
    fitting = [size for size in SIZES if -(-received.bytes // size) == count]
    return True if any(_sum_of_pieces(path, size) == md5 for size in fitting) else None


def _sum_of_pieces(path: Path, size: int) -> str:
    """Return the MD5 sum of the MD5 sums of a file's pieces of ``size`` bytes."""
    outer = hashlib.md5(usedforsecurity=False)
    with open(path, "rb") as file:
        while first := file.read(min(size, BLOCK)):
            inner, left = hashlib.md5(first, usedforsecurity=False), size - len(first)
            while left and (block := file.read(min(left, BLOCK))):
                inner.update(block)
                left -= len(block)
            outer.update(inner.digest())
    return outer.hexdigest()
