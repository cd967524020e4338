"""Methods that fail in every way: what is recorded, and what is in the log."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from regimebench import records
from regimebench.fit import Job, fit_command, run_batch, worker_environment
from regimebench.registry import ROOT
from regimebench.schema import problems
from tests.supervision.conftest import PLUGINS, carrying, fits, labels, run

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


CANNOT_STORE = """
import resource
from pathlib import Path
import numpy as np
from regimebench.method import Fit, Method

class Plugin(Method):
    def fit(self, cube):
        with open(self.params["counter"], "a") as file:
            file.write(f"{self.seed} x\\n")
        if self.seed in self.params["bad_seeds"] and not Path(self.params["counter"]).with_name("mended").exists():
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
        return Fit(np.arange(cube.n_days) % self.n_clusters)
"""


def test_arrays_that_cannot_be_stored_are_not_held_against_the_method(described, plugin, tmp_path, capsys):
    """With a full disk the fit became an error of the method, which no later run would have tried again."""
    plugin("cannot_store", CANNOT_STORE)
    job = described("raises", address="cannot_store", bad=(1,))
    assert fit_command(job) == 1
    said = capsys.readouterr().err
    assert (
        "Error: demo cannot_store: a file cannot be written ([Errno 27] File too large); finished seeds are kept"
        in said
    )
    out = Path(job["batch"]).parent
    assert [path.name for path in sorted(out.glob("seed-*/*"))] == ["fit.npz", "record.json"]  # of seed 0
    (tmp_path / "mended").touch()
    assert [record["status"] for record in run(job)[0]] == ["ok"] * 3
    assert fits(job) == {0: 1, 1: 2, 2: 1}
    assert not list(out.glob("**/.*.tmp"))


def test_what_a_killed_writer_left_is_removed(described):
    """Temporary files of supervisors that were killed while they wrote stayed for ever."""
    job = described("raises", bad=())
    seed = records.seed_folder(Path(job["batch"]).parent, 1)
    seed.mkdir(parents=True)
    left = [seed / ".record.json.123.tmp", seed / ".fit.npz.123.tmp", seed.parent / ".batch-0.json.123.tmp"]
    for path in left:
        path.write_text("half of")
    run(job)
    assert not [path for path in left if path.exists()]
