"""The post-processing of self-expression matrices against numpy and scikit-learn, and what official code fails on."""

from __future__ import annotations

import warnings
from itertools import combinations

import numpy as np
import pytest
from numpy.random import mtrand
from sklearn.cluster import SpectralClustering
from sklearn.metrics import adjusted_rand_score
from subspace_days import subspace_days

from methods.blocks import spectral
from methods.blocks.spectral import (
    PRESETS,
    Preset,
    affinity,
    cut,
    labelings,
    plain_affinity,
    raw_least_squares,
    spectral_labels,
    threshold,
)

RNG = np.random.default_rng(0)
ROUGH = RNG.standard_normal((30, 30)) ** 3


def kept(C: np.ndarray, rho: float) -> np.ndarray:
    """The definition of the threshold, an entry at a time."""
    found = np.zeros_like(C)
    for column in range(C.shape[1]):
        total = 0.0
        for row in sorted(range(len(C)), key=lambda row: -abs(C[row, column])):
            found[row, column] = C[row, column]
            total += abs(C[row, column])
            if total > rho * np.abs(C[:, column]).sum():
                break
    return found


def affinity_by_svd(C: np.ndarray, k: int, preset: Preset) -> np.ndarray:
    C = kept(C, preset.share(k))
    C = 0.5 * (C + C.T)
    if preset.diagonal:
        C = C - np.diag(np.diag(C)) + np.eye(len(C))
    U, S, _ = np.linalg.svd(C)
    rank = min(preset.d * k + 1, len(C) - 1)
    rows = U[:, :rank] @ np.diag(np.sqrt(S[:rank]))
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    A = rows @ rows.T
    A = (np.where(A > 0, A, 0) if preset.negatives == "clip" else np.abs(A)) ** preset.alpha
    return A / A.max()


@pytest.fixture(scope="module")
def noisy():
    """C of days in subspaces, noisy enough for mistakes."""
    days, truth = subspace_days(width=12, noise=0.15)
    return raw_least_squares(days, 0.1), truth


@pytest.mark.parametrize("rho", [0.04, 0.4, 0.999])
def test_threshold_keeps_the_fewest_entries_that_exceed_the_share(rho):
    np.testing.assert_array_equal(threshold(ROUGH, rho), kept(ROUGH, rho))


def test_threshold_works_on_columns_and_needs_more_than_the_share():
    C = np.array([[3.0, -2.0, 0.0], [-1.0, 1.5, 0.0], [0.0, 0.5, 0.0]])
    np.testing.assert_array_equal(threshold(C, 0.5), [[3, -2, 0], [0, 1.5, 0], [0, 0, 0]])
    np.testing.assert_array_equal(threshold(C, 1.0), C)


@pytest.mark.parametrize("name", PRESETS)
def test_affinity_is_that_of_a_singular_value_decomposition(name):
    C = np.random.default_rng(1).standard_normal((120, 120))  # so many that no two singular values are equal
    found = affinity(C, 2, PRESETS[name])
    np.testing.assert_allclose(found, affinity_by_svd(C, 2, PRESETS[name]), rtol=1e-7, atol=1e-12)
    np.testing.assert_array_equal(found, found.T)


def test_share_of_the_first_preset_falls_as_in_python_2():
    assert [PRESETS["eyaleb"].share(k) for k in (2, 7, 10)] == [0.4] * 3
    assert [PRESETS["eyaleb"].share(k) for k in (11, 20, 38)] == pytest.approx([0.3, 0.3, 0.1])
    assert [PRESETS["eyaleb_python3"].share(k) for k in (7, 10)] == pytest.approx([0.34, 0.31])


def test_plain_affinity_has_no_signs_and_no_diagonal():
    np.testing.assert_array_equal(plain_affinity([[5.0, -2.0], [0.0, 7.0]]), [[0, 1], [1, 0]])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("plain", [True, False])
def test_cut_is_that_of_scikit_learn(noisy, plain, seed):
    C, truth = noisy
    A = plain_affinity(C) if plain else affinity(C, 3, PRESETS["eyaleb"])
    official = SpectralClustering(
        3, eigen_solver="arpack", affinity="precomputed", assign_labels="discretize", random_state=seed
    )
    assert adjusted_rand_score(official.fit_predict(A), cut(A, 3, seed)) == 1
    assert 0.5 < adjusted_rand_score(truth, cut(A, 3, seed)) < 1


def test_cut_finds_the_smallest_normalised_cut_of_all():
    """Every partition of nine days in two, by its definition."""
    A = RNG.random((9, 9)) * 0.5
    A[:4, :4] += 1
    A[4:, 4:] += 1
    A = plain_affinity(A)

    def normalised_cut(first: np.ndarray) -> float:
        between = A[first][:, ~first].sum()
        return between / A[first].sum() + between / A[~first].sum()

    parts = [np.isin(np.arange(9), days) for size in range(1, 5) for days in combinations(range(9), size)]
    best = min(parts, key=normalised_cut)
    assert adjusted_rand_score(best, cut(A, 2, 0)) == 1


