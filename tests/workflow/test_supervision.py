"""The fit stage with methods that misbehave: what is recorded, what is computed again, and what is left behind."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from regimebench import records
from regimebench.cube import write_cube
from regimebench.dataset import Cube
from regimebench.fit import Job, fit_command, run_batch, worker_environment
from regimebench.registry import ROOT
from regimebench.schema import problems

PLUGINS = ROOT / "tests" / "plugins"
PATIENCE = 60.0  # seconds to wait for something that happens at once on an idle machine
DAYS = 40


@pytest.fixture(scope="module")
def cube(tmp_path_factory):
    values = np.random.default_rng(0).random((DAYS, 4, 5, 2), dtype=np.float32)
    shape = values.shape[1:]
    path = tmp_path_factory.mktemp("data") / "cube.nc"
    write_cube(
        Cube(
            values=values,
            mask=np.ones(shape, dtype=bool),
            time=np.datetime64("2020-01-01") + np.arange(DAYS),
            lat=np.linspace(50, 40, 4),
            lon=np.linspace(0, 10, 5),
            variables=("t2m", "msl"),
            units=("K", "Pa"),
            minimum=np.zeros(shape),
            scale=np.ones(shape),
        ),
        path,
    )
    return path


@pytest.fixture(autouse=True)
def plugins(monkeypatch):
    monkeypatch.setenv("REGIMEBENCH_PLUGINS", str(PLUGINS))
    monkeypatch.setenv("CDSAPI_KEY", "0123456789abcdef")
    monkeypatch.delenv("REGIMEBENCH_DRIVER_PID", raising=False)


@pytest.fixture
def described(cube, tmp_path):
    """Return a function that describes a job on the test cube."""

    def make(how, bad=(1,), seeds=(0, 1, 2), address="misbehaving", pause=0.0, **more):
        chosen = {"how": how, "bad_seeds": list(bad), "pause": pause, "counter": str(tmp_path / "counter")}
        job = {
            "dataset": "demo",
            "address": address,
            "cube": str(cube),
            "seeds": list(seeds),
            "n_clusters": 3,
            "parameters": chosen,
            "batch": str(tmp_path / "out" / "batch-0.json"),
            "memory_mib": 400,
            "deadline_seconds": 30.0,
        }
        return {**job, **more}

    return make


def run(job):
    said = []
    return run_batch(Job.from_json(job), said.append), said


def fits(job):
    """Return how often each seed was fitted."""
    path = Path(job["parameters"]["counter"])
    seeds = [int(line.split()[0]) for line in path.read_text().splitlines()] if path.exists() else []
    return {seed: seeds.count(seed) for seed in sorted(set(seeds))}


def labels(job, seed):
    return records.load_labels(records.seed_folder(Path(job["batch"]).parent, seed))


def carrying(text):
    """Return the living processes whose environment holds ``text``."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            alive = entry.name.isdigit() and (entry / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
            if alive and text.encode() in (entry / "environ").read_bytes() and int(entry.name) != os.getpid():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def wait_for(condition, what):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"waited {PATIENCE:.0f} s for {what}"
        time.sleep(0.02)


