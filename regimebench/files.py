"""Files written in one step: a reader sees the old file or the new one, never half of one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path to write to, which takes the name of ``path`` when the block ends without an error.

    The folder is created if it is missing; the data reach the disk before the name does. A path has one writer at a
    time, so what earlier ones left under temporary names, because they were killed, is removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        for left in path.parent.glob(f".{escape(path.name)}.*.tmp"):
            left.unlink(missing_ok=True)


def files_below(folder: Path) -> list[Path]:
    """Return the files in ``folder`` and below, in order of their names."""
    return sorted(path for path in folder.glob("**/*") if path.is_file())
