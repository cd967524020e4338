"""Measured cost: where numbers come from, how they are scaled, and what is said where nothing was measured."""

import dataclasses

import pandas as pd
import pytest

from regimebench import measured, registry
from regimebench.cost import Cost, Costs, Key, Size

SMALL, MIDDLE, LARGE = Size(1000, 10), Size(4000, 20), Size(16000, 40)


@pytest.fixture
def spec():
    return registry.method("kmeans")


def known(spec, at):
    """Return a table with one row, measured to take so many seconds at each size."""
    sizes = {size: Cost(seconds, seconds, 1.0, 0.5, 100.0) for size, seconds in at.items()}
    return {Key.of(spec.address, spec.parameters, "cpu"): sizes}


def seconds(table, spec, size, here=True):
    return Costs(table if here else {}, {} if here else table).of(spec, spec.parameters, size).seconds


def test_a_measured_size_is_taken_as_it_is_and_others_follow_the_stated_rule(spec):
    table = known(spec, at={SMALL: 2.0, LARGE: 32.0})
    assert seconds(table, spec, SMALL) == 2.0
    assert seconds(table, spec, Size(500, 10)) == 2.0
    assert seconds(table, spec, MIDDLE) == pytest.approx(8.0)
    assert seconds(table, spec, Size(32000, 400)) == pytest.approx(64.0)
    quadratic = dataclasses.replace(spec, resources={**spec.resources, "memory": "quadratic"})
    assert seconds(table, quadratic, Size(32000, 80)) == pytest.approx(128.0)
    found = Costs(table, {}).of(spec, spec.parameters, Size(32000, 40))
    assert (found.peak_rss_mib, found.startup_seconds) == (200.0, 1.0)
    assert found.source == "measured in this results folder at 1/2 of the size"


def test_these_results_come_before_the_shipped_table_and_say_how_fast_this_machine_is(spec):
    others = [dataclasses.replace(spec, address=f"other{n}") for n in range(3)]
    shipped = known(spec, at={SMALL: 2.0})
    here = {}
    for other in others:
        shipped |= known(other, at={SMALL: 1.0})
        here |= known(other, at={SMALL: 3.0})
    costs = Costs(here, shipped)
    assert costs.speed == 3.0
    assert costs.of(spec, spec.parameters, SMALL).seconds == 6.0
    assert costs.of(others[0], spec.parameters, SMALL).seconds == 3.0
    assert Costs({}, shipped).of(spec, spec.parameters, SMALL).seconds == 2.0


@pytest.mark.parametrize("unlike", ["parameters", "device", "size"])
def test_what_was_not_measured_is_unknown_and_the_deadline_is_assumed(spec, unlike):
    costs = Costs(known(spec, at={SMALL: 2.0}), {})
    parameters = {**spec.parameters, "n_init": 99} if unlike == "parameters" else spec.parameters
    size = None if unlike == "size" else SMALL
    found = costs.of(spec, parameters, size, "cuda" if unlike == "device" else "cpu")
    assert not found.known
    assert found.seconds == 60 * spec.resources["deadline_minutes"]
    assert ("size" in found.source) == (unlike == "size")
    assert found.startup_seconds == (None if unlike == "device" else 1.0)


def test_a_table_survives_its_file(spec, tmp_path):
    table = known(spec, at={SMALL: 2.0, LARGE: 32.5})
    path = tmp_path / "cost.csv"
    pd.DataFrame(measured.rows(table)).to_csv(path, index=False)
    assert measured.read(path) == table
    assert measured.read(tmp_path / "missing.csv") == {}
