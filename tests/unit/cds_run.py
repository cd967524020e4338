"""Parts and their answers for the tests of downloads, and a process that fetches them and may be ended."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np

from datasets.blocks.cds import fetch_cds
from datasets.blocks.parts import Part
from regimebench.dataset import no_progress

ABOUT = {"licence": "CC-BY 4.0", "attribution": "Contains modified information", "doi": "10.24381/cds.x"}
PARTS = [
    Part(f"2021-{month:02d}", ".nc", "reanalysis-x", {"year": ["2021"], "month": [f"{month:02d}"]})
    for month in range(1, 7)
]


def content(request: dict[str, Any]) -> bytes:
    """Return what answers a request, different for each month."""
    return np.random.default_rng(int(request["month"][0])).bytes(2_000_000)


def answer(collection: str, request: dict[str, Any]) -> tuple[bytes, str, str]:
    return content(request), "application/netcdf", ".nc"


def take(received: Path, target: Path, part: Part) -> None:
    """Accept everything."""
    os.replace(received, target)


def end_before(received: Path, target: Path, part: Part) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def end_after(received: Path, target: Path, part: Part) -> None:
    take(received, target, part)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    accept = {function.__name__: function for function in (take, end_before, end_after)}[sys.argv[2]]
    fetch_cds(PARTS[:1], Path(sys.argv[1]), accept, no_progress, ABOUT)
