"""Scores of partitions: one table of definitions, one shared pass over distances, one file per idea."""

from regimebench.metrics.compactness import implied_ch, implied_inertia
from regimebench.metrics.definitions import METRICS, PROTOCOLS, Metric, find, markdown_table, metrics_of
from regimebench.metrics.external import score_against_truth
from regimebench.metrics.score import score_partitions

__all__ = [
    "METRICS",
    "PROTOCOLS",
    "Metric",
    "find",
    "implied_ch",
    "implied_inertia",
    "markdown_table",
    "metrics_of",
    "score_against_truth",
    "score_partitions",
]
