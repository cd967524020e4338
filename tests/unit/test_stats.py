"""Statistics over seeds: tests, effect sizes and intervals, against independent libraries and by hand."""

from itertools import combinations, product

import numpy as np
import pytest
from scipy.stats import PermutationMethod, binomtest, brunnermunzel, kruskal, mannwhitneyu, wilcoxon
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from regimebench.stats.effect import superiority, superiority_interval, wilson
from regimebench.stats.exact import rank_sum_p, sign_p, signed_rank_p, smallest_rank_sum_p, smallest_sign_p
from regimebench.stats.letters import letters
from regimebench.stats.location import interquartile_mean, iqm_interval
from regimebench.stats.omnibus import omnibus
from regimebench.stats.pairwise import compare
from regimebench.stats.samples import Samples

RNG = np.random.default_rng(0)
FAILED = -np.inf


def rows(scores, deterministic=(), pairing=None):
    """Return samples of rows a, b, ... with runs of different number."""
    width = max(map(len, scores))
    table = np.array([[*row, *[np.nan] * (width - len(row))] for row in scores], dtype=float)
    names = [chr(ord("a") + i) for i in range(len(scores))]
    fixed = np.array([name in deterministic for name in names])
    return Samples("standard", "silhouette", 1, names, fixed, pairing or [None] * len(names), table)


def pair(table, a, b):
    return table[(table["a"] == a) & (table["b"] == b)].iloc[0]


@pytest.mark.parametrize(("n", "m"), [(2, 3), (5, 5), (12, 12), (20, 20), (7, 20)])
def test_rank_sum_without_ties_is_scipys_exact_test(n, m):
    a, b = RNG.normal(0.5, 1, n), RNG.normal(0, 1, m)
    assert rank_sum_p(a, b) == pytest.approx(mannwhitneyu(a, b, method="exact").pvalue, rel=1e-9)


@pytest.mark.parametrize("n", [3, 5, 7])
def test_rank_sum_with_ties_is_the_permutation_test(n):
    a, b = RNG.integers(0, 3, n) * 1.0, RNG.integers(1, 4, n) * 1.0
    method = PermutationMethod(n_resamples=np.inf)
    assert rank_sum_p(a, b) == pytest.approx(mannwhitneyu(a, b, method=method).pvalue, rel=1e-9)


def test_few_tied_runs_are_counted_exactly():
    """Of the 20 ways to choose 3 of (0, 0, 1, 1, 2, 2), 4 are at least as uneven as 0, 0, 1 against 1, 2, 2."""
    assert rank_sum_p(np.array([0, 0, 1.0]), np.array([1, 2, 2.0])) == pytest.approx(4 / 20)


def test_many_runs_use_the_normal_approximation():
    a, b = RNG.normal(0.3, 1, 40), RNG.normal(0, 1, 40)
    assert rank_sum_p(a, b) == pytest.approx(mannwhitneyu(a, b, method="asymptotic").pvalue)


def test_a_worked_example_of_the_rank_sum_test():
    """Hollander & Wolfe (1973), p. 69: permeability of membranes, as in R's wilcox.test; there one-sided 0.1272."""
    term = np.array([0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46])
    early = np.array([1.15, 0.88, 0.90, 0.74, 1.21])
    assert rank_sum_p(term, early) == pytest.approx(2 * 0.1272, abs=1e-4)


def test_a_worked_example_of_the_signed_rank_test():
    """Hollander & Wolfe (1973), p. 29: Hamilton depression scale, as in R's wilcox.test; there one-sided 0.01953."""
    before = np.array([1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30])
    after = np.array([0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29])
    assert signed_rank_p(before - after) == pytest.approx(2 * 0.01953, abs=1e-5)


@pytest.mark.parametrize("n", [3, 5, 12, 20])
def test_signed_rank_without_ties_is_scipys_exact_test(n):
    d = RNG.normal(0.3, 1, n)
    assert signed_rank_p(d) == pytest.approx(wilcoxon(d, method="exact").pvalue, rel=1e-9)


