"""k-means on codes, the start of every DEC-like method."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.cluster import KMeans
from torch import Tensor

from methods.blocks.seeding import sub_seed


def kmeans(
    z: Tensor, n_clusters: int, seed: int, n_init: int = 20, init: str = "k-means++"
) -> tuple[np.ndarray, Tensor]:
    """Return labels and centres of the best of ``n_init`` starts of k-means.

    Parameters
    ----------
    z : Tensor, shape (n_days, ...)
        Codes, flattened; clustered in double precision, since untrained codes can differ by less than float32 resolves.
    n_clusters, seed : int
        As in the method contract.
    n_init : int
        Number of starts; 20 in the DEC paper, section 4.3.
    init : str
        ``k-means++``, or ``random``: days drawn at random.

    Returns
    -------
    labels : ndarray of int, shape (n_days,)
    centres : Tensor, shape (n_clusters, ...)
        On the device and in the precision of ``z``.

    Raises
    ------
    ValueError
        If a code is NaN or infinite.
    """
    codes = z.detach().double().cpu().flatten(1).numpy()
    if not np.isfinite(codes).all():
        day = int(np.flatnonzero(~np.isfinite(codes).all(axis=1))[0])
        raise ValueError(f"the code of day {day} holds NaN or infinity; k-means needs finite codes, check the training")
    found = KMeans(n_clusters, init=init, n_init=n_init, random_state=sub_seed(seed, "kmeans")).fit(codes)
    centres = found.cluster_centers_.reshape(n_clusters, *z.shape[1:])
    return found.labels_, torch.as_tensor(centres, dtype=z.dtype, device=z.device)
