"""The page on the number of days."""

from __future__ import annotations

import pytest

from benchmarks import deep_days
from benchmarks.deep_rows import ROWS
from regimebench import registry


def test_a_line_shows_seconds_growth_and_memory():
    found = [deep_days.Measurement(0.5, 1000.0), deep_days.Measurement(8.0, 2500.4)]
    assert deep_days.line("dasc", "step", found) == ["`dasc`", "step", "0.5", "8", "16", "1,000", "2,500"]


@pytest.mark.parametrize("name", deep_days.CUTS)
def test_each_label_step_can_be_measured(name):
    assert set(deep_days.cut(name, 60)) == {"seconds", "mib"}


def test_every_method_that_is_quadratic_in_training_is_shown():
    shown = {(row.address, row.what) for row in ROWS}
    assert set(deep_days.TRAINED.items()) <= shown
    quadratic = {
        address.partition("/")[0]
        for address in registry.addresses()
        if registry.method(address).framework == "torch" and registry.method(address).resources["memory"] == "quadratic"
    }
    # The step of dsc_dag is that of dasc; what a_datsc costs is its ConvLSTM layers, not the one C of spectral.
    assert quadratic - set(deep_days.TRAINED) == {"dsc_dag", "a_datsc"}
