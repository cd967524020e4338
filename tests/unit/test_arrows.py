"""The arrows between packages: plugins, the suite, and the contracts in between."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from regimebench import registry
from regimebench.arrows import forbidden_imports, imports

ROOT = Path(__file__).resolve().parents[2]
SUITE = sorted((ROOT / "regimebench").glob("**/*.py"))
PLUGINS = [(kind, path) for kind in ("methods", "datasets") for path in registry.folders(kind).values()]
TEMPLATES = [(kind, ROOT / kind / "_template") for kind in ("methods", "datasets")]
NEW_MODULES = """
import sys
import numpy, numpy.random
before = set(sys.modules)
import regimebench.method, regimebench.dataset
print(*{name.split(".")[0] for name in set(sys.modules) - before})
"""


@pytest.mark.parametrize(("kind", "folder"), PLUGINS + TEMPLATES, ids=lambda value: getattr(value, "name", value))
def test_plugins_import_their_contract_and_never_each_other(kind, folder):
    assert forbidden_imports(folder, kind) == []


@pytest.mark.parametrize("kind", ["methods", "datasets"])
def test_shared_blocks_import_no_plugin_and_nothing_of_the_suite_beyond_the_contract(kind):
    assert forbidden_imports(ROOT / kind / "blocks", kind) == []


def test_the_suite_imports_no_framework_and_no_plugin():
    found = [
        f"{path.name} line {line}: {name}"
        for path in SUITE
        for line, name in imports(path, "regimebench")
        if name.split(".")[0] in ("torch", "tensorflow", "keras", "methods", "datasets")
    ]
    assert found == []


def test_the_suite_names_no_plugin():
    # These are also words: of the standard library, of file names, of settings.
    plugins = {*registry.folders("methods"), *registry.folders("datasets")} - {"random", "calendar", "local"}
    for path in SUITE:
        constants = [node.value for node in ast.walk(ast.parse(path.read_bytes())) if isinstance(node, ast.Constant)]
        named = plugins & {value for value in constants if isinstance(value, str)}
        assert not named, f"{path} names {named}"


def test_the_contracts_load_only_numpy_and_the_standard_library():
    done = subprocess.run([sys.executable, "-c", NEW_MODULES], cwd=ROOT, text=True, capture_output=True, check=True)
    loaded = set(done.stdout.split())
    assert "regimebench" in loaded
    assert not {name for name in loaded - {"regimebench", "numpy"} if name not in sys.stdlib_module_names}
