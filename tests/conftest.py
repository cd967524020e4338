"""Fixtures that several test folders share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder of real reanalysis files, or skip."""
    folder = Path(os.environ.get("REGIMEBENCH_REAL_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(
            f"no real data: the folder {folder.name} is absent (set REGIMEBENCH_REAL_DATA to test on real files)"
        )
    return folder
