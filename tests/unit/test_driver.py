"""What the driver looks at before the first job: damaged results, and files whose times a wrong clock has made."""

import os
import signal
import time
from threading import Event, Lock
from types import SimpleNamespace

import pytest

from regimebench import records
from regimebench.config import make_plan
from regimebench.driver import Run, end_beside_locks, leave_the_future
from tests.unit.test_records import failed

TINY = {"family": "subspaces", "n_days": 40, "height": 6, "width": 6, "n_variables": 2, "n_clusters": 3}
WILDCARDS = SimpleNamespace(dataset="tiny", variant="default", number="0")


@pytest.fixture
def run(tmp_path):
    """Return a function that gives the driver of a run that may start jobs."""
    config = {
        "results": str(tmp_path / "results"),
        "budget": "smoke",
        "seeds": 1,
        "datasets": {"tiny": {"plugin": "synthetic", "params": TINY}},
        "methods": ["random"],
    }

    def make(**more):
        workflow = SimpleNamespace(
            global_resources={"gpu": 1},
            is_main_process=True,
            executor_plugin="local",
            dryrun=False,
            touch=False,
            iocache=SimpleNamespace(exists_local={}, mtime={}),
            deployment_settings=SimpleNamespace(deployment_method=[]),
        )
        return Run(workflow, make_plan({**config, **more}))

    return make


@pytest.fixture
def batch(tmp_path):
    """Write one failed fit and its batch file, and return the path of that."""
    out = tmp_path / "results" / "tiny" / "random" / "default"
    record = failed(seed=0)
    records.write_json(records.seed_folder(out, 0) / records.RECORD, record)
    records.write_batch(out / "batch-0.json", "tiny", "random", [record])
    return out / "batch-0.json"


def test_damaged_results_are_noticed_once_before_the_first_job(run, batch):
    cube = run().cube("random")
    assert cube(WILDCARDS).endswith("results/tiny/cube.nc")
    assert batch.is_file()
    record = records.seed_folder(batch.parent, 0) / records.RECORD
    record.write_text(record.read_text()[:100])
    cube(WILDCARDS)
    assert batch.is_file()  # this run has looked; what happens while it runs is no business of its plan
    run().cube("random")(WILDCARDS)
    assert not batch.exists()


@pytest.mark.parametrize("offset", [-86400, 0, 86400])
def test_failures_are_tried_again_whatever_the_time_of_their_file(run, batch, offset):
    os.utime(batch, (batch.stat().st_mtime + offset,) * 2)
    run().cube("random")(WILDCARDS)
    assert batch.is_file()
    run(retry_failed=True).cube("random")(WILDCARDS)
    assert not batch.exists()


def test_what_went_wrong_is_told_from_the_logs_that_this_run_wrote(run, batch, tmp_path, capsys):
    logs = tmp_path / "results" / "logs"
    logs.mkdir(parents=True)
    for name in ("old", "again"):
        (logs / f"{name}.log").write_text(f"Error: {name}\n")
    driver = run()
    for name in ("again", "new"):  # the clock has been set back meanwhile
        (logs / f"{name}.log").write_text(f"Error: {name}, once more\n")
        os.utime(logs / f"{name}.log", (1, 1))
    driver.fail()
    said = capsys.readouterr().out
    assert "Error: again, once more" in said
    assert "Error: new, once more" in said
    assert "old.log" not in said


def test_a_signal_to_end_finds_no_lock_that_it_holds_itself():
    """As when SIGTERM interrupts Snakemake's scheduler, whose handler wants the scheduler's own lock."""
    lock, told = Lock(), Event()

    def handler(*_):
        if lock.acquire(timeout=20):
            told.set()

    before = signal.signal(signal.SIGTERM, handler)
    try:
        end_beside_locks()
        with lock:
            os.kill(os.getpid(), signal.SIGTERM)
            assert not told.is_set()
        assert told.wait(timeout=20)
    finally:
        signal.signal(signal.SIGTERM, before)


def test_files_dated_ahead_get_the_present_time_and_others_keep_theirs(tmp_path, batch):
    past, ahead, record = tmp_path / "past", batch, batch.parent / "seed-0000" / "record.json"
    past.touch()
    os.utime(past, (10**9, 10**9))
    for path in (ahead, record):
        os.utime(path, (4 * 10**9, 4 * 10**9))
    before = time.time()
    leave_the_future(tmp_path)
    assert past.stat().st_mtime == 10**9
    assert before - 1 <= ahead.stat().st_mtime <= time.time()
    assert record.stat().st_mtime == 4 * 10**9
