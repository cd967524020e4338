"""Numbers behind the comparison of rows: every run's score in every metric, ready for the page's script."""

from __future__ import annotations

from typing import Any

import numpy as np

from regimebench.metrics import find
from regimebench.reporting.material import Material

__all__ = ["compared", "metric_list", "related", "rounded", "statistics"]

DIGITS = 7
COSTS = ("seconds", "peak_rss_mib", "n_parameters")


def metric_list(material: Material) -> list[dict[str, Any]]:
    """Return what the page says about each metric."""
    return [
        {
            "key": f"{metric.protocol}.{metric.key}",
            "protocol": metric.protocol,
            "title": metric.title,
            "higher": metric.better == "higher",
            "source": metric.source,
            "extra": metric.extra,
        }
        for metric in material.metrics
    ]


def compared(material: Material) -> list[dict[str, Any]]:
    """Return one entry per row: what it is, its runs, its scores by metric in the order of seeds, and its cost."""
    return [_row(material, row) for row in material.results.rows]


def statistics(material: Material) -> dict[str, Any]:
    """Return, by metric, what the study says about rows and pairs of rows.

    Rows: letters, possible ranks, interquartile mean with its interval, what shifted labels score. Pairs in the order
    of an upper triangle: the probability, in per cent, that a run of the first row scores better than one of the
    second, and whether they are told apart (one character each).
    """
    found, shifted = {}, material.shifted
    for key, study in material.study.metrics.items():
        null = shifted.get(key, {})
        summary, pairs = study.summary, study.pairs
        found[key] = {
            "rows": {
                str(address): {
                    "letters": line["letters"] if isinstance(line["letters"], str) else None,
                    "ranks": [_whole(line["rank_low"]), _whole(line["rank_high"])],
                    "shifted": rounded(null.get(address, np.nan)),
                    "iqm": [rounded(line[name]) for name in ("iqm", "iqm_low", "iqm_high")],
                }
                for address, line in summary.iterrows()
            },
            "better": [_whole(100 * share) for share in pairs["superiority"]],
            "apart": "".join(map(str, pairs["differ"].astype(int))),
        }
    return found


def related(material: Material) -> dict[str, Any]:
    """Return Spearman's correlations of metrics over runs, by protocol, and how many independent ones that makes."""
    found = {}
    for protocol, each in material.study.redundancy.items():
        table = each["over_runs"]
        names = [find(protocol, metric).short for metric in table]
        values = [[rounded(table[a][b], 2) for b in table] for a in table]
        found[protocol] = {
            "metrics": names,
            "rho": values,
            "effective": rounded(each["effective"], 2),
            "runs": each["runs"],
        }
    return found


def _whole(value: float) -> int | None:
    return round(float(value)) if np.isfinite(value) else None


def _row(material: Material, row: dict[str, Any]) -> dict[str, Any]:
    results, address = material.results, row["address"]
    runs = results.records[results.records["address"] == address].sort_values("seed")
    seeds = runs["seed"].astype(int).tolist()
    costs = results.ok.loc[results.ok["address"] == address, list(COSTS)].median()
    scores = {}
    for (protocol, key), table in material.by_seed.items():
        if address in table.index:
            scores[f"{protocol}.{key}"] = [rounded(value) for value in table.loc[address].reindex(seeds)]
    return {
        "address": address,
        "title": row["title"],
        "kind": row["kind"],
        "variant": "/" in address,
        "fidelity": row["fidelity"],
        "deterministic": row["deterministic"],
        "runs": results.status(address),
        "marks": [alarm.mark for alarm in results.alarms[address]],
        "meanings": [alarm.sentence for alarm in results.alarms[address]],
        "barred": address in results.unreliable or address in results.few_clusters,
        "clusters": rounded(results.clusters(address)),
        "seeds": seeds,
        "status": runs["status"].tolist(),
        "scores": scores,
        "cost": {name: rounded(costs[name]) for name in COSTS},
    }


def rounded(value: float, digits: int = DIGITS) -> float | None:
    """Return a number of so many digits for the page; None for NaN, which JSON cannot hold."""
    return float(f"{value:.{digits}g}") if value is not None and np.isfinite(value) else None
