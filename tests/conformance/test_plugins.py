"""Every plugin keeps its contract."""

import pytest

from regimebench import registry
from regimebench.checks import check_plugin


@pytest.mark.parametrize("name", registry.addresses())
def test_method(name):
    failed = [f"{result.name}: {result.message}" for result in check_plugin(name) if not result.ok]
    assert not failed, "\n".join(failed)


@pytest.mark.parametrize("name", list(registry.folders("datasets")))
def test_dataset(name):
    """A data set that needs a key, files or a service is checked as far as that goes."""
    results = check_plugin(name)
    failed = [f"{result.name}: {result.message}" for result in results if not (result.ok or result.skipped)]
    assert not failed, "\n".join(failed)
    assert sum(result.skipped for result in results) <= 1