def test_signed_rank_counts_all_signs_with_ties_zeros_and_failures():
    d = np.array([1, 1, -1, 2, 0, np.inf])
    ranks = np.array([2, 2, 2, 4, 5])
    observed = abs(ranks[[0, 1, 3, 4]].sum() - 7.5)
    sums = [abs((ranks * signs).sum() - 7.5) for signs in product([0, 1], repeat=5)]
    assert signed_rank_p(d) == pytest.approx(np.mean(np.array(sums) >= observed))
    assert signed_rank_p(np.zeros(4)) == 1


@pytest.mark.parametrize(("above", "below"), [(5, 0), (3, 2), (10, 10), (18, 2)])
def test_sign_test_is_the_binomial_test(above, below):
    assert sign_p(above, below) == pytest.approx(binomtest(above, above + below).pvalue)
    assert sign_p(0, 0) == 1


@pytest.mark.parametrize(("runs", "floor"), [(5, 2 / 252), (3, 2 / 20), (20, 2 / 137846528820)])
def test_the_smallest_p_is_that_of_separated_samples(runs, floor):
    assert smallest_rank_sum_p(runs, runs) == pytest.approx(floor)
    assert rank_sum_p(np.arange(runs) + 100.0, np.arange(runs) * 1.0) == pytest.approx(floor, rel=1e-6)
    assert signed_rank_p(np.arange(runs) + 1.0) == pytest.approx(smallest_sign_p(runs)) == sign_p(runs, 0)


@pytest.mark.parametrize("runs", [2, 3, 5, 20])
def test_constant_samples_never_fall_below_the_floor(runs):
    assert rank_sum_p(np.ones(runs), np.zeros(runs)) >= smallest_rank_sum_p(runs, runs) * (1 - 1e-9)
    assert rank_sum_p(np.ones(runs), np.ones(runs)) == pytest.approx(1)


def test_superiority_and_its_variance_are_brunner_and_munzels():
    a, b = RNG.integers(0, 9, 12) * 1.0, RNG.integers(2, 9, 9) * 1.0
    padded = np.array([[*b, *[np.nan] * 4]])
    share, variance = superiority(np.array([*a, np.nan]), padded)
    assert share[0] == pytest.approx(np.mean([(x > y) + 0.5 * (x == y) for x in a for y in b]))
    statistic = brunnermunzel(b, a).statistic
    assert (share[0] - 0.5) / np.sqrt(variance[0]) == pytest.approx(statistic)


@pytest.mark.parametrize("runs", [3, 5, 20])
@pytest.mark.parametrize("share", [0.0, 1.0])
def test_an_interval_has_a_width_where_all_runs_of_one_are_better(runs, share):
    n = np.array([runs])
    low, high = superiority_interval(np.array([share]), np.zeros(1), n, n)
    assert 0 <= low[0] <= share <= high[0] <= 1
    assert 0.05 < high[0] - low[0] < 1


def test_an_interval_has_newcombes_ends():
    """Newcombe (2006), method 5, solved here for its lower end; equal spread, so that the placements' is not larger."""
    low, _ = superiority_interval(np.array([0.8]), np.zeros(1), np.array([10]), np.array([12]))
    x, half = low[0], (10 + 12) / 2 - 1
    variance = x * (1 - x) * (1 + half * ((1 - x) / (2 - x) + x / (1 + x))) / 120
    assert (0.8 - x) ** 2 == pytest.approx(1.959964**2 * variance, rel=1e-5)


@pytest.mark.parametrize(("wins", "n"), [(0, 5), (3, 7), (20, 20)])
def test_wilsons_interval_is_that_of_statsmodels(wins, n):
    low, high = wilson(np.array([wins / n]), np.array([n]))
    assert (low[0], high[0]) == pytest.approx(proportion_confint(wins, n, method="wilson"), abs=1e-6)


