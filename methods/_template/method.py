"""One sentence: name of the method and (authors, year)."""

from __future__ import annotations

# Import only regimebench.method, methods.blocks and third-party libraries. Torch methods find auto-encoders, losses
# and a training loop in methods/blocks; other plugins are out of reach, so that each can be read on its own.
import numpy as np

from regimebench.method import Cube, Fit, Method


# The class must be called Plugin: the suite looks for that name. This example is Lloyd's k-means from random days.
class Plugin(Method):
    """One sentence on how the method works."""

    def fit(self, cube: Cube) -> Fit:
        """Cluster the days of ``cube``."""
        # One row per day, all cells and variables in [0, 1]. Convolutional methods use cube.values (day, y, x,
        # variable) instead. Rows are in the order of cube.time; labels must come back in that order.
        x = cube.table

        # self.seed is the only source of randomness. Use a local generator: the global ones belong to nobody.
        rng = np.random.default_rng(self.seed)
        centres = x[rng.choice(cube.n_days, size=self.n_clusters, replace=False)]

        # self.params holds exactly the parameters that method.yaml declares, with the variant's values.
        n_iterations = self.params["n_iterations"]
        history = []
        for iteration in range(n_iterations):
            distance = np.stack([np.square(x - centre).sum(axis=1) for centre in centres], axis=1)
            labels = distance.argmin(axis=1)
            history.append(float(distance.min(axis=1).mean()))

            # A cluster that lost all its days keeps its centre: guard the cases the paper does not mention.
            sizes = np.bincount(labels, minlength=self.n_clusters)
            means = [x[labels == j].mean(axis=0) if sizes[j] else centres[j] for j in range(self.n_clusters)]
            centres = np.stack(means)

            # Says what is going on, how far it is, and how far it goes; shown to the user while the run lasts.
            self.progress("iterations", iteration + 1, n_iterations)

        # Only labels are required: whole numbers from 0 to n_clusters - 1. Leave out what the method does not have;
        # embedding (the space the labels were found in), self_expression (for methods with a matrix C), other_labels
        # and reconstruction enable diagnostics and figures.
        return Fit(
            labels=labels,
            n_parameters=centres.size,
            epochs=n_iterations,
            stop_reason="iteration limit reached",
            history={"within_cluster_distance": history},
        )
