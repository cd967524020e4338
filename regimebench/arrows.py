"""Who may import whom: plugins their contract and the shared blocks, never each other."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ALLOWED = {"methods": ("regimebench.method", "methods.blocks"), "datasets": ("regimebench.dataset", "datasets.blocks")}


def imports(path: Path, package: str = "") -> Iterator[tuple[int, str]]:
    """Yield line and full module name of every import in a file, wherever it stands in the code.

    Parameters
    ----------
    path : Path
        A Python file.
    package : str
        The package of the module, such as ``methods.dec``, to resolve relative imports.
    """
    for node in ast.walk(ast.parse(path.read_bytes(), filename=str(path))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            yield node.lineno, ".".join([*above, *filter(None, [node.module])])


def forbidden_imports(folder: Path, kind: str) -> list[str]:
    """Return one sentence per import that a plugin may not make: another plugin, or the suite beyond its contract.

    Parameters
    ----------
    folder : Path
        The plugin.
    kind : {"methods", "datasets"}
    """
    allowed = (*ALLOWED[kind], f"{kind}.{folder.name}")
    found = []
    for path in sorted(folder.glob("**/*.py")):
        package = ".".join([kind, *path.parent.relative_to(folder.parent).parts])
        for line, name in imports(path, package):
            ours = name.split(".")[0] in ("regimebench", "methods", "datasets", "")
            if ours and not any(name == ok or name.startswith(f"{ok}.") for ok in allowed):
                found.append(
                    f"{path.relative_to(folder)} line {line} imports {name}; a plugin imports only "
                    f"{', '.join(ALLOWED[kind])}, its own modules and third-party libraries"
                )
    return found
