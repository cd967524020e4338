"""A slice of the fuzzing of benchmarks/fuzz.py: no parser fails otherwise than documented."""

import pytest

from benchmarks.fuzz import PARSERS, fuzz

INPUTS = {"record": 150, "fit": 200, "bundle": 60, "configuration": 60, "method.yaml": 60}


@pytest.mark.parametrize("name", PARSERS)
def test_no_parser_fails_otherwise_than_documented(name, tmp_path, monkeypatch):
    monkeypatch.setenv("REGIMEBENCH_PLUGINS", "")
    counts, crashes = fuzz(PARSERS[name], INPUTS[name], seed=7, folder=tmp_path)
    assert crashes == {}
    assert counts["refused"] > INPUTS[name] / 2
    assert counts["accepted"] > 0
