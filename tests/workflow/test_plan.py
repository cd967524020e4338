"""What would run: dry runs, the default configuration, and Snakemake's own checks."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from regimebench import jobs, registry
from regimebench.config import make_plan, read_config

ROOT = Path(__file__).resolve().parents[2]


def snakemake(*arguments, check=True):
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "2", *arguments],
        cwd=ROOT,
        text=True,
        capture_output=True,
        timeout=300,
    )
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def counts(output):
    return {name: int(number) for name, number in re.findall(r"^(\w+) +(\d+)$", output, flags=re.MULTILINE)}


def test_plain_snakemake_plans_the_papers_protocol_without_data_or_keys():
    jobs_of = counts(snakemake("-n", "--quiet", "rules"))
    assert jobs_of["download"] == jobs_of["preprocess"] == jobs_of["evaluate"] == jobs_of["aggregate"] == 3
    plan = make_plan(read_config(ROOT / "config" / "config.yaml"))
    assert list(plan.datasets) == ["era5", "carra", "ncar"]
    assert list(plan.methods) == registry.addresses()
    assert {len(entry.seeds) for entry in plan.methods.values()} == {1, 20}
    assert {entry.n_clusters for entry in plan.datasets.values()} == {7}
    batches = sum(1 for name in plan.datasets for _ in plan.batch_files(name))
    assert sum(number for name, number in jobs_of.items() if name.startswith("fit_")) == batches


def test_missing_data_stops_the_papers_protocol_before_any_job(tmp_path):
    output = snakemake("--config", f"results={tmp_path}", check=False)
    assert "Nothing was started, because data is missing" in output
    assert "data set 'era5'" in output
    assert "make demo" in output
    assert not (tmp_path / "era5").exists()
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


def test_fits_are_never_retried_by_snakemake():
    text = (ROOT / "workflow" / "rules" / "fit.smk").read_text() + (ROOT / "profiles/default/profile.yaml").read_text()
    assert "retries" not in text


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