LINE = r"\(methods/misbehaving/method.py, line \d+\)"
# Failures that the worker survives; then those that end it.
REPORTED = {
    "raises": ("error", rf"ValueError: the loss became NaN in epoch 3 {LINE}"),
    "exits": ("error", rf"the method called sys.exit\(3\) {LINE}"),
    "asks_for_too_much": ("oom", rf"MemoryError: Unable to allocate .* {LINE}"),
    "too_few": ("error", r"labels have shape \(39,\); one label per day is required: \(40,\)"),
    "nan": ("error", r"labels: day 5 has nan; labels are whole numbers 0..2"),
    "floats": ("error", r"labels have type float64; an integer type is required"),
    "outside": ("error", r"labels: day \d+ has label 3; with 3 clusters labels are 0..2"),
    "one_cluster": ("degenerate", r"all days are in one cluster: clusters_found is 1, below 2"),
    "reads_truth": ("error", rf"PermissionError: a method may not open files in the folder 'truth'; .* {LINE}"),
    "changes_the_cube": ("error", rf"ValueError: assignment destination is read-only {LINE}"),
    "returns_nothing": ("error", r"fit returned NoneType; it must return a regimebench.method.Fit"),
    "returns_odd_epochs": ("error", r"epochs is 2.5; allowed is a whole number, 0 or more, or None"),
    "returns_other_cells": ("error", r"reconstruction has shape \(40, 1\); the shape of the cube is required: .*"),
}
LATE = r"no result after 1 s, the deadline \(resources.deadline_minutes in method.yaml\); last progress: drawing 1/2"
FATAL = {
    "exits_at_once": ("error", r"the worker process exited with code 4 \(os._exit, or a library that ends processes\)"),
    "kills_itself": ("killed", r"the worker process was killed by SIGKILL"),
    "crashes": ("killed", r"the worker process was killed by SIGSEGV"),
    "hangs": ("timeout", LATE),
    "hangs_in_c": ("timeout", LATE),
    "prints_endlessly": ("timeout", LATE),
    "forks_a_daemon": ("timeout", LATE),
    "allocates": ("oom", r"the worker used 4\d\d MiB; its limit is 400 MiB \(resources.memory_mib in method.yaml\)"),
}


