"""Null models: surrogates, days without a season, shifted labels, and their place in the configuration."""

import numpy as np
import pandas as pd
import pytest

from regimebench import jobs
from regimebench.config import make_plan
from regimebench.cube import read_cube, write_cube
from regimebench.dataset import Cube
from regimebench.derived import derive, prepare
from regimebench.metrics import score_partitions
from regimebench.schema import InvalidFile
from regimebench.shifted import score_shifted, shifts_of

DAYS = 365


def year(n=DAYS, season=1.0):
    """Return a cube with a season, autocorrelated noise, a constant and a masked column."""
    rng = np.random.default_rng(0)
    shape = (3, 4, 2)
    angle = 2 * np.pi * np.arange(n) / 365.2425
    noise = np.cumsum(rng.normal(0, 0.1, (n, *shape)), axis=0)
    noise -= np.linspace(0, 1, n)[:, None, None, None] * noise[-1]
    values = season * np.cos(angle)[:, None, None, None] + noise + rng.normal(0, 0.3, (n, *shape))
    low, span = values.min(axis=0), np.ptp(values, axis=0)
    mask = np.ones(shape, bool)
    mask[0, 0, 0] = False
    span[0, 0, 0] = span[0, 1, 0] = 0
    scaled = np.where(span > 0, (values - low) / np.where(span > 0, span, 1), 0).astype(np.float32)
    days = np.datetime64("2001-01-01") + np.arange(n)
    return Cube(
        scaled, mask, days, np.arange(3.0), np.arange(4.0), ("a", "b"), ("K", "Pa"), low, span, {"dataset": "x"}
    )


def physical(cube):
    """Return the columns that vary, in physical units."""
    return cube.physical(cube.values)[:, cube.scale > 0].astype(float)


@pytest.mark.parametrize("n", [364, 365])
def test_a_surrogate_keeps_spectra_and_covariances_at_all_lags(n):
    cube = year(n)
    made = derive(cube, "y", "phase_randomised", seed=3)
    a, b = (table - table.mean(axis=0) for table in (physical(cube), physical(made)))
    np.testing.assert_allclose(b.T @ b, a.T @ a, rtol=2e-4, atol=1e-2)
    for lag in (1, 30):
        np.testing.assert_allclose(b.T @ np.roll(b, lag, axis=0), a.T @ np.roll(a, lag, axis=0), rtol=2e-4, atol=1e-2)
    assert np.abs(np.corrcoef(a[:, 3], b[:, 3])[0, 1]) < 0.9
    np.testing.assert_allclose(physical(made).mean(axis=0), physical(cube).mean(axis=0), atol=1e-4)


def test_surrogates_come_from_their_seed():
    cube = year()
    one, same, other = (derive(cube, "y", "phase_randomised", seed).values for seed in (1, 1, 2))
    assert (one == same).all()
    assert np.abs(one - other).max() > 0.1


def test_days_without_a_season_have_no_annual_cycle_and_keep_the_rest():
    with_season, without = (derive(year(season=s), "y", "deseasonalised") for s in (5.0, 0.0))
    waves = np.exp(2j * np.pi * np.outer([1, 2], np.arange(DAYS)) / 365.2425)
    table = physical(with_season)
    assert np.abs(waves @ (table - table.mean(axis=0))).max() / DAYS < 1e-3
    np.testing.assert_allclose(
        table - table.mean(axis=0), physical(without) - physical(without).mean(axis=0), atol=2e-3
    )


@pytest.mark.parametrize("change", ["phase_randomised", "deseasonalised"])
def test_a_changed_cube_is_a_cube(change, tmp_path):
    write_cube(year(), tmp_path / "cube.nc")
    prepare(tmp_path / "cube.nc", "y", change, 0, tmp_path / "y" / "cube.nc")
    made = read_cube(tmp_path / "y" / "cube.nc")
    used = made.scale > 0
    assert made.values.min() == 0
    assert made.values.max() == 1
    assert (made.values[:, ~used] == 0).all()
    assert used.sum() == year().mask.sum() - 1
    assert (made.mask == year().mask).all()
    assert (made.attrs["dataset"], made.attrs["derived_from"], made.attrs["change"]) == ("y", "x", change)
    assert made.attrs["content_sha256"] != read_cube(tmp_path / "cube.nc").attrs["content_sha256"]


