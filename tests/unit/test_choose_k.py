"""The choice of k: knee, gap and silhouette over k, on data whose k is known."""

import numpy as np
import pandas as pd
import pytest

from regimebench.choose_k import choose_k, sentences
from regimebench.cube import write_cube
from regimebench.elbow import Curves, gap_choice, knee, knees, scan
from regimebench.preprocess import preprocess
from tests.unit.published_world import make_fields


def groups(k=4, size=30, seed=0):
    """Return days in k well separated groups, all equally far from each other."""
    rng = np.random.default_rng(seed)
    centres = 12 * np.eye(k, 6)
    return np.concatenate([centre + rng.normal(size=(size, 6)) for centre in centres]).astype(np.float32)


@pytest.fixture(scope="module")
def curves():
    return scan(groups(), k_max=8, n_references=4, n_init=3)


def test_knee_is_furthest_below_the_chord():
    assert knee([1, 2, 3, 4, 5], [10, 4, 1, 0.5, 0]) == 3
    assert knee([2, 4, 6, 8], [100, 20, 10, 0]) == 4


def test_the_knee_can_miss_groups_of_unequal_distance():
    # Three pairs of two near groups each: the curve bends most where the pairs are told apart.
    rng = np.random.default_rng(0)
    centres = np.repeat(40 * np.eye(3, 6), 2, axis=0) + np.tile([[4.0], [-4.0]], (3, 6))
    X = np.concatenate([centre + rng.normal(size=(20, 6)) for centre in centres]).astype(np.float32)
    found = scan(X, 8, 1, 3)
    assert knee(found.k, found.inertia) == 3


def test_knee_needs_a_curve_that_falls():
    with pytest.raises(ValueError, match="a curve that falls"):
        knee([1, 2, 3], [1, 1, 1])


def test_planted_k_is_found_by_all_three(curves):
    assert knee(curves.k, curves.inertia) == 4
    assert gap_choice(curves) == 4
    assert curves.k[np.nanargmax(curves.silhouette)] == 4


def test_inertia_of_one_cluster_is_the_total_of_the_data(curves):
    X = groups().astype(float)
    assert curves.inertia[0] == pytest.approx(((X - X.mean(axis=0)) ** 2).sum(), rel=1e-6)
    assert np.isnan(curves.silhouette[0])


def test_uniform_data_have_a_knee_and_no_gap():
    found = scan(np.random.default_rng(0).uniform(size=(120, 3)).astype(np.float32), 8, 4, 3)
    assert gap_choice(found) == 1
    assert 2 < knee(found.k, found.inertia) < 8


def test_gap_follows_its_definition():
    reference = np.exp([[3.0, 2.0, 1.5], [3.2, 2.2, 1.7]])
    found = Curves(np.arange(1, 4), np.exp([3.0, 1.0, 0.9]), np.full(3, np.nan), np.full(3, np.nan), reference)
    assert found.gap == pytest.approx([0.1, 1.1, 0.7])
    assert found.gap_error == pytest.approx(np.full(3, 0.1 * np.sqrt(1.5)))
    assert gap_choice(found) == 2


def test_knees_skip_ranges_that_the_curves_do_not_cover(curves):
    assert knees(curves, [(1, 8), (1, 12)]) == {(1, 8): 4}


@pytest.mark.parametrize(("k", "start"), [(4, "k = 4, which is configured here, is the knee"), (7, "k = 7, which")])
def test_the_first_sentence_judges_the_chosen_k(curves, k, start):
    first = sentences({"n_clusters": k, "published": None}, curves)[0]
    assert first.startswith(start)
    assert ("not the knee" in first) == (k != 4)
    published = sentences({"n_clusters": k, "published": "x"}, curves)[0]
    assert "which A-DATSC's authors chose by the elbow method" in published


def test_files_of_the_stage(tmp_path):
    write_cube(preprocess(make_fields(), "standard", name="toy"), tmp_path / "cube.nc")
    settings = {"dataset": "toy", "title": "Toy", "published": None, "n_clusters": 3, "budget": "smoke"}
    choose_k(settings, tmp_path / "cube.nc", tmp_path / "tables", tmp_path / "figures")
    written = sorted(path.name for path in tmp_path.glob("*/*"))
    assert written == ["choice-of-k.pdf", "choice-of-k.png", *(f"toy.k.{end}" for end in ("csv", "html", "md", "tex"))]
    table = pd.read_csv(tmp_path / "tables" / "toy.k.csv")
    assert table["k"].tolist() == list(range(1, 13))
    assert (np.diff(table["inertia"]) < 0).all()
    assert '<th scope="col">k</th>' in (tmp_path / "tables" / "toy.k.html").read_text()
