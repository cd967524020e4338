"""Rows that are declared paired begin, for the same seed, with the same pre-trained network, and others are not."""

import numpy as np
import pytest
from method_cubes import planted

from regimebench import jobs, registry
from regimebench.config import make_plan
from regimebench.declarations import inconsistencies

PAIRED = [name for name in registry.folders("methods") if registry.method(name).meta.get("paired")]
PRE_TRAINING = "autoencoder"  # the error of reconstruction that all of them log while they are pre-trained


def address(name, variant):
    return name if variant == "default" else f"{name}/{variant}"


@pytest.mark.parametrize("name", PAIRED)
def test_paired_rows_share_their_pre_training(name):
    cube, _ = planted(n_days=40, n_clusters=3)
    errors = []
    for variant in registry.method(name).meta["paired"][:3]:
        spec = registry.method(address(name, variant))
        fit = registry.load(spec)(n_clusters=3, seed=4, device="cpu", **{**spec.parameters, **spec.smoke}).fit(cube)
        errors.append(np.asarray(fit.history[PRE_TRAINING]))
    assert len(errors[0])
    for other in errors[1:]:
        np.testing.assert_array_equal(errors[0], other)


def test_some_plugin_has_paired_rows():
    assert "dec" in PAIRED


def test_a_paired_row_that_does_not_exist_is_named():
    meta = {"parameters": {}, "variants": {"wide": {}}, "paired": ["default", "wode"]}
    (text,) = inconsistencies(meta)
    assert text == "paired: no variant is called 'wode'; known: default, wide"


def test_tables_know_which_rows_are_paired():
    plan = make_plan({"methods": ["dec", "dec/idec", "dec/untrained", "kmeans"], "datasets": {"synthetic": {}}})
    rows = {row["address"]: row["pairing"] for row in jobs.table_settings(plan, "synthetic")["rows"]}
    assert rows == {"dec": "dec", "dec/idec": "dec", "dec/untrained": None, "kmeans": None}
