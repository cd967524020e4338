"""Pages name what there is: every plugin and variant, every block, no file that is not there."""

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from regimebench import registry
from regimebench.schema import load_yaml

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    path
    for pattern in ("*.md", "config/*.md", "docs/**/*.md", "methods/**/*.md", "datasets/**/*.md")
    for path in sorted(ROOT.glob(pattern))
]
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")
NAME = re.compile(r"`([a-z][a-z0-9_]*)`")


def page(name, heading):
    """Return the text of a page from a heading to the next one of its kind."""
    text = (ROOT / name).read_text()
    level = heading.partition(" ")[0]
    return text.partition(f"\n{heading}\n")[2].partition(f"\n{level} ")[0]


def overview():
    """Return plugin -> the names of variants in its row of the README's table."""
    lines = [line.split("|")[1:-1] for line in page("README.md", "## The methods").splitlines() if line[:1] == "|"]
    return {name: NAME.findall(variants) for first, _, variants in lines for name in NAME.findall(first)}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(path):
    wrong = [link for link in LINK.findall(path.read_text()) if not (path.parent / link).exists()]
    assert wrong == []


def test_the_overview_names_every_method_and_its_variants_in_their_order():
    found = overview()
    assert sorted(found) == sorted(path.parent.name for path in ROOT.glob("methods/[a-z]*/method.yaml"))
    for name, shown in found.items():
        twin_of = registry.method(name).twin_of
        variants = [address.partition("/")[2] for address in registry.variants(name)[1:]]
        assert shown == ([twin_of] if twin_of else variants), f"the row of {name} in README.md"


def test_the_page_on_plugins_names_every_block():
    shown = NAME.findall("\n".join(re.findall(r"^\|.*?\|", page("docs/add-a-method.md", "## Blocks"), re.MULTILINE)))
    assert sorted(shown) == sorted(path.stem for path in ROOT.glob("methods/blocks/[a-z]*.py"))


@pytest.mark.parametrize("path", sorted(ROOT.glob("methods/*/environment.yaml")), ids=lambda path: path.parent.name)
def test_an_environment_of_a_plugin_pins_what_is_tested(path):
    locks = "".join((ROOT / name).read_text() for name in ("requirements.lock", "requirements-tensorflow.lock"))
    (pins,) = (entry["pip"] for entry in load_yaml(path)["dependencies"] if isinstance(entry, dict))
    assert set(pins) <= set(locks.splitlines())
    needed = {"tensorflow": "tensorflow-cpu"}.get(registry.method(path.parent.name).framework)
    assert needed in [Requirement(pin).name for pin in pins]
