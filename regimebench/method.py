"""The method contract: what every plugin under ``methods/`` implements.

Only numpy and the standard library are imported here, so that an environment made for one framework can load the
contract without the rest of the suite.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from regimebench.dataset import Cube

__all__ = ["ContractError", "Cube", "Fit", "Method", "check_fit"]


NAME = re.compile(r"[a-z][a-z0-9_]*")


class ContractError(ValueError):
    """A plugin returned something the contract does not allow; the message says what and what is allowed."""


@dataclass(frozen=True)
class Fit:
    """What one run of a method on one cube with one seed returns.

    Parameters
    ----------
    labels : ndarray of int, shape (time,)
        Cluster of each day, ``0 <= label < n_clusters``, in the order of ``cube.time``.
    embedding : ndarray of float, shape (time, d), optional
        The space the labels were found in.
    self_expression : ndarray of float, shape (time, time), optional
        The matrix C of methods that express days by days, ``embedding ~ C embedding``: row i holds the coefficients
        of day i.
    reconstruction : ndarray of float, shape of ``cube.values``, optional
        Reconstructed cube, in the scale of the input.
    other_labels : mapping of str to ndarray of int, shape (time,), optional
        Labels that the same model gives when they are read off in another way, such as ``plain_cut`` or ``argmax``.
        They are kept beside the labels, and how well they agree is a diagnostic.
    diagnostics : mapping of str to float, optional
        What only the method itself can say about the health of the fit, such as the gap of a critic: finite numbers;
        what has no value is left out. What follows from the other fields is computed for every method alike
        (``regimebench.diagnostics``).
    history : mapping of str to sequence of float, optional
        One series per logged quantity (loss terms, label changes), one entry per check. ``embedding_norm`` is the
        Frobenius norm of the embedding of all days at the start of the phase that shapes it, and at each check.
    n_parameters : int, optional
        Trainable parameters of the fitted model.
    epochs : int, optional
        Passes over the data, pre-training included.
    stop_reason : str, optional
        Why training ended, as a short phrase.
    """

    labels: np.ndarray
    embedding: np.ndarray | None = None
    self_expression: np.ndarray | None = None
    reconstruction: np.ndarray | None = None
    other_labels: Mapping[str, np.ndarray] = field(default_factory=dict)
    diagnostics: Mapping[str, float] = field(default_factory=dict)
    history: Mapping[str, Sequence[float]] = field(default_factory=dict)
    n_parameters: int | None = None
    epochs: int | None = None
    stop_reason: str | None = None


def _silent(message: str, done: int, total: int) -> None:
    """Drop a progress report (the default outside a supervised run)."""


class Method:
    """One estimator with one seed; subclass it as ``Plugin`` in ``methods/<id>/method.py``.

    Parameters
    ----------
    n_clusters : int
        Number of clusters asked for.
    seed : int
        The only source of randomness: everything random is derived from it.
    device : str
        ``"cpu"`` or a torch-style device such as ``"cuda"`` (one device is visible to a worker).
    **params
        Exactly the parameters that ``method.yaml`` declares for the variant.
    """

    def __init__(self, n_clusters: int, seed: int, device: str = "cpu", **params: Any) -> None:
        self.n_clusters = n_clusters
        self.seed = seed
        self.device = device
        self.params = params
        self.progress: Callable[[str, int, int], None] = _silent

    def fit(self, cube: Cube) -> Fit:
        """Cluster the days of ``cube``."""
        raise TypeError(f"{type(self).__name__} does not define fit(cube)")

    def fit_batch(self, cube: Cube, seeds: Iterable[int]) -> Iterator[Fit]:
        """Fit the same settings once per seed, yielding each result as it is ready, in the order of ``seeds``.

        The default loops over :meth:`fit`. A plugin whose single fit cannot fill its device may train several seeds at
        once; it must then return what the loop would have returned.
        """
        for seed in seeds:
            one = type(self)(n_clusters=self.n_clusters, seed=seed, device=self.device, **self.params)
            one.progress = self.progress
            yield one.fit(cube)


def check_fit(fit: Any, n_days: int, n_clusters: int) -> Fit:
    """Return ``fit`` with int64 labels and plain diagnostics if it keeps the contract.

    Raises
    ------
    ContractError
        With a sentence that says which part is wrong, what was found and what is allowed.
    """
    if not isinstance(fit, Fit):
        raise ContractError(f"fit returned {type(fit).__name__}; it must return a regimebench.method.Fit")
    labels = _checked_labels("labels", fit.labels, n_days, n_clusters)
    others = {
        name: _checked_labels(f"other_labels[{name!r}]", other, n_days, n_clusters)
        for name, other in fit.other_labels.items()
    }
    for name in ("embedding", "self_expression", "reconstruction"):
        array = getattr(fit, name)
        if array is None:
            continue
        if np.shape(array)[:1] != (n_days,):
            raise ContractError(f"{name} has shape {np.shape(array)}; its first axis must be the {n_days} days")
        if not np.isfinite(array).all():
            raise ContractError(f"{name} contains NaN or infinity")
    if fit.self_expression is not None and np.shape(fit.self_expression) != (n_days, n_days):
        found = np.shape(fit.self_expression)
        raise ContractError(f"self_expression has shape {found}; days by days is required: ({n_days}, {n_days})")
    for name in (*fit.other_labels, *fit.diagnostics):
        if not (isinstance(name, str) and NAME.fullmatch(name)):
            raise ContractError(f"{name!r} names other labels or a diagnostic; allowed are a-z, 0-9 and _")
    numbers = {name: _checked_number(f"diagnostics[{name!r}]", value) for name, value in fit.diagnostics.items()}
    return replace(fit, labels=labels, other_labels=others, diagnostics=numbers)


def _checked_number(name: str, value: Any) -> float:
    """Return a finite number as a float."""
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise ContractError(f"{name} is {value!r}; a number is required") from error
    if not np.isfinite(number):
        raise ContractError(f"{name} is {number}; leave out what has no value")
    return number


def _checked_labels(name: str, labels: Any, n_days: int, n_clusters: int) -> np.ndarray:
    """Return labels as int64 if they are one whole number below ``n_clusters`` for each day."""
    labels = np.asarray(labels)
    if labels.shape != (n_days,):
        raise ContractError(f"{name} have shape {labels.shape}; one label per day is required: ({n_days},)")
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        day = int(np.flatnonzero(~np.isfinite(labels))[0])
        raise ContractError(f"{name}: day {day} has {labels[day]}; labels are whole numbers 0..{n_clusters - 1}")
    if labels.dtype.kind not in "iu":
        raise ContractError(f"{name} have type {labels.dtype}; an integer type is required")
    outside = np.flatnonzero((labels < 0) | (labels >= n_clusters))
    if outside.size:
        day = int(outside[0])
        raise ContractError(
            f"{name}: day {day} has label {labels[day]}; with {n_clusters} clusters labels are 0..{n_clusters - 1}"
        )
    return labels.astype(np.int64)
