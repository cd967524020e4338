"""The command line as a user types it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from regimebench import registry
from regimebench.config import make_plan, read_config
from regimebench.doctor import Finding, show
from regimebench.scaffold import create

ROOT = Path(__file__).resolve().parents[2]


METHOD = """
from regimebench.method import Fit, Method


class Plugin(Method):
    def fit(self, cube):
        {line}
        return Fit(labels=[day % self.n_clusters for day in range(cube.n_days)])
"""


def run(*arguments, check=True, plugins="", environment=None):
    done = subprocess.run(
        [sys.executable, "-m", "regimebench", *arguments], cwd=ROOT, text=True, capture_output=True, timeout=300,
        env={**(environment or os.environ), "REGIMEBENCH_PLUGINS": str(plugins)},
    )  # fmt: skip
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


def record(out, dataset, method, seed=0):
    return json.loads((out / dataset / method / f"seed-{seed:04d}" / "record.json").read_text())


@pytest.fixture
def smoke(tmp_path):
    """Return a function that writes config/smoke.yaml with changes and returns its path."""
    config = yaml.safe_load((ROOT / "config" / "smoke.yaml").read_text())

    def write(**changes):
        path = tmp_path / "config.yaml"
        path.write_text(yaml.safe_dump({**config, **changes}))
        return str(path)

    return write


@pytest.fixture
def toy(tmp_path):
    """Return a function that makes an uncommitted plugin ``toy`` from the template, and the folder it stands in."""

    def write(line):
        create("methods", "toy", tmp_path / "plugins")
        (tmp_path / "plugins" / "methods" / "toy" / "method.py").write_text(METHOD.replace("{line}", line))
        return tmp_path / "plugins"

    return write


def test_one_fit_without_snakemake_gives_a_record_and_scores(tmp_path):
    done = run("fit", "kmeans", "smoke", "--config", "config/smoke.yaml", "--seed", "3", "--out", str(tmp_path))
    assert "kmeans, seed 3: ok" in done.stdout
    assert "standard: silhouette" in done.stdout
    made = record(tmp_path, "smoke", "kmeans/default", 3)
    assert (made["status"], made["dataset"], made["n_clusters"]) == ("ok", "smoke", 3)
    assert json.loads((tmp_path / "smoke" / "raw" / "manifest.json").read_text())["dataset"] == "smoke"


def test_the_fit_is_the_one_the_workflow_makes(tmp_path, smoke):
    spec = registry.method("kmeans")
    config = smoke(methods=[{"kmeans": {"n_init": 7}}])
    plan = make_plan(read_config(Path(config)))
    run("fit", "kmeans", "smoke", "--config", config, "--out", str(tmp_path))
    made = record(tmp_path, "smoke", "kmeans/default")
    assert made["parameters"] == plan.job("smoke", "kmeans", 0)["parameters"]
    assert made["parameters"]["n_init"] == 7 != spec.parameters["n_init"]
    run("fit", "kmeans", "smoke", "--config", config, "--out", str(tmp_path), "--param", "n_init=2")
    assert record(tmp_path, "smoke", "kmeans/default")["parameters"]["n_init"] == 2


def test_a_method_outside_the_configuration_has_the_values_of_its_budget(tmp_path, smoke, toy):
    plugins = toy("pass")
    for budget, expected in (("smoke", 3), ("full", 20)):
        config = smoke(methods=["kmeans"], budget=budget)
        run("fit", "toy", "smoke", "--config", config, "--out", str(tmp_path), plugins=plugins)
        assert record(tmp_path, "smoke", "toy/default")["parameters"] == {"n_iterations": expected}


def test_a_cube_keeps_the_name_and_the_clusters_of_its_data_set(tmp_path):
    run("fit", "random", "smoke", "--config", "config/smoke.yaml", "--out", str(tmp_path / "a"))
    cube = str(tmp_path / "a" / "smoke" / "cube.nc")
    run("fit", "random", cube, "--config", "config/smoke.yaml", "--out", str(tmp_path / "b"))
    first, second = (record(tmp_path / name, "smoke", "random/default") for name in "ab")
    assert first["fingerprint"] == second["fingerprint"] is not None


def test_a_failed_fit_shows_its_message_as_it_is(tmp_path, toy):
    plugins = toy("raise ValueError('[/tmp] is not ^[a-z]')")
    done = run("fit", "toy", "smoke", "--config", "config/smoke.yaml", "--out", str(tmp_path), check=False,
               plugins=plugins)  # fmt: skip
    assert done.returncode == 1
    assert "toy, seed 0: error (ValueError: [/tmp] is not ^[a-z]" in done.stdout


def test_ctrl_c_is_the_end_and_not_a_missing_record(tmp_path, toy):
    plugins = toy("import os, signal, time; os.kill(os.getppid(), signal.SIGINT); time.sleep(600)")
    done = run("fit", "toy", "smoke", "--config", "config/smoke.yaml", "--out", str(tmp_path), check=False,
               plugins=plugins)  # fmt: skip
    assert done.returncode == 130
    assert "stopped by SIGINT" in done.stderr
    assert "cannot be read" not in done.stderr


def test_a_wrong_parameter_is_refused(tmp_path):
    base = ["fit", "kmeans", "smoke", "--config", "config/smoke.yaml", "--out", str(tmp_path)]
    done = run(*base, "--param", "n_inits=2", check=False)
    assert done.returncode != 0
    assert "'n_inits=2' is not name=value of a parameter of kmeans; known: n_init" in done.stderr
    assert "Traceback" not in done.stderr


def test_unknown_names_are_sentences(tmp_path):
    done = run("fit", "kmean", "smoke", "--config", "config/smoke.yaml", check=False)
    assert "there is no method 'kmean'; did you mean 'kmeans'?" in done.stderr
    done = run("fit", "kmeans", "smokey", "--config", "config/smoke.yaml", check=False)
    assert "no data set 'smokey'; known: smoke" in done.stderr
    done = run("check", "kmean", check=False)
    assert done.returncode == 1
    assert "there is no method or data set 'kmean'; did you mean 'kmeans'?" in done.stderr


def test_list_shows_every_plugin():
    text = run("list").stdout
    for name in ("dec/published_code", "eof_kmeans", "synthetic", "local"):
        assert name in text


def test_list_shows_brackets_as_they_are(toy):
    plugins = toy("pass")
    path = plugins / "methods" / "toy" / "method.yaml"
    path.write_text(path.read_text().replace("title: My method", "title: '[/tmp]'", 1).replace(
        "summary: One sentence", "summary: '^[a-z]' #", 1))  # fmt: skip
    text = run("list", plugins=plugins).stdout
    assert "  toy  [/tmp] (method, numpy, described)\n      ^[a-z]\n" in text


def test_doctor_says_what_is_missing_and_fails_only_then(without_key):
    good = run("doctor", "--config", "config/demo.yaml")
    assert "Ready." in good.stdout
    bad = run("doctor", "--config", "config/config.yaml", check=False, environment=without_key)
    assert bad.returncode == 1
    assert "data sets 'era5', 'carra': no key for the Climate Data Store was found" in bad.stdout


@pytest.mark.parametrize("there", [True, False])
def test_doctor_and_list_say_whether_a_framework_is_there(toy, tensorflow, there):
    plugins = toy("pass")
    path = plugins / "methods" / "toy" / "method.yaml"
    path.write_text(path.read_text().replace("framework: numpy", "framework: tensorflow"))
    environment = {**os.environ, "PYTHONPATH": tensorflow(there)}
    listed = run("list", plugins=plugins, environment=environment).stdout
    assert "(method, tensorflow, described)" in listed or not there
    assert "(method, tensorflow (not installed), described)" in listed or there
    text = run("doctor", "--config", "config/demo.yaml", plugins=plugins, environment=environment).stdout
    (line,) = (line for line in text.splitlines() if "TensorFlow" in line)
    assert ("not installed:" in line and "toy will be skipped; `make tensorflow` installs it" in line) is not there


def test_doctor_shows_brackets_as_they_are(capsys):
    assert show([Finding(False, "[/tmp] is not ^[a-z]"), Finding(False, "[dim]", required=False)]) == 1
    assert "missing  [/tmp] is not ^[a-z]\n   note  [dim]\n" in capsys.readouterr().out


def test_check_reports_each_check_and_its_exit_status():
    done = run("check", "random")
    assert "pass" in done.stdout
    assert "random: 14 of 14 checks passed" in done.stdout


def test_check_of_a_new_folder_fails_where_the_plugin_ends_the_process(toy):
    done = run("check", "toy", plugins=toy("import sys; sys.exit(0)"), check=False)
    assert done.returncode == 1
    assert "sys.exit(0)" in done.stdout
    assert "toy: 2 of 14 checks passed, 11 not run" in done.stdout


def test_tables_of_nothing_say_what_to_do(tmp_path):
    done = run("tables", str(tmp_path), check=False)
    assert done.returncode != 0
    assert "snakemake" in done.stderr


@pytest.mark.parametrize("kind", ["method", "dataset"])
def test_a_bad_name_for_a_new_plugin_is_refused(kind):
    done = run("new", kind, "Bad-Name", check=False)
    assert done.returncode != 0
    assert "lower-case letters" in done.stderr


def test_the_snakemake_script_runs_without_its_environment_on_the_path(tmp_path):
    script = [str(Path(sys.executable).parent / "snakemake"), "--configfile", "config/smoke.yaml", "--cores", "1"]
    results = ["--config", f"results={tmp_path}", "--"]
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    environment = {**kept, "PATH": os.defpath}
    for arguments in (["-n", *results], [*results, f"{tmp_path}/smoke/raw/manifest.json"]):
        done = subprocess.run(
            [*script, *arguments], cwd=ROOT, env=environment, text=True, capture_output=True, timeout=300
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "smoke" / "raw" / "manifest.json").is_file()
