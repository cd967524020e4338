"""The synthetic data set plugin: files, contract, determinism, errors, and a truth that stays apart."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from synthetic_plans import DECLARED, DEFAULTS

from datasets.synthetic.dataset import Plugin
from regimebench.dataset import DataError

RAW = Path("raw")  # where nothing has been fetched

TINY = {**DEFAULTS, **DECLARED["smoke"]}
FAMILIES = ["centroids", "subspaces", "waves", "dynamics"]


def made(folder, **params):
    """Generate a tiny data set into ``folder``."""
    plugin = Plugin(**{**TINY, **params})
    plugin.download(folder)
    return plugin


@pytest.mark.parametrize("family", FAMILIES)
def test_fields_truth_and_oracle_keep_the_contract(tmp_path, family):
    plugin = made(tmp_path, family=family)
    fields = plugin.open(tmp_path)
    assert list(fields) == ["sp", "sst"]
    assert dict(fields.sizes) == {"time": 40, "lat": 6, "lon": 6}
    assert all(array.dims == ("time", "lat", "lon") and array.dtype == np.float32 for array in fields.values())
    days = fields.time.values.astype("datetime64[D]")
    np.testing.assert_array_equal(days, np.datetime64("2021-01-01") + np.arange(40))
    np.testing.assert_array_equal(fields.time.values, days.astype(fields.time.dtype))
    assert (np.diff(fields.lat) < 0).all()
    for labels in (plugin.truth(tmp_path), plugin.oracle(tmp_path)):
        assert labels.shape == (40,)
        assert labels.dtype == np.int64
        assert set(labels.tolist()) <= {0, 1, 2}
    assert np.bincount(plugin.truth(tmp_path)).sum() == 40


def test_sea_surface_temperature_alone_is_missing_over_the_same_land_every_day(tmp_path):
    fields = made(tmp_path, n_variables=7, height=12, width=10).open(tmp_path)
    missing = fields.sst.isnull()
    assert int(missing[0].sum()) == 2
    assert bool((missing == missing[0]).all())
    assert not any(bool(fields[name].isnull().any()) for name in fields if name != "sst")


def test_same_seed_gives_the_same_bytes_and_another_seed_other_fields_and_order(tmp_path):
    folders = [tmp_path / name for name in ("first", "again", "other")]
    for folder, seed in zip(folders, (3, 3, 4), strict=True):
        made(folder, seed=seed)
    first, again, other = ((folder / "fields.nc").read_bytes() for folder in folders)
    assert first == again
    assert first != other
    truths = [(folder / "truth" / "truth.csv").read_bytes() for folder in folders]
    assert truths[0] == truths[1]
    assert truths[0] != truths[2]


def test_download_keeps_what_is_there_and_replaces_what_other_settings_made(tmp_path):
    made(tmp_path, seed=1)
    before = (tmp_path / "fields.nc").stat().st_mtime_ns
    made(tmp_path, seed=1)
    assert (tmp_path / "fields.nc").stat().st_mtime_ns == before
    stale = (tmp_path / "fields.nc").read_bytes()
    made(tmp_path, seed=2)
    assert (tmp_path / "fields.nc").read_bytes() != stale


def test_an_interrupted_download_is_done_again(tmp_path):
    made(tmp_path)
    (tmp_path / "truth" / "truth.csv").unlink()
    (tmp_path / "truth" / "settings.json").unlink()
    assert made(tmp_path).truth(tmp_path).shape == (40,)


@pytest.mark.parametrize("family", FAMILIES)
def test_fields_tell_neither_regimes_nor_family_nor_seed(tmp_path, family):
    made(tmp_path, family=family, seed=8191)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fields.nc", "truth"]
    with xr.open_dataset(tmp_path / "fields.nc") as fields:
        assert set(fields.variables) == {"sp", "sst", "time", "lat", "lon"}
        told = json.dumps([fields.attrs, *({**fields[name].attrs} for name in fields.variables)], default=str)
    assert "8191" not in told
    assert not any(word in told for word in [*FAMILIES, "seed", "truth", "regime", "cluster"])


@pytest.mark.parametrize("family", FAMILIES)
def test_oracle_does_not_read_the_truth(tmp_path, family):
    plugin = made(tmp_path, family=family)
    labels = plugin.oracle(tmp_path)
    shutil.rmtree(tmp_path / "truth")
    np.testing.assert_array_equal(Plugin(**plugin.params).oracle(tmp_path), labels)


@pytest.mark.parametrize("family", FAMILIES)
def test_smallest_sizes_work(tmp_path, family):
    smallest = {"n_days": 2, "height": 4, "width": 4, "n_variables": 1, "n_clusters": 2}
    plugin = made(tmp_path, family=family, **smallest)
    assert sorted(plugin.truth(tmp_path)) == [0, 1]
    assert plugin.oracle(tmp_path).shape == (2,)


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("family", "fronts", "one of centroids, subspaces, waves, dynamics"),
        ("n_days", 40.5, "a whole number from 2 to 50000"),
        ("height", 3, "a whole number from 4"),
        ("width", "wide", "a whole number from 4"),
        ("n_variables", 8, "from 1 to 7 (sp, sst, u10, v10, sshf, slhf, t2m)"),
        ("n_clusters", 1, "a whole number from 2 to n_days"),
        ("n_clusters", 41, "there are only 40 days"),
        ("proportions", [3, 0], "a list of positive numbers"),
        ("noise", -0.1, "a number from 0"),
        ("offset", float("nan"), "a number from 0"),
        ("land_fraction", 0.9, "a number from 0 to 0.5"),
        ("start", "2021-13-01", "a date as YYYY-MM-DD"),
        ("seed", True, "a whole number from 0"),
        ("sead", 1, "allowed are family, n_days"),
    ],
)
def test_impossible_settings_are_sentences_that_say_what_is_allowed(tmp_path, name, value, allowed):
    plugin = Plugin(**{**TINY, name: value})
    assert len(plugin.problems(RAW)) == 1
    with pytest.raises(DataError) as error:
        plugin.download(tmp_path)
    assert repr(name) in str(error.value)
    assert allowed in str(error.value)
    assert not list(tmp_path.iterdir())


def test_all_problems_are_listed_at_once():
    assert len(Plugin(**{**TINY, "family": "x", "n_days": 0, "seed": -1}).problems(RAW)) == 3
    assert Plugin(**TINY).problems(RAW) == []


def test_a_missing_parameter_is_named():
    without = {name: value for name, value in TINY.items() if name != "seed"}
    assert "'seed' is missing" in Plugin(**without).problems(RAW)[0]


def test_reading_before_download_says_what_to_do(tmp_path):
    plugin = Plugin(**TINY)
    for read in (plugin.open, plugin.truth, plugin.oracle):
        with pytest.raises(DataError, match="generate it first with download"):
            read(tmp_path)
