"""Discovery of plugins: a folder under ``methods/`` or ``datasets/`` is a plugin, and its name is its id."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import os
import sys
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from regimebench.schema import InvalidFile, load_yaml, problems

ROOT = Path(__file__).resolve().parents[1]
DEFAULT_RESOURCES = {"deadline_minutes": 60, "memory_mib": 8192, "threads": 1, "seeds_per_job": 5}


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
    framework: str
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
        return _code_files(self.folder)

    @property
    def code_hash(self) -> str:
        """sha256 over the content of :attr:`sources`."""
        digest = hashlib.sha256()
        for path in self.sources:
            digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
        return digest.hexdigest()


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


def roots() -> list[Path]:
    """Return the folders that hold ``methods/`` and ``datasets/``: the project, then ``REGIMEBENCH_PLUGINS``."""
    extra = [Path(part) for part in os.environ.get("REGIMEBENCH_PLUGINS", "").split(os.pathsep) if part]
    return [ROOT, *extra]


def folders(kind: str) -> dict[str, Path]:
    """Return plugin id -> folder for ``kind`` ``"methods"`` or ``"datasets"``, in alphabetical order."""
    marker = f"{kind[:-1]}.yaml"
    found: dict[str, Path] = {}
    for root in roots():
        for path in sorted((root / kind).glob(f"*/{marker}")):
            if not path.parent.name.startswith("_"):
                found.setdefault(path.parent.name, path.parent)
    return dict(sorted(found.items()))


def _folder(kind: str, name: str) -> Path:
    known = folders(kind)
    if name in known:
        return known[name]
    raise UnknownPlugin(f"there is no {kind[:-1]} {name!r}; {_nearest(name, list(known))}")


def _nearest(name: str, known: list[str]) -> str:
    close = get_close_matches(name, known, n=1)
    return (f"did you mean {close[0]!r}? " if close else "") + f"Known: {', '.join(known) or 'none'}"


@cache
def _meta(path: Path, schema: str, mtime: int) -> dict[str, Any]:
    document = load_yaml(path)
    found = problems(document, schema)
    if not found:
        found = list(_parameter_problems(document))
    if found:
        raise InvalidFile(str(_relative(path)), found)
    return document


def _relative(path: Path) -> Path:
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path


def _parameter_problems(meta: dict[str, Any]) -> list[str]:
    """Return smoke values that name no declared parameter."""
    base = set(meta["parameters"])
    found = [
        f"smoke.{key}: no parameter has this name; known: {', '.join(sorted(base))}"
        for key in sorted(set(meta.get("smoke") or {}) - base)
    ]
    for name, variant in (meta.get("variants") or {}).items():
        own = base | set(variant.get("parameters") or {})
        found += [
            f"variants.{name}.smoke.{key}: no parameter has this name; known: {', '.join(sorted(own))}"
            for key in sorted(set(variant.get("smoke") or {}) - own)
        ]
    return found


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
        framework=meta["framework"],
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


def _code_files(folder: Path) -> list[Path]:
    """Return the plugin's Python files and the ``methods.blocks`` modules they import, directly or not."""
    pending, found = sorted(folder.glob("**/*.py")), []
    while pending:
        path = pending.pop(0)
        if path not in found:
            found.append(path)
            pending += _imported_blocks(path)
    return found


def _imported_blocks(path: Path) -> list[Path]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_bytes(), filename=str(path))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    blocks = [ROOT / Path(*name.split(".")) for name in sorted(names) if name.startswith("methods.blocks")]
    candidates = [option for path in blocks for option in (path.with_suffix(".py"), path / "__init__.py")]
    return [path for path in candidates if path.is_file()]