def test_pairs_are_tested_and_holm_corrected_over_all():
    scores = [RNG.normal(mean, 1, 20) for mean in (3, 2, 0, 0)]
    table = compare(rows(scores))
    raw = [mannwhitneyu(scores[i], scores[j], method="exact").pvalue for i, j in combinations(range(4), 2)]
    assert table["p"].tolist() == pytest.approx(raw)
    assert table["p_holm"].tolist() == pytest.approx(multipletests(raw, method="holm")[1].tolist())
    assert table["p_holm_ok"].tolist() == table["p_holm"].tolist()
    assert (table["cliffs_delta"] == 2 * table["superiority"] - 1).all()
    assert table["smallest_p"].tolist() == pytest.approx([6 * smallest_rank_sum_p(20, 20)] * 6)


def test_failed_runs_rank_last_and_are_left_out_beside_it():
    good, half = [1.0, 1.1, 1.2, 1.3, 1.4, 1.5], [2.0, 2.1, 2.2, FAILED, FAILED, FAILED]
    found = compare(rows([half, good])).iloc[0]
    assert found["superiority"] == 0.5
    assert found["p"] == pytest.approx(rank_sum_p(np.array(half), np.array(good)))
    assert found["p_holm_ok"] == pytest.approx(2 / 84)
    both = compare(rows([[FAILED] * 3, [FAILED] * 3])).iloc[0]
    assert (both["superiority"], both["p"]) == (0.5, 1)
    assert np.isnan(both["p_holm_ok"])


def test_a_deterministic_row_is_a_constant_and_not_twenty_equal_runs():
    seeds = np.array([1.0, 2, 3, 4, 5, 6, 7, 8])
    table = compare(rows([seeds, [0.5], [4.0], [0.5]], deterministic="bcd"))
    below, inside = pair(table, "a", "b"), pair(table, "a", "c")
    assert (below["test"], below["superiority"]) == ("sign", 1)
    assert below["p"] == pytest.approx(2 / 2**8)
    assert inside["superiority"] == (4 + 0.5) / 8
    assert inside["p"] == pytest.approx(binomtest(4, 7).pvalue)
    two, same = pair(table, "b", "c"), pair(table, "b", "d")
    assert (two["test"], two["differ"], same["differ"]) == ("none", True, False)
    assert np.isnan([two["p"], two["low"], same["p"]]).all()


def test_shared_seeds_are_compared_seed_by_seed():
    base = RNG.normal(0, 5, 12)
    scores = [base, base + 0.1 + RNG.uniform(0, 0.1, 12), RNG.normal(0, 5, 12)]
    table = compare(rows(scores, pairing=["dec", "dec", None]))
    paired, other = pair(table, "a", "b"), pair(table, "a", "c")
    assert (paired["test"], other["test"]) == ("signed-rank", "mann-whitney")
    assert paired["p"] == pytest.approx(smallest_sign_p(12))
    assert paired["superiority"] == 0
    assert 0 < paired["high"] < 0.3


def test_a_single_run_of_a_method_with_seeds_is_not_tested():
    table = compare(rows([[1.0], [2.0, 3.0], [4.0, 5.0]]))
    assert table["test"].tolist() == ["none", "none", "mann-whitney"]
    assert table["p"].isna().tolist() == [True, True, False]


def test_few_seeds_cannot_reach_five_per_cent_and_say_so():
    found = compare(rows([[1.0, 2, 3], [7.0, 8, 9]])).iloc[0]
    assert found["p"] == found["smallest_p"] == pytest.approx(0.1)
    assert not found["differ"]


def brute_force(differ):
    """Return the largest groups of rows of which no two differ."""
    size = len(differ)
    groups = [
        set(group)
        for n in range(1, size + 1)
        for group in combinations(range(size), n)
        if not any(differ[i, j] for i, j in combinations(group, 2))
    ]
    return [group for group in groups if not any(group < other for other in groups)]


