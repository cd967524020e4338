"""The methods without a network: planted means, determinism, edge cases."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from method_cubes import dated, fit, make_cube, numpy_state, planted, plugin
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.metrics import adjusted_rand_score

from regimebench import registry


@pytest.mark.parametrize("address", ["kmeans", "hierarchical", "eof_kmeans"])
def test_planted_means_are_recovered(address):
    cube, truth = planted()
    assert (
        adjusted_rand_score(truth, fit(address, cube, **({} if address == "hierarchical" else {"n_init": 10})).labels)
        > 0.9
    )


@pytest.fixture
def from_template(tmp_path, monkeypatch) -> str:
    """Return the id of a method that is a copy of the template."""
    shutil.copytree(registry.ROOT / "methods" / "_template", tmp_path / "methods" / "copied_template")
    monkeypatch.setenv("REGIMEBENCH_PLUGINS", str(tmp_path))
    return "copied_template"


def test_the_template_works(from_template):
    cube, truth = planted()
    found = fit(from_template, cube, n_iterations=20)
    assert found.history["within_cluster_distance"][-1] < found.history["within_cluster_distance"][0]
    one_step = fit(f"{from_template}/single_step", cube)
    assert adjusted_rand_score(truth, found.labels) > adjusted_rand_score(truth, one_step.labels) > 0.1
    assert np.array_equal(found.labels, fit(from_template, cube, n_iterations=20).labels)


@pytest.mark.parametrize("address", ["kmeans", "eof_kmeans", "random"])
def test_seeds_decide_alone(address):
    cube, _ = planted(noise=3.0)
    first = fit(address, cube, seed=1).labels
    state = numpy_state()
    again = fit(address, cube, seed=1).labels
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(state, numpy_state())
    assert any(not np.array_equal(first, fit(address, cube, seed=seed).labels) for seed in (2, 3, 4))


@pytest.mark.parametrize("address", ["hierarchical", "calendar"])
def test_deterministic_methods_ignore_the_seed(address):
    cube, _ = planted(noise=3.0)
    np.testing.assert_array_equal(fit(address, cube, seed=1).labels, fit(address, cube, seed=2).labels)


def test_ward_agrees_with_scipy():
    cube, _ = planted(noise=3.0)
    reference = fcluster(linkage(cube.table.astype(float), "ward"), 7, "maxclust")
    assert adjusted_rand_score(reference, fit("hierarchical", cube).labels) == 1


def test_random_labels_are_uniform_full_and_unrelated_to_the_truth():
    cube, truth = planted(n_days=700)
    runs = [fit("random", cube, seed=seed).labels for seed in range(30)]
    assert abs(np.mean([adjusted_rand_score(truth, labels) for labels in runs])) < 0.01
    counts = np.mean([np.bincount(labels, minlength=7) for labels in runs], axis=0)
    assert np.all(np.abs(counts - 100) < 10)
    few = plugin("random", seed=0)
    assert all(len(set(plugin("random", seed=s).fit(dated(cube.time[:7])).labels)) == 7 for s in range(20))
    with pytest.raises(ValueError, match="6 days, too few for 7 clusters"):
        few.fit(dated(cube.time[:6]))


def days(start: str, stop: str) -> np.ndarray:
    return np.arange(start, stop, dtype="datetime64[D]")


def blocks(dates: np.ndarray, n_clusters: int) -> np.ndarray:
    return plugin("calendar", n_clusters=n_clusters).fit(dated(dates)).labels


def test_calendar_cuts_a_year_into_equal_blocks():
    labels = blocks(days("2021-01-01", "2022-01-01"), 7)
    assert np.all(np.diff(labels) >= 0)
    assert set(np.bincount(labels)) == {52, 53}
    assert blocks(days("2021-01-01", "2022-01-01"), 12)[[0, 30, 364]].tolist() == [0, 0, 11]


def test_calendar_gives_a_date_the_same_block_in_every_year():
    dates = days("1959-01-01", "1973-01-01")
    labels = blocks(dates, 7)
    names = np.array([str(date)[5:] for date in dates])
    for name in ("01-01", "02-28", "03-01", "07-15", "12-31"):
        assert len(set(labels[names == name])) == 1
    assert set(labels[names == "02-29"]) == set(labels[names == "02-28"])


def test_calendar_keeps_a_winter_in_one_piece_and_leaves_no_block_empty():
    winters = np.concatenate([days("2019-12-01", "2020-03-01"), days("2020-12-01", "2021-03-01")])
    labels = blocks(winters, 3)
    assert labels[winters == np.datetime64("2019-12-01")].tolist() == [0]
    assert labels[winters == np.datetime64("2021-02-28")].tolist() == [2]
    assert set(np.bincount(labels[: len(days("2019-12-01", "2020-02-29"))])) == {30}
    assert len(set(blocks(winters, 7))) == 7


def test_calendar_starts_on_1_january_despite_small_gaps():
    year = days("2021-01-01", "2022-01-01")
    gappy = np.delete(year, np.r_[100:110, 200])
    labels = blocks(gappy, 4)
    assert labels[0] == 0
    assert np.all(np.diff(labels) >= 0)
    with pytest.raises(ValueError, match="3 different calendar days"):
        blocks(year[:3], 4)


def test_eof_keeps_the_fewest_components_that_explain_enough():
    cube, _ = planted()
    found = fit("eof_kmeans", cube, variance_fraction=0.8)
    explained = found.history["explained_variance"]
    assert explained.sum() >= 0.8 > explained[:-1].sum()
    assert found.embedding.shape == (cube.n_days, len(explained))
    anomalies = cube.table.astype(float) - cube.table.astype(float).mean(axis=0)
    assert np.square(found.embedding).sum() == pytest.approx(explained.sum() * np.square(anomalies).sum(), rel=1e-6)
    np.testing.assert_allclose(found.embedding.mean(axis=0), 0, atol=1e-6)


def test_eof_with_all_variance_keeps_all_distances():
    cube, _ = planted(n_days=30)
    pcs = fit("eof_kmeans", cube, variance_fraction=1.0, n_clusters=3).embedding
    x = cube.table.astype(float)
    for i, j in ((0, 1), (3, 17), (28, 29)):
        assert np.linalg.norm(pcs[i] - pcs[j]) == pytest.approx(np.linalg.norm(x[i] - x[j]), rel=1e-6)


def test_eof_area_weighting_counts_high_latitudes_less():
    rng = np.random.default_rng(0)
    cube = make_cube(rng.random((40, 2, 3, 1)))
    object.__setattr__(cube, "lat", np.array([0.0, 90.0]))
    weighted = fit("eof_kmeans", cube, area_weighting=True, variance_fraction=1.0, n_clusters=2).embedding
    equator = cube.values[:, 0].reshape(40, -1).astype(float)
    assert np.square(weighted).sum() == pytest.approx(40 * equator.var(axis=0).sum(), rel=1e-6)
    object.__setattr__(cube, "lat", np.zeros((2, 3)))
    with pytest.raises(ValueError, match="projected grid"):
        fit("eof_kmeans", cube, area_weighting=True, n_clusters=2)


def test_eof_refuses_fractions_that_make_no_sense():
    cube, _ = planted(n_days=20)
    with pytest.raises(ValueError, match=r"variance_fraction is 1\.5"):
        fit("eof_kmeans", cube, variance_fraction=1.5)


@pytest.mark.filterwarnings("ignore:Number of distinct clusters")
def test_eof_of_data_that_do_not_vary_is_one_component_of_zeros():
    cube, _ = planted(n_days=20)
    cube.values[:] = 0.5
    found = fit("eof_kmeans", cube)
    assert found.embedding.shape == (20, 1)
    assert not found.embedding.any()
    assert found.history["explained_variance"].tolist() == [0.0]
    assert set(found.labels) == {0}