def test_a_surrogate_has_lost_its_regimes():
    rng = np.random.default_rng(1)
    truth = np.repeat(rng.permutation(np.arange(36) % 3), 10)
    values = rng.normal(0, 0.3, (360, 4, 4, 1)) + rng.normal(0, 1, (3, 4, 4, 1))[truth]
    low, span = values.min(axis=0), np.ptp(values, axis=0)
    scaled = ((values - low) / span).astype(np.float32)
    days = np.datetime64("2001-01-01") + np.arange(360)
    cube = Cube(scaled, np.ones((4, 4, 1), bool), days, np.arange(4.0), np.arange(4.0), ("a",), ("K",), low, span)
    made = derive(cube, "y", "phase_randomised")
    from sklearn.cluster import KMeans

    silhouettes = []
    for each in (cube, made):
        labels = KMeans(3, n_init=3, random_state=0).fit_predict(each.table)
        table = score_partitions(each.table, labels[None], ["standard"]).set_index("metric")["value"]
        silhouettes.append(table["silhouette"])
    assert silhouettes[0] > 0.5
    assert silhouettes[1] < silhouettes[0] - 0.2


def test_shifts_are_spread_over_all_days():
    assert shifts_of(100, 4).tolist() == [20, 40, 60, 80]
    assert shifts_of(5, 20).tolist() == [1, 2, 3, 4]


def test_shifted_labels_are_scored_against_the_same_days():
    X = np.random.default_rng(0).random((30, 3)).astype(np.float32)
    labels = {("a", 0): np.repeat([0, 1, 2], 10), ("b", 1): np.arange(30) % 2}
    table = score_shifted(lambda stack: score_partitions(X, stack), labels, 4).set_index(["address", "metric"])
    scores = [
        score_partitions(X, np.roll(labels["a", 0], shift)[None], ["standard"]).set_index("metric")["value"]
        for shift in (6, 12, 18, 24)
    ]
    standard = table[table["protocol"] == "standard"]
    for metric, tail in (("silhouette", 0.95), ("rmse", 0.05)):
        values = [each[metric] for each in scores]
        assert standard.at[("a", metric), "mean"] == pytest.approx(np.mean(values))
        assert standard.at[("a", metric), "p95"] == pytest.approx(np.quantile(values, tail))
    assert set(table["seed"]) == {0, 1}


def test_no_shifts_and_no_runs_give_a_table_without_rows():
    assert len(score_shifted(pd.DataFrame, {("a", 0): np.zeros(3)}, 0)) == 0
    assert len(score_shifted(pd.DataFrame, {}, 5)) == 0


CONFIG = {
    "methods": ["random"],
    "shifts": 5,
    "datasets": {
        "demo": {"plugin": "synthetic", "title": "Demo", "params": {"n_days": 50}, "n_clusters": 3},
        "null": {"of": "demo", "change": "phase_randomised", "seed": 7},
    },
}


def test_a_changed_data_set_takes_everything_from_its_origin():
    plan = make_plan(CONFIG)
    entry = plan.datasets["null"]
    assert entry.derivation() == {"name": "null", "change": "phase_randomised", "seed": 7}
    assert (entry.params["n_days"], entry.n_clusters, entry.title) == (50, 3, "Demo, phase-randomised")
    assert plan.derived() == ["null"]
    assert plan.planted() == ["demo"]
    assert plan.truth_files("null") == []
    assert plan.shifts == 5
    assert (jobs.table_settings(plan, "null")["of"], jobs.table_settings(plan, "demo")["of"]) == ("demo", None)


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ({"of": "nowhere", "change": "deseasonalised"}, "required is one of this configuration .*: demo"),
        ({"of": "null", "change": "deseasonalised"}, "required is one of this configuration"),
        ({"of": "demo", "change": "deseasonalised", "preprocess": "paper"}, "takes this from it; leave the key out"),
        ({"of": "demo"}, "change"),
        ({"of": "demo", "change": "shuffled"}, "phase_randomised"),
        ({"change": "deseasonalised"}, "of"),
    ],
)
def test_a_wrong_changed_data_set_is_refused(entry, text):
    datasets = {**CONFIG["datasets"], "other": entry}
    with pytest.raises(InvalidFile, match=text):
        make_plan({**CONFIG, "datasets": datasets})
