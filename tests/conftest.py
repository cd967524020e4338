"""Fixtures that several test folders share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# One thread per process: labels do not depend on the number of cores, and small fits do not fight over them.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Share tests out by file, whose fixtures they have in common, but the conformance suite by plugin: it is long.

    Whole workflows come first: a long file that began last would leave the other processes idle.
    """
    items.sort(key=lambda item: "workflow" not in item.path.parts)
    for item in items:
        plugin = item.callspec.params["name"].partition("/")[0] if item.path.name == "test_plugins.py" else ""
        item.add_marker(pytest.mark.xdist_group(f"{item.path.stem} {plugin}".strip()))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder of real reanalysis files, or skip."""
    folder = Path(os.environ.get("REGIMEBENCH_REAL_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(
            f"no real data: the folder {folder.name} is absent (set REGIMEBENCH_REAL_DATA to test on real files)"
        )
    return folder


@pytest.fixture
def tensorflow(tmp_path: Path) -> Callable[[bool], str]:
    """Return a function that gives a PYTHONPATH for which TensorFlow is there, as a stand-in, or is not."""
    hidden, there = tmp_path / "hidden", tmp_path / "there"
    (there / "tensorflow").mkdir(parents=True)
    stand_in = "class random:\n    set_seed = staticmethod(lambda seed: None)\n"
    (there / "tensorflow" / "__init__.py").write_text(stand_in)
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text("import sys; sys.modules['tensorflow'] = None\n")
    return lambda installed: str(there if installed else hidden)


@pytest.fixture
def without_key(tmp_path: Path) -> dict[str, str]:
    """Return this environment without any account of the Climate Data Store, also where the developer has one."""
    names = ("ECMWF_DATASTORES_", "CDSAPI_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(names)}
    return {**kept, "HOME": str(tmp_path)}
