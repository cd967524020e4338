"""k-means on the days as they are (MacQueen 1967, Lloyd 1982)."""

from __future__ import annotations

from sklearn.cluster import KMeans

from regimebench.method import Cube, Fit, Method


class Plugin(Method):
    """Best of ``n_init`` k-means++ starts by inertia."""

    def fit(self, cube: Cube) -> Fit:
        """Cluster the days of ``cube``."""
        found = KMeans(self.n_clusters, n_init=self.params["n_init"], random_state=self.seed).fit(cube.table)
        return Fit(
            labels=found.labels_,
            epochs=found.n_iter_,
            stop_reason="iteration limit reached" if found.n_iter_ == found.max_iter else "assignments stable",
            history={"inertia": [found.inertia_]},
        )
