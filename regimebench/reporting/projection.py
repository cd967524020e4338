"""Two pictures of one space, drawn once per data set and coloured by any labels: PCA and t-SNE."""

from __future__ import annotations

import numpy as np

__all__ = ["SPACE", "principal_components", "project"]

SPACE = "the [0, 1] input space in which all partitions are scored"
PCA_DIMENSIONS = 50
PERPLEXITY = 30.0
SEED = 0


def principal_components(X: np.ndarray, most: int = PCA_DIMENSIONS) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores on the leading principal components and their shares of the variance.

    Parameters
    ----------
    X : ndarray, shape (n_days, d)
    most : int
        Components kept at most.

    Returns
    -------
    scores : ndarray, shape (n_days, p)
        Signs are fixed by the largest entry of each column, which is positive.
    shares : ndarray, shape (p,)
    """
    centred = np.asarray(X, dtype=np.float64) - X.mean(axis=0, dtype=np.float64)
    small = len(centred) <= centred.shape[1]
    values, vectors = np.linalg.eigh(centred @ centred.T if small else centred.T @ centred)
    values, vectors = np.clip(values[::-1][:most], 0, None), vectors[:, ::-1][:, :most]
    scores = vectors * np.sqrt(values) if small else centred @ vectors
    peak = scores[np.abs(scores).argmax(axis=0), np.arange(scores.shape[1])]
    total = np.square(centred).sum()
    return scores * np.where(peak < 0, -1, 1), values / total if total else np.zeros(len(values))


def project(X: np.ndarray) -> dict[str, object]:
    """Return days in two dimensions: the first two principal components, and t-SNE of the first 50; seeded.

    Returns
    -------
    dict
        ``pca`` and ``tsne``: ndarray, shape (n_days, 2); ``shares``: of the variance, by the two components.
        ``tsne`` is None for fewer than 10 days, which it cannot arrange.
    """
    scores, shares = principal_components(X)
    if scores.shape[1] < 2:
        scores = np.pad(scores, ((0, 0), (0, 2 - scores.shape[1])))
    found: dict[str, object] = {"pca": scores[:, :2], "shares": [*map(float, shares[:2])], "tsne": None}
    if len(X) >= 10:
        from sklearn.manifold import TSNE

        perplexity = min(PERPLEXITY, (len(X) - 1) / 3)
        found["tsne"] = TSNE(init="pca", perplexity=perplexity, random_state=SEED).fit_transform(scores)
    return found
