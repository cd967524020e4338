"""What embedding, self-expression and labels of a fit say about its health.

After Haeffele, You and Vidal, "A critique of self-expressive deep subspace clustering" (ICLR 2021, arXiv 2010.03697): a
loss may fall while the embedding degenerates and the labels come from elsewhere. Meaning, formula and alarm of each
number: ``docs/diagnostics.md``. No number here needs the truth.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from regimebench.method import Fit

__all__ = ["GROUPS", "diagnose", "grouped"]

AGREEMENT = "agreement_"
# What the tables show together, in this order.
GROUPS = {
    "labels": (
        "largest_cluster",
        "empty_clusters",
        "size_entropy",
        "calendar_months",
        "calendar_blocks",
        "run_length",
    ),
    "embedding": (
        "spread",
        "norm_ratio",
        "top_share",
        "effective_rank",
        "top_share_centred",
        "effective_rank_centred",
        "twins",
        "dead_units",
    ),
    "self-expression": ("residual", "c_norm", "c_diagonal", "c_nonzeros", "c_components"),
}
ROUNDING = 1e-6  # of a number's size: what single precision and the order of sums leave open
TWIN_COSINE = 0.999  # an angle of 2.6 degrees
CROWDED = 3  # in so few dimensions independent days have twins, too
NONZERO = 1e-3  # of the largest coefficient of a day
BLOCK_VALUES = 4_000_000


def diagnose(fit: Fit, time: np.ndarray, n_clusters: int) -> dict[str, float]:
    """Return every diagnostic that applies to a fit, all of them finite.

    Parameters
    ----------
    fit : Fit
        Checked by :func:`regimebench.method.check_fit`.
    time : ndarray of datetime64, shape (n_days,)
        Dates of the days.
    n_clusters : int
        Clusters asked for.

    Returns
    -------
    dict of str to float
        Those of :data:`GROUPS` whose ingredients the fit has, ``agreement_<name>`` for each of its other labels, and
        the method's own; one that both have is ours.
    """
    found = {**_of_labels(fit.labels, n_clusters), **_of_calendar(fit.labels, time, n_clusters)}
    found |= {AGREEMENT + name: _agreement(fit.labels, other) for name, other in fit.other_labels.items()}
    with np.errstate(all="ignore"):  # what overflows is left out below
        found["norm_ratio"] = _norm_ratio(fit.history.get("embedding_norm", ()))
        Z = None if fit.embedding is None else _scaled(fit.embedding)
        if Z is not None and Z.size:
            found |= _of_embedding(Z)
        if fit.self_expression is not None:
            found |= _of_self_expression(fit.self_expression)
            if Z is not None and Z.any():
                found["residual"] = _residual(fit.self_expression, Z)
    return {**fit.diagnostics, **{name: float(value) for name, value in found.items() if np.isfinite(value)}}


def grouped(names: Iterable[str]) -> dict[str, list[str]]:
    """Return diagnostics by what they are about, in the order of tables; unknown ones are the methods' own."""
    names = sorted(names)
    found = {group: [name for name in known if name in names] for group, known in GROUPS.items()}
    found["labels"] += [name for name in names if name.startswith(AGREEMENT)]
    ours = set().union(*found.values())
    return found | {"the methods' own": [name for name in names if name not in ours]}


def _of_labels(labels: np.ndarray, n_clusters: int) -> dict[str, float]:
    """Return the largest share of days p_j, the number that are 0, and the entropy -sum p_j ln p_j / ln k."""
    share = np.bincount(labels, minlength=n_clusters) / labels.size
    found = {"largest_cluster": share.max(), "empty_clusters": np.count_nonzero(share == 0)}
    return found | ({"size_entropy": _entropy(share) / np.log(n_clusters)} if n_clusters > 1 else {})


def _of_calendar(labels: np.ndarray, time: np.ndarray, n_clusters: int) -> dict[str, float]:
    """Return agreement with month and with n_clusters blocks of the year, and the mean length of runs in days."""
    date = time.astype("datetime64[D]")
    month = date.astype("datetime64[M]")
    month_of_year = month.astype(int) % 12
    calendar_days, rank = np.unique(month_of_year * 31 + (date - month).astype(int), return_inverse=True)
    blocks = (rank - rank[0]) % calendar_days.size * n_clusters // calendar_days.size  # from the first day on
    return {
        "calendar_months": _agreement(labels, month_of_year),
        "calendar_blocks": _agreement(labels, blocks),
        "run_length": labels.size / (1 + np.count_nonzero(np.diff(labels))),
    }