def test_many_days_are_cut_from_a_few_eigenvectors_with_the_same_result(noisy, monkeypatch):
    C, _ = noisy
    small_rank = Preset(0.4, 2, 3.5)
    dense = affinity(C, 3, small_rank), cut(plain_affinity(C), 3, 0)
    monkeypatch.setattr(spectral, "DENSE_DAYS", 10)
    np.testing.assert_allclose(affinity(C, 3, small_rank), dense[0], atol=1e-8)
    assert adjusted_rand_score(dense[1], cut(plain_affinity(C), 3, 0)) == 1


def test_seed_decides_alone(noisy):
    C, _ = noisy
    first = spectral_labels(C, 5, 3)
    random_state = mtrand.get_state()[1].copy()
    np.testing.assert_array_equal(first, spectral_labels(C, 5, 3))
    np.testing.assert_array_equal(random_state, mtrand.get_state()[1])


def hollow(n: int = 30) -> np.ndarray:
    """C with columns and rows of zeros."""
    C = np.abs(ROUGH[:n, :n]) + 0.1
    C[:, 3] = C[7] = C[:, 7] = 0
    return C


PIECES = np.kron(np.eye(6), np.ones((5, 5)))
DEGENERATE = {
    "zeros": np.zeros((30, 30)),
    "identity": np.eye(30),
    "zero columns": hollow(),
    "more pieces than clusters": PIECES,
    "one pair": np.pad([[0.0, 1.0], [1.0, 0.0]], (0, 28)),
    "rank one": np.ones((30, 30)),
    "tiny": 1e-30 * ROUGH,
    "negative": -np.abs(ROUGH),
    "fewer days than clusters": ROUGH[:3, :3],
    "as many days as clusters": ROUGH[:4, :4],
    "one day": np.ones((1, 1)),
    "float32": ROUGH.astype(np.float32),
}


@pytest.mark.parametrize("dense_days", [800, 10], ids=["dense", "few eigenvectors"])
@pytest.mark.parametrize("preset", ["eyaleb", "orl", "coil20", "dasc_eyaleb"])
@pytest.mark.parametrize("C", DEGENERATE.values(), ids=DEGENERATE)
def test_every_matrix_has_labels_and_no_warning(C, preset, dense_days, monkeypatch):
    monkeypatch.setattr(spectral, "DENSE_DAYS", dense_days)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for labels in (spectral_labels(C, 4, 0, preset), cut(plain_affinity(C), 4, 0)):
            assert labels.shape == (len(C),)
            assert labels.dtype.kind == "i"
            assert set(labels) <= set(range(4))


def test_days_that_nothing_relates_are_one_cluster():
    for C in (DEGENERATE["zeros"], DEGENERATE["identity"]):
        assert set(cut(plain_affinity(C), 4, 0)) == {0}


def test_pieces_are_found_and_never_split_where_there_are_enough_clusters():
    truth = np.arange(30) // 5
    assert adjusted_rand_score(truth, spectral_labels(PIECES, 6, 0)) == 1
    assert adjusted_rand_score(truth, cut(plain_affinity(PIECES), 6, 0)) == 1


def test_a_matrix_that_is_not_finite_is_refused():
    C = ROUGH.copy()
    C[4, 2] = np.nan
    with pytest.raises(ValueError, match="row 4 of the self-expression matrix holds NaN"):
        spectral_labels(C, 3, 0)


@pytest.mark.parametrize("shape", [(12, 40), (40, 12)])
@pytest.mark.parametrize("centred", [True, False])
def test_raw_least_squares_solve_their_normal_equations(shape, centred):
    x = RNG.random(shape)
    y = x - x.mean(axis=0) if centred else x
    gram = y @ y.T
    weight = 0.01 * np.linalg.norm(y, 2) ** 2
    expected = np.linalg.solve(gram + weight * np.eye(len(x)), gram)
    np.testing.assert_allclose(raw_least_squares(x, 0.01, centred), expected, atol=1e-10)


@pytest.mark.parametrize("x", [np.zeros((9, 4)), np.ones((4, 9))])
def test_raw_least_squares_of_equal_days_are_zero(x):
    np.testing.assert_array_equal(raw_least_squares(x, centred=True), np.zeros((len(x), len(x))))


def test_labelings_are_three_readings_of_one_method(noisy):
    C, _ = noisy
    days, _ = subspace_days(width=12, noise=0.15)
    labels, others = labelings(C, days, 3, 0)
    assert list(others) == ["plain_cut", "raw_data"]
    np.testing.assert_array_equal(labels, spectral_labels(C, 3, 0))
    np.testing.assert_array_equal(others["plain_cut"], cut(plain_affinity(C), 3, 0))
    np.testing.assert_array_equal(others["raw_data"], spectral_labels(raw_least_squares(days), 3, 0))
