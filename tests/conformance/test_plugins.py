"""Every plugin keeps its contract."""

import pytest

from regimebench import registry
from regimebench.checks import check_plugin

OPTIONAL = {"tensorflow"}  # frameworks that `make setup` does not install
BY_HAND = {"a_datsc_tf"}  # each fit compiles for minutes: python -m regimebench check a_datsc_tf
IN_BRIEF = {"a_datsc"}  # large grids and thousands of days take it minutes: python -m regimebench check a_datsc


@pytest.mark.parametrize("name", sorted(set(registry.addresses()) - BY_HAND))
def test_method(name):
    """A method whose framework is not installed is checked as far as that goes, and then named as skipped.

    Defaults are checked in full, but for those that take minutes; variants, which run the same code with other values,
    and twins, which are evidence and never ranked, in brief.
    """
    spec = registry.method(name)
    results = check_plugin(name, thorough="/" not in name and spec.kind != "twin" and name not in IN_BRIEF)
    lacking = spec.lacks() if spec.framework in OPTIONAL else None
    expected = [f"not run: {lacking}"] if lacking else []
    assert [result.message for result in results if result.skipped] == expected
    failed = [f"{result.name}: {result.message}" for result in results if not (result.ok or result.skipped)]
    assert not failed, "\n".join(failed)
    if lacking:
        pytest.skip(lacking)


@pytest.mark.parametrize("name", list(registry.folders("datasets")))
def test_dataset(name):
    """A data set that needs a key, files or a service is checked as far as that goes."""
    results = check_plugin(name)
    failed = [f"{result.name}: {result.message}" for result in results if not (result.ok or result.skipped)]
    assert not failed, "\n".join(failed)
    assert sum(result.skipped for result in results) <= 1
