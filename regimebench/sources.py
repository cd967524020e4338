"""Which Python files a result depends on, found from import statements without running anything."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable
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
            names = sorted(name for name in _imported(path) if f"{name}.".startswith(f"{package}."))
            pending += [file for name in names for file in _files(name)]
    return found


def code_hash(paths: Iterable[Path]) -> str:
    """Return the sha256 over names and content."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _imported(path: Path) -> set[str]:
    """Return the dotted names a file imports; none if it is no valid Python, which whoever imports it will report."""
    try:
        tree = ast.parse(path.read_bytes(), filename=str(path))
    except (SyntaxError, ValueError):
        return set()
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def _files(name: str) -> list[Path]:
    path = ROOT / Path(*name.split("."))
    return [option for option in (path.with_suffix(".py"), path / "__init__.py") if option.is_file()]
