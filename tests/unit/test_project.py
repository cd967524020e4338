"""One source for dependencies: pyproject.toml; the lock file and the conda view follow it."""

import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_conda_environment_equals_pyproject():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    pip = next(entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    assert pip == PROJECT["dependencies"]
    assert "python=3.11" in environment["dependencies"]
    assert PROJECT["requires-python"].startswith(">=3.11")


EXTRAS = PROJECT["optional-dependencies"]
DIRECT = {
    "requirements.lock": PROJECT["dependencies"] + EXTRAS["dev"],
    **{f"requirements-{name}.lock": EXTRAS[name] for name in ("tensorflow", "slurm", "kubernetes")},
}


def locked(name):
    """Return package -> version of a lock file."""
    lines = [line for line in (ROOT / name).read_text().splitlines() if line and not line.startswith("#")]
    return {canonicalize_name(line.partition("==")[0]): line.partition("==")[2] for line in lines}


@pytest.mark.parametrize("name", DIRECT)
def test_lock_file_holds_every_direct_dependency_at_its_pin(name):
    lock = locked(name)
    for requirement in map(Requirement, DIRECT[name]):
        assert str(requirement.specifier) == f"=={lock[canonicalize_name(requirement.name)]}", requirement.name


@pytest.mark.parametrize("name", [name for name in DIRECT if name != "requirements.lock"])
def test_lock_file_of_an_extra_adds_to_the_other_and_changes_nothing_of_it(name):
    assert set(EXTRAS) == {"dev", "tensorflow", "slurm", "kubernetes"}
    assert not set(locked("requirements.lock")) & set(locked(name))


def test_ci_tests_with_tensorflow_and_the_plugins_for_clusters():
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    steps = [line.removeprefix("make ") for line in lines if line.startswith("make ")]
    assert steps == ["setup", "lint", "tensorflow", "slurm", "kubernetes", "test"]


@pytest.mark.parametrize("name", DIRECT)
def test_lock_file_names_no_host_and_no_local_build(name):
    text = (ROOT / name).read_text()
    assert "://" not in text
    assert "+" not in text


def test_no_command_is_promised_that_an_installed_package_could_not_keep():
    # Plugins, schemas and rules are found beside the code; an installed copy would have none of them.
    assert "scripts" not in PROJECT
    assert "build-system" not in tomllib.loads((ROOT / "pyproject.toml").read_text())
