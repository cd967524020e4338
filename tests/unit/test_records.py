"""Records: written in one step, validated, summarised; messages and provenance give nothing away."""

import copy
import json
import math
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regimebench import provenance, records
from regimebench.schema import problems

HASH = "0" * 64


@pytest.fixture
def folder(tmp_path):
    """Return a folder with a valid record and its arrays."""
    out = tmp_path / "seed-0003"
    out.mkdir()
    np.savez(out / "fit.npz", labels=np.arange(4))
    records.write_json(
        out / "record.json", record(hashes={**GOOD["hashes"], "fit": records.sha256_file(out / "fit.npz")})
    )
    return out


GOOD = {
    "schema_version": 1,
    "dataset": "demo",
    "address": "dec/untrained",
    "method": "dec",
    "variant": "untrained",
    "seed": 3,
    "status": "ok",
    "message": "",
    "n_clusters": 4,
    "labels": "fit.npz",
    "clusters_found": 4,
    "cluster_sizes": [1, 1, 1, 1],
    "epochs": None,
    "stop_reason": None,
    "n_parameters": 10,
    "seconds": 0.5,
    "cpu_seconds": 0.5,
    "peak_rss_mib": 100.0,
    "peak_gpu_mib": None,
    "gpu_seconds": None,
    "reconstruction_rmse": None,
    "seeds_together": 1,
    "parameters": {"lr": 0.1},
    "device": "cpu",
    "threads": 1,
    "versions": {"python": "3.11.7"},
    "machine": {"cores": 2},
    "limits": {"deadline_seconds": 60.0, "memory_mib": 1000},
    "fingerprint": HASH,
    "hashes": {"plugin": HASH, "data": HASH, "config": HASH, "fit": HASH},
    "git": None,
    "started": "2025-01-01T00:00:00+00:00",
}


def record(**changes):
    return {**copy.deepcopy(GOOD), **changes}


def failed(status="error", **changes):
    nothing = {"labels": None, "clusters_found": None, "cluster_sizes": None, "hashes": {**GOOD["hashes"], "fit": None}}
    return record(**{**nothing, "status": status, "message": "it failed", **changes})


@pytest.mark.parametrize(
    "document",
    [
        record(),
        failed(),
        failed("oom", fingerprint=None),
        failed("skipped", fingerprint=None),
        record(git={"commit": "a", "dirty": True}),
        record(diagnostics={"twins": 0.5, "c_components": 3}),
        failed(diagnostics=None),
    ],
)
def test_valid_records(document):
    assert problems(document, "record") == []


@pytest.mark.parametrize(
    ("document", "where"),
    [
        (record(status="good"), "status"),
        (record(seed=-1), "seed"),
        (record(limits={"deadline_seconds": 0, "memory_mib": 1}), "limits.deadline_seconds"),
        (record(extra=1), "extra"),
        (record(diagnostics={"twins": None}), "diagnostics.twins"),
        (record(schema_version=2), "schema_version"),
        (record(labels=None), "labels"),
        (failed(message=""), "message"),
        (failed(labels="fit.npz"), "labels"),
        (record(status="skipped"), "labels"),
        (record(message="x" * 501), "message"),
        ({key: value for key, value in GOOD.items() if key != "git"}, "git"),
    ],
)
def test_invalid_records_are_named(document, where):
    assert any(where in line for line in problems(document, "record"))


def test_load(folder):
    assert records.load(folder / "record.json", verify_fit=True)["seed"] == 3
    assert records.load_labels(folder).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda folder: (folder / "record.json").unlink(), "cannot be read: No such file or directory"),
        (lambda folder: (folder / "record.json").write_text('{"a": '), "is not valid JSON"),
        (lambda folder: (folder / "record.json").write_text("[]"), "is not a valid record"),
        (lambda folder: (folder / "fit.npz").unlink(), "fit.npz is missing, though the record says ok"),
        (lambda folder: (folder / "fit.npz").write_bytes(b"x"), "does not have the SHA-256 in its record"),
    ],
)
def test_damage_is_a_sentence(folder, damage, sentence):
    damage(folder)
    with pytest.raises(records.InvalidRecord, match=sentence):
        records.load(folder / "record.json", verify_fit=True)
    assert records.finished(folder.parent, [3]) == {}


def test_finished_leaves_out_what_is_not_there(folder):
    assert list(records.finished(folder.parent, [2, 3, 4])) == [3]


