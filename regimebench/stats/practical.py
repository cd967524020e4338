"""Bayesian comparison with a region of practical equivalence: better, as good, or worse, and how sure."""

from __future__ import annotations

import numpy as np
import pandas as pd

from regimebench.stats.samples import Samples

__all__ = ["ROPE", "practical", "signed_rank_posterior"]

# Differences that nobody would act upon, fixed before any result was seen; no scale is given for the other metrics.
ROPE = {"standard.silhouette": 0.01, "truth.ari": 0.02}
DRAWS = 1_000
SEED = 0
STRENGTH = 1.0  # weight of the prior run, equivalent to all others, beside each real run's 1
COLUMNS = ("a", "b", "p_better", "p_equivalent", "p_worse")


def practical(samples: Samples) -> pd.DataFrame:
    """Return, for each pair of rows, how probable it is that a is practically better, equivalent, or worse.

    A run of ``a`` beats a run of ``b`` if it scores better by more than the region of practical equivalence. The
    weights of the runs of each row are drawn from a Dirichlet distribution (Bayesian bootstrap, Rubin 1981), together
    with that of one more run that is equivalent to all others: a prior, as in the Bayesian signed-rank test (Benavoli
    et al. 2017), which keeps three seeds from being certain. For each draw the largest of the three shares of pairs of
    runs wins.

    Returns
    -------
    DataFrame
        ``a``, ``b``, ``p_better``, ``p_equivalent``, ``p_worse``; no rows where no region is fixed for the metric.
        A failed run is worse than any run that is not.
    """
    rope = ROPE.get(samples.key)
    if rope is None:
        return pd.DataFrame(columns=list(COLUMNS))
    rng = np.random.default_rng(SEED)
    names = [a for a, tried in zip(samples.addresses, samples.tried, strict=True) if tried]
    chosen = samples.tried > 0
    runs = [scores[~np.isnan(scores)] for scores in samples.scores[chosen]]
    weights = [_weights(rng, len(each), fixed) for each, fixed in zip(runs, samples.deterministic[chosen], strict=True)]
    rows = []
    for i in range(len(runs) - 1):
        better, worse = _shares(runs[i], runs[i + 1 :], weights[i], weights[i + 1 :], rope)
        for j, share in enumerate(np.stack([better, 1 - better - worse, worse]).transpose(2, 0, 1), i + 1):
            rows.append((names[i], names[j], *_winners(share)))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _weights(rng: np.random.Generator, n: int, fixed: bool) -> np.ndarray:
    """Return weights (DRAWS, n) of the runs; what is missing to 1 is the prior's. A deterministic row has no doubt."""
    if fixed:
        return np.ones((DRAWS, n), dtype=np.float32)
    return rng.dirichlet([*np.ones(n), STRENGTH], DRAWS)[:, :n].astype(np.float32)


def _shares(
    a: np.ndarray, others: list[np.ndarray], of_a: np.ndarray, of_others: list[np.ndarray], rope: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the weighted shares of pairs of runs in which ``a`` is better, and worse, each (DRAWS, others)."""
    b, of_b = np.concatenate(others), np.concatenate(of_others, axis=1)
    starts = np.cumsum([0, *map(len, others[:-1])])
    better = (of_a @ (a[:, None] > b + rope).astype(np.float32)) * of_b
    worse = (of_a @ (b > a[:, None] + rope).astype(np.float32)) * of_b
    return np.add.reduceat(better, starts, axis=1), np.add.reduceat(worse, starts, axis=1)


def _winners(shares: np.ndarray) -> np.ndarray:
    """Return how often each of the three shares (3, draws) is the largest."""
    return np.bincount(np.argmax(shares, axis=0), minlength=3) / shares.shape[1]


def signed_rank_posterior(differences: np.ndarray, rope: float, draws: int = 50_000) -> np.ndarray:
    """Return how probable it is that one method is better, equivalent or worse, from one difference per data set.

    The Bayesian signed-rank test (Benavoli et al. 2017): weights of the data sets from a Dirichlet distribution with a
    prior data set of weight 0.5 without a difference; which region has most of the pairwise means of differences.
    """
    z = np.concatenate([[0.0], differences])
    concentration = np.concatenate([[0.5], np.ones(len(differences))])
    weights = np.random.default_rng(SEED).dirichlet(concentration, draws)
    means = (z[:, None] + z) / 2
    better = ((weights @ (means > rope)) * weights).sum(axis=1)
    worse = ((weights @ (means < -rope)) * weights).sum(axis=1)
    return _winners(np.stack([better, 1 - better - worse, worse]))
