"""Discovery of plugins: a folder under ``methods/`` or ``datasets/`` is a plugin, and its name is its id."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from regimebench.declarations import inconsistencies
from regimebench.frameworks import missing
from regimebench.schema import InvalidFile, load_yaml, problems
from regimebench.sources import ROOT, closure, code_hash, python_files

NAME = re.compile(r"[a-z][a-z0-9_]*")  # of a plugin's folder: it becomes part of rule names and paths
DEFAULT_RESOURCES = {"deadline_minutes": 60, "memory_mib": 8192, "memory": "linear", "threads": 1, "seeds_per_job": 5}


class UnknownPlugin(KeyError):
    """No plugin has this name; the message lists those that exist."""

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(frozen=True)
class MethodSpec:
    """One addressable method: a plugin's default (``dec``) or one of its variants (``dec/untrained``)."""

    address: str
    id: str
    variant: str
    folder: Path
    title: str
    summary: str
    kind: str
    twin_of: str | None
    framework: str
    technology: str
    pretraining: str
    device: str
    fidelity: str
    deterministic: bool
    published: str | None
    parameters: dict[str, Any]
    sources_of: dict[str, str]
    smoke: dict[str, Any]
    resources: dict[str, Any]
    meta: dict[str, Any]

    @property
    def sources(self) -> list[Path]:
        """Python files whose change makes earlier results stale: the plugin's own and the shared blocks it imports."""
        return closure(python_files(self.folder), "methods.blocks")

    @property
    def code_hash(self) -> str:
        """sha256 over the content of :attr:`sources`."""
        return code_hash(self.sources)

    @property
    def environment(self) -> Path | None:
        """The conda environment of the plugin, if it has one of its own."""
        path = self.folder / "environment.yaml"
        return path if path.is_file() else None

    def lacks(self) -> str | None:
        """Return what to do about the framework if it is not installed, None if it is."""
        return missing(self.framework, self.environment is not None)


@dataclass(frozen=True)
class DatasetSpec:
    """One data set plugin."""

    id: str
    folder: Path
    title: str
    kind: str
    parameters: dict[str, Any]
    smoke: dict[str, Any]
    meta: dict[str, Any]

    @property
    def sources(self) -> list[Path]:
        """The plugin's Python files and the shared blocks it imports."""
        return closure(python_files(self.folder), "datasets.blocks")

    @property
    def code_hash(self) -> str:
        """sha256 over the content of :attr:`sources`."""
        return code_hash(self.sources)


def roots() -> list[Path]:
    """Return the folders that hold ``methods/`` and ``datasets/``: the project, then ``REGIMEBENCH_PLUGINS``."""
    extra = [Path(part) for part in os.environ.get("REGIMEBENCH_PLUGINS", "").split(os.pathsep) if part]
    return [ROOT, *extra]


def folders(kind: str) -> dict[str, Path]:
    """Return plugin id -> folder for ``kind`` ``"methods"`` or ``"datasets"``, in alphabetical order."""
    found = {path.name: path for path in reversed(_marked(kind)) if NAME.fullmatch(path.name)}
    return dict(sorted(found.items()))


def misnamed(kind: str) -> list[str]:
    """Return one sentence for each plugin folder whose name cannot be a plugin's."""
    return [
        f"the folder {_relative(path)}/ is no plugin: its name may hold lower-case letters, digits and underscores, a "
        "letter first; rename it, or begin its name with an underscore to keep it out"
        for path in _marked(kind)
        if not NAME.fullmatch(path.name)
    ]


def _marked(kind: str) -> list[Path]:
    """Return the folders that hold a ``method.yaml`` or ``dataset.yaml``, the project's first."""
    found = [path.parent for root in roots() for path in sorted((root / kind).glob(f"*/{kind[:-1]}.yaml"))]
    return [path for path in found if not path.name.startswith("_")]


def _folder(kind: str, name: str) -> Path:
    known = folders(kind)
    if name in known:
        return known[name]
    hint = "" if NAME.fullmatch(str(name)) else " (a name holds lower-case letters, digits and underscores)"
    raise UnknownPlugin(f"there is no {kind[:-1]} {name!r}{hint}; {_nearest(str(name), list(known))}")


def _nearest(name: str, known: list[str]) -> str:
    close = get_close_matches(name, known, n=1)
    return (f"did you mean {close[0]!r}? " if close else "") + f"Known: {', '.join(known) or 'none'}"


@cache
def _meta(path: Path, schema: str, mtime: int) -> dict[str, Any]:
    document = load_yaml(path)
    found = problems(document, schema)
    if not found:
        found = list(inconsistencies(document))
    if found:
        raise InvalidFile(str(_relative(path)), found)
    return document


