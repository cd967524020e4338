"""Which Python files a result depends on, found from import statements without running anything."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def python_files(folder: Path) -> list[Path]:
    """Return the Python files in ``folder`` and below."""
    return sorted(folder.glob("**/*.py"))


def closure(paths: Iterable[Path], package: str) -> list[Path]:
    """Return ``paths`` and the project's modules under ``package`` that they import, directly or not.

    Parameters
    ----------
    paths : iterable of Path
        Python files.
    package : str
        Dotted name, such as ``methods.blocks``.
    """
    pending, found = list(paths), []
    while pending:
        path = pending.pop(0)
        if path not in found:
            found.append(path)
            names = sorted(name for name in _imported(path.read_bytes()) if f"{name}.".startswith(f"{package}."))
            pending += [file for name in names for file in _files(name)]
    return found


def code_hash(paths: Iterable[Path]) -> str:
    """Return the sha256 over names and content."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


@cache
def _imported(source: bytes) -> frozenset[str]:
    """Return the dotted names that code imports; none if it is not valid Python, for its importer to report."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return frozenset()
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(names)


def _files(name: str) -> list[Path]:
    path = ROOT / Path(*name.split("."))
    return [option for option in (path.with_suffix(".py"), path / "__init__.py") if option.is_file()]
