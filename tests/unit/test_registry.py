"""Discovery of plugins by folder."""

import pytest

from regimebench import registry
from regimebench.config import make_plan
from regimebench.schema import InvalidFile

METHOD = """
title: Toy
summary: A toy.
citation: {authors: A, title: T, year: 2020}
kind: method
framework: numpy
input: table
technology: none
pretraining: none
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


TWIN = METHOD.replace("kind: method", "kind: twin\ntwin_of: dec")


def test_a_twin_repeats_a_plugin_variant_by_variant(toy):
    assert registry.method("toy/wide").twin_of is None
    (toy / "method.yaml").write_text(TWIN)
    twins = [registry.method(address) for address in registry.variants("toy")]
    assert [(twin.kind, twin.twin_of) for twin in twins] == [("twin", "dec"), ("twin", "dec/wide")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TWIN.replace("twin_of: dec\n", ""), "twin_of: the key is missing"),
        (METHOD.replace("smoke:", "twin_of: dec\nsmoke:"), "twin_of: found 'dec'; only a plugin with kind: twin"),
        (TWIN.replace("summary: Wider.", "summary: W\n    kind: control"), "variants.wide.kind: found 'control'"),
        (TWIN.replace("summary: Wider.", "summary: W\n    kind: twin"), "variants.wide.kind: found 'twin'"),
    ],
)
def test_what_is_half_a_twin_is_refused(toy, text, message):
    (toy / "method.yaml").write_text(text)
    with pytest.raises(InvalidFile, match=message):
        registry.method("toy")


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


def test_a_method_that_is_no_python_is_planned_and_leaves_the_others_alone(toy):
    (toy / "method.py").write_text("def broken(:\n")
    assert [path.name for path in registry.method("toy").sources] == ["method.py"]
    plan = make_plan({"datasets": {"d": {"plugin": "synthetic"}}, "methods": "all"})
    assert {"toy", "kmeans"} <= set(plan.methods)


def test_defaults_are_the_plugins_without_their_variants():
    plan = make_plan({"datasets": {"d": {"plugin": "synthetic"}}, "methods": "defaults"})
    assert list(plan.methods) == list(registry.folders("methods"))


def test_a_folder_that_cannot_be_a_plugin_is_reported(toy):
    toy.rename(toy.with_name("My-Toy"))
    assert "My-Toy" not in registry.folders("methods")
    with pytest.raises(InvalidFile, match=r"My-Toy/ is no plugin: its name may hold lower-case letters"):
        make_plan({"datasets": {"d": {"plugin": "synthetic"}}, "methods": "all"})
    with pytest.raises(registry.UnknownPlugin, match=r"there is no method 'My-Toy' \(a name holds"):
        registry.method("My-Toy")


def test_a_data_set_that_cannot_be_imported_is_a_sentence(tmp_path, monkeypatch):
    folder = tmp_path / "datasets" / "odd"
    folder.mkdir(parents=True)
    (folder / "dataset.yaml").write_text("{title: t, summary: s, licence: l, kind: user, parameters: {}}")
    (folder / "dataset.py").write_text("import a_package_nobody_has\n")
    monkeypatch.setenv("REGIMEBENCH_PLUGINS", str(tmp_path))
    with pytest.raises(InvalidFile, match=r"the plugin cannot be used: ModuleNotFoundError"):
        registry.create(registry.dataset("odd"), {})
