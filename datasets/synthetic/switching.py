"""A switching autoregression (hidden Markov model of AR(1) processes), fitted by expectation-maximisation."""

from __future__ import annotations

import numpy as np

__all__ = ["switching_autoregression"]

STARTS = 20
WINDOW = 20
MEAN_SPELL = 32
SMALLEST_VARIANCE = 0.05


def _initial(rng: np.random.Generator, cross: np.ndarray, power: np.ndarray, k: int) -> np.ndarray:
    """Start from the propagators of random windows, shape (start, k, plane)."""
    n = len(cross)
    window = min(WINDOW, max(1, n // 2))
    first = rng.integers(0, n - window + 1, (STARTS, k))
    days = first[:, :, None] + np.arange(window)
    return cross[days].sum(axis=2) / power[days].sum(axis=2)


def _posterior(log_density: np.ndarray, stay: float) -> tuple[np.ndarray, np.ndarray]:
    """Forward-backward recursion for all starts at once.

    Parameters
    ----------
    log_density : ndarray, shape (start, k, day)
        Log density of each day under each regime.
    stay : float
        Probability that the next day belongs to the same regime.

    Returns
    -------
    posterior : ndarray, shape (start, k, day)
    log_likelihood : ndarray, shape (start,)
    """
    starts, k, n = log_density.shape
    highest = log_density.max(axis=1, keepdims=True)
    density = np.exp(log_density - highest).transpose(2, 0, 1)
    move = (1 - stay) / (k - 1)

    def step(p: np.ndarray) -> np.ndarray:
        return (stay - move) * p + move * p.sum(axis=1, keepdims=True)

    forward, backward = np.empty_like(density), np.ones_like(density)
    total = np.empty((n, starts, 1))
    belief = np.full((starts, k), 1 / k)
    for day in range(n):
        belief = (step(belief) if day else belief) * density[day]
        total[day] = belief.sum(axis=1, keepdims=True)
        belief = forward[day] = belief / total[day]
    for day in range(n - 2, -1, -1):
        backward[day] = step(backward[day + 1] * density[day + 1]) / total[day + 1]
    likelihood = np.log(total[:, :, 0]).sum(axis=0) + highest[:, 0].sum(axis=1)
    return (forward * backward).transpose(1, 2, 0), likelihood


def switching_autoregression(state: np.ndarray, k: int, seed: int, iterations: int = 100) -> np.ndarray:
    """Find k ways to move, and the days of each.

    In each plane p and regime j the state follows z' = a_jp z + e with complex a_jp and circular Gaussian e of
    variance v_jp; regimes last ``MEAN_SPELL`` days on average. Hamilton (1990, "Analysis of time series subject to
    changes in regime") gives the recursion. The most likely of ``STARTS`` fits counts.

    Parameters
    ----------
    state : ndarray of complex, shape (time, plane)
        Amplitudes of the true modes; at least two days.
    k : int
        Number of regimes, at least 2.
    seed : int
        Source of the starting values.
    iterations : int
        Most steps of expectation-maximisation.

    Returns
    -------
    ndarray of int64, shape (time,)
        Most probable regime of each day; the first day, which has no day before it, gets that of the second.
    """
    before, after = state[:-1], state[1:]
    cross = after * before.conj()
    power_before, power_after = np.abs(before) ** 2, np.abs(after) ** 2
    a = _initial(np.random.default_rng(seed), cross, power_before, k)
    v = np.broadcast_to(power_after.mean(axis=0) / 2, a.shape)
    previous = np.full(STARTS, -np.inf)
    for _ in range(iterations):
        misfit = (1 / v) @ power_after.T - 2 * ((a.conj() / v) @ cross.T).real + (np.abs(a) ** 2 / v) @ power_before.T
        posterior, likelihood = _posterior(-np.log(np.pi * v).sum(axis=2)[:, :, None] - misfit, 1 - 1 / MEAN_SPELL)
        weight = np.maximum(posterior.sum(axis=2)[:, :, None], 1e-9)
        denominator = np.maximum(posterior @ power_before, 1e-9)
        product = posterior @ cross
        a = product / denominator
        v = np.maximum((posterior @ power_after - np.abs(product) ** 2 / denominator) / weight, SMALLEST_VARIANCE)
        if np.all(np.abs(likelihood - previous) < 1e-4):
            break
        previous = likelihood
    labels = posterior[likelihood.argmax()].argmax(axis=0)
    return np.concatenate([labels[:1], labels]).astype(np.int64)