def test_interrupted_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "record.json"
    records.write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="JSON compliant"):
        records.write_json(path, {"a": math.nan})
    assert json.loads(path.read_text()) == {"a": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["record.json"]


def test_batch_file_leads_to_its_records(folder):
    batch = folder.parent / "batch-0.json"
    records.write_batch(batch, "demo", "dec/untrained", [GOOD])
    assert json.loads(batch.read_text()) == {
        "dataset": "demo",
        "address": "dec/untrained",
        "seeds": [3],
        "skipped": [],
        "fingerprints": [HASH],
        "records": ["seed-0003/record.json"],
        "sha256": [records.sha256_file(folder / "record.json")],
    }
    assert [each["seed"] for each in records.read_batch(batch)] == [3]
    assert records.skipped_seeds(batch) == []
    records.write_batch(batch, "demo", "dec/untrained", [failed("skipped")])
    assert records.skipped_seeds(batch) == [3]
    batch.write_text("{}")
    with pytest.raises(records.InvalidRecord, match=r"batch-0\.json is not a readable batch file"):
        records.read_batch(batch)
    for damage in ("{}", "[]", "{"):
        batch.write_text(damage)
        assert records.skipped_seeds(batch) == []


def test_fingerprint_depends_on_each_part_and_not_on_key_order():
    parts = {"address": "a", "parameters": {"x": 1, "y": 2}, "n_clusters": 3, "plugin": "p", "data": "d"}
    first = records.fingerprint(**parts)
    assert records.fingerprint(**{**parts, "parameters": {"y": 2, "x": 1}}) == first
    other = {"address": "b", "parameters": {"x": 1}, "n_clusters": 4, "plugin": "q", "data": "e"}
    changed = [records.fingerprint(**{**parts, name: value}) for name, value in other.items()]
    assert len({first, *changed}) == 6
    assert records.fingerprint(**{**parts, "data": None}) is None


@pytest.mark.parametrize(
    ("statuses", "text"),
    [
        (["ok"] * 20, "20/20 ok"),
        (["ok"] * 18 + ["timeout", "error"], "18/20 ok (1 timeout, 1 error)"),
        (["error"] * 2 + ["oom"], "0/3 ok (2 error, 1 oom)"),
        ([], "0/0 ok"),
    ],
)
def test_status_summary(statuses, text):
    assert records.status_summary({"status": status} for status in statuses) == text


@given(st.text(max_size=2000))
def test_clean_message_is_one_short_line(text):
    cleaned = provenance.clean_message(text, {})
    assert len(cleaned) <= 500
    assert "\n" not in cleaned


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("KeyError: unknown key: n_clusters", "KeyError: unknown key: n_clusters"),
        ("password=abc", "password=***"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
        ('{"key": "01234567-89ab-cdef-0123"}', '{"key": "***"}'),
        ("from ftp://me:it@host/x", "from ftp://***@host/x"),
        ("it says abcdef123", "it says ***"),
        (f"in {Path.cwd()}/methods/dec/method.py", "in methods/dec/method.py"),
    ],
)
def test_clean_message(text, expected):
    assert provenance.clean_message(text, {"SOME_TOKEN": "abcdef123", "SHELL": "it says"}) == expected


@pytest.fixture
def git(tmp_path, monkeypatch):
    """Return a function that runs git in the temporary folder."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    identity = ["-c", "user.name=n", "-c", "user.email=e"]

    def run(*arguments):
        command = ["git", "-C", str(tmp_path), *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    return run


@pytest.fixture
def repository(git, tmp_path):
    """Return a folder with one commit."""
    git("init", "-q")
    (tmp_path / "a").write_text("1")
    (tmp_path / "methods").mkdir()
    (tmp_path / "methods" / "m.py").write_text("1")
    git("add", ".")
    git("commit", "-q", "-m", "one")
    return tmp_path


def test_git_state(repository, git):
    assert provenance.git_state(repository) == {"commit": git("rev-parse", "HEAD"), "dirty": False}
    (repository / "a").write_text("2")
    assert provenance.git_state(repository)["dirty"]


@pytest.mark.parametrize(
    ("path", "dirty"),
    [
        ("data/era5.nc", False),
        ("notes methods/x", False),
        ("methods/new.py", True),
        ("datasets/mine/caf\u00e9.py", True),
    ],
)
def test_untracked_files_count_only_where_code_is(repository, path, dirty):
    (repository / path).parent.mkdir(parents=True, exist_ok=True)
    (repository / path).touch()
    assert provenance.git_state(repository)["dirty"] == dirty


def test_no_git_state_without_repository_commit_or_git(tmp_path, git, monkeypatch):
    assert provenance.git_state(tmp_path) is None
    git("init", "-q")
    assert provenance.git_state(tmp_path) is None
    (tmp_path / "a").touch()
    git("add", "a")
    git("commit", "-q", "-m", "one")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert provenance.git_state(tmp_path) is None


def test_versions_and_machine_name_no_host_and_no_path():
    versions = provenance.versions(provenance.loaded_modules())
    assert versions["numpy"] == np.__version__
    assert not set(versions) & {"os", "json"}
    text = json.dumps([versions, provenance.machine()])
    assert os.uname().nodename not in text
    assert str(Path.home()) not in text or Path.home() == Path("/")
    assert provenance.machine()["cores"] == os.cpu_count()
