"""Discovery of plugins by folder, and the arrows between packages."""

import ast
from pathlib import Path

import pytest

from regimebench import registry
from regimebench.schema import InvalidFile

ROOT = Path(__file__).resolve().parents[2]

METHOD = """
title: Toy
summary: A toy.
citation: {authors: A, title: T, year: 2020}
kind: method
framework: numpy
input: table
value_range: "[0, 1]"
device: cpu
fidelity: described
parameters:
  width: {value: 3, source: "paper, section 2"}
smoke: {width: 1}
variants:
  wide:
    title: Toy (wide)
    summary: Wider.
    parameters:
      width: {value: 9, source: "official code"}
      depth: {value: 2, source: "ours: the paper gives none"}
"""


@pytest.fixture
def toy(tmp_path, monkeypatch):
    folder = tmp_path / "methods" / "toy"
    folder.mkdir(parents=True)
    (folder / "method.yaml").write_text(METHOD)
    (folder / "method.py").write_text("from methods.blocks import seeding\n\n\nclass Plugin:\n    pass\n")
    monkeypatch.setenv("REGIMEBENCH_PLUGINS", str(tmp_path))
    return folder


def test_variant_values_are_laid_over_the_plugin(toy):
    plain, wide = registry.method("toy"), registry.method("toy/wide")
    assert registry.variants("toy") == ["toy", "toy/wide"]
    assert plain.parameters == {"width": 3}
    assert wide.parameters == {"width": 9, "depth": 2}
    assert (plain.variant, wide.variant) == ("default", "wide")
    assert wide.smoke == {"width": 1}
    assert wide.sources_of["depth"].startswith("ours")


def test_sources_include_the_blocks_a_plugin_imports(toy):
    names = {path.name for path in registry.method("toy").sources}
    assert {"method.py", "seeding.py"} <= names


def test_code_hash_follows_code_and_not_prose(toy):
    before = registry.method("toy").code_hash
    (toy / "README.md").write_text("words")
    assert registry.method("toy").code_hash == before
    (toy / "method.py").write_text("class Plugin:\n    x = 1\n")
    assert registry.method("toy").code_hash != before


def test_a_parameter_without_source_is_refused(toy):
    (toy / "method.yaml").write_text(METHOD.replace('{value: 3, source: "paper, section 2"}', "{value: 3}"))
    with pytest.raises(InvalidFile, match=r"parameters.width: the key 'source' is missing"):
        registry.method("toy")


def test_a_smoke_value_for_no_parameter_is_refused(toy):
    (toy / "method.yaml").write_text(METHOD.replace("smoke: {width: 1}", "smoke: {widht: 1}"))
    with pytest.raises(InvalidFile, match=r"smoke.widht: no parameter has this name; known: width"):
        registry.method("toy")


def test_unknown_variant_lists_those_that_exist(toy):
    with pytest.raises(registry.UnknownPlugin, match=r"has no variant 'wid'; did you mean 'wide'"):
        registry.method("toy/wid")


def test_folders_starting_with_underscore_are_no_plugins():
    assert not any(name.startswith("_") for kind in ("methods", "datasets") for name in registry.folders(kind))


def imports(path):
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


@pytest.mark.parametrize("kind", ["methods", "datasets"])
def test_plugins_import_their_contract_and_never_each_other(kind):
    allowed = {"methods": ("regimebench.method", "methods.blocks"), "datasets": ("regimebench.dataset",)}[kind]
    files = [path for path in sorted((ROOT / kind).glob("*/**/*.py"))]
    assert files
    for path in files:
        own = f"{kind}.{path.relative_to(ROOT / kind).parts[0]}"
        for name in imports(path):
            if name.split(".")[0] in ("regimebench", "methods", "datasets"):
                assert any(name == ok or name.startswith(f"{ok}.") for ok in (*allowed, own)), f"{path}: {name}"


def test_the_package_names_no_plugin_and_imports_no_framework():
    plugins = {*registry.folders("methods"), *registry.folders("datasets")} - {"random", "calendar", "local"}
    for path in sorted((ROOT / "regimebench").glob("**/*.py")):
        tree = ast.parse(path.read_bytes())
        for name in imports(path):
            assert name.split(".")[0] not in ("torch", "tensorflow", "keras", "methods", "datasets"), f"{path}: {name}"
        constants = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
        texts = {value for value in constants if isinstance(value, str)}
        assert not plugins & texts, f"{path} names {plugins & texts}"


def test_the_contracts_import_only_numpy_and_the_standard_library():
    import sys

    for name in ("method", "dataset"):
        for module in imports(ROOT / "regimebench" / f"{name}.py"):
            top = module.split(".")[0]
            allowed = top in sys.stdlib_module_names or top in ("numpy", "regimebench") or module == "xarray"
            assert allowed, f"{name}.py imports {module}"
