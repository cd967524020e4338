"""Is it the papers' data: agreement is found where everything fits, and every planted difference is found and named."""

import json

import numpy as np
import pytest
from published_world import DAYS, K, make_world, matrix_of, metrics_of

from regimebench.evidence.published import AGREES, DIFFERS, NEAR, OPEN
from regimebench.evidence.shown import as_markdown, tables
from regimebench.evidence.verdict import CONSISTENT, OTHER, UNDECIDED, Findings


@pytest.fixture
def world(tmp_path):
    return make_world(tmp_path)


def numbers(findings, status):
    return {(number.vector, number.metric) for number in findings.labels.numbers if number.status == status}


@pytest.mark.parametrize("variant", ["standard", "paper"])
def test_the_data_themselves_are_recognised(world, variant):
    found = world.examine(variant)
    assert found.word == CONSISTENT, found.verdict
    assert [fact.status for fact in found.facts] == [AGREES] * 5
    assert "9 of 9 printed values agree in every digit" in found.verdict
    assert "10 of 10 numbers printed for published label vectors are reproduced" in found.verdict
    assert found.labels.without == ["lost (notebook)", "one, two, ward, wrong (Table 2)"]


def test_total_inertia_is_the_sum_of_the_column_variances(world):
    inertia = world.examine().inertia
    assert inertia.ours == pytest.approx(matrix_of(world.fields).var(axis=0).sum(), rel=1e-6)
    assert inertia.low < inertia.ours < inertia.high
    rows = {row.row: (row.status, row.note) for row in inertia.rows}
    assert rows["two"] == (AGREES, "")
    assert rows["one"] == (AGREES, "with 3 clusters that have days")
    assert rows["wrong"][0] == DIFFERS


def test_a_contradicting_row_is_told_which_rmse_would_fit(world):
    wrong = next(row for row in world.examine().inertia.rows if row.row == "wrong")
    inertia, (n, k) = matrix_of(world.fields).var(axis=0).sum(), (DAYS, 4)
    fitting = np.sqrt(inertia / (1 + float(wrong.ch) * (k - 1) / (n - k)))
    assert wrong.note == f"RMSE {fitting:.3f} would fit its CH"


def test_every_number_names_its_definition_and_how_the_table_got_it(world):
    found = {(n.vector, n.metric): n for n in world.examine().labels.numbers}
    titles = {metric: found["one", metric].definition for metric in ("silhouette", "variance", "icd")}
    assert titles == {
        "silhouette": "Silhouette (cosine)",
        "variance": "Variance (pooled, without padding)",
        "icd": "Inter-cluster distance (row minimum)",
    }
    assert {n.in_table for (vector, _), n in found.items() if vector == "one"} <= {"cut", "rounded"}
    assert {n.in_table for (vector, _), n in found.items() if vector == "two"} == {"rounded"}
    assert all(number.digits >= 6 for number in found.values())


def test_a_variance_printed_for_the_padded_array_is_told_from_the_other(world):
    X = matrix_of(world.fields, size=16)
    world.notebook["one"]["variance"] = repr(float(metrics_of(X, world.labels["one"].to_numpy())["variance"]))
    found = world.examine()
    assert {n.definition for n in found.labels.numbers if n.metric == "variance" and n.vector == "one"} == {
        "Variance (pooled)"
    }


# Each case breaks one thing and says what the verdict must begin with and mention.
def two_units_off(world):
    _add(world, 0, "p", units=2)


def two_units_off_in_a_flux(world):
    _add(world, 2, "flux", units=2)


def most_one_unit_off(world):
    for place in range(3):
        for name in ("t", "p"):
            _add(world, place, name, units=1)


def _add(world, place, name, units):
    values = world.facts["spots"][place]["values"]
    mantissa, exponent = values[name].split("e")
    values[name] = f"{float(mantissa) + units / 1000:.3f}e{exponent}"


def days_later(world):
    world.fields = world.fields.assign_coords(time=world.fields.time + np.timedelta64(1, "D"))


def fields_a_day_later(world):
    world.fields = world.fields.roll(time=1)


