"""The fault-injection suite at a reduced count: every kind of fault once or more, with the short driver.

In full, and with Snakemake: ``python -m tests.faults`` (docs/faults.md).
"""

import json
import os
import subprocess
import sys

import pytest

from regimebench import records
from tests.faults import drivers
from tests.faults.__main__ import Suite, summary
from tests.faults.schedules import KINDS, WORKFLOW, draw
from tests.faults.world import WEATHER, Violation, World

NUMBERS = [number for number in range(12) if number % WORKFLOW != WORKFLOW - 1]


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    with drivers.plugins():
        yield Suite(tmp_path_factory.mktemp("faults"))


@pytest.fixture(scope="module")
def played(suite):
    return [suite.play(draw(number)) for number in NUMBERS]


def test_every_run_that_resumes_ends_as_if_nothing_had_happened(played):
    assert [each.problem for each in played if each.problem] == []


def test_every_kind_of_fault_is_drawn(played):
    assert {fault.kind for each in played for fault in each.schedule.faults} == set(KINDS)
    assert sum(map(sum, (each.struck for each in played))) > len(KINDS) // 2


def test_counts_are_read_off_what_was_said():
    said = f"""{draw(0)}
  ok (struck; 3 s)
{draw(1)}
  VIOLATION: x
  begun twice
  kept in y (struck, found nothing to strike; 3 s)
{draw(9)}
"""
    assert [len(draw(number).faults) for number in (0, 1)] == [1, 2]
    told = summary(said)
    assert told.startswith("2 schedules, 2 with the short driver and 0 with Snakemake; 2 faults struck, 1 of")
    assert "| kill driver | 1 | 0 |" in told
    assert "| kill supervisor | 1 | 0 |" in told


def test_a_schedule_is_known_by_its_number():
    assert draw(17) == draw(17)
    assert draw(17) != draw(18)
    assert str(draw(9)).startswith("schedule 9 (workflow): kill driver at 0.")
    assert {draw(number).level for number in NUMBERS} == {"stages"}


def tampered(world, how):
    """Change a finished run in a way that a check has to notice."""
    demo = world.results / "demo"
    record = demo / "counted" / "default" / "seed-0001" / "record.json"
    if how == "no valid record":
        record.write_text("{}")
    elif how == "does not list its records":
        record.write_text(json.dumps(json.loads(record.read_text())))
    elif how == "temporary files are left":
        (demo / ".scores.csv.123.tmp").touch()
    elif how == "scores differs":
        (demo / "scores.csv").write_text("address,seed\n")
    else:
        (world.results / "tables" / "demo.truth.md").unlink()


@pytest.mark.parametrize(
    "how",
    [
        "no valid record",
        "does not list its records",
        "temporary files are left",
        "scores differs",
        "demo.truth.md differs",
    ],
)
def test_the_checks_notice_what_is_wrong(suite, tmp_path, how):
    reference = suite.reference.outcome
    world = World(tmp_path, "stages")
    try:
        subprocess.run(["cp", "-a", f"{suite.folder}/kept/.", str(world.results)], check=True)
        world.check(reference)
        tampered(world, how)
        with pytest.raises(Violation, match=how):
            world.check(reference)
    finally:
        world.close()


def test_a_fit_that_is_made_again_is_noticed(suite, tmp_path, monkeypatch):
    """Forget what is finished: then the run that resumes makes everything again, and the suite has to see it."""
    monkeypatch.setattr(
        "tests.faults.inflict.Strike.__call__", lambda strike, driver: lose_records(strike.world, driver)
    )
    played = suite.play(draw(0))
    assert "computed again, though finished: [('counted', 0)" in played.problem


def lose_records(world, driver):
    """After the run, change the code's hash in every record, as if another method had made it."""
    driver.wait()
    for path in world.results.glob("demo/counted/*/seed-*/record.json"):
        record = json.loads(path.read_text())
        path.write_text(json.dumps({**record, "fingerprint": "0" * 64}))


def test_the_weather_reaches_other_processes(tmp_path):
    (tmp_path / "weather.json").write_text(json.dumps({"offset": 86400.0}))
    code = "import time, datetime; print(time.time(), time.strftime('%j'), time.monotonic())"
    places = {"FAULTS_WEATHER": str(tmp_path / "weather.json"), "FAULTS_FOLDER": str(tmp_path)}
    environment = {**os.environ, **places, "PYTHONPATH": str(WEATHER)}
    told = [
        subprocess.run([sys.executable, "-c", code], env=env, text=True, capture_output=True, check=True).stdout.split()
        for env in (environment, dict(os.environ))
    ]
    assert 86390 < float(told[0][0]) - float(told[1][0]) < 86410
    assert told[0][1] != told[1][1]
    assert abs(float(told[0][2]) - float(told[1][2])) < 3600


def test_intact_results_are_told_from_damaged_ones(suite, tmp_path):
    assert suite.reference.n_files
    subprocess.run(["cp", "-a", f"{suite.folder}/kept/.", str(tmp_path)], check=True)
    batch = tmp_path / "demo" / "counted" / "default" / "batch-0.json"
    fit = batch.parent / "seed-0002" / "fit.npz"
    whole = fit.read_bytes()
    assert records.intact(batch)
    for damage in (whole[:-1], b""):
        fit.write_bytes(damage)
        assert not records.intact(batch)
    fit.unlink()
    assert not records.intact(batch)
    fit.write_bytes(whole)
    record = batch.parent / "seed-0000" / "record.json"
    record.write_text(record.read_text() + " ")
    assert not records.intact(batch)
    batch.write_text("[]")
    assert not records.intact(batch)