@pytest.fixture(scope="module")
def reported(cube, tmp_path_factory):
    """Return the records of one batch in which every second seed fails, each in another way."""
    project = tmp_path_factory.mktemp("reported")
    out = project / "results" / "demo" / "misbehaving" / "default"
    out.mkdir(parents=True)
    cube = shutil.copy(cube, project / "results" / "demo" / "cube.nc")
    bad = [2 * i + 1 for i in range(len(REPORTED))]
    parameters = {"how": list(REPORTED), "bad_seeds": bad, "pause": 0.0, "counter": str(out / "counter")}
    job = Job("demo", "misbehaving", str(cube), tuple(range(bad[-1] + 2)), 3, parameters, str(out / "batch-0.json"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REGIMEBENCH_PLUGINS", str(PLUGINS))
        patch.chdir(project)  # one method opens results/truth/demo.csv
        found = run_batch(job, lambda text: None)
    return dict(zip(REPORTED, found[1::2], strict=True)), found[::2], out


@pytest.mark.parametrize("how", REPORTED)
def test_failure_the_worker_survives(reported, how):
    record, out = reported[0][how], reported[2]
    status, message = REPORTED[how]
    assert record["status"] == status
    assert re.fullmatch(message, record["message"])
    assert problems(record, "record") == []
    assert (records.seed_folder(out, record["seed"]) / "fit.npz").exists() == (status == "degenerate")


def test_seeds_between_failures_are_fitted_once_by_one_worker(reported):
    _, good, out = reported
    assert {record["status"] for record in good} == {"ok"}
    lines = (out / "counter").read_text().splitlines()
    assert len(lines) == len({line.split()[0] for line in lines}) == len(REPORTED) + len(good)
    assert len({line.split()[1] for line in lines}) == 1
    assert list(out.glob("**/*.tmp")) == []


@pytest.mark.parametrize("how", FATAL)
def test_failure_that_ends_the_worker(described, how, monkeypatch):
    mark = f"TEST_MARK={how}-{os.getpid()}"
    monkeypatch.setenv(*mark.split("="))
    status, message = FATAL[how]
    job = described(how, deadline_seconds=1.0 if status == "timeout" else 30.0)
    found, said = run(job)
    assert [record["status"] for record in found] == ["ok", status, "ok"]
    assert re.fullmatch(message, found[1]["message"])
    assert all(problems(record, "record") == [] for record in found)
    assert fits(job) == {0: 1, 1: 1, 2: 1}
    assert said[-1] == f"demo misbehaving: 2/3 ok (1 {status})"
    listed = json.loads(Path(job["batch"]).read_text())
    assert listed["records"] == [f"seed-{seed:04d}/record.json" for seed in (0, 1, 2)]
    assert carrying(mark) == []


def test_kill_by_the_kernel_for_lack_of_memory(described, monkeypatch):
    counts = iter(range(100))
    monkeypatch.setattr("regimebench.handle.oom_kills", lambda: next(counts))
    found, _ = run(described("kills_itself"))
    assert [record["status"] for record in found] == ["ok", "oom", "ok"]
    assert found[1]["message"] == "the worker process was killed by the kernel because memory ran out"


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


def kept_bytes(job):
    """Return the content of every result of a job."""
    return {path: path.read_bytes() for path in sorted(Path(job["batch"]).parent.glob("seed-*/*"))}


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


OPENS = """
import os
from regimebench.method import Fit, Method

class Plugin(Method):
    def fit(self, cube):
        opened = []
        for path in self.params["how"]:
            try:
                open(path).close()
                opened.append(path)
            except PermissionError:
                pass
        return Fit(cube.values[:, 0, 0, 0].argsort() % self.n_clusters, stop_reason=" ".join(opened))
"""


@pytest.mark.parametrize("top", ["plain", "truth"])
def test_only_the_truth_about_this_cube_is_refused(described, plugin, tmp_path, top):
    plugin("opens", OPENS)
    results = tmp_path / top / "results"
    refused = [results / "truth" / "demo.csv", results / "demo" / "truth" / "check.csv", results / "demo" / "raw" / "x"]
    allowed = [tmp_path / top / "table.csv", results / "demo" / "truthful.csv"]
    for path in (*refused, *allowed):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "alias-of-truth").symlink_to(results / "truth")
    cube = shutil.copy(described("raises")["cube"], results / "demo" / "cube.nc")
    tried = [*refused, "truth/check.csv", "../truth/demo.csv", tmp_path / "alias-of-truth" / "demo.csv", *allowed]
    job = described([str(path) for path in tried], address="opens", seeds=[0], cube=str(cube))
    (record,) = run({**job, "batch": str(results / "demo" / "opens" / "default" / "batch-0.json")})[0]
    assert record["status"] == "ok", record["message"]
    assert record["stop_reason"] == " ".join(map(str, allowed))[:200]


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


def test_global_random_state_of_one_seed_does_not_reach_the_next(described, tmp_path):
    job = described("changes_random_state", bad=(0, 1))
    run(job)
    alone = described("changes_random_state", bad=(), seeds=(2,), batch=str(tmp_path / "alone" / "batch-0.json"))
    run(alone)
    np.testing.assert_array_equal(labels(job, 2), labels(alone, 2))
    assert not np.array_equal(labels(job, 1), labels(job, 2))


def test_log_is_bounded_and_keeps_both_ends(described):
    job = described("prints", seeds=(0, 1))
    found, _ = run(job)
    assert [record["status"] for record in found] == ["ok", "ok"]
    log = Path(job["batch"]).with_suffix(".log").read_bytes()
    assert len(log) < 600 * 1024
    assert re.search(rb"\n\.\.\. \d+ bytes dropped \.\.\.\n", log)
    assert log.startswith(b"first line\n")
    assert log.endswith(b"last line\n")


def test_stack_of_a_hanging_method_is_in_the_log(described):
    job = described("hangs", bad=(0,), seeds=(0,), deadline_seconds=0.5)
    run(job)
    assert re.search(r"method\.py\", line \d+ in hangs", Path(job["batch"]).with_suffix(".log").read_text())


def test_child_process_that_outlives_the_fit_is_killed(described, monkeypatch):
    monkeypatch.setenv("TEST_MARK", "forks-and-forgets")
    found, _ = run(described("forks"))
    assert [record["status"] for record in found] == ["ok"] * 3
    assert carrying("TEST_MARK=forks-and-forgets") == []


def test_messages_hold_no_credentials(described):
    found, said = run(described("leaks"))
    text = found[1]["message"] + "".join(said)
    assert len(found[1]["message"]) <= 500
    assert "CDSAPI_KEY is None" in text
    for secret in ("hunter2", "01234567-89ab", "0123456789abcdef"):
        assert secret not in text


def test_method_that_cannot_be_imported_fails_every_seed_once(described, plugin):
    plugin("lacking", "import a_package_nobody_has\n")
    found, said = run(described("raises", address="lacking"))
    sentence = (
        "the worker could not start: ModuleNotFoundError: No module named 'a_package_nobody_has' (methods/lacking/"
    )
    assert [record["status"] for record in found] == ["error"] * 3
    assert all(record["message"].startswith(sentence) for record in found)
    assert {record["fingerprint"] for record in found} == {None}
    assert len(said) == 4


def test_missing_cube_fails_every_seed_and_is_tried_again(described, tmp_path):
    job = described("raises", bad=(), cube=str(tmp_path / "none.nc"))
    found, _ = run(job)
    assert {record["status"] for record in found} == {"error"}
    assert "does not exist" in found[0]["message"]
    assert found[0]["fingerprint"] is None
    (tmp_path / "none.nc").write_bytes(Path(described("raises")["cube"]).read_bytes())
    assert {record["status"] for record in run(job)[0]} == {"ok"}


def test_worker_that_does_not_start_in_time(described):
    found, _ = run(described("raises", startup_seconds=0.001))
    assert {record["status"] for record in found} == {"timeout"}
    assert "the worker could not start" in found[0]["message"]


def test_cuda_without_a_gpu_is_a_sentence(described):
    found, _ = run(described("raises", device="cuda"))
    assert {record["message"] for record in found} == {
        "device cuda was asked for, but method.yaml says device: cpu; use device auto or cpu"
    }


USES_GPU = """
import os
import numpy as np
from regimebench.method import Fit, Method

class Plugin(Method):
    def fit(self, cube):
        place = self.device + " " + os.environ["CUDA_VISIBLE_DEVICES"]
        return Fit(np.arange(cube.n_days) % self.n_clusters, stop_reason=place)
"""


SIMPLE = """
import os
import numpy as np
from regimebench.method import Fit, Method

if "MISSING_LIBRARY" in os.environ:
    __import__(os.environ["MISSING_LIBRARY"])

class Plugin(Method):
    def fit(self, cube):
        return Fit(np.arange(cube.n_days) % self.n_clusters)
"""


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """Return a function that makes a method."""

    def make(name, code, device="cpu", framework="numpy"):
        folder = tmp_path / "plugins" / "methods" / name
        folder.mkdir(parents=True, exist_ok=True)
        meta = (PLUGINS / "methods" / "misbehaving" / "method.yaml").read_text()
        (folder / "method.yaml").write_text(meta.replace("device: cpu", f"device: {device}").replace(
            "framework: numpy", f"framework: {framework}"))  # fmt: skip
        (folder / "method.py").write_text(code)
        monkeypatch.setenv("REGIMEBENCH_PLUGINS", str(tmp_path / "plugins"))

    return make


def test_a_method_without_its_framework_is_skipped_until_that_is_there(described, plugin, tensorflow, monkeypatch):
    plugin("lacking", "import tensorflow\n" + SIMPLE, device="gpu", framework="tensorflow")
    job = described("raises", address="lacking")
    monkeypatch.setenv("REGIMEBENCH_DEVICES", "0")
    monkeypatch.setenv("PYTHONPATH", tensorflow(False))
    sentence = "TensorFlow is not installed in this environment: run make tensorflow, then run again"
    for _ in range(2):
        found, said = run(job)
        assert [record["status"] for record in found] == ["skipped"] * 3
        assert {(record["message"], record["fingerprint"], record["device"]) for record in found} == {
            (sentence, None, "cpu")
        }
        assert problems(found[0], "record") == []
        assert records.skipped_seeds(Path(job["batch"])) == [0, 1, 2]
    assert said[0] == f"demo lacking seed 0 (1 of 3): skipped: {sentence}"
    monkeypatch.setenv("PYTHONPATH", tensorflow(True))
    found, _ = run(job)
    assert [record["status"] for record in found] == ["ok"] * 3
    before = kept_bytes(job)
    monkeypatch.setenv("PYTHONPATH", tensorflow(False))
    found, _ = run({**job, "seeds": [0, 1, 2, 3]})
    assert [record["status"] for record in found] == ["ok", "ok", "ok", "skipped"]
    assert kept_bytes(job).items() >= before.items()


@pytest.mark.parametrize(
    ("device", "devices", "expected"),
    [("auto", "5,7", "cuda 5"), ("cpu", "5,7", "cpu "), ("auto", "", "cpu "), ("cuda", "7", "cuda 7")],
)
def test_method_that_can_use_a_gpu_gets_a_slot(described, plugin, tmp_path, monkeypatch, device, devices, expected):
    monkeypatch.setenv("REGIMEBENCH_DEVICES", devices)
    monkeypatch.setenv("REGIMEBENCH_SLOTS", str(tmp_path / "slots"))
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    plugin("uses_gpu", USES_GPU, device="gpu")
    (record,), _ = run(described("raises", address="uses_gpu", seeds=[0], device=device))
    assert (record["device"], record["stop_reason"]) == (expected.split()[0], expected)


STACKED = """
import numpy as np
from regimebench.method import Fit, Method

class Plugin(Method):
    def fit(self, cube):
        return next(self.fit_batch(cube, [self.seed]))

    def fit_batch(self, cube, seeds):
        seeds = list(seeds)
        with open(self.params["counter"], "a") as file:
            file.write(f"{len(seeds)} together\\n")
        for seed in seeds:
            if seed in self.params["bad_seeds"]:
                {misbehave}
            yield Fit(np.arange(cube.n_days) % self.n_clusters)
"""


@pytest.mark.parametrize(
    ("misbehave", "bad", "status", "calls"),
    [
        ("pass", (), "ok", [3]),
        ("raise ValueError('no')", (1,), "error", [3, 1, 1]),
        ("import os; os._exit(1)", (1,), "error", [3, 1, 1, 1]),
        ("return", (2,), "error", [3, 1]),
    ],
)
def test_seeds_trained_together(described, plugin, misbehave, bad, status, calls):
    plugin("stacked", STACKED.replace("{misbehave}", misbehave))
    job = described("raises", bad=bad, address="stacked")
    found, _ = run(job)
    assert [record["status"] for record in found] == [status if seed in bad else "ok" for seed in (0, 1, 2)]
    assert fits(job) == {number: calls.count(number) for number in sorted(set(calls))}
    if not bad:
        assert {record["seeds_together"] for record in found} == {3}
        assert len({record["seconds"] for record in found}) == 1


def start(job, **environment):
    """Start a supervisor in a process of its own; whatever descends from it carries TEST_MARK."""
    mark = f"{os.getpid()}-{time.monotonic_ns()}"
    rest = {key: value for key, value in job.items() if key not in ("cube", "batch")}
    files = ["--cube", job["cube"], "--batch", job["batch"], "--threads", "1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "regimebench.fit", "--job", json.dumps(rest, default=list), *files],
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "TEST_MARK": mark, **environment},
    )
    return process, f"TEST_MARK={mark}"


