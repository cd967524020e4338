"""The TensorFlow twins: repeatable, alone with their seed, like the plugins they repeat, and free of torch."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.random import mtrand

from regimebench import registry
from regimebench.method import check_fit
from regimebench.method_checks import tiny_cube

ROOT = Path(__file__).resolve().parents[2]
ADDRESSES = [address for name in ("dec_tf", "dsc_tf", "a_datsc_tf") for address in registry.variants(name)]


def fit(address: str, seed: int = 0, **values):
    spec = registry.method(address)
    cube = tiny_cube()
    plugin = registry.load(spec)(n_clusters=3, seed=seed, **{**spec.parameters, **spec.smoke, **values})
    return check_fit(plugin.fit(cube), cube.n_days, 3)


@pytest.mark.parametrize("address", ADDRESSES)
def test_twin_has_variants_and_parameters_of_what_it_repeats(address):
    """The network's precision is torch's affair; all else must be equal for rows to be comparable."""
    twin = registry.method(address)
    other = registry.method(twin.twin_of)
    assert twin.parameters == {name: value for name, value in other.parameters.items() if name != "precision"}
    assert {name: twin.sources_of[name] for name in twin.sources_of} == {
        name: source for name, source in other.sources_of.items() if name != "precision"
    }


def test_twins_repeat_every_variant():
    for name in ("dec", "dsc"):
        assert [address.replace("_tf", "") for address in registry.variants(f"{name}_tf")] == registry.variants(name)


@pytest.mark.parametrize("address", ["dec_tf", "dsc_tf/published_code"])
def test_seed_decides_alone_and_global_streams_are_left_as_they_were(address, parity):
    random.seed(1)
    first = fit(address, seed=3)
    random.seed(2)
    states = random.getstate(), mtrand.get_state()[1].copy()
    again = fit(address, seed=3)
    assert random.getstate() == states[0]
    np.testing.assert_array_equal(mtrand.get_state()[1], states[1])
    np.testing.assert_array_equal(first.labels, again.labels)
    np.testing.assert_array_equal(first.embedding, again.embedding)
    assert not np.array_equal(first.embedding, fit(address, seed=4).embedding)


@pytest.mark.parametrize("address", ["dec", "dec/published_code", "dec/untrained", "dsc", "dsc/published_code"])
def test_twin_reports_what_the_torch_plugin_reports(address, parity):
    name, _, variant = address.partition("/")
    twin_address = f"{name}_tf" + (f"/{variant}" if variant else "")
    same = registry.method(twin_address).smoke
    ours, twin = fit(address, **same), fit(twin_address)
    assert set(twin.history) == set(ours.history)
    assert (twin.n_parameters, twin.epochs) == (ours.n_parameters, ours.epochs)
    assert twin.embedding.shape == ours.embedding.shape
    assert (twin.reconstruction is None) == (ours.reconstruction is None)


def test_shared_initialiser_repeats_its_values(parity):
    from methods.blocks.keras.dense import autoencoder
    from methods.blocks.keras.runtime import INITIALISERS, seeds

    make = INITIALISERS["variance_scaling"]
    for seed, equal in ((5, True), (seeds(0, "weights"), False)):
        encoder, _ = autoencoder(30, [40, 40, 40], make(seed))
        first, second = (layer.kernel.numpy() for layer in encoder.layers[1:])
        assert np.array_equal(first, second) == equal
        assert 0.95 / 40**0.5 < np.abs(first).max() <= 1 / 40**0.5


def test_authors_settings_do_not_move_a_label(parity):
    found = fit("dsc_tf/published_code", update_interval=50, max_steps=20000)
    assert found.history["labels_changed"] == [0, 0]
    assert found.stop_reason == "0.00% of the labels changed in 50 steps, below 1e-07"


def test_a_rate_that_is_too_high_ends_with_a_sentence(parity):
    with pytest.raises(RuntimeError, match=r"the loss of layer_1 became .* lower the learning rate"):
        fit("dec_tf", pretrain_lr=1e6)


def test_twins_run_without_torch(parity):
    """As in the environment that their ``environment.yaml`` describes."""
    code = (
        "import sys\n"
        "class WithoutTorch:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'torch': raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, WithoutTorch())\n"
        "from regimebench import registry\n"
        "for name in ('dec_tf', 'dsc_tf'): registry.load(registry.method(name))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
