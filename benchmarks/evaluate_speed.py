"""Speed and memory of the evaluate stage against scikit-learn: ``python -m benchmarks.evaluate_speed``.

Both sides score the same partitions of the same days in the same process, in turn, so that a busy machine slows both.
The scikit-learn side computes one metric of one partition at a time, as the authors' published notebooks do; where
scikit-learn has no function (RMSE, variance, inter-cluster distance) it gets numpy and scikit-learn's distances. It is
given float64, which it need not convert and in which its results are exact enough to compare with.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import sklearn.metrics

from regimebench import provenance
from regimebench.metrics import score_partitions

N_CLUSTERS = 7
PAPER_SHAPE = (365, 11767)
LARGE_SHAPE = (20_000, 200)


def clustered_days(n_days: int, n_columns: int) -> np.ndarray:
    """Return days in [0, 1] around seven means, float32."""
    rng = np.random.default_rng(0)
    means = rng.random((N_CLUSTERS, n_columns), dtype=np.float32)
    return (means[rng.integers(0, N_CLUSTERS, n_days)] + rng.random((n_days, n_columns), dtype=np.float32)) / 2


def distinct_partitions(count: int, n_days: int) -> np.ndarray:
    """Return random partitions, (count, n_days): none equal, so that none is saved by scoring equal ones once."""
    return np.random.default_rng(1).integers(0, N_CLUSTERS, (count, n_days))


def inter_cluster_distances(X: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Return the paper and the standard inter-cluster distance of one partition."""
    distances = sklearn.metrics.pairwise_distances(X)
    groups = [np.flatnonzero(labels == cluster) for cluster in range(N_CLUSTERS)]
    matrix = np.array(
        [[distances[np.ix_(a, b)].max() if a is b else distances[np.ix_(a, b)].min() for b in groups] for a in groups]
    )
    return matrix.min(axis=1).mean(), matrix[np.triu_indices(N_CLUSTERS, 1)].mean()


def compactness(X: np.ndarray, labels: np.ndarray) -> tuple[float, float, float]:
    """Return RMSE, standard and paper variance of one partition."""
    clusters = [X[labels == cluster] for cluster in range(N_CLUSTERS)]
    errors = [np.sum((rows - rows.mean(axis=0, dtype=np.float64)) ** 2) for rows in clusters]
    variances = [error / len(rows) for error, rows in zip(errors, clusters, strict=True)]
    pooled = sum(len(rows) * np.var(rows, dtype=np.float64) for rows in clusters) / len(X)
    return np.sqrt(sum(errors) / len(X)), np.mean(variances), pooled


def one_at_a_time(X: np.ndarray, partitions: np.ndarray) -> np.ndarray:
    """Return the headline metrics of every partition, in the columns of :func:`headline`."""
    rows = []
    for labels in partitions:
        rmse, variance, pooled = compactness(X, labels)
        row_minimum, pair_mean = inter_cluster_distances(X, labels)
        rows.append(
            [
                sklearn.metrics.silhouette_score(X, labels, metric="cosine"),
                sklearn.metrics.davies_bouldin_score(X, labels),
                sklearn.metrics.calinski_harabasz_score(X, labels),
                rmse,
                pooled,
                row_minimum,
                sklearn.metrics.silhouette_score(X, labels),
                variance,
                pair_mean,
            ]
        )
    return np.array(rows)


def headline(X: np.ndarray, partitions: np.ndarray) -> np.ndarray:
    """Return the distinct headline metrics of both protocols from our pass, (P, 9)."""
    scores = score_partitions(X, partitions).pivot(index="partition", columns=["protocol", "metric"], values="value")
    paper = ["silhouette", "davies_bouldin", "calinski_harabasz", "rmse", "variance", "icd"]
    columns = [("paper", key) for key in paper] + [("standard", key) for key in ("silhouette", "variance", "icd")]
    return scores[columns].to_numpy()


def timed(function: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    """Return seconds and result of one call."""
    begin = time.perf_counter()
    result = function()
    return time.perf_counter() - begin, result


def spread(values: list[float], digits: int) -> str:
    """Return the median and, in brackets, the extremes."""
    low, middle, high = (f"{value:,.{digits}f}" for value in (min(values), float(np.median(values)), max(values)))
    return f"{middle} [{low}, {high}]"


def compare(repeats: int, shared: int, many: int) -> None:
    """Print how long ``shared`` partitions take on both sides, and ``many`` on ours."""
    X = clustered_days(*PAPER_SHAPE)
    wide = X.astype(np.float64)
    all_partitions = distinct_partitions(many, len(X))
    some = all_partitions[:shared]
    headline(X, some[:1])  # the first call of either side loads libraries
    one_at_a_time(wide, some[:1])
    ours, theirs, full = [], [], []
    for _ in range(repeats):
        seconds, got = timed(lambda: headline(X, some))
        ours.append(seconds)
        seconds, expected = timed(lambda: one_at_a_time(wide, some))
        theirs.append(seconds)
        full.append(timed(lambda: headline(X, all_partitions))[0])
    per_partition = [(a / shared) / (b / many) for a, b in zip(theirs, full, strict=True)]
    print(f"\n## {len(X)} days x {X.shape[1]:,} columns, k = {N_CLUSTERS}, both protocols\n")
    print(f"Median [least, largest] of {repeats} repeats, the sides in turn.\n")
    print("| partitions | ours, s | one at a time, s | ratio |")
    print("| --- | --- | --- | --- |")
    ratio = spread([a / b for a, b in zip(theirs, ours, strict=True)], 1)
    print(f"| {shared} | {spread(ours, 3)} | {spread(theirs, 2)} | {ratio} |")
    print(f"| {many} | {spread(full, 3)} | not run | {spread(per_partition, 0)} per partition |")
    print(f"\nLargest relative difference between the sides: {np.max(np.abs(got / expected - 1)):.1e}")


def large(count: int) -> None:
    """Print time and peak memory of this process for many days."""
    X = clustered_days(*LARGE_SHAPE)
    before = peak_mib()
    seconds, _ = timed(lambda: headline(X, distinct_partitions(count, len(X))))
    print(f"| {count} | {seconds:.1f} | {before:,.0f} | {peak_mib():,.0f} |", flush=True)


def peak_mib() -> float:
    """Return the largest resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Print the report as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--shared", type=int, default=12, help="partitions that both sides score")
    parser.add_argument("--many", type=int, default=600, help="partitions that only our side scores")
    parser.add_argument("--large", type=int, nargs="*", default=[20], help="partitions of the 20,000-day cases")
    parser.add_argument("--only-large", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.only_large:
        large(given.only_large)
        return
    print("# Evaluate: speed and memory\n")
    about = provenance.machine() | {module.__name__: module.__version__ for module in (np, sklearn)}
    print("\n".join(f"- {name}: {value}" for name, value in about.items()))
    compare(given.repeats, given.shared, given.many)
    print(f"\n## {LARGE_SHAPE[0]:,} days x {LARGE_SHAPE[1]} columns, each in a process of its own\n")
    print("| partitions | s | peak MiB before | peak MiB |\n| --- | --- | --- | --- |", flush=True)
    for count in given.large:
        subprocess.run([sys.executable, "-m", "benchmarks.evaluate_speed", "--only-large", str(count)], check=True)


if __name__ == "__main__":
    main()
