"""New plugins from the templates."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from regimebench.registry import ROOT, folders
from regimebench.schema import InvalidFile

NAME = re.compile(r"[a-z][a-z0-9_]*")


def create(kind: str, name: str, root: Path = ROOT) -> str:
    """Copy ``<kind>/_template`` to ``<root>/<kind>/<name>`` and return what to do next.

    Parameters
    ----------
    kind : {"methods", "datasets"}
    name : str
        Lower-case letters, digits and underscores.
    root : Path
        The project, or a folder in ``REGIMEBENCH_PLUGINS``.
    """
    single = kind[:-1]
    if not NAME.fullmatch(name):
        raise InvalidFile(
            name, ["a plugin's name is its folder: lower-case letters, digits and underscores, a letter first"]
        )
    folder = root / kind / name
    if name in folders(kind) or folder.exists():
        raise InvalidFile(f"{kind}/{name}", ["exists already; choose another name"])
    shutil.copytree(ROOT / kind / "_template", folder, ignore=shutil.ignore_patterns("__pycache__"))
    for path in folder.iterdir():
        if path.suffix in (".py", ".yaml", ".md"):
            path.write_text(path.read_text().replace("_template", name))
    return (
        f"Created {kind}/{name}/ with {single}.py, {single}.yaml and README.md: a working example to replace.\n"
        f"  1. Write the {single} in {kind}/{name}/{single}.py.\n"
        f"  2. Declare its parameters, each with its source, in {kind}/{name}/{single}.yaml.\n"
        f"  3. python -m regimebench check {name}\n"
        f"  4. Add {name} to a configuration and run snakemake."
    )