def scaled_variable(world):
    world.fields["t"] = (world.fields["t"] * 1.01).assign_attrs(units="K")


def other_column(world):
    world.fields["p"] = world.fields["p"].where(world.fields["lat"] > 42.1, world.fields["p"].isel(time=0) * 0 + 1e5)


def other_gaps(world):
    world.fields["p"] = world.fields["p"].where(world.fields["lat"] < 43)


def other_grid(world):
    world.fields = world.fields.assign_coords(lon=world.fields.lon + 0.125)


def variable_left_out(world):
    world.fields = world.fields.drop_vars("flux")


@pytest.mark.parametrize(
    ("change", "mentioned"),
    [
        (two_units_off, ["1 of 9 printed values differ: p at 43N 33W on 2021-01-01", "units of the last digit)"]),
        (most_one_unit_off, ["3 of 9 printed values agree in every digit, 6 but for one unit of the last: t at 43N"]),
        (two_units_off_in_a_flux, ["1 of 9", "flux at 42N 31.75W on 2021-02-09", "all of them fluxes"]),
        (
            days_later,
            ["days: here 40 from 2021-01-02 to 2021-02-10, in the authors' file 40 from 2021-01-01 to 2021-02-09"],
        ),
        (fields_a_day_later, ["printed values differ", "numbers printed for published label vectors"]),
        (scaled_variable, ["printed values differ: t at 43N 33W"]),
        (other_column, ["total inertia per day is"]),
        (other_gaps, ["cells without values: here t (2 cells), p (6 cells), in the authors' file t"]),
        (
            other_grid,
            ["grid: here 5 x 6, 43N 32.875W to 42N 31.625W, in the authors' file 5 x 6, 43N 33W to 42N 31.75W"],
        ),
        (variable_left_out, ["variables: here t, p, in the authors' file t, p, flux"]),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_each_planted_difference_is_found_and_named(world, change, mentioned):
    change(world)
    found = world.examine()
    assert found.word == OTHER
    assert found.verdict.startswith("differs: ")
    assert [text for text in mentioned if text not in found.verdict] == [], found.verdict


def test_a_last_digit_that_packing_can_move_is_named_and_decides_nothing(world):
    _add(world, 0, "p", units=1)
    found = world.examine()
    assert found.word == CONSISTENT
    assert "8 of 9 printed values agree in every digit, 1 but for one unit of the last: p at 43N 33W" in found.verdict
    assert [spot.status for spot in found.spots].count(NEAR) == 1


def test_a_scaled_variable_changes_no_distance_so_only_its_values_tell(world):
    scaled_variable(world)
    found = world.examine()
    assert {spot.variable for spot in found.spots if spot.status == DIFFERS} == {"t"}
    assert (found.inertia.status, found.labels.status) == (AGREES, AGREES)


def test_one_changed_label_is_traced_to_its_vector(world):
    world.labels.loc[world.labels.index[7], "two"] = (world.labels["two"].iloc[7] + 1) % 4
    found = world.examine()
    assert numbers(found, AGREES) == {("one", number.metric) for number in found.labels.numbers}
    assert found.word == CONSISTENT
    assert "5 of 10 numbers" in found.verdict
    assert set(found.labels.missed) == {f"two_again {number.metric}" for number in found.labels.numbers}
    assert f"not reproduced: {', '.join(found.labels.missed)}." in found.verdict


def test_labels_of_other_data_reproduce_nothing(world):
    world.labels = world.labels.sample(frac=1, random_state=0).set_axis(world.labels.index)
    found = world.examine()
    assert found.verdict.startswith("differs: 0 of 10 numbers printed for published label vectors are reproduced")


def test_a_table_that_contradicts_its_notebook_is_named_and_decides_nothing(world):
    world.tables[0]["rows"]["two"]["icd"] = "0.123"
    found = world.examine()
    assert found.word == CONSISTENT
    assert [(n.metric, n.in_table, n.note) for n in found.labels.numbers if n.note] == [
        ("icd", "no", "table contradicts notebook")
    ]


def test_another_order_of_variables_and_other_units_change_no_metric(world):
    world.fields = world.fields[["p", "flux", "t"]].assign(p=(world.fields["p"] / 100).assign_attrs(units="hPa"))
    found = world.examine()
    assert found.word == CONSISTENT
    assert [fact.name for fact in found.facts if fact.status == NEAR] == ["variables", "units"]
    assert "6 of 9 printed values agree in every digit (3 cannot be compared)" in found.verdict
    assert {spot.note for spot in found.spots if spot.status == OPEN} == {"the cube has it in hPa, printed in Pa"}


def test_a_probable_place_decides_only_if_most_of_its_values_agree(world):
    _add(world, 1, "p", units=5)
    assert world.examine().word == OTHER
    _add(world, 1, "t", units=5)
    found = world.examine()
    assert found.word == CONSISTENT
    assert "3 do not count: their place is only probable, and most differ" in found.verdict


@pytest.mark.parametrize(
    ("choice", "note"),
    [
        ({"time": slice(1, None)}, "the cube has no such day"),
        ({"lat": slice(1, None)}, "the cube has no such cell; the nearest, 42.75N 33W, is 0.25 degrees away"),
    ],
)
def test_printed_values_outside_the_cube_are_said_to_be_outside(world, choice, note):
    world.fields = world.fields.isel(choice)
    first = world.examine().spots[0]
    assert (first.status, first.ours, first.note) == (OPEN, None, note)


def test_a_cell_without_a_value_is_said_to_have_none(world):
    world.facts["spots"][0]["lat"] = float(world.fields.lat[2])
    world.facts["spots"][0]["lon"] = float(world.fields.lon[2])
    assert world.examine().spots[0].note == "the cube has no value in this cell"


def test_longitudes_from_0_to_360_are_the_same_grid(world):
    world.fields = world.fields.assign_coords(lon=world.fields.lon % 360)
    assert world.examine().word == CONSISTENT


def test_a_curvilinear_grid_is_compared_too(world):
    lat, lon = np.meshgrid(world.fields.lat, world.fields.lon, indexing="ij")
    flat = world.fields.drop_vars(["lat", "lon"]).rename(lat="y", lon="x")
    world.fields = flat.assign_coords(lat=(("y", "x"), lat), lon=(("y", "x"), lon))
    found = world.examine()
    assert [fact.name for fact in found.facts if fact.status == DIFFERS] == ["grid"]
    assert found.spot_status == AGREES


def test_data_that_no_paper_describes_cannot_be_told_to_be_the_papers(world):
    found = world.examine(name="other")
    assert found.verdict.startswith("differs: total inertia per day is")
    assert "nothing published says which region and variables the papers used" in found.verdict
    inertia = matrix_of(world.fields).var(axis=0).sum()
    for row in world.tables[2]["rows"].values():
        row |= {"rmse": f"{np.sqrt(inertia / (1 + 20 * (K - 1) / (DAYS - K))):.5f}"}
    found = world.examine(name="other")
    assert found.verdict.startswith("cannot be decided: total inertia per day is")
    assert "nothing published says which region and variables the papers used" in found.verdict


def test_nothing_published_is_said(world):
    found = world.examine(name="unheard_of")
    assert (found.word, tables(found)) == (UNDECIDED, [])
    assert found.verdict == "cannot be decided: nothing that could be compared is published about 'unheard_of'."


def test_findings_survive_their_file(world):
    found = world.examine()
    assert Findings.from_json(json.loads(json.dumps(found.as_json()))) == found
    assert list(found.as_json())[:2] == ["word", "verdict"]


def test_markdown_holds_the_verdict_and_every_table(world):
    text = as_markdown(world.examine())
    assert text.startswith("# world: is this the papers' data?\n\n**consistent with the authors' file**: 9 of 9")
    titles = [line[3:] for line in text.splitlines() if line.startswith("## ")]
    assert titles == [
        "The file", "Printed values of the authors' file", "Total inertia per day",
        "Numbers printed for published label vectors", "Published label vectors by every definition",
    ]  # fmt: skip
