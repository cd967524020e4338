"""Validation lists every problem at once, each with path, value and what is allowed."""

import pytest

from regimebench.config import make_plan
from regimebench.schema import InvalidFile, load_yaml, problems


def test_every_problem_is_listed_with_path_value_and_what_is_allowed():
    config = {
        "datasets": {"demo": {"preprocess": "fancy", "colour": 1}},
        "methods": "some",
        "seeds": 0,
        "budget": "huge",
        "sedes": 3,
    }
    with pytest.raises(InvalidFile) as caught:
        make_plan(config, "config/mine.yaml")
    message = str(caught.value)
    assert message.startswith("config/mine.yaml: 6 problems")
    for part in (
        "datasets.demo.preprocess: found 'fancy'; allowed are standard, paper",
        "datasets.demo: unknown key 'colour'; allowed keys are gaps, n_clusters",
        "seeds: found 0; the smallest value allowed is 1",
        "budget: found 'huge'; allowed are full, smoke",
        "methods: found 'some'; allowed: the word all or a list of addresses",
        "top level: unknown key 'sedes'",
    ):
        assert part in message


def test_unknown_names_are_listed_together_with_the_nearest_known_one():
    methods = ["kmean", {"kmeans": {"n_int": 3}}]
    config = {"datasets": {"demo": {"plugin": "syntetic", "params": {}}}, "methods": methods}
    with pytest.raises(InvalidFile) as caught:
        make_plan(config)
    message = str(caught.value)
    assert "did you mean 'synthetic'?" in message
    assert "did you mean 'kmeans'?" in message
    assert "methods.kmeans.n_int: no parameter has this name; allowed are" in message


def test_missing_required_keys_are_named():
    assert problems({}, "config") == [
        "top level: the key 'datasets' is missing",
        "top level: the key 'methods' is missing",
    ]


def test_broken_yaml_names_the_line(tmp_path):
    path = tmp_path / "broken.yaml"
    path.write_text("a: 1\nb: [1, 2\nc: 3\n")
    with pytest.raises(InvalidFile, match=r"broken.yaml: 1 problem\n  - is not valid YAML in line 3"):
        load_yaml(path)
