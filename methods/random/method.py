"""Random labels: what a score is worth when there is no clustering at all."""

from __future__ import annotations

import numpy as np

from regimebench.method import Cube, Fit, Method


class Plugin(Method):
    """Draw each day's label uniformly; no cluster stays empty."""

    def fit(self, cube: Cube) -> Fit:
        """Label the days of ``cube`` without looking at them.

        Raises
        ------
        ValueError
            If there are fewer days than clusters.
        """
        if cube.n_days < self.n_clusters:
            raise ValueError(
                f"the cube has {cube.n_days} days, too few for {self.n_clusters} clusters that are not empty; "
                "ask for fewer clusters"
            )
        rng = np.random.default_rng(self.seed)
        labels = rng.integers(self.n_clusters, size=cube.n_days)
        # One random day per cluster is set by hand, so that the scores that need every cluster are defined.
        labels[rng.permutation(cube.n_days)[: self.n_clusters]] = np.arange(self.n_clusters)
        return Fit(labels=labels, n_parameters=0, epochs=0, stop_reason="nothing to train")
