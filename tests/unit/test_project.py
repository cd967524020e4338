"""One source for dependencies: pyproject.toml; the lock file and the conda view follow it."""

import tomllib
from pathlib import Path

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


def test_lock_file_holds_every_direct_dependency_at_its_pin():
    lock = {}
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        if line and not line.startswith("#"):
            name, _, version = line.partition("==")
            lock[canonicalize_name(name)] = version
    for requirement in map(Requirement, PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"]):
        assert str(requirement.specifier) == f"=={lock[canonicalize_name(requirement.name)]}", requirement.name


def test_lock_file_names_no_host_and_no_local_build():
    text = (ROOT / "requirements.lock").read_text()
    assert "://" not in text
    assert "+" not in text


def test_no_command_is_promised_that_an_installed_package_could_not_keep():
    # Plugins, schemas and rules are found beside the code; an installed copy would have none of them.
    assert "scripts" not in PROJECT
    assert "build-system" not in tomllib.loads((ROOT / "pyproject.toml").read_text())
