"""The one table of metrics: what each is called, which way is better, what it computes and who defined it so."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["METRICS", "PROTOCOLS", "Metric", "find", "markdown_table", "metrics_of"]

PROTOCOLS = ("paper", "standard", "truth")


@dataclass(frozen=True)
class Metric:
    """One column of a results table.

    Parameters
    ----------
    protocol : str
        ``paper`` (what the authors' published notebooks compute), ``standard`` (the papers' formulas and the field's
        usual definitions) or ``truth`` (agreement with planted labels).
    key : str
        Name in ``scores.csv`` and in ``published/tables.yaml``.
    title : str
        Name for people.
    short : str
        Heading of a column.
    better : str
        ``higher`` or ``lower``.
    source : str
        Where the definition comes from.
    quantity : str
        What is computed; two protocols that agree on a definition name the same quantity.
    extra : bool
        True for a variant that is reported but not one of the six headline metrics.
    """

    protocol: str
    key: str
    title: str
    short: str
    better: str
    source: str
    quantity: str
    extra: bool = False


_CODE = "authors' published notebooks"
_CALINSKI = "Calinski & Harabasz 1974"
_DAVIES = "Davies & Bouldin 1979"
_ROUSSEEUW = "Rousseeuw 1987"

METRICS: tuple[Metric, ...] = (
    Metric("paper", "silhouette", "Silhouette (cosine)", "Sil. cos", "higher", _CODE, "silhouette_cosine"),
    Metric("paper", "davies_bouldin", "Davies-Bouldin", "DB", "lower", _DAVIES, "davies_bouldin"),
    Metric("paper", "calinski_harabasz", "Calinski-Harabasz", "CH", "higher", _CALINSKI, "calinski_harabasz"),
    Metric("paper", "rmse", "RMSE to cluster mean", "RMSE", "lower", "DSC paper, Eq. 11", "rmse"),
    Metric("paper", "variance", "Variance (pooled)", "Var. pooled", "lower", _CODE, "pooled_variance"),
    Metric("paper", "icd", "Inter-cluster distance (row minimum)", "ICD min", "higher", _CODE, "linkage_row_minimum"),
    Metric(
        "paper",
        "icd_row_mean",
        "Inter-cluster distance (row mean)",
        "ICD mean",
        "higher",
        "authors' published DSC notebook",
        "linkage_row_mean",
        extra=True,
    ),
    Metric(
        "paper",
        "variance_unpadded",
        "Variance (pooled, without padding)",
        "Var. unpadded",
        "lower",
        _CODE + " that score unpadded data",
        "pooled_variance_unpadded",
        extra=True,
    ),
    Metric(
        "standard", "silhouette", "Silhouette (Euclidean)", "Silhouette", "higher", _ROUSSEEUW, "silhouette_euclidean"
    ),
    Metric("standard", "davies_bouldin", "Davies-Bouldin", "DB", "lower", _DAVIES, "davies_bouldin"),
    Metric("standard", "calinski_harabasz", "Calinski-Harabasz", "CH", "higher", _CALINSKI, "calinski_harabasz"),
    Metric("standard", "rmse", "RMSE to cluster mean", "RMSE", "lower", "DSC paper, Eq. 11", "rmse"),
    Metric(
        "standard",
        "variance",
        "Variance (mean over clusters)",
        "Variance",
        "lower",
        "DSC paper, Eq. 10; mean over clusters: ours",
        "mean_variance",
    ),
    Metric(
        "standard",
        "icd",
        "Inter-cluster distance (mean over pairs)",
        "ICD",
        "higher",
        "DSC paper, Eq. 9; mean over pairs: ours",
        "linkage_pair_mean",
    ),
    Metric(
        "standard",
        "silhouette_cosine",
        "Silhouette (cosine)",
        "Sil. cos",
        "higher",
        _ROUSSEEUW,
        "silhouette_cosine",
        extra=True,
    ),
    Metric("truth", "ari", "Adjusted Rand index", "ARI", "higher", "Hubert & Arabie 1985", "ari"),
    Metric(
        "truth", "nmi", "Normalised mutual information", "NMI", "higher", "Strehl & Ghosh 2002, arithmetic mean", "nmi"
    ),
    Metric(
        "truth",
        "accuracy",
        "Matched accuracy",
        "Accuracy",
        "higher",
        "best one-to-one matching (Kuhn 1955)",
        "accuracy",
    ),
)


def metrics_of(protocol: str) -> tuple[Metric, ...]:
    """Return the metrics of ``protocol`` in table order.

    Raises
    ------
    ValueError
        If there is no such protocol.
    """
    if protocol not in PROTOCOLS:
        raise ValueError(f"there is no protocol {protocol!r}; protocols are {', '.join(PROTOCOLS)}")
    return tuple(metric for metric in METRICS if metric.protocol == protocol)


def find(protocol: str, key: str) -> Metric:
    """Return one metric.

    Raises
    ------
    KeyError
        If the protocol has no metric of that name; the message lists those it has.
    """
    known = {metric.key: metric for metric in metrics_of(protocol)}
    if key not in known:
        raise KeyError(f"protocol {protocol} has no metric {key!r}; it has {', '.join(known)}")
    return known[key]


def markdown_table() -> str:
    """Return the table of metrics as Markdown, as it stands in ``docs/metrics.md``."""
    lines = ["| protocol | key | metric | column | better | source |", "| --- | --- | --- | --- | --- | --- |"]
    for metric in METRICS:
        key = f"`{metric.key}` (extra)" if metric.extra else f"`{metric.key}`"
        lines.append(
            f"| {metric.protocol} | {key} | {metric.title} | {metric.short} | {metric.better} | {metric.source} |"
        )
    return "\n".join(lines)
