"""Where a result came from: code, libraries and machine, without anything that names a person, host or folder."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
CODE = ("regimebench/", "methods/", "datasets/", "workflow/")
MESSAGE_LENGTH = 500
DISTRIBUTIONS = {"sklearn": "scikit-learn", "yaml": "PyYAML", "tensorflow": "tensorflow-cpu"}  # where names differ
SECRET_NAME = re.compile(r"^(CDSAPI|ECMWF)_|KEY$|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL", re.IGNORECASE)
# "key: <long value>", "password=...", "Bearer ..." in any message; a short word after "key:" is no credential.
SECRET_TEXT = re.compile(
    r"(?i)((?:key|token|secret)[\"']?\s*[=:]\s*[\"']?)[^\s\"',;&]{16,}|(passw(?:or)?d[\"']?\s*[=:]\s*[\"']?|bearer\s+)[^\s\"',;&]+"
)
URL_USER = re.compile(r"(\w+://)[^/\s@]+@")


def is_secret(name: str) -> bool:
    """Say whether an environment variable of this name may hold a credential."""
    return SECRET_NAME.search(name) is not None


def clean_message(text: str, environ: Mapping[str, str] = os.environ) -> str:
    """Return ``text`` as one line of at most 500 characters without credentials and without this machine's folders."""
    for name, value in environ.items():
        if len(value) >= 6 and is_secret(name):
            text = text.replace(value, "***")
    text = SECRET_TEXT.sub(lambda found: (found[1] or found[2]) + "***", text)
    text = URL_USER.sub(r"\1***@", text)
    for folder in dict.fromkeys((str(ROOT), os.getcwd())):
        text = text.replace(folder + os.sep, "")
    home = os.path.expanduser("~")
    text = text.replace(home + os.sep, "~/") if len(home) > 1 else text
    text = " ".join(text.split())
    return text if len(text) <= MESSAGE_LENGTH else text[: MESSAGE_LENGTH - 3] + "..."


def git_state(root: Path = ROOT) -> dict[str, Any] | None:
    """Return the commit the code stands at and whether it differs from that; None without git.

    Untracked files count only where they could change a result, in the folders of :data:`CODE`.
    """
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "status", "--porcelain=v2", "--branch", "--untracked-files=normal"]
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}  # never hold up a commit made at the same time
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True, env=environment)
    except (OSError, subprocess.SubprocessError):
        return None
    lines = done.stdout.splitlines()
    commits = [line.removeprefix("# branch.oid ") for line in lines if line.startswith("# branch.oid ")]
    if not commits or commits[0] == "(initial)":
        return None
    return {"commit": commits[0], "dirty": any(map(_is_change, lines))}


def _is_change(line: str) -> bool:
    if line.startswith("? "):
        return line[2:].lstrip('"').startswith(CODE)
    return not line.startswith("#")


@cache
def _version(module: str) -> str | None:
    from importlib import metadata

    for distribution in (DISTRIBUTIONS.get(module, module), module):
        with contextlib.suppress(metadata.PackageNotFoundError):
            return metadata.version(distribution)
    return None


def loaded_modules() -> list[str]:
    """Return the top-level modules this process has loaded, the standard library's left out."""
    names = {name.partition(".")[0] for name in tuple(sys.modules)}
    return sorted(name for name in names if name[:1] != "_" and name not in sys.stdlib_module_names)


def versions(modules: Iterable[str]) -> dict[str, str]:
    """Return the version of Python and of each module that comes from an installed package."""
    found = {name: version for name in modules if (version := _version(name))}
    return {"python": ".".join(map(str, sys.version_info[:3])), **found}


def machine() -> dict[str, Any]:
    """Return processor, cores and memory (GiB) of this machine."""
    system = os.uname()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), None)
        memory = round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (OSError, ValueError):
        model = memory = None
    return {
        "system": system.sysname,
        "architecture": system.machine,
        "processor": model,
        "cores": os.cpu_count(),
        "memory_gib": memory,
    }
