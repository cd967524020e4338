"""Every method in torch: the seed decides alone, and random streams that are not its own stay where they are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from method_cubes import fit, numpy_state, planted

from regimebench import registry

ADDRESSES = [address for address in registry.addresses() if registry.method(address).framework == "torch"]
WITHOUT_A_NETWORK = ["dsc_net/raw", "senet/exact"]
LEARNT = {"senet": "self_expression"}  # what the network of a plugin makes, if not the embedding


@pytest.fixture(scope="module")
def days():
    return planted(n_days=40, n_clusters=3)[0]


@pytest.mark.parametrize("address", ADDRESSES)
def test_seed_decides_alone_and_the_global_streams_are_left_as_they_were(address, days):
    torch.manual_seed(1)
    first = fit(address, days, seed=3, n_clusters=3)
    torch.manual_seed(2)
    state, state_of_numpy = torch.get_rng_state(), numpy_state()
    again = fit(address, days, seed=3, n_clusters=3)
    assert torch.equal(state, torch.get_rng_state())
    np.testing.assert_array_equal(state_of_numpy, numpy_state())
    for name in ("labels", "embedding", "self_expression", "reconstruction"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    for name, labels in first.other_labels.items():
        np.testing.assert_array_equal(labels, again.other_labels[name])
    for name, series in first.history.items():
        np.testing.assert_array_equal(series, again.history[name])
    learnt = LEARNT.get(registry.method(address).id, "embedding")
    other = fit(address, days, seed=4, n_clusters=3)
    same = np.array_equal(getattr(first, learnt), getattr(other, learnt))
    assert same == (address in WITHOUT_A_NETWORK)
