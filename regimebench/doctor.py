"""What this machine has and lacks for a run."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
from packaging.requirements import Requirement
from packaging.version import Version
from rich.console import Console
from rich.text import Text

from regimebench import devices, given, registry
from regimebench.config import make_plan, read_config
from regimebench.frameworks import FRAMEWORKS, installed
from regimebench.provenance import versions
from regimebench.registry import ROOT, UnknownPlugin
from regimebench.schema import InvalidFile

DISK_GIB = 5.0  # the papers' protocol: three cubes, about 1,000 records with embeddings, figures
MEMORY_GIB = 8.0  # the default limit of one fit


@dataclass(frozen=True)
class Finding:
    """One line of the examination."""

    ok: bool
    text: str
    required: bool = True


def examine(config: Path) -> list[Finding]:
    """Return what was found, required things first."""
    return [*_python(), *_packages(), *_frameworks(), *_machine(), *_devices(), *_configuration(config)]


def show(findings: list[Finding]) -> int:
    """Print the findings; return 1 if something required is missing, else 0."""
    console = Console(highlight=False)
    for finding in findings:
        word, colour = ("ok", "green") if finding.ok else ("missing", "red") if finding.required else ("note", "yellow")
        console.print(Text.assemble((f"{word:>7}", colour), f"  {finding.text}"), soft_wrap=True)
    missing = sum(not finding.ok and finding.required for finding in findings)
    console.print(f"\n{missing} required things are missing." if missing else "\nReady.")
    return int(missing > 0)


def _python() -> Iterator[Finding]:
    version = sys.version.split()[0]
    yield Finding(sys.version_info[:2] == (3, 11), f"Python {version} (3.11 is what the lock file was made for)")


def _packages() -> Iterator[Finding]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for requirement in map(Requirement, project["dependencies"]):
        try:
            found = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            yield Finding(False, f"{requirement.name} is not installed; `make demo` sets everything up")
            continue
        same = requirement.specifier.contains(Version(found).public)
        yield Finding(
            same, f"{requirement.name} {found}" + ("" if same else f" (pinned: {requirement.specifier})"), False
        )


def _frameworks() -> Iterator[Finding]:
    """Look for the frameworks of methods; those that every method needs are among the packages already."""
    try:
        specs = [registry.method(address) for address in registry.addresses()]
    except InvalidFile:  # the configuration's finding says what is wrong
        return
    for name, framework in FRAMEWORKS.items():
        methods = list(dict.fromkeys(spec.id for spec in specs if spec.framework == name))
        if methods and framework.target != "setup":
            found = versions([framework.module]).get(framework.module)
            lacking = f"not installed: {', '.join(methods)} will be skipped; `make {framework.target}` installs it"
            yield Finding(installed(name), f"{framework.title} {found if installed(name) else lacking}", False)


def _machine() -> Iterator[Finding]:
    free = shutil.disk_usage(ROOT).free / 2**30
    memory = psutil.virtual_memory().total / 2**30
    yield Finding(free >= DISK_GIB, f"{free:.0f} GiB of disk free (the papers' protocol needs {DISK_GIB:.0f})")
    yield Finding(memory >= MEMORY_GIB, f"{memory:.0f} GiB of memory (one fit may use {MEMORY_GIB:.0f})", False)
    yield Finding(True, f"{os.cpu_count()} CPU cores")


def _devices() -> Iterator[Finding]:
    found = devices.available()
    text = (
        f"{len(found)} GPU(s): {', '.join(found)}"
        if found
        else "no GPU: deep methods run on the CPU, and slowly at full size"
    )
    yield Finding(bool(found), text, required=False)


def _configuration(path: Path) -> Iterator[Finding]:
    try:
        plan = make_plan(read_config(path), str(path))
        came = given.cubes(plan)
    except (InvalidFile, UnknownPlugin) as error:
        yield Finding(False, str(error))
        return
    yield Finding(True, f"{path}: {len(plan.datasets)} data sets, {len(plan.methods)} rows, {plan.n_fits()} fits")
    for problem in plan.problems(name for name in plan.datasets if name not in came):
        yield Finding(False, f"{path}: {problem}")