def half_way(job):
    return len(list(Path(job["batch"]).parent.glob("seed-*/record.json"))) >= 2


@pytest.mark.parametrize("how", ["forks", "hangs_in_c", "forks_a_daemon"])
def test_supervisor_killed_half_way(described, how):
    job = described(how, bad=(0,) if how == "forks" else (2,), seeds=range(4), pause=0.3)
    process, mark = start(job)
    wait_for(lambda: half_way(job), "two records")
    process.kill()
    process.wait()
    process.stderr.close()
    wait_for(lambda: carrying(mark) == [], "the worker and its children to end")
    done = [
        seed for seed in range(4) if (records.seed_folder(Path(job["batch"]).parent, seed) / "record.json").exists()
    ]
    before = fits(job)
    found, _ = run({**job, "deadline_seconds": 1.5})
    assert [record["status"] == "ok" for record in found] == [how == "forks" or seed != 2 for seed in range(4)]
    assert all(fits(job)[seed] == before[seed] for seed in done)
    assert not Path(job["batch"]).parent.joinpath("seed-0000", ".fit.npz.tmp").exists()


def test_driver_death_stops_everything(described):
    driver = subprocess.Popen(["sleep", "1000"])
    job = described("hangs", bad=(1,))
    process, mark = start(job, REGIMEBENCH_DRIVER_PID=str(driver.pid))
    wait_for(lambda: fits(job).get(1), "the second seed to start")
    driver.kill()
    driver.wait()
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert f"the driver (process {driver.pid}) has ended; the worker was stopped" in said
    wait_for(lambda: carrying(mark) == [], "the worker to end")
    assert not Path(job["batch"]).exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_stops_cleanly(described, number):
    job = described("hangs", bad=(1,))
    process, mark = start(job)
    wait_for(lambda: fits(job).get(1), "the second seed to start")
    process.send_signal(number)
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + number
    assert f"Error: demo misbehaving: stopped by {number.name}; finished seeds are kept, run again to continue" in said
    assert "Traceback" not in said
    assert carrying(mark) == []


