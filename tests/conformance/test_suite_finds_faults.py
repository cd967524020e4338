"""The conformance suite itself: each planted fault is found by the check that is there for it."""

import shutil

import pytest

from regimebench import registry
from regimebench.checks import check_plugin
from regimebench.scaffold import create
from regimebench.schema import InvalidFile

GOOD = """
import numpy as np

from regimebench.method import Cube, Fit, Method


class Plugin(Method):
    def fit(self, cube: Cube) -> Fit:
        level = cube.table.mean(axis=1)
        edges = np.quantile(level, np.linspace(0, 1, self.n_clusters + 1)[1:-1])
        labels = np.searchsorted(edges, level)
        {line}
        return Fit(labels=labels)
"""

YAML = """
title: Toy
summary: Quantiles of the daily mean.
citation: {authors: A, title: T, year: 2020}
kind: method
framework: numpy
input: table
value_range: "[0, 1]"
device: cpu
fidelity: described
deterministic: true
parameters: {}
smoke: {}
"""

FAULTS = {
    "labels, shapes": "labels = labels[:-1]",
    "the cube is left": "cube.values[:] = 0",
    "days keep their order": "labels = labels[::-1]",
    "same seed, same labels": "labels = np.random.permutation(labels)",
    "declared deterministic": "labels = (labels + self.seed) % self.n_clusters",
    "other numbers of clusters": "labels = labels / (self.n_clusters != 5)",
    "a supervised run": "import os; open(os.path.join('truth', 'check.csv'))",
}


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    folder = tmp_path / "methods" / "toy"
    folder.mkdir(parents=True)
    (folder / "method.yaml").write_text(YAML)
    (folder / "README.md").write_text("# toy\n" + "Assigns days to quantiles of their mean value. " * 4)
    monkeypatch.setenv("REGIMEBENCH_PLUGINS", str(tmp_path))

    def write(line):
        (folder / "method.py").write_text(GOOD.replace("{line}", line))
        return {result.name: result for result in check_plugin("toy")}

    return write


def test_a_good_plugin_passes_everything(plugin):
    failed = [f"{name}: {result.message}" for name, result in plugin("pass").items() if not result.ok]
    assert not failed


@pytest.mark.parametrize("check", FAULTS)
def test_a_fault_is_found(plugin, check):
    results = plugin(FAULTS[check])
    found = [result for name, result in results.items() if name.startswith(check)]
    assert len(found) == 1
    assert not found[0].ok
    assert len(found[0].message) > 20


def test_a_forbidden_import_is_found(plugin):
    results = plugin("from methods.random import method")
    (arrows,) = [result for name, result in results.items() if name.startswith("imports")]
    assert not arrows.ok
    assert "methods.random" in arrows.message


@pytest.mark.parametrize("kind", ["methods", "datasets"])
def test_a_new_plugin_from_the_template_passes(kind):
    folder = registry.ROOT / kind / "fresh_from_template"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        text = create(kind, "fresh_from_template")
        assert "python -m regimebench check fresh_from_template" in text
        failed = [f"{result.name}: {result.message}" for result in check_plugin("fresh_from_template") if not result.ok]
        assert not failed
        with pytest.raises(InvalidFile, match="exists already"):
            create(kind, "fresh_from_template")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_a_name_that_cannot_be_a_folder_is_refused():
    with pytest.raises(InvalidFile, match="lower-case letters"):
        create("methods", "My-Method")
