"""Frameworks that are there and those that are not, told apart without loading them."""

import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import SimpleNamespace

import pytest

from regimebench import provenance, registry
from regimebench.frameworks import FRAMEWORKS, installed, missing
from regimebench.provenance import versions
from regimebench.schema import load_yaml
from regimebench.seeds import reseed

ROOT = Path(__file__).resolve().parents[2]


def test_every_framework_a_method_may_declare_is_known():
    schema = load_yaml(ROOT / "workflow" / "schemas" / "method.schema.yaml")
    assert list(FRAMEWORKS) == schema["properties"]["framework"]["enum"]


def test_looking_loads_nothing():
    code = (
        "import sys; from regimebench.frameworks import FRAMEWORKS, installed\n"
        "print([name for name in FRAMEWORKS if installed(name)], *[f.module for f in FRAMEWORKS.values()"
        " if f.module in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, text=True, capture_output=True, check=True)
    assert done.stdout.startswith("['numpy', 'scikit-learn', 'torch'")
    assert done.stdout.endswith("]\n")


@pytest.mark.parametrize("own", [False, True])
def test_what_to_do_is_said(monkeypatch, own):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    other = ", or snakemake with --sdm conda" if own else ""
    expected = f"TensorFlow is not installed in this environment: run make tensorflow{other}, then run again"
    assert missing("tensorflow", own_environment=own) == expected


def test_a_module_that_is_loaded_or_found_is_installed(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tensorflow", sys)
    assert missing("tensorflow") is None
    monkeypatch.delitem(sys.modules, "tensorflow")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert not installed("tensorflow")
    (tmp_path / "tensorflow" / "leftovers").mkdir(parents=True)
    assert not installed("tensorflow")
    (tmp_path / "tensorflow" / "__init__.py").touch()
    assert installed("tensorflow")


def test_a_method_with_its_own_environment_names_both_ways(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    folder = tmp_path / "methods" / "toy"
    folder.mkdir(parents=True)
    text = (
        (ROOT / "methods" / "random" / "method.yaml").read_text().replace("framework: numpy", "framework: tensorflow")
    )
    (folder / "method.yaml").write_text(text)
    monkeypatch.setenv("REGIMEBENCH_PLUGINS", str(tmp_path))
    assert registry.method("toy").environment is None
    assert "--sdm conda" not in registry.method("toy").lacks()
    (folder / "environment.yaml").touch()
    assert "run make tensorflow, or snakemake with --sdm conda" in registry.method("toy").lacks()


def test_random_state_of_a_loaded_framework_is_set(monkeypatch):
    seeds = []
    random = SimpleNamespace(set_seed=seeds.append)
    monkeypatch.setitem(sys.modules, "tensorflow", SimpleNamespace(random=random))
    reseed(2**32 + 7)
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    reseed(8)
    assert seeds == [7]


def test_versions_are_found_where_the_package_is_called_otherwise(monkeypatch):
    known = {"tensorflow-cpu": "2.0"}

    def version(name):
        if name not in known:
            raise PackageNotFoundError(name)
        return known[name]

    monkeypatch.setattr("importlib.metadata.version", version)
    provenance._version.cache_clear()
    assert versions(["tensorflow", "other"])["tensorflow"] == "2.0"
    known.clear()
    known["tensorflow"] = "3.0"
    provenance._version.cache_clear()
    assert versions(["tensorflow"])["tensorflow"] == "3.0"
    provenance._version.cache_clear()