@pytest.mark.parametrize("seed", range(40))
def test_rows_share_a_letter_exactly_if_they_do_not_differ(seed):
    rng = np.random.default_rng(seed)
    size = int(rng.integers(1, 8))
    differ = np.triu(rng.random((size, size)) < rng.uniform(0.1, 0.9), 1)
    differ |= differ.T
    found = letters(differ)
    for i, j in combinations(range(size), 2):
        assert bool(set(found[i]) & set(found[j])) is not bool(differ[i, j])
    groups = [{i for i in range(size) if letter in found[i]} for letter in sorted(set("".join(found)))]
    assert all(group in brute_force(differ) for group in groups)
    for left_out in range(len(groups)):
        kept = groups[:left_out] + groups[left_out + 1 :]
        pairs = {pair for group in kept for pair in combinations(sorted(group), 2)}
        all_pairs = {(i, j) for i, j in combinations(range(size), 2) if not differ[i, j]}
        assert not pairs >= all_pairs or set.union(set(), *kept) != set(range(size))


def test_letters_of_a_worked_example():
    """R's pairwise.wilcox.test(chickwts) with Holm's correction, as the documentation of the R package cld shows it.

    casein ac, horsebean b, linseed bc, meatmeal ac, soybean c, sunflower a in their order; groups are the same sets.
    """
    names = ["casein", "sunflower", "meatmeal", "soybean", "linseed", "horsebean"]
    told = {("casein", "horsebean"), ("casein", "linseed"), ("casein", "soybean"), ("horsebean", "meatmeal")}
    told |= {("horsebean", "soybean"), ("horsebean", "sunflower"), ("linseed", "sunflower"), ("soybean", "sunflower")}
    differ = np.array([[(a, b) in told or (b, a) in told for b in names] for a in names])
    assert dict(zip(names, letters(differ), strict=True)) == {
        "casein": "a",
        "sunflower": "a",
        "meatmeal": "ab",
        "soybean": "b",
        "linseed": "bc",
        "horsebean": "c",
    }


def test_interquartile_mean_leaves_out_a_quarter_at_each_end():
    assert interquartile_mean(np.array([0, 1, 2, 3, 4, 5, 6, 100.0])) == pytest.approx(3.5)
    assert interquartile_mean(np.array([1.0, 2, 6])) == pytest.approx(3)
    assert np.isnan(interquartile_mean(np.array([])))


def test_the_interval_of_few_runs_is_students():
    values = np.array([1.0, 2, 6])
    half = 4.302653 * values.std(ddof=1) / np.sqrt(3)
    assert iqm_interval(values) == pytest.approx((3 - half, 3 + half), rel=1e-6)


def test_the_interval_of_a_trimmed_mean_is_yuens():
    """With 20 runs: standard error from the Winsorised sum of squares over h (h - 1), h = 10."""
    values = np.sort(RNG.normal(0, 1, 20))
    winsorised = np.clip(values, values[5], values[14])
    error = np.sqrt(winsorised.var() * 20 / 90)
    low, high = iqm_interval(values)
    assert (high - low) / 2 == pytest.approx(2.262157 * error, rel=1e-6)


def test_omnibus_is_kruskal_wallis_and_a_permutation_test_for_few_runs():
    many = [RNG.normal(mean, 1, 12) for mean in (0, 0, 1)]
    assert omnibus(rows(many))["p"] == pytest.approx(kruskal(*many).pvalue)
    few = [np.array([1.0, 2, 3]), np.array([4.0, 5, 6]), np.array([7.0, 8, 9])]
    assert omnibus(rows(few))["p"] == pytest.approx(6 / 1680, rel=0.4)  # of 9! / (3!)^3 partitions, 3! are as uneven
    assert omnibus(rows([[1.0, 1], [1.0, 1]]))["p"] == 1
    assert np.isnan(omnibus(rows([[1.0, 2], [3.0]], deterministic="b"))["p"])