def _agreement(labels: np.ndarray, other: np.ndarray) -> float:
    """Return the adjusted Rand index, here without scikit-learn, whose import would count as time of the first fit."""
    (_, rows), (_, columns) = (np.unique(each, return_inverse=True) for each in (labels, other))
    table = np.zeros((rows.max() + 1, columns.max() + 1))
    np.add.at(table, (rows, columns), 1)
    days = table.sum()
    both, first, second, every = (
        np.sum(n * (n - 1)) / 2 for n in (table, table.sum(axis=1), table.sum(axis=0), days)
    )  # pairs of days that are together
    chance = first * second / every if every else 0.0
    most = (first + second) / 2
    return (both - chance) / (most - chance) if most != chance else 1.0


def _norm_ratio(norms: object) -> float:
    """Return the last over the first ||Z||_F of the phase that shapes the embedding; NaN if there are no two."""
    norms = np.ravel(np.asarray(norms, dtype=np.float64))
    return norms[-1] / norms[0] if norms.size > 1 else np.nan


def _scaled(embedding: np.ndarray) -> np.ndarray:
    """Return one row per day in double precision, divided by the largest number, so that squares stay finite."""
    Z = np.array(embedding, dtype=np.float64).reshape(len(embedding), -1)
    largest = np.abs(Z).max(initial=0)
    if largest > 0:
        Z /= largest
    return Z


def _of_embedding(Z: np.ndarray) -> dict[str, float]:
    """Return spread ||Z - mean|| / ||Z||, spectra of Z and of Z - mean, twins and the share of constant units."""
    found = {"dead_units": np.mean(np.ptp(Z, axis=0) <= ROUNDING), "spread": 0.0}  # the largest number in Z is 1
    if min(Z.shape[0] - 2, Z.shape[1] - CROWDED) > 0:
        found["twins"] = _twins(Z)
    if not Z.any():
        return found
    centred = Z - Z.mean(axis=0)
    found["spread"] = np.linalg.norm(centred) / np.linalg.norm(Z)
    found["top_share"], found["effective_rank"] = _spectrum(Z)
    if found["spread"] >= ROUNDING:
        found["top_share_centred"], found["effective_rank_centred"] = _spectrum(centred)
    return found


def _spectrum(Z: np.ndarray) -> tuple[float, float]:
    """Return s_1^2 / sum s_i^2 and exp(H(s^2 / sum s_i^2)), from the Gram matrix of the smaller side."""
    gram = Z @ Z.T if Z.shape[0] < Z.shape[1] else Z.T @ Z
    energy = np.clip(np.linalg.eigvalsh(gram), 0, None)
    share = energy / energy.sum()
    return share.max(), np.exp(_entropy(share))


def _entropy(share: np.ndarray) -> float:
    """Return -sum p ln p in nats, 0 ln 0 = 0."""
    share = share[share > 0]
    return 0.0 - np.sum(share * np.log(share))


def _twins(Z: np.ndarray) -> float:
    """Return the share of days i with a day j, |i - j| > 1, and |cos(z_i, z_j)| > 0.999; zero days are twins, too."""
    length = np.linalg.norm(Z, axis=1, keepdims=True)
    zero = length == 0
    U = np.hstack([Z / np.where(zero, 1, length), zero]).astype(np.float32)  # zero days get a direction of their own
    n, found = len(U), 0
    for start in range(0, n, rows := max(1, BLOCK_VALUES // n)):
        days = np.arange(start, min(start + rows, n))
        twins = np.abs(U[days] @ U.T) > TWIN_COSINE
        for offset in (-1, 0, 1):
            twins[days - start, np.clip(days + offset, 0, n - 1)] = False
        found += np.count_nonzero(twins.any(axis=1))
    return found / n


def _of_self_expression(C: np.ndarray) -> dict[str, float]:
    """Return ||C||_F / sqrt n, trace(C) / n, coefficients per day, and components of the graph that they make.

    A coefficient counts if it is not on the diagonal and above a thousandth of the largest of its day; two days are
    joined if it counts for one of them.
    """
    from scipy.sparse import csr_array, vstack
    from scipy.sparse.csgraph import connected_components

    n, blocks, squares = len(C), [], 0.0
    for start in range(0, n, rows := max(1, BLOCK_VALUES // n)):
        size = np.abs(C[start : start + rows])
        squares += np.square(size, dtype=np.float64).sum()
        size[np.arange(len(size)), start + np.arange(len(size))] = 0
        blocks.append(csr_array(size > NONZERO * size.max(axis=1, keepdims=True)))
    graph = vstack(blocks)
    return {
        "c_norm": np.sqrt(squares / n),
        "c_diagonal": np.trace(C) / n,
        "c_nonzeros": graph.nnz / n,
        "c_components": connected_components(graph, directed=False, return_labels=False),
    }


def _residual(C: np.ndarray, Z: np.ndarray) -> float:
    """Return ||Z - C Z||_F / ||Z||_F."""
    rows = max(1, BLOCK_VALUES // max(Z.shape))
    blocks = (slice(start, start + rows) for start in range(0, len(Z), rows))
    return np.sqrt(sum(np.square(Z[days] - C[days] @ Z).sum() for days in blocks)) / np.linalg.norm(Z)
