"""Agglomerative clustering with Ward's criterion (Ward 1963)."""

from __future__ import annotations

from sklearn.cluster import AgglomerativeClustering

from regimebench.method import Cube, Fit, Method


class Plugin(Method):
    """Merge, step by step, the two clusters whose union adds the least within-cluster variance."""

    def fit(self, cube: Cube) -> Fit:
        """Cluster the days of ``cube``; nothing is random."""
        found = AgglomerativeClustering(self.n_clusters, linkage="ward", compute_distances=True).fit(cube.table)
        return Fit(
            labels=found.labels_,
            stop_reason=f"{self.n_clusters} clusters left",
            history={"merge_distance": found.distances_},
        )
