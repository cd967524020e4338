"""Which of the frameworks that methods are written in are installed, found out without loading any of them."""

from __future__ import annotations

import importlib.util
import sys
from typing import NamedTuple


class Framework(NamedTuple):
    """One value of ``framework`` in ``method.yaml``: its name in sentences, its module, and how to get it."""

    title: str
    module: str
    target: str  # of make


FRAMEWORKS = {
    "numpy": Framework("numpy", "numpy", "setup"),
    "scikit-learn": Framework("scikit-learn", "sklearn", "setup"),
    "torch": Framework("PyTorch", "torch", "setup"),
    "tensorflow": Framework("TensorFlow", "tensorflow", "tensorflow"),
}


def installed(name: str) -> bool:
    """Say whether this interpreter can import a framework."""
    module = FRAMEWORKS[name].module
    if module in sys.modules:
        return sys.modules[module] is not None
    found = importlib.util.find_spec(module)
    return found is not None and found.origin is not None  # a folder that an uninstalled package left has no origin


def missing(name: str, own_environment: bool = False) -> str | None:
    """Return what to do about a framework that is not installed, None if it is.

    Parameters
    ----------
    name : str
        A key of :data:`FRAMEWORKS`.
    own_environment : bool
        Whether the method has an ``environment.yaml``, which Snakemake can install.
    """
    if installed(name):
        return None
    framework = FRAMEWORKS[name]
    other = ", or snakemake with --sdm conda" if own_environment else ""
    return f"{framework.title} is not installed in this environment: run make {framework.target}{other}, then run again"
