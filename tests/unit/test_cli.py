"""The command line as a user types it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments, check=True):
    done = subprocess.run(
        [sys.executable, "-m", "regimebench", *arguments], cwd=ROOT, text=True, capture_output=True, timeout=300
    )
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


def test_one_fit_without_snakemake_gives_a_record_and_scores(tmp_path):
    done = run("fit", "kmeans", "smoke", "--config", "config/smoke.yaml", "--seed", "3", "--out", str(tmp_path))
    assert "kmeans, seed 3: ok" in done.stdout
    assert "standard: silhouette" in done.stdout
    record = json.loads((tmp_path / "kmeans" / "default" / "seed-0003" / "record.json").read_text())
    assert record["status"] == "ok"
    assert record["n_clusters"] == 3


def test_a_parameter_can_be_set_and_a_wrong_one_is_refused(tmp_path):
    base = ["fit", "kmeans", "smoke", "--config", "config/smoke.yaml", "--out", str(tmp_path)]
    run(*base, "--param", "n_init=2")
    record = json.loads((tmp_path / "kmeans" / "default" / "seed-0000" / "record.json").read_text())
    assert record["parameters"]["n_init"] == 2
    done = run(*base, "--param", "n_inits=2", check=False)
    assert done.returncode != 0
    assert "'n_inits=2' is not name=value of a parameter of kmeans; known: n_init" in done.stderr
    assert "Traceback" not in done.stderr


def test_unknown_names_are_sentences(tmp_path):
    done = run("fit", "kmean", "smoke", "--config", "config/smoke.yaml", check=False)
    assert "there is no method 'kmean'; did you mean 'kmeans'?" in done.stderr
    done = run("fit", "kmeans", "smokey", "--config", "config/smoke.yaml", check=False)
    assert "no data set 'smokey'; known: smoke" in done.stderr


def test_list_shows_every_plugin():
    text = run("list").stdout
    for name in ("dec/published_code", "eof_kmeans", "synthetic", "local"):
        assert name in text


def test_doctor_says_what_is_missing_and_fails_only_then():
    good = run("doctor", "--config", "config/demo.yaml")
    assert "Ready." in good.stdout
    bad = run("doctor", "--config", "config/config.yaml", check=False)
    assert bad.returncode == 1
    assert "data set 'era5'" in bad.stdout


def test_check_reports_each_check_and_its_exit_status():
    done = run("check", "random")
    assert "pass" in done.stdout
    assert "random: 11 of 11 checks passed" in done.stdout


def test_tables_of_nothing_say_what_to_do(tmp_path):
    done = run("tables", str(tmp_path), check=False)
    assert done.returncode != 0
    assert "snakemake" in done.stderr


@pytest.mark.parametrize("kind", ["method", "dataset"])
def test_a_bad_name_for_a_new_plugin_is_refused(kind):
    done = run("new", kind, "Bad-Name", check=False)
    assert done.returncode != 0
    assert "lower-case letters" in done.stderr
