"""What is computed again, and what is kept: retries, limits, changed code and parameters, damage."""

import json
import shutil
from pathlib import Path

import pytest

from regimebench import records
from tests.supervision.conftest import SIMPLE, fits, kept_bytes, run


def test_second_run_computes_nothing_again(described):
    job = described("raises")
    first, _ = run(job)
    again, said = run(job)
    assert again == first
    assert fits(job) == {0: 1, 1: 1, 2: 1}
    assert said[:3] == [f"demo misbehaving seed {seed}: kept ({r['status']})" for seed, r in enumerate(first)]


@pytest.mark.parametrize(("key", "variable", "calls"), [(True, None, 2), (False, "1", 2), (False, "0", 1)])
def test_retry_failed_fits_only_failed_seeds_again(described, monkeypatch, key, variable, calls):
    job = described("raises")
    run(job)
    if variable:
        monkeypatch.setenv("REGIMEBENCH_RETRY_FAILED", variable)
    run({**job, "retry_failed": key})
    assert fits(job) == {0: 1, 1: calls, 2: 1}


@pytest.mark.parametrize(
    ("how", "limit", "low", "high", "status"),
    [("hangs", "deadline_seconds", 0.4, 0.6, "timeout"), ("allocates", "memory_mib", 300, 330, "oom")],
)
def test_failure_at_a_limit_is_final_until_the_limit_is_raised(described, how, limit, low, high, status):
    job = described(how, bad=(0,), seeds=(0, 1), **{limit: low})
    assert [record["status"] for record in run(job)[0]] == [status, "ok"]
    for value, calls in ((low, 1), (low / 2, 1), (high, 2), (high, 2)):
        found, _ = run({**job, limit: value})
        assert (fits(job), found[0]["status"]) == ({0: calls, 1: 1}, status)
    assert found[0]["limits"][limit] == high


def test_raised_limit_of_another_kind_retries_nothing(described):
    job = described("hangs", bad=(0,), seeds=(0,), deadline_seconds=0.4)
    run(job)
    run({**job, "memory_mib": 800})
    assert fits(job) == {0: 1}


def test_batch_file_changes_with_its_records_and_only_then(described, plugin):
    plugin("simple", SIMPLE)
    job = described("raises", address="simple")
    path = Path(job["batch"])
    run(job)
    first = path.read_bytes()
    run(job)
    assert path.read_bytes() == first
    plugin("simple", SIMPLE + "# edited\n")
    run(job)
    second = json.loads(path.read_text())
    assert second != json.loads(first)
    assert second["sha256"] == [records.sha256_file(path.parent / name) for name in second["records"]]


@pytest.mark.parametrize("start", ["slow", "unreadable cube", "import fails"])
def test_worker_that_cannot_start_leaves_finished_results(described, plugin, tmp_path, monkeypatch, start):
    plugin("simple", SIMPLE)
    cube = shutil.copy(described("raises")["cube"], tmp_path / "cube.nc")
    job = described("raises", address="simple", cube=str(cube))
    run(job)
    before = kept_bytes(job)
    if start == "slow":
        job["startup_seconds"] = 0.01
    elif start == "unreadable cube":
        Path(cube).write_bytes(b"not a cube")
    else:  # in this environment only: the code and so the fingerprint are the same
        monkeypatch.setenv("MISSING_LIBRARY", "a_package_nobody_has")
    found, said = run({**job, "seeds": [0, 1, 2, 3]})
    assert kept_bytes(job).items() >= before.items()
    assert len(before) == 6
    assert [record["status"] for record in found[:3]] == ["ok"] * 3
    assert found[3]["message"].startswith("the worker could not start: ")
    assert found[3]["fingerprint"] is None
    assert said[0] == "demo simple seed 0: kept (ok)"


@pytest.mark.parametrize("stale", ["parameter", "code", "broken code"])
def test_worker_that_cannot_start_does_not_vouch_for_stale_results(described, plugin, stale):
    plugin("simple", SIMPLE)
    job = described("raises", address="simple")
    run(job)
    if stale == "parameter":
        job["parameters"]["pause"] = 1.0
    else:
        plugin("simple", SIMPLE + ("# edited\n" if stale == "code" else "def broken(\n"))
    found, _ = run({**job, "startup_seconds": 0.01})
    assert {record["status"] for record in found} == {"timeout"}
    plugin("simple", SIMPLE)
    assert {record["status"] for record in run(job)[0]} == {"ok"}  # not being started is never final


def test_changed_parameter_fits_all_seeds_again(described):
    job = described("raises")
    first, _ = run(job)
    again, _ = run({**job, "parameters": {**job["parameters"], "pause": 0.001}})
    assert fits(job) == {0: 2, 1: 2, 2: 2}
    assert again[0]["fingerprint"] != first[0]["fingerprint"]
    assert again[0]["hashes"]["fit"] == first[0]["hashes"]["fit"]  # the same labels are the same bytes


def test_damaged_results_are_made_again(described):
    job = described("raises", bad=())
    run(job)
    folders = [records.seed_folder(Path(job["batch"]).parent, seed) for seed in (0, 1, 2)]
    (folders[0] / "record.json").write_text('{"schema_version": 1, "da')
    with open(folders[1] / "fit.npz", "ab") as file:
        file.write(b"x")
    (folders[2] / "fit.npz").unlink()
    found, _ = run(job)
    assert [record["status"] for record in found] == ["ok"] * 3
    assert fits(job) == {0: 2, 1: 2, 2: 2}


def test_invalid_record_is_made_again_and_valid_ones_are_not(described):
    job = described("raises", bad=())
    run(job)
    path = records.seed_folder(Path(job["batch"]).parent, 1) / "record.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "status": "splendid"}))
    run(job)
    assert fits(job) == {0: 1, 1: 2, 2: 1}