def test_second_supervisor_says_who_holds_the_batch(described, monkeypatch, capsys):
    job = described("hangs", bad=(1,))
    process, _ = start(job)
    wait_for(lambda: fits(job).get(1), "the second seed to start")
    monkeypatch.setattr("regimebench.fit.LOCK_SECONDS", 0.2)
    assert fit_command(job) == 1
    assert (
        f"Error: demo misbehaving: batch-0.json is being computed by process {process.pid} (since 20"
        in capsys.readouterr().err
    )
    process.terminate()
    process.communicate(timeout=PATIENCE)


def test_worker_gets_no_credentials_and_the_allocator_settings(described):
    given = {"CDSAPI_URL": "u", "MY_API_KEY": "k", "HF_TOKEN": "t", "ECMWF_X": "x", "HOME": "/h", "PYTHONPATH": "/p"}
    found = worker_environment(Job.from_json(described("raises", threads=3)), given)
    assert not set(found) & {"CDSAPI_URL", "MY_API_KEY", "HF_TOKEN", "ECMWF_X"}
    assert found["HOME"] == "/h"
    assert found["PYTHONPATH"].endswith(":/p")
    threads = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")
    assert {found[name] for name in threads} == {"3"}
    assert found["CUDA_VISIBLE_DEVICES"] == ""
    if (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc"):
        assert int(found["MALLOC_MMAP_THRESHOLD_"]) >= 2**25
        assert int(found["MALLOC_TRIM_THRESHOLD_"]) >= 2**30


def test_job_errors_are_sentences(described, capsys):
    assert fit_command({**described("raises"), "sedes": [1]}) == 2
    assert "the job has unknown keys ['sedes']" in capsys.readouterr().err
    with pytest.raises(ValueError, match="device is 'tpu'; allowed are auto, cpu and cuda"):
        Job.from_json(described("raises", device="tpu"))


def test_supervisor_loads_nothing_heavy():
    code = (
        "import sys, regimebench.fit; print([m for m in ('numpy', 'yaml', 'jsonschema', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"
