"""Batches that a scheduler runs: other batch sizes, jobs that are killed whole, jobs that wait for one another."""

import json
import signal
from pathlib import Path

import pytest

from regimebench import locks, records
from regimebench.attempts import MOST
from tests.supervision.conftest import PATIENCE, carrying, fits, kept_bytes, run, wait_for
from tests.supervision.test_stops import start


def killed(job, number, seed):
    """Run a batch as a job of Slurm that is killed while it fits a seed."""
    process, mark = start(job, SLURM_JOB_ID=str(number))
    wait_for(lambda: noted(job, number, seed), f"seed {seed} to start")
    process.kill()
    process.communicate(timeout=PATIENCE)
    wait_for(lambda: carrying(mark) == [], "the worker to end")


@pytest.fixture
def scheduled(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "7")


def note(job):
    return Path(job["batch"]).parent / ".batch-0.attempt.json"


def noted(job, number, seed):
    """Say whether the note says that a job is at a seed, and the seed has begun."""
    found = json.loads(note(job).read_text()) if note(job).exists() else {"seeds": [], "jobs": [""]}
    return found["seeds"] == [seed] and found["jobs"][-1] == f"Slurm job {number}" and fits(job).get(seed)


def test_other_batch_sizes_lose_no_finished_seed_and_compute_none_again(described):
    job = described("raises", bad=(4,), seeds=range(6))
    run(job)
    before = kept_bytes(job)
    folder = Path(job["batch"]).parent
    for number, seeds in enumerate([(0, 1), (2, 3), (4, 5)]):
        found, said = run({**job, "seeds": seeds, "batch": str(folder / f"batch-{number}.json")})
        assert [record["seed"] for record in found] == list(seeds)
        assert sum(": kept (" in line for line in said) == 2
    run({**job, "seeds": tuple(range(8))})
    after = kept_bytes(job)
    assert {path: after[path] for path in before} == before
    assert fits(job) == dict.fromkeys(range(8), 1)


def test_a_seed_at_which_jobs_end_is_recorded_and_the_others_get_their_turn(described, scheduled):
    job = described("hangs", bad=(1,))
    for number in range(1, MOST + 1):
        killed(job, number, seed=1)
    found, _ = run(job)
    assert [record["status"] for record in found] == ["ok", "killed", "ok"]
    assert found[1]["message"].startswith(f"{MOST} jobs ended while this seed was fitted (Slurm job 1, Slurm job 2)")
    assert found[1]["fingerprint"]
    assert fits(job) == {0: 1, 1: MOST, 2: 1}
    assert not note(job).exists()
    assert run(job)[0] == found


def test_a_job_that_is_stopped_and_not_killed_counts_only_at_its_time_limit(described, scheduled):
    for number, (limit, counted) in enumerate([(600.0, False), (0.001, True)]):
        job = described("hangs", bad=(1,), limit_minutes=limit)
        process, _ = start(job, SLURM_JOB_ID=str(number))
        wait_for(lambda job=job, number=number: noted(job, number, 1), "the second seed to start")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)
        assert process.returncode == 128 + signal.SIGTERM
        assert note(job).exists() == counted


def test_without_a_scheduler_nothing_is_counted(described):
    job = described("kills_itself", bad=(1,))
    run(job)
    process, mark = start({**job, "parameters": {**job["parameters"], "how": "hangs"}})
    wait_for(lambda: fits(job).get(1) == 2, "the second seed to start")
    process.kill()
    process.communicate(timeout=PATIENCE)
    wait_for(lambda: carrying(mark) == [], "the worker to end")
    assert not note(job).exists()


def test_a_job_waits_for_another_one_at_the_same_batch_and_finds_its_records(described, scheduled, monkeypatch):
    monkeypatch.setattr("regimebench.fit.LOCK_SECONDS", 0.0)
    job = described("raises", bad=(), pause=0.5)
    process, _ = start(job, SLURM_JOB_ID="3")
    wait_for(lambda: fits(job).get(0), "the first seed to start")
    found, said = run(job)
    process.communicate(timeout=PATIENCE)
    assert [record["status"] for record in found] == ["ok"] * 3
    assert f"waiting for process {process.pid} on " in said[0]
    assert "Slurm job 3" in said[0]
    assert fits(job) == {0: 1, 1: 1, 2: 1}


def test_a_note_that_cannot_be_read_counts_nothing(described, scheduled):
    job = described("raises", bad=())
    for text in ("", "[]", '{"seeds": ["x"], "jobs": []}', '{"seeds": [1]}'):
        note(job).parent.mkdir(exist_ok=True)
        note(job).write_text(text)
        records.write_batch(Path(job["batch"]), "demo", "misbehaving", [])
        assert [record["status"] for record in run(job)[0]] == ["ok"] * 3
    assert locks.scheduler_job() == "Slurm job 7"
