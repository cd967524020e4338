"""Planted data sets of test size."""

from pathlib import Path

import yaml

from datasets.synthetic.planting import Planting
from datasets.synthetic.settings import planting

FOLDER = Path(__file__).resolve().parents[2] / "datasets" / "synthetic"
DECLARED = yaml.safe_load((FOLDER / "dataset.yaml").read_text())
DEFAULTS = {name: entry["value"] for name, entry in DECLARED["parameters"].items()}
SMALL = {"n_days": 240, "height": 16, "width": 16, "n_variables": 5, "n_clusters": 5}


def plan(family: str, **params) -> Planting:
    """Return the planted data set of a family at test size, with further parameters laid over."""
    return planting({**DEFAULTS, **SMALL, "family": family, **params})
