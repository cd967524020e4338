"""Validation lists every problem at once, each with path, value and what is allowed."""

from datetime import date

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
    assert message.startswith("config/mine.yaml: 7 problems")
    for part in (
        "datasets.demo.preprocess: found 'fancy'; allowed are standard, paper",
        "datasets.demo: unknown key 'colour'; allowed keys are change, gaps, n_clusters",
        "seeds: found 0; the smallest value allowed is 1",
        "budget: found 'huge'; allowed are full, smoke",
        "methods: found 'some'; allowed: the word all or the word defaults or a list of addresses",
        "top level: unknown key 'sedes'",
        "datasets.demo.plugin: there is no dataset 'demo'",
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


@pytest.mark.parametrize(
    ("plugin", "params", "sentence"),
    [
        ("local", {"files": 3}, "datasets.demo.params.files: found 3; expected a list, as in []"),
        ("synthetic", {"n_days": "many"}, "params.n_days: found 'many'; expected a whole number, as in 365"),
        ("synthetic", {"n_days": True}, "params.n_days: found True; expected a whole number, as in 365"),
        ("synthetic", {"offset": "1e-3"}, "params.offset: found '1e-3'; expected a number (with a decimal point"),
    ],
)
def test_a_parameter_of_another_type_is_a_sentence(plugin, params, sentence):
    with pytest.raises(InvalidFile) as caught:
        make_plan({"datasets": {"demo": {"plugin": plugin, "params": params}}, "methods": ["kmeans"]})
    assert sentence in str(caught.value)


def test_values_a_plugin_may_take_instead_are_left_to_it():
    params = {"files": "data/*.nc", "variables": ["t"], "resample": {"tp": "sum"}, "year": 2021}
    datasets = {
        "mine": {"plugin": "local", "params": params},
        "demo": {"plugin": "synthetic", "params": {"offset": 1, "start": date(2020, 1, 1)}},
    }
    assert list(make_plan({"datasets": datasets, "methods": ["kmeans"]}).datasets) == ["mine", "demo"]


@pytest.mark.parametrize("plugin", ["era5", "carra", "ncar"])
def test_the_papers_data_sets_can_be_configured_for_several_years(plugin, tmp_path, monkeypatch):
    monkeypatch.setenv("ECMWF_DATASTORES_KEY", "a-key")
    entry = {"plugin": plugin, "params": {"year": [1996, 2020]}}
    plan = make_plan({"results": str(tmp_path), "datasets": {"years": entry}, "methods": ["kmeans"]})
    assert plan.problems() == []


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"datasets": {"years": {"plugin": "era5", "params": {"year": ["1996", 2020]}}}}, "expected a whole number"),
        ({"methods": [{"kmeans": {"n_init": [1, 2]}}]}, "methods.kmeans.n_init: found [1, 2]; expected a whole number"),
    ],
)
def test_a_list_stands_for_a_number_only_where_it_is_looked_at(config, sentence):
    with pytest.raises(InvalidFile) as caught:
        make_plan({"datasets": {"demo": {"plugin": "synthetic"}}, "methods": ["kmeans"]} | config)
    assert sentence in str(caught.value)


def test_a_data_set_cannot_have_the_name_of_an_output_folder():
    with pytest.raises(InvalidFile, match=r"datasets.truth: the results have something else of this name already"):
        make_plan({"datasets": {"truth": {"plugin": "synthetic"}}, "methods": ["kmeans"]})


def test_a_data_set_can_only_be_compared_with_what_is_published():
    entry = {"plugin": "synthetic", "published": "era"}
    with pytest.raises(InvalidFile, match=r"datasets.demo.published: nothing is published about 'era'; known are era5"):
        make_plan({"datasets": {"demo": entry}, "methods": ["kmeans"]})


@pytest.mark.parametrize(
    "config",
    [
        {"datasets": None, "methods": ["kmean"]},
        {"datasets": ["a"], "methods": ["kmean"], "seeds": "few"},
        {"datasets": {"a": 3, "b": {"plugin": 4, "params": 5}}, "methods": [["x"], "kmean", {"dec": 3}]},
        {"methods": [{"kmean": {}, "dec": {}}, "kmean"], "n_clusters": "x"},
    ],
)
def test_broken_parts_do_not_hide_an_unknown_name(config):
    with pytest.raises(InvalidFile, match="there is no method 'kmean'; did you mean 'kmeans'"):
        make_plan(config)


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
