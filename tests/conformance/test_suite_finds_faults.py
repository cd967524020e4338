"""The conformance suite itself: each planted fault is found by the check that is there for it."""

import sys

import pytest

from regimebench.checks import Result, check_plugin, show
from regimebench.method_checks import growth
from regimebench.registry import UnknownPlugin
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
technology: none
pretraining: none
value_range: "[0, 1]"
device: cpu
fidelity: described
deterministic: true
parameters: {}
smoke: {}
"""

SUPERVISED = "a supervised run"
FAULTS = {
    "same seed, same labels": "labels = np.random.permutation(labels)",
    "days keep their order": "labels = labels[::-1]",
    "declared deterministic": "labels = (labels + self.seed) % self.n_clusters",
    "other numbers of clusters": "labels = labels + 10 * (self.n_clusters == 20)",
}
# What a method may stumble over that fits the usual cube: the check that finds it, the line, and what is said.
STUMBLES = [
    ("constant", "assert cube.values.max() > 0", "zeros: AssertionError"),
    ("constant", "assert cube.values.max() == 0 or np.ptp(level) > 0", "the same field every day: AssertionError"),
    ("odd grids", "assert cube.values.shape[1] % 2 == 0", "7 x 10 cells, 1 variable: AssertionError"),
    ("odd grids", "assert cube.n_days != 12 or cube.values.shape[2] != 41", "41 x 41 cells, 2 variables: Assertion"),
    ("odd grids", "assert cube.values.shape[2] < 100", "73 x 144 cells, 1 variable: AssertionError"),
    ("odd grids", "cube.values[:, 0, 0, 1]", "1 variable: IndexError"),
    ("few days", "assert cube.n_days != 30 or cube.values.max() == 0 or np.ptp(level) == 0", "30 days: AssertionError"),
    ("many days", "labels = labels[:4000]", "one label per day is required: (5000,)"),
    (
        "many days",
        "pairs = np.ones((cube.n_days,) * 2, dtype=np.float32)",
        "memory grows as quadratic in days (2500 days",
    ),
    ("many days", "pairs = level[:, None] - level", "declare it: resources: {memory: quadratic}"),
]
FATAL = {
    "return Fit(labels, diagnostics={'gap': np.inf})": "diagnostics['gap'] is inf; leave out what has no value",
    "return Fit(labels, other_labels={'plain_cut': labels + 5})": "other_labels['plain_cut']: day 0 has label",
    "labels = labels[:-1]": "one label per day is required",
    "cube.values[:] = 0": "read-only",
    "import os; open(os.path.join('truth', 'check.csv'))": "'truth'",
    "import sys; sys.exit(0)": "the method called sys.exit(0)",
    "import os; os._exit(0)": "the worker process exited with code 0",
    "import time; time.sleep(600)": "no result after 3 s",
    "raise ValueError('[/tmp] is not ^[a-z]')": "[/tmp] is not ^[a-z]",
}
BATCH = """
    def fit_batch(self, cube, seeds):
        for _ in seeds:
            yield Fit(labels=(self.fit(cube).labels + 1) % self.n_clusters)
"""
NO_METHOD = """
    fit_batch = Method.fit_batch

    def __init__(self, n_clusters, seed, device):
        self.n_clusters, self.seed, self.device, self.params = n_clusters, seed, device, {}
