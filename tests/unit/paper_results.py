"""A results folder in which all three data sets of the papers exist, with scores made up around the printed numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from regimebench import jobs
from regimebench.config import make_plan
from regimebench.evidence.fields import Spot
from regimebench.evidence.inertia import Inertia
from regimebench.evidence.labels import Labels
from regimebench.evidence.published import AGREES, OPEN
from regimebench.evidence.verdict import Findings
from regimebench.metrics import metrics_of
from regimebench.papers.compare import read_results
from regimebench.papers.layouts import MethodsLayout, read_layouts
from regimebench.stats.study import study

SEEDS = 20
METHODS = [
    "random", "calendar", "kmeans", "hierarchical", "dec", "dec/published_code", "dec/untrained", "dtc", "dtcr", "dsc",
    "dsc/published_code", "dsc/cnn_encoder", "dsc/cnn_autoencoder", "dsc/cnn_lstm_encoder", "a_datsc", "a_datsc/sel",
    "a_datsc/gat", "a_datsc/cnn_lstm", "clustergan", "dasc", "dec_tf",
]  # fmt: skip
PUBLISHED = ("era5", "carra", "ncar")
# Value of every metric of a row that no table prints, by published data set.
PLAIN = {"silhouette": 0.1, "davies_bouldin": 2.0, "calinski_harabasz": 50.0, "rmse": 15.0, "variance": 0.104}
PLAIN |= {"icd": 6.0, "variance_unpadded": 0.0452, "icd_row_mean": 8.0}


def settings_of(folder: Path, datasets: tuple[str, ...] = PUBLISHED, **config: Any) -> dict[str, Any]:
    """Return the settings of the stage, through the plan, as the workflow would give them."""
    entries = {name: {"published": name, "title": f"{name.upper()} (made up)"} for name in datasets}
    plan = make_plan({"results": str(folder), "datasets": entries, "methods": METHODS, "seeds": SEEDS, **config})
    return jobs.paper_settings(plan)


def printed_values() -> dict[tuple[str, str, str], float]:
    """Return one printed number per data set, row and metric; where tables disagree, the first."""
    found: dict[tuple[str, str, str], float] = {}
    for layout in read_layouts():
        for part in () if isinstance(layout, MethodsLayout) else layout.parts:
            for (row, metric), number in part.numbers.items():
                found.setdefault((part.dataset, row, metric), number.value)
    return found


def write_results(settings: dict[str, Any], words: dict[str, str] | None = None, spread: float = 0.02) -> None:
    """Write ``scores.csv``, ``runs.csv`` and ``verify.json`` of every data set.

    Our runs scatter normally by ``spread`` (a share) around the printed number. ``words`` says of which data sets the
    verify stage finds other than that they are the papers'.
    """
    rng, printed = np.random.default_rng(0), printed_values()
    for each in settings["datasets"]:
        name, folder = each["dataset"], Path(settings["results"]) / each["dataset"]
        scores, runs = [], []
        for row in settings["rows"]:
            for seed in range(row["seeds"]):
                noise = {metric.key: rng.normal() for metric in metrics_of("paper")}
                scores += [(row["address"], seed, "standard", metric.key, 1.0) for metric in metrics_of("standard")]
                for metric in metrics_of("paper"):
                    middle = printed.get((each["published"], row["published"], metric.key), PLAIN[metric.key])
                    value = middle * (1 + (0 if row["deterministic"] else spread) * noise[metric.key])
                    scores.append((row["address"], seed, "paper", metric.key, value))
                runs.append((row["address"], seed, "ok", each["n_clusters"], 10.0 + seed, 1000.0))
        columns = ["address", "seed", "protocol", "metric", "value"]
        folder.mkdir(parents=True, exist_ok=True)
        pd.DataFrame(scores, columns=columns).to_csv(folder / "scores.csv", index=False)
        columns = ["address", "seed", "status", "clusters_found", "seconds", "n_parameters"]
        frame = pd.DataFrame(runs, columns=columns).assign(message=None, peak_rss_mib=100.0, epochs=1)
        frame.to_csv(folder / "runs.csv", index=False)
        findings = make_findings(name, each["published"], (words or {}).get(name, AGREES))
        (folder / "verify.json").write_text(json.dumps(findings.as_json()))
        study(read_results(settings, each)).write(folder.parent / "tables" / f"{name}.statistics.json")


def make_findings(dataset: str, published: str, status: str) -> Findings:
    """Return findings whose only printed value and inertia have this status."""
    spot = Spot("43N 33W", "2021-01-01", "t2m", "288.6", 288.6, 0.0, status, "", False, False)
    inertia = Inertia(503.18, 503.17, 503.19, 365, 503.18, status, [])
    return Findings(dataset, published, "", [], [spot], inertia, Labels(OPEN, "no label vector is published"))
