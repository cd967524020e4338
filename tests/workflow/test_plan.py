"""What would run: dry runs, the default configuration, and Snakemake's own checks."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from regimebench import driver, jobs, registry
from regimebench.config import make_plan, read_config

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments, environment=None):
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, text=True, capture_output=True, timeout=300)


def snakemake(*arguments, check=True):
    done = run(*arguments)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def counts(output):
    return {name: int(number) for name, number in re.findall(r"^(\w+) +(\d+)$", output, flags=re.MULTILINE)}


def test_plain_snakemake_plans_the_papers_protocol_without_data_or_keys(tmp_path):
    jobs_of = counts(snakemake("-n", "--quiet", "rules", "--forceall", "--config", f"results={tmp_path}"))
    assert jobs_of["download"] == jobs_of["preprocess"] == jobs_of["evaluate"] == jobs_of["aggregate"] == 3
    plan = make_plan(read_config(ROOT / "config" / "config.yaml"))
    assert list(plan.datasets) == ["era5", "carra", "ncar"]
    assert list(plan.methods) == registry.addresses()
    assert {len(entry.seeds) for entry in plan.methods.values()} == {1, 20}
    assert {entry.n_clusters for entry in plan.datasets.values()} == {7}
    batches = len(plan.datasets) * sum(jobs.batches(plan).values())
    assert sum(number for name, number in jobs_of.items() if name.startswith("fit_")) == batches


def test_without_a_key_the_papers_protocol_stops_before_any_job(tmp_path, without_key):
    done = run("--config", f"results={tmp_path / 'results'}", environment=without_key)
    output = done.stdout + done.stderr
    assert done.returncode != 0
    assert "Nothing was started, because data is missing" in output
    assert "data sets 'carra', 'era5': no key for the Climate Data Store was found" in output
    assert "'ncar'" not in output
    assert "make demo" in output
    assert not (tmp_path / "results" / "era5").exists()
    assert "Finished job" not in output


def test_the_default_profile_is_found_beside_the_snakefile():
    assert "Using workflow specific profile profiles/default" in snakemake("-n", "--configfile", "config/smoke.yaml")


def test_another_configuration_replaces_the_papers_protocol_and_is_not_merged_with_it():
    jobs_of = counts(snakemake("-n", "--quiet", "rules", "--configfile", "config/demo.yaml", "--forceall"))
    assert jobs_of["download"] == 1


@pytest.mark.parametrize("path", sorted((ROOT / "config").glob("*.yaml")), ids=lambda path: path.name)
def test_every_configuration_is_valid(path):
    plan = make_plan(yaml.safe_load(path.read_text()), path.name)
    assert plan.n_fits() > 0


def test_one_rule_per_method_can_be_addressed():
    output = snakemake(
        "-n", "--configfile", "config/smoke.yaml", "--set-resources", "fit_kmeans:mem_mb=12345", "--forceall"
    )
    block = output[output.index("rule fit_kmeans:") :]
    assert "mem_mb=12345" in block[: block.index("\n\n") if "\n\n" in block else 2000]


def test_snakemake_repeats_nothing():
    """Fits keep records of failures, downloads repeat what is worth it: a wrong key is wrong four times."""
    lines = [line for path in (ROOT / "workflow" / "rules").glob("*.smk") for line in path.read_text().splitlines()]
    assert {line.split()[1] for line in lines if line.strip().startswith("retries:")} == {"0"}
    assert "retries" not in (ROOT / "profiles" / "default" / "profile.yaml").read_text()


def test_unfinished_files_are_made_again_and_one_failure_does_not_stop_the_rest():
    profile = yaml.safe_load((ROOT / "profiles" / "default" / "profile.yaml").read_text())
    assert profile["rerun-incomplete"] is True
    assert profile["keep-going"] is True


@pytest.mark.parametrize(
    ("stage", "own"),
    [
        ("download.py", {"regimebench/download.py", "regimebench/dataset.py"}),
        ("preprocess.py", {"regimebench/preprocess.py", "regimebench/fields.py", "regimebench/cube.py"}),
        ("verify.py", {"regimebench/verify.py", "regimebench/evidence/labels.py", "regimebench/metrics/score.py"}),
        ("evaluate.py", {"regimebench/evaluate.py", "regimebench/metrics/__init__.py", "regimebench/records.py"}),
        ("aggregate.py", {"regimebench/aggregate.py", "regimebench/tables.py", "regimebench/stats/study.py"}),
        ("across.py", {"regimebench/across.py", "regimebench/stats/across.py"}),
        ("derived.py", {"regimebench/derived.py", "regimebench/cube.py"}),
        ("paper_tables.py", {"regimebench/papers/render.py", "regimebench/fragments.py", "regimebench/stats/study.py"}),
        ("choose_k.py", {"regimebench/elbow.py", "regimebench/cube.py", "regimebench/metrics/score.py"}),
        ("audit/__init__.py", {"regimebench/audit/variance.py", "regimebench/evidence/inertia.py"}),
        ("report.py", {"regimebench/report.py", "regimebench/reporting/material.py", "regimebench/aggregate.py"}),
    ],
)
def test_a_stage_depends_on_all_code_it_imports(stage, own):
    found = set(jobs.code(stage))
    assert own <= found
    assert "regimebench/fit.py" not in found


def test_the_papers_protocol_is_not_merged_into_a_configuration_without_data_sets(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({"methods": ["kmean"], "results": str(tmp_path)}))
    done = run("-n", "--configfile", str(path))
    output = done.stdout + done.stderr
    assert done.returncode != 0
    assert "mine.yaml: 2 problems" in output
    assert "the key 'datasets' is missing" in output
    assert "did you mean 'kmeans'?" in output
    assert "Traceback" not in output
    assert "Snakefile" not in output


def test_batch_files_fit_on_a_command_line_and_are_found_again(tmp_path):
    config = {"datasets": {"d": {"plugin": "synthetic"}}, "methods": "all", "seeds": 10000, "results": str(tmp_path)}
    plan = make_plan({**config, "seeds_per_job": 1})
    numbers = json.loads(jobs.text(jobs.batches(plan)))
    assert len(jobs.text(numbers)) < 10_000
    few = {"random": numbers["random"], "dec/untrained": 2}
    found = jobs.batch_files(tmp_path / "d", few)
    assert len(found) == 10_002
    assert found[9_999] == tmp_path / "d" / "random" / "default" / "batch-9999.json"
    assert found[10_000:] == [tmp_path / "d" / "dec" / "untrained" / f"batch-{number}.json" for number in (0, 1)]


def test_a_method_with_its_own_environment_runs_in_it(tmp_path, monkeypatch):
    plugin = tmp_path / "methods" / "other"
    plugin.mkdir(parents=True)
    source = ROOT / "methods" / "random"
    for name in ("method.py", "method.yaml"):
        (plugin / name).write_text((source / name).read_text())
    (plugin / "environment.yaml").write_text("dependencies: [python]\n")
    monkeypatch.setenv("REGIMEBENCH_PLUGINS", str(tmp_path))
    plan = make_plan({"datasets": {"d": {"plugin": "synthetic"}}, "methods": ["other", "random"]})
    assert jobs.environment(plan, "other") == str(plugin / "environment.yaml")
    assert jobs.environment(plan, "random") == jobs.DEFAULT_ENVIRONMENT
    (note,) = driver.environment_notes(plan)
    assert note.startswith("Note: other has an environment.yaml")
    assert "--sdm conda" in note


def test_a_run_says_at_its_start_which_methods_it_will_skip(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    text = (
        (ROOT / "methods" / "random" / "method.yaml").read_text().replace("framework: numpy", "framework: tensorflow")
    )
    for name in ("one", "two", "three"):
        (tmp_path / "methods" / name).mkdir(parents=True)
        (tmp_path / "methods" / name / "method.yaml").write_text(text)
    (tmp_path / "methods" / "three" / "environment.yaml").touch()
    monkeypatch.setenv("REGIMEBENCH_PLUGINS", str(tmp_path))
    plan = make_plan({"datasets": {"d": {"plugin": "synthetic"}}, "methods": ["one", "two", "three", "random"]})
    first, second = driver.framework_notes(plan, conda=False)
    assert first.startswith(
        "Note: one, two will be skipped. TensorFlow is not installed in this environment: run make "
    )
    assert second.startswith("Note: three will be skipped. ")
    assert driver.framework_notes(plan, conda=True) == [first]
    assert driver.environment_notes(plan) == []


def test_a_device_slot_is_asked_for_only_where_there_is_a_device(monkeypatch):
    plan = make_plan({"datasets": {"d": {"plugin": "synthetic"}}, "methods": ["dec", "random"]})
    monkeypatch.setenv("REGIMEBENCH_DEVICES", "0,1")
    assert [jobs.resources(plan, name)["gpu"] for name in ("dec", "random")] == [1, 0]
    monkeypatch.setenv("REGIMEBENCH_DEVICES", "")
    assert jobs.resources(plan, "dec")["gpu"] == 0


def test_run_time_covers_the_deadlines_of_a_whole_batch():
    plan = make_plan({"datasets": {"d": {"plugin": "synthetic"}}, "methods": ["dec"], "seeds": 20, "seeds_per_job": 4})
    deadline = plan.methods["dec"].spec.resources["deadline_minutes"]
    assert jobs.resources(plan, "dec")["runtime"] >= 4 * deadline


def test_smoke_fits_take_one_thread_each():
    settings = {"datasets": {"d": {"plugin": "synthetic"}}, "methods": ["dsc"]}
    assert jobs.resources(make_plan(settings), "dsc")["threads"] == 2
    assert jobs.resources(make_plan({**settings, "budget": "smoke"}), "dsc")["threads"] == 1


def test_lint_and_format():
    assert "lints" not in snakemake("--lint", "--configfile", "config/smoke.yaml").lower().replace(
        "congratulations", ""
    )
    done = subprocess.run(
        [sys.executable, "-m", "snakefmt", "--check", "Snakefile", "workflow/rules"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
