"""Distances between time series, with gradients that stay finite for equal and for constant series.

The four that the DTC paper (arXiv 1802.01059) clusters with. Each takes series z (n, T, C) and w (k, T, C) and returns
the distances (n, k) in the precision of its input; distances of several channels are added, as FlorentF9's
implementation of DTC does (TSClusteringLayer.py): the paper gives formulas for one channel.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Similarity = Callable[[Tensor, Tensor], Tensor]

# Added to sums of squares that are divided by: a constant series has no complexity and no correlation.
EPSILON = 1e-9


def euclidean(z: Tensor, w: Tensor) -> Tensor:
    """Return the Euclidean distance ED(z, w) = sqrt(sum_t (z_t - w_t)^2)."""
    return _euclidean(z, w).sum(dim=2)


def cid(z: Tensor, w: Tensor) -> Tensor:
    """Return the complexity-invariant distance of Batista et al. (2011).

    ED(z, w) max(CE(z), CE(w)) / min(CE(z), CE(w)), where CE(x) = sqrt(sum_t (x_t+1 - x_t)^2 + ``EPSILON``) is the
    length of the series when stretched.
    """
    ce_z, ce_w = (_root(x.diff(dim=1).square().sum(dim=1) + EPSILON) for x in (z, w))
    ratio = ce_z[:, None] / ce_w
    return (_euclidean(z, w) * torch.maximum(ratio, 1 / ratio)).sum(dim=2)


def cor(z: Tensor, w: Tensor) -> Tensor:
    """Return the correlation distance sqrt(2 (1 - rho)), rho being Pearson's coefficient (Golay et al. 1998).

    Computed as the equal distance between the standardised series, which loses no digits where rho is near 1. A
    constant series stands there as zero: at distance 0 from another constant, at distance 1 from all others.
    """
    return _euclidean(_standardised(z), _standardised(w)).sum(dim=2)


def acf(z: Tensor, w: Tensor) -> Tensor:
    """Return the distance sqrt(sum_l Omega_l (r_l(z) - r_l(w))^2) of autocorrelations (Galeano and Pena 2000).

    r_l is the autocorrelation at lag l = 1 .. T - 1. The weights fall linearly with the lag, Omega_l = 1 - l / T (ours:
    the DTC paper speaks of a weighted distance and gives no weights; few pairs of steps estimate a long lag).
    """
    lags = torch.arange(1, z.shape[1], dtype=z.dtype, device=z.device)
    weight = (1 - lags / z.shape[1]).sqrt()[:, None]
    return _euclidean(weight * autocorrelation(z), weight * autocorrelation(w)).sum(dim=2)


SIMILARITIES: dict[str, Similarity] = {"eucl": euclidean, "cid": cid, "cor": cor, "acf": acf}


def autocorrelation(x: Tensor) -> Tensor:
    """Return r_l = sum_t y_t y_t+l, y being the standardised series, for lags 1 .. T - 1, shape (n, T - 1, C).

    By Fourier transform of the series with T zeros appended: the zeros keep its end from touching its start.
    """
    n_steps = x.shape[1]
    spectrum = torch.fft.rfft(_standardised(x), 2 * n_steps, dim=1)
    return torch.fft.irfft(spectrum.abs().square(), 2 * n_steps, dim=1)[:, 1:n_steps]


def _euclidean(z: Tensor, w: Tensor) -> Tensor:
    """Return the distances of each channel, shape (n, k, C)."""
    return _root((z[:, None] - w).square().sum(dim=2))


def _standardised(x: Tensor) -> Tensor:
    """Return series of mean 0 and sum of squares 1; constant ones become 0."""
    centred = x - x.mean(dim=1, keepdim=True)
    return centred / _root(centred.square().sum(dim=1, keepdim=True) + EPSILON)


def _root(squares: Tensor) -> Tensor:
    """Return the square root, with gradient 0 at 0, where the true one is infinite."""
    positive = squares > 0
    return torch.where(positive, squares, 1).sqrt() * positive
