"""What happens to jobs on a real cluster, and that no finished seed is lost or computed twice for it."""

import json
import os
import re

import pytest

SLOWNESS = int(os.environ.get("REGIMEBENCH_TEST_SLOWNESS", 1))  # of a machine on which a job's start takes minutes


@pytest.fixture
def noted(run, record_property):
    """Return a function that checks a finished run against what was finished before the fault, and notes both."""

    def note(fault, before, twice=(), row="3/3 ok"):
        after = run.finished()
        lost = [path for path, text in before.items() if after.get(path) != text]
        assert lost == [], "a finished seed was lost or made again"
        finished_before = {json.loads(text)["seed"] for text in before.values()}
        starts = run.starts()
        repeated = [seed for seed in finished_before if starts[seed] > 1]
        assert repeated == [], "a finished seed was begun again"
        assert {seed for seed, number in starts.items() if number > 1} <= set(twice), starts
        assert row in run.table()
        said = re.search(r"\d/\d ok[^|]*", run.table())[0].strip()
        states = ", ".join(run.jobs().values())
        record_property("fault", [fault, states, str(len(lost)), str(len(repeated)), said])

    return note


@pytest.fixture
def begun(run, cluster):
    """Return a function that begins a run and waits for a finished seed: it returns the driver and what is finished."""

    def begin(*arguments):
        driver = run.begin(*arguments)
        cluster.wait_for(run.finished, "the first record")
        return driver, run.finished()

    return begin


def test_node_set_to_drain_and_back(run, cluster, begun, noted):
    run.misbehaves(pause=6)
    run.config["seeds_per_job"] = 2
    driver, before = begun("--jobs", "1")
    node = cluster.ask("sinfo", "--noheader", "--format=%n").split()[0]
    cluster.ask("scontrol", "update", f"nodename={node}", "state=drain", "reason=test")
    try:
        cluster.wait_for(lambda: "PENDING" in run.jobs().values(), "a job that waits for the node")
    finally:
        cluster.ask("scontrol", "update", f"nodename={node}", "state=resume")
    run.end(driver)
    assert run.starts() == {0: 1, 1: 1, 2: 1}
    noted("node drained and back", before)


def test_controller_killed_and_started_again(run, cluster, begun, noted):
    run.misbehaves(pause=6)
    driver, before = begun()
    cluster.kill_controller()
    cluster.wait_for(lambda: len(run.finished()) > len(before), "a record while there is no controller")
    cluster.start_controller()
    run.end(driver)
    assert run.starts() == {0: 1, 1: 1, 2: 1}
    noted("controller killed and restarted", before)


def test_job_cancelled(run, cluster, noted):
    run.misbehaves(pause=6)
    driver = run.begin()
    cluster.wait_for(lambda: 1 in run.starts(), "the second seed to begin")
    before = run.finished()
    assert before
    (number,) = run.jobs()
    cluster.ask("scancel", number)
    run.end(driver)
    assert list(run.jobs().values()) == ["CANCELLED", "COMPLETED"]
    noted("`scancel` of one job", before, twice=[1])


def test_driver_killed_and_started_again(run, begun, noted):
    """Its jobs go on: those of the next driver wait for them and find their records."""
    run.misbehaves(pause=12)
    driver, before = begun()
    driver.kill()
    driver.wait()
    run.end(run.begin())
    assert run.starts() == {0: 1, 1: 1, 2: 1}
    # The second driver submits the batch again, unless the first one's job has ended before it looks.
    assert set(run.jobs().values()) == {"COMPLETED"}
    noted("driver killed and started again", before)


def test_memory_limit_of_the_suite_acts_before_slurms(run, cluster, noted):
    run.misbehaves("allocates", bad=(1,))
    driver = run.begin()
    run.end(driver)
    assert run.status() == {0: "ok", 1: "oom", 2: "ok"}
    assert list(run.jobs().values()) == ["COMPLETED"]
    noted("memory above the method's limit", {}, row="2/3 ok (1 oom)")


def test_job_killed_by_slurm_for_memory(run, begun, noted):
    """A request below the method's limit, as no profile makes it: Slurm kills the supervisor with everything else."""
    run.misbehaves("holds_memory", bad=(1,))
    driver, before = begun("--set-resources", "fit_misbehaving:mem_mb=600")
    run.end(driver)
    assert run.status() == {0: "ok", 1: "killed", 2: "ok"}
    states = list(run.jobs().values())
    assert len(states) == 3
    assert states[-1] == "COMPLETED"
    assert set(states[:2]) <= {"CANCELLED", "FAILED", "OUT_OF_MEMORY"}
    record = json.loads((run.results / run.row / "misbehaving/default/seed-0001/record.json").read_text())
    assert record["message"].startswith("2 jobs ended while this seed was fitted (Slurm job ")
    noted("killed by Slurm for memory", before, twice=[1], row="2/3 ok (1 killed)")


def test_job_killed_by_its_time_limit(run, cluster, noted):
    run.misbehaves(pause=22)  # below the method's own deadline; Slurm looks at its limit twice a minute
    seeds = 4 * SLOWNESS
    run.config.update(seeds=seeds, seeds_per_job=seeds)
    driver = run.begin("--set-resources", f"fit_misbehaving:runtime={SLOWNESS}")
    cluster.wait_for(lambda: "TIMEOUT" in run.jobs().values(), "the time limit")
    before = run.finished()
    assert before
    run.end(driver)
    assert list(run.jobs().values()) == ["TIMEOUT", "COMPLETED"]
    noted("killed by its time limit", before, twice=set(run.starts()) - {0}, row=f"{seeds}/{seeds} ok")
