"""Diagnostics by hand, what must not break them, and the page that names them and the alarms."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from regimebench.alarms import ALARMS
from regimebench.diagnostics import GROUPS, diagnose, grouped
from regimebench.method import ContractError, Fit, check_fit
from regimebench.registry import ROOT

K = 3
TIME = np.datetime64("2021-01-01") + np.arange(365)
PAGE = (ROOT / "docs" / "diagnostics.md").read_text()


def found(n_clusters=K, labels=None, time=TIME, **parts):
    """Return the diagnostics of a fit with these parts; two labels that alternate unless others are given."""
    n = len(next(iter(parts.values()))) if labels is None else len(labels)
    labels = np.arange(n) % 2 if labels is None else np.asarray(labels)
    fit = check_fit(Fit(labels, **parts), n, n_clusters)
    return diagnose(fit, time[:n], n_clusters)


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


# Labels


def test_sizes_of_clusters():
    values = found(4, [0] * 6 + [1] * 3 + [3] * 3)
    assert values["largest_cluster"] == 0.5
    assert values["empty_clusters"] == 1
    # H(1/2, 1/4, 1/4) = 1.5 bits of the 2 that four equal clusters have
    assert values["size_entropy"] == pytest.approx(0.75)


def test_one_cluster_asked_for_has_no_entropy():
    assert "size_entropy" not in found(1, [0, 0, 0])


def test_mean_run_length():
    assert found(3, [0, 0, 0, 1, 2, 2])["run_length"] == 2


def test_calendar_months_and_blocks_are_recognised():
    months = TIME.astype("datetime64[M]").astype(int) % 12
    assert found(12, months)["calendar_months"] == 1
    assert found(12, months)["calendar_blocks"] < 0.95
    blocks = np.arange(365) * 5 // 365
    assert found(5, blocks)["calendar_blocks"] == 1
    assert found(5, blocks)["calendar_months"] < 0.7
    noise = found(5, np.random.default_rng(0).integers(5, size=365))
    assert abs(noise["calendar_blocks"]) < 0.05
    assert abs(noise["calendar_months"]) < 0.05


def test_blocks_are_the_same_in_every_year_and_a_winter_is_not_cut_at_new_year():
    years = np.datetime64("2021-01-01") + np.arange(730)
    assert found(5, np.arange(730) % 365 * 5 // 365, years)["calendar_blocks"] == 1
    winter = np.datetime64("2020-12-01") + np.arange(90)
    assert found(3, np.arange(90) // 30, winter)["calendar_blocks"] == 1


def test_agreement_is_the_adjusted_rand_index():
    labels = [0, 0, 0, 1, 1, 1]
    values = found(2, labels, other_labels={"argmax": np.array([0, 0, 1, 1, 1, 1]), "plain_cut": 1 - np.array(labels)})
    assert values["agreement_plain_cut"] == 1
    # pairs together: 6 in one, 7 in the other, 4 in both, 15 in all: (4 - 2.8) / (6.5 - 2.8)
    assert values["agreement_argmax"] == pytest.approx(1.2 / 3.7)


@pytest.mark.parametrize("k", [(2, 2), (3, 7), (1, 1), (1, 3), (40, 40), (40, 2)])
def test_agreement_equals_that_of_scikit_learn(k):
    one, other = (np.random.default_rng(i).integers(k[i], size=40) if k[i] < 40 else np.arange(40) for i in (0, 1))
    expected = adjusted_rand_score(one, other)
    assert found(40, one, other_labels={"x": other})["agreement_x"] == pytest.approx(expected, abs=1e-12)


def test_a_fit_without_self_expression_is_examined_without_heavy_imports():
    code = (
        "import sys; from regimebench.diagnostics import diagnose; from regimebench.method import Fit; "
        "import numpy as np; t = np.datetime64('2021-01-01') + np.arange(9); z = np.arange(9) % 2; "
        "diagnose(Fit(z, embedding=np.ones((9, 5)), other_labels={'x': z}), t, 2); "
        "print([m for m in ('sklearn', 'scipy', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"


# Embedding


def test_spectrum_and_effective_rank():
    values = found(embedding=np.diag([3.0, 3.0, 3.0, 3.0]))
    assert values["top_share"] == pytest.approx(0.25)
    assert values["effective_rank"] == pytest.approx(4)
    # without their mean four equal and orthogonal days span three dimensions alike
    assert values["top_share_centred"] == pytest.approx(1 / 3)
    assert values["effective_rank_centred"] == pytest.approx(3)
    values = found(embedding=np.diag([3.0, 1.0]))
    assert values["top_share"] == pytest.approx(0.9)
    assert values["effective_rank"] == pytest.approx(np.exp(-0.9 * np.log(0.9) - 0.1 * np.log(0.1)))


@pytest.mark.parametrize("shape", [(30, 7), (7, 30)])
def test_the_smaller_side_gives_the_spectrum_of_the_larger(shape):
    Z = random(*shape)
    energy = np.linalg.svd(Z - Z.mean(axis=0), compute_uv=False) ** 2
    share = energy[energy > 1e-9] / energy.sum()
    values = found(embedding=Z)
    assert values["top_share_centred"] == pytest.approx(share.max())
    assert values["effective_rank_centred"] == pytest.approx(np.exp(-(share * np.log(share)).sum()))


def test_spread_is_the_part_of_the_norm_that_the_mean_day_leaves():
    # norms: 10 with, sqrt 50 without the mean day (0, 5)
    assert found(embedding=np.array([[5.0, 5.0], [-5.0, 5.0]]))["spread"] == pytest.approx(np.sqrt(0.5))


def test_twins_are_days_apart_that_point_the_same_way_or_the_opposite_one():
    Z = random(8, 200)
    assert found(embedding=Z)["twins"] == 0
    Z[1] = 5 * Z[0]
    assert found(embedding=Z)["twins"] == 0, "neighbours in time are alike anyhow"
    Z[4] = -0.1 * Z[2]
    assert found(embedding=Z)["twins"] == 2 / 8
    Z[[3, 7]] = 0
    assert found(embedding=Z)["twins"] == 4 / 8, "two days of zeros are the same day"


@pytest.mark.parametrize(("degrees", "share"), [(2.5, 1.0), (2.7, 0.0)])
def test_twins_differ_by_less_than_an_angle(degrees, share):
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    Z = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [c, 0, s, 0], [0, c, 0, s]])
    assert found(embedding=Z)["twins"] == share


def test_twins_are_found_across_blocks(monkeypatch):
    Z = random(9, 20)
    Z[8] = Z[2]
    Z[5] = Z[3]
    whole = found(embedding=Z)["twins"]
    monkeypatch.setattr("regimebench.diagnostics.BLOCK_VALUES", 18)
    assert found(embedding=Z)["twins"] == whole == pytest.approx(4 / 9)


def test_few_dimensions_and_few_days_have_no_twins_to_speak_of():
    assert "twins" not in found(embedding=random(20, 3))
    assert "twins" not in found(embedding=random(2, 20))


def test_dead_units_are_those_that_never_change():
    Z = random(50, 4)
    Z[:, 0], Z[:, 1] = 0, 10 + 1e-8 * Z[:, 1]
    Z[:, 2] *= 1e-4
    assert found(embedding=Z)["dead_units"] == 0.5
    assert found(embedding=Z - Z.mean(axis=0))["dead_units"] == 0.5, "what is left of them are rounding errors"


def test_norm_ratio_compares_the_last_look_with_the_first():
    labels = np.arange(4) % 2
    assert found(labels=labels, history={"embedding_norm": [8.0, 4.0, 2.0]})["norm_ratio"] == 0.25
    for norms in ([8.0], [], [0.0, 1.0], [0.0, 0.0]):
        assert "norm_ratio" not in found(labels=labels, history={"embedding_norm": norms})


# Self-expression


def test_self_expression_by_hand():
    C = np.array([[0.5, 0.5, 0, 0], [0.5, 0.5, 0, 0], [0, 0, 0, 2.0], [0, 0, 1e-4, 1.0]])
    Z = np.array([[1.0, 0], [3, 0], [0, 2], [0, 1]])
    values = found(2, self_expression=C, embedding=Z)
    assert values["c_diagonal"] == 0.5
    assert values["c_norm"] == pytest.approx(np.sqrt(6 / 4))
    assert values["c_nonzeros"] == 1
    assert values["c_components"] == 2
    # Z - C Z is (-1, 0), (1, 0), (0, 0) and, but for the tiny coefficient, (0, 0)
    assert values["residual"] == pytest.approx(np.sqrt(2 / 15), rel=1e-6)


def test_a_coefficient_counts_beside_the_largest_of_its_day():
    C = np.zeros((4, 4))
    C[0, 1:] = 1, 0.9e-3, 1.1e-3
    values = found(2, self_expression=C)
    assert values["c_nonzeros"] == 2 / 4
    assert values["c_components"] == 2
    assert "residual" not in values


def test_days_that_no_coefficient_joins_are_components():
    assert found(2, self_expression=np.eye(5))["c_components"] == 5
    assert found(2, self_expression=np.zeros((5, 5)))["c_components"] == 5


def test_self_expression_in_blocks_is_the_same(monkeypatch):
    C, Z = random(9, 9), random(9, 4, seed=1)
    whole = found(2, self_expression=C, embedding=Z)
    monkeypatch.setattr("regimebench.diagnostics.BLOCK_VALUES", 18)
    assert found(2, self_expression=C, embedding=Z) == pytest.approx(whole)
    assert whole["residual"] == pytest.approx(np.linalg.norm(Z - C @ Z) / np.linalg.norm(Z))


# What must not break it


@pytest.mark.parametrize(
    "Z",
    [
        np.zeros((5, 4)),
        np.full((5, 4), 0.1, np.float32),
        random(5),
        random(5, 1),
        random(5, 0),
        random(5, 2, 3, 2),
        random(3, 20_000),
        random(2, 2),
        random(5, 4) * 1e-300,
        random(5, 4) * 1e300,
        np.arange(20).reshape(5, 4),
    ],
    ids=["zeros", "constant", "a series", "one unit", "no unit", "maps", "wide", "two days", "tiny", "huge", "integer"],
)
def test_any_embedding_gives_finite_numbers(Z, recwarn):
    values = found(embedding=Z, self_expression=np.full((len(Z), len(Z)), 1e200))
    assert np.isfinite(list(values.values())).all()
    assert not recwarn.list
    assert ("spread" in values) == (Z.size > 0)


def test_a_constant_embedding_has_no_spectrum_of_rounding_errors():
    values = found(embedding=np.full((50, 4), 0.1) + 1e-9 * random(50, 4))
    assert values["spread"] < 1e-6
    assert "effective_rank_centred" not in values
    assert values["dead_units"] == 1


def test_what_a_method_says_is_kept_but_not_instead_of_what_is_computed():
    values = found(labels=[0, 1], diagnostics={"critic_gap": np.float32(0.5), "run_length": 7})
    assert values["critic_gap"] == 0.5
    assert values["run_length"] == 1


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ({"diagnostics": {"gap": np.nan}}, r"diagnostics\['gap'\] is nan; leave out what has no value"),
        ({"diagnostics": {"gap": None}}, r"diagnostics\['gap'\] is None; a number is required"),
        ({"diagnostics": {"Gap 1": 1.0}}, "'Gap 1' names other labels or a diagnostic; allowed are a-z, 0-9 and _"),
        ({"other_labels": {"a/b": [0, 1]}}, "'a/b' names other labels"),
        ({"other_labels": {"argmax": [0, 9]}}, r"other_labels\['argmax'\]: day 1 has label 9"),
        ({"other_labels": {"argmax": [0]}}, r"other_labels\['argmax'\] have shape \(1,\)"),
        ({"self_expression": np.ones((2, 3))}, "self_expression has shape"),
    ],
)
def test_the_contract_of_the_new_parts(parts, sentence):
    with pytest.raises(ContractError, match=sentence):
        check_fit(Fit(np.array([0, 1]), **parts), 2, K)


def test_every_diagnostic_has_its_place_in_the_tables():
    names = ["critic_gap", "agreement_argmax", "twins", "run_length", "residual"]
    assert grouped(names) == {
        "labels": ["run_length", "agreement_argmax"],
        "embedding": ["twins"],
        "self-expression": ["residual"],
        "the methods' own": ["critic_gap"],
    }
    values = found(embedding=random(9, 5), self_expression=random(9, 9), history={"embedding_norm": [1, 2]})
    assert sorted(values) == sorted(name for names in GROUPS.values() for name in names)


# The page


def rows(heading):
    """Return the first cells of the table below a heading of the page, without quotes."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines]


def test_the_page_names_every_diagnostic_and_every_alarm_as_they_are():
    documented = [row[0] for row in rows("What is computed") if row[0] != "agreement_<name>"]
    assert documented == [name for names in GROUPS.values() for name in names]
    assert [row[:3] for row in rows("Alarms")] == [[a.mark, a.rule, "yes" if a.collapse else "no"] for a in ALARMS]