def _relative(path: Path) -> Path:
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path


def _read(kind: str, name: str) -> tuple[Path, dict[str, Any]]:
    folder = _folder(kind, name)
    path = folder / f"{kind[:-1]}.yaml"
    return folder, _meta(path, kind[:-1], path.stat().st_mtime_ns)


def addresses() -> list[str]:
    """Return every method address, plugins in alphabetical order, each default before its variants."""
    return [address for name in folders("methods") for address in variants(name)]


def variants(name: str) -> list[str]:
    """Return the addresses of one plugin, the default first."""
    _, meta = _read("methods", name)
    return [name, *(f"{name}/{variant}" for variant in meta.get("variants") or {})]


def method(address: str) -> MethodSpec:
    """Return the description of ``address``, its variant's values laid over the plugin's.

    Raises
    ------
    UnknownPlugin
        If no such plugin or variant exists.
    InvalidFile
        If its ``method.yaml`` is invalid.
    """
    name, _, variant = address.partition("/")
    folder, meta = _read("methods", name)
    known = meta.get("variants") or {}
    if variant and variant not in known:
        raise UnknownPlugin(f"the method {name!r} has no variant {variant!r}; {_nearest(variant, list(known))}")
    over = known.get(variant, {})
    declared = {**meta["parameters"], **(over.get("parameters") or {})}

    def pick(key: str, default: Any = None) -> Any:
        return over.get(key, meta.get(key, default))

    return MethodSpec(
        address=address,
        id=name,
        variant=variant or "default",
        folder=folder,
        title=pick("title"),
        summary=pick("summary"),
        kind=pick("kind"),
        twin_of=meta["twin_of"] + address.removeprefix(name) if "twin_of" in meta else None,
        framework=meta["framework"],
        technology=pick("technology"),
        pretraining=pick("pretraining"),
        device=meta["device"],
        fidelity=pick("fidelity"),
        deterministic=pick("deterministic", False),
        published=over.get("published", address if variant else meta.get("published", address)),
        parameters={key: entry["value"] for key, entry in declared.items()},
        sources_of={key: entry["source"] for key, entry in declared.items()},
        smoke={**(meta.get("smoke") or {}), **(over.get("smoke") or {})},
        resources={**DEFAULT_RESOURCES, **(meta.get("resources") or {}), **(over.get("resources") or {})},
        meta=meta,
    )


def dataset(name: str) -> DatasetSpec:
    """Return the description of the data set plugin ``name`` (errors as for :func:`method`)."""
    folder, meta = _read("datasets", name)
    parameters = {key: entry["value"] for key, entry in meta["parameters"].items()}
    return DatasetSpec(name, folder, meta["title"], meta["kind"], parameters, meta.get("smoke") or {}, meta)


def load(spec: MethodSpec | DatasetSpec) -> type:
    """Import a plugin and return its class ``Plugin``."""
    kind = "method" if isinstance(spec, MethodSpec) else "dataset"
    path = spec.folder / f"{kind}.py"
    package = f"{kind}s.{spec.id}"
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    if not path.is_file():
        raise InvalidFile(str(_relative(spec.folder)), [f"the file {kind}.py is missing; it must define class Plugin"])
    _import_package(package, spec.folder)
    module = _import_file(f"{package}.{kind}", path)
    if not hasattr(module, "Plugin"):
        raise InvalidFile(str(_relative(path)), [f"defines no class Plugin (a subclass of {kind.capitalize()})"])
    return module.Plugin


def create(spec: DatasetSpec, params: dict[str, Any]) -> Any:
    """Return a data set plugin's object.

    Raises
    ------
    InvalidFile
        If the plugin cannot be imported or made; the message holds the reason.
    """
    try:
        return load(spec)(**params)
    except InvalidFile:
        raise
    except Exception as error:  # whatever the plugin's own code does
        text = f"the plugin cannot be used: {type(error).__name__}: {error}"
        raise InvalidFile(str(_relative(spec.folder / "dataset.py")), [text]) from error


def _import_package(name: str, folder: Path) -> None:
    """Make ``folder`` importable as ``name``, so that a plugin can import its own further modules."""
    if name not in sys.modules:
        package = importlib.util.module_from_spec(importlib.machinery.ModuleSpec(name, None, is_package=True))
        package.__path__ = [str(folder)]
        sys.modules[name] = package


def _import_file(name: str, path: Path) -> Any:
    if name in sys.modules and getattr(sys.modules[name], "__file__", None) == str(path):
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