"""


@pytest.fixture
def toy(tmp_path, monkeypatch):
    folder = tmp_path / "methods" / "toy"
    folder.mkdir(parents=True)
    (folder / "method.yaml").write_text(YAML)
    (folder / "README.md").write_text("# toy\n" + "Assigns days to quantiles of their mean value. " * 4)
    (folder / "method.py").write_text(GOOD.replace("{line}", "pass"))
    monkeypatch.setenv("REGIMEBENCH_PLUGINS", str(tmp_path))
    return folder


def checked(folder, line="pass", more="", base="(Method)"):
    """Return the results by name for the good plugin with a changed line, further methods, or another base class."""
    (folder / "method.py").write_text(GOOD.replace("{line}", line).replace("(Method)", base) + more)
    return check_plugin("toy", deadline=3)


def one(results, start):
    (found,) = [result for result in results if result.name.startswith(start)]
    return found


def failed_alone(results, start):
    """Return the message of the check that starts like this, which alone must have failed."""
    assert [result.name for result in results if not result.ok] == [one(results, start).name]
    return one(results, start).message


def test_a_good_plugin_passes_everything(toy):
    assert [f"{result.name}: {result.message}" for result in checked(toy) if not result.ok] == []


@pytest.mark.parametrize("check", FAULTS)
def test_a_fault_is_found(toy, check):
    result = one(checked(toy, FAULTS[check]), check)
    assert not result.ok
    assert not result.skipped
    assert len(result.message) > 20


@pytest.mark.parametrize("line", FATAL)
def test_what_ends_or_breaks_a_run_is_found_and_kept_out_of_this_process(toy, line):
    results = checked(toy, line)
    assert FATAL[line] in one(results, SUPERVISED).message
    after = results[results.index(one(results, SUPERVISED)) + 1 :]
    assert len(after) > 3
    assert all(result.skipped and not result.ok and "supervised run failed" in result.message for result in after)


@pytest.mark.parametrize(("check", "line", "message"), STUMBLES)
def test_what_a_method_stumbles_over_is_found(toy, check, line, message):
    result = one(checked(toy, line), check)
    assert not result.ok
    assert not result.skipped
    assert message in result.message


BATCHES = {
    "last = level[cube.n_days // size * size :]; last.max()": "60 days with batch_size 20: ValueError",
    "assert cube.n_days % size != 1": "60 days with batch_size 59: AssertionError",
}


@pytest.mark.parametrize("line", BATCHES)
def test_an_empty_batch_and_a_batch_of_one_day_are_found(toy, line):
    declared = "parameters: {batch_size: {value: 256, source: 'ours: x'}}"
    (toy / "method.yaml").write_text(YAML.replace("parameters: {}", declared))
    message = failed_alone(checked(toy, f"size = self.params['batch_size']; {line}"), "training batches")
    assert message.startswith(BATCHES[line])


def test_memory_that_is_large_but_grows_with_days_is_not_quadratic(toy):
    results = checked(toy, "wide = np.ones((cube.n_days, 5000), dtype=np.float32)")
    assert [f"{result.name}: {result.message}" for result in results if not result.ok] == []
    assert one(results, "many days").message.startswith("linear: 2500 days")


def test_memory_declared_quadratic_that_is_not_is_found(toy):
    (toy / "method.yaml").write_text(YAML + "resources: {memory: quadratic}\n")
    assert "need not be declared quadratic" in failed_alone(checked(toy), "many days")


def test_memory_declared_quadratic_that_is_passes(toy):
    (toy / "method.yaml").write_text(YAML + "resources: {memory: quadratic}\n")
    results = checked(toy, "pairs = np.ones((cube.n_days,) * 2)")
    assert [f"{result.name}: {result.message}" for result in results if not result.ok] == []
    assert one(results, "many days").message.startswith("quadratic: 2500 days")


@pytest.mark.parametrize(
    ("peaks", "found"),
    [
        ({5000: 40.0}, "linear"),
        ({5000: 600.0, 2500: 300.0}, "linear"),
        ({5000: 700.0, 2500: 400.0}, "linear"),  # on top of 100 whatever the number of days
        ({5000: 96.0, 2500: 24.0}, "quadratic"),
        ({5000: 410.0, 2500: 177.5}, "quadratic"),  # 300 linear, 110 quadratic
        ({5000: 150.0, 2500: 20.0}, "quadratic"),
        ({5000: 100.0, 2500: 45.0}, "linear"),  # within what is measured
    ],
)
def test_growth_of_memory(peaks, found):
    assert growth(peaks) == found


TWIN = YAML.replace("kind: method", "kind: twin\ntwin_of: {other}")


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ("decc", "there is no method 'decc'; did you mean 'dec'"),
        ("random", "random is written in numpy, too"),
        ("toy", "toy is itself a twin"),
    ],
)
def test_a_twin_of_nothing_else_is_found(toy, other, message):
    (toy / "method.yaml").write_text(TWIN.replace("{other}", other))
    assert message in failed_alone(checked(toy), "a twin repeats")


def test_a_twin_passes(toy):
    (toy / "method.yaml").write_text(TWIN.replace("{other}", "dec"))
    results = checked(toy)
    assert [f"{result.name}: {result.message}" for result in results if not result.ok] == []
    assert one(results, "a twin repeats").message == "dec"


def test_a_method_without_its_framework_is_not_run(toy, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    (toy / "method.yaml").write_text(YAML.replace("framework: numpy", "framework: tensorflow"))
    results = checked(toy, "raise ValueError")
    assert [(result.ok, result.skipped) for result in results] == [(True, False), (True, False), (False, True)]
    assert show("toy", results) == 0
    assert "skip  all checks that run the method: not run: TensorFlow is not installed" in capsys.readouterr().out
    (toy / "README.md").unlink()
    assert show("toy", checked(toy)) == 1


def test_an_exit_in_a_later_check_is_a_failure(toy):
    message = failed_alone(checked(toy, "import sys; self.n_clusters == 20 and sys.exit(0)"), "other numbers")
    assert "sys.exit(0)" in message


def test_ctrl_c_ends_the_suite(toy):
    with pytest.raises(KeyboardInterrupt):
        checked(toy, "if self.n_clusters == 20: raise KeyboardInterrupt")


def test_a_missing_readme_is_found(toy):
    (toy / "README.md").write_text("# toy\n")
    assert "README.md is missing or says nothing" in failed_alone(checked(toy), "README")


def test_a_class_that_only_looks_like_a_method_is_found(toy):
    results = checked(toy, base="", more=NO_METHOD)
    assert "must subclass regimebench.method.Method" in one(results, "Plugin is a Method").message
    assert not one(results, "Plugin is a Method").ok


def test_a_batch_that_differs_from_single_fits_is_found(toy):
    assert "other labels in a batch" in failed_alone(checked(toy, more=BATCH), "a batch of seeds")


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("from methods.random import method", "methods.random"),
        ("from ..random import method", "methods.random"),
        ("import regimebench.cube", "regimebench.cube"),
    ],
)
def test_a_forbidden_import_is_found(toy, line, name):
    message = failed_alone(checked(toy, f"if self.n_clusters < 0: {line}"), "imports")
    assert f"method.py line 12 imports {name};" in message


@pytest.mark.parametrize("kind", ["methods", "datasets"])
def test_a_new_plugin_from_the_template_passes(kind, tmp_path, monkeypatch):
    monkeypatch.setenv("REGIMEBENCH_PLUGINS", str(tmp_path))
    text = create(kind, "fresh", tmp_path)
    assert "python -m regimebench check fresh" in text
    assert [f"{result.name}: {result.message}" for result in check_plugin("fresh") if not result.ok] == []
    with pytest.raises(InvalidFile, match="exists already"):
        create(kind, "fresh", tmp_path)


@pytest.mark.parametrize(("name", "nearest"), [("kmean", "kmeans"), ("synthetc", "synthetic")])
def test_an_unknown_name_is_looked_for_among_methods_and_data_sets(name, nearest):
    with pytest.raises(UnknownPlugin, match=f"no method or data set '{name}'; did you mean '{nearest}'"):
        check_plugin(name)


def test_messages_with_brackets_are_shown_as_they_are(capsys):
    message = "[/tmp] does not match ^[a-z] :smile:"
    assert show("toy[1]", [Result("README [bold]", False, message), Result("second", False, skipped=True)]) == 1
    shown = capsys.readouterr().out
    assert f"FAIL  README [bold]: {message}" in shown
    assert "skip  second" in shown
    assert "toy[1]: 0 of 2 checks passed" in shown


def test_a_name_that_cannot_be_a_folder_is_refused():
    with pytest.raises(InvalidFile, match="lower-case letters"):
        create("methods", "My-Method")


DATA_FAULTS = {
    "README": ("README.md", None, "", "says nothing"),
    "imports": ("dataset.py", "from pathlib import Path", "from pathlib import Path\nimport regimebench.cube", "cube"),
    "Plugin is a Dataset": ("dataset.py", "class Plugin(Dataset)", "class Plugin(dict)", "must be a subclass"),
    "missing data": ("dataset.py", "return []", "return 'the key'", "problems() must return sentences"),
    "fields are daily": ("dataset.py", 'default_rng(self.params["seed"])', "default_rng()", "gave different cubes"),
}


@pytest.mark.parametrize("check", DATA_FAULTS)
def test_a_fault_of_a_data_set_is_found(check, tmp_path, monkeypatch):
    monkeypatch.setenv("REGIMEBENCH_PLUGINS", str(tmp_path))
    create("datasets", "fresh", tmp_path)
    name, old, new, message = DATA_FAULTS[check]
    path = tmp_path / "datasets" / "fresh" / name
    path.write_text(path.read_text().replace(old or path.read_text(), new))
    result = one(check_plugin("fresh"), check)
    assert not result.ok
    assert message in result.message


def test_a_data_set_that_ends_the_process_fails(tmp_path, monkeypatch):
    monkeypatch.setenv("REGIMEBENCH_PLUGINS", str(tmp_path))
    create("datasets", "fresh", tmp_path)
    path = tmp_path / "datasets" / "fresh" / "dataset.py"
    path.write_text(path.read_text().replace("return []", "raise SystemExit(0)"))
    assert "the plugin called sys.exit(0)" in one(check_plugin("fresh"), "missing data").message
