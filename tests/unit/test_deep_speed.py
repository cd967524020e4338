"""The speed table: what counts as an epoch, and that the table shows what was measured."""

from dataclasses import replace

import pytest

from benchmarks import deep_speed, training_time
from benchmarks.deep_rows import ALIKE, ROWS, trained_addresses
from benchmarks.training_time import WARM_UP, StepClock, Task, Timed
from regimebench import frameworks, registry

SMALL = Task("dec", {"layer_steps": 0}, shape=(40, 4, 4, 2), seconds=0.0, smoke=True)


def run(clock: StepClock, steps: int) -> None:
    for _ in range(steps):
        clock.step()


def test_an_epoch_is_one_pass_over_all_days_whatever_the_batches():
    clock = StepClock(n_days=10, batch_size=4, seconds=0.0, least=3)  # passes of 4, 4 and 2 days
    with pytest.raises(Timed):
        run(clock, 100)
    assert clock.done == WARM_UP + 3
    assert clock.epochs == 1  # 2, 4 and 4 days after a warm-up of two steps
    clock = StepClock(n_days=10, batch_size=4, seconds=0.0, least=1)
    with pytest.raises(Timed):
        run(clock, 100)
    assert clock.epochs == 0.2


def test_the_time_is_scaled_to_an_epoch_without_the_warm_up(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(training_time.time, "perf_counter", lambda: now[0])
    clock = StepClock(n_days=8, batch_size=1, seconds=4.0, least=1)
    for _ in range(WARM_UP + 1):
        now[0] += 2.0
        clock.step()
    now[0] += 2.0
    with pytest.raises(Timed):
        clock.step()
    assert clock.done == WARM_UP + 2
    assert clock.result()["seconds_per_epoch"] == pytest.approx(4 / (2 / 8))


def test_training_that_ends_too_soon_is_no_measurement():
    with pytest.raises(ValueError, match="training ended after 2 steps"):
        training_time.measure(replace(SMALL, parameters={"layer_steps": 0, "joint_steps": 2, "max_steps": 0}))


def test_a_parameter_that_a_method_has_not_is_named():
    with pytest.raises(ValueError, match=r"dec has no parameters \['pretend'\]"):
        _ = replace(SMALL, parameters={"pretend": 1}).chosen


def test_torch_steps_are_timed_in_a_process_of_their_own():
    found = deep_speed.measured(SMALL, threads=1)
    assert found["steps"] >= SMALL.least
    assert found["seconds_per_epoch"] > 0
    assert found["peak_rss_mib"] > 10


@pytest.mark.skipif(not frameworks.installed("tensorflow"), reason="TensorFlow is not installed")
def test_keras_steps_are_timed_in_a_process_of_their_own():
    row = next(row for row in ROWS if row.keras == "dec_tf")
    given = deep_speed.arguments(["--quick", "--seconds", "0"])
    found = deep_speed.measured(deep_speed.tasks(row, given)["keras"], threads=1)
    assert found["steps"] >= row.least
    assert found["seconds_per_epoch"] > 0


def test_a_training_that_fails_says_why():
    with pytest.raises(RuntimeError, match="has no parameters"):
        deep_speed.measured(replace(SMALL, parameters={"pretend": 1}), threads=1)


def test_every_torch_method_that_trains_is_in_the_table_or_like_one_that_is():
    trained, shown = set(trained_addresses()), {row.address for row in ROWS}
    assert trained == shown | ALIKE
    assert not shown & ALIKE


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.address}, {row.what}, {row.parameters.get('batch_size')}")
def test_rows_name_parameters_that_both_sides_have(row):
    chosen = Task(row.address, row.parameters).chosen
    if row.keras and row.keras not in training_time.KERAS_ONLY:
        assert set(chosen) - training_time.TORCH_ONLY <= set(registry.method(row.keras).parameters)


def test_the_page_shows_medians_extremes_and_ratios_within_turns():
    found = {
        "torch": [{"seconds_per_epoch": s, "peak_rss_mib": 400.0, "epochs": 2, "steps": 8} for s in (1.0, 2.0, 4.0)],
        "keras": [{"seconds_per_epoch": s, "peak_rss_mib": m} for s, m in ((3.0, 900.0), (4.0, 1900.4), (6.0, 800.0))],
    }
    given = deep_speed.arguments(["--repeats", "3", "--threads", "2"])
    page = deep_speed.report([(ROWS[0], found)], given)
    row = next(line for line in page.splitlines() if line.startswith("| `dec`"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[:3] == ["`dec`", "auto-encoder", "256"]
    assert cells[3] == "0.500 [0.250, 1.00]"
    assert cells[4:7] == ["2.00 [1.00, 4.00]", "4.00 [3.00, 6.00]", "2.0 [1.5, 3.0]"]
    assert cells[7:] == ["400", "1,900"]
    assert "365 x 41 x 41 x 7" in page
    assert "no Keras model" in deep_speed.line(replace(ROWS[0], keras=None), {"torch": found["torch"]}, given)
