"""The published label vectors: which rows they belong to, and how they relate to each other."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.metrics import adjusted_rand_score

from regimebench.audit.finding import Finding, table
from regimebench.evidence.labels import NOT_METRICS
from regimebench.evidence.published import Published
from regimebench.tables import Table

__all__ = ["vectors"]

QUESTION = (
    "A row of a table should describe one partition. Which published label vectors do the notebooks' numbers behind a "
    "row belong to, and how alike are these?"
)


def vectors(datasets: list[Published]) -> Finding:
    """Return rows whose numbers belong to several vectors, rows without any, and the vectors themselves."""
    sentences, tables = [], []
    for published in datasets:
        labels = published.labels
        if labels is None:
            continue
        behind: dict[str, dict[str, list[str]]] = {}
        for row, entry in published.notebook.items():
            metrics = [metric for metric in entry if metric not in NOT_METRICS]
            behind.setdefault(entry.get("row", row), {}).setdefault(entry["labels"], []).extend(metrics)
        for row, parts in behind.items():
            if len(parts) > 1:
                sentences.append(_mixed(row, parts, labels))
        without = [row for row, parts in behind.items() if not set(parts) & set(labels)]
        if without:
            sentences.append(f"No label vector is published behind: {', '.join(without)}.")
        tables += [_sizes(labels), _alike(labels)]
    return Finding("vectors", "Label vectors", QUESTION, sentences, tables)


def _mixed(row: str, parts: dict[str, list[str]], labels: pd.DataFrame) -> str:
    named = "; ".join(f"{name}: {', '.join(metrics)}" for name, metrics in parts.items())
    first, second = list(parts)[:2]
    ari = adjusted_rand_score(labels[first], labels[second])
    return f"{row}: its numbers belong to {len(parts)} partitions ({named}), whose adjusted Rand index is {ari:.3f}."


def _sizes(labels: pd.DataFrame) -> Table:
    rows = []
    for name, column in labels.items():
        counts = np.bincount(column.to_numpy())
        switches = int((np.diff(column.to_numpy()) != 0).sum())
        rows.append([name, int((counts > 0).sum()), ", ".join(map(str, counts)), switches])
    header = ["vector", "clusters", "days in cluster 0, 1, …", "changes from one day to the next"]
    return table("Sizes", header, rows)


def _alike(labels: pd.DataFrame) -> Table:
    names = list(labels)
    rows = [[a, *(f"{adjusted_rand_score(labels[a], labels[b]):.3f}" for b in names)] for a in names]
    return table("Adjusted Rand index between vectors", ["", *names], rows)
