"""DEC's second phase: learn from one's own confident assignments (DEC paper, section 3.1.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer

from methods.blocks.student_t import target_distribution
from methods.blocks.training import Progress, train


@dataclass
class SelfTraining:
    """What :func:`self_train` found."""

    labels: np.ndarray
    steps: int
    stop_reason: str
    history: dict[str, list[float]] = field(default_factory=dict)


def self_train(
    codes: Callable[[], Tensor],
    assign: Callable[[Tensor], Tensor],
    loss: Callable[[Tensor, Tensor], Tensor | Mapping[str, Tensor]],
    optimiser: Callable[[], Optimizer],
    days: Iterator[Tensor],
    labels: np.ndarray,
    *,
    update_interval: int,
    max_steps: int,
    tol: float,
    progress: Progress,
    quiet_looks: int = 1,
    reset_momentum: bool = False,
    clip_norm: float | None = None,
    precision: str = "float32",
) -> SelfTraining:
    """Alternate between a fixed target P and ``update_interval`` steps towards it, until the labels stay.

    The labels are looked at before each block of steps; the first look that may stop is the second one, after
    ``update_interval`` steps, as in the DEC code for Keras.

    Parameters
    ----------
    codes : callable
        Returns the codes Z of all days, shape (n_days, ...); the history keeps their norm at each look.
    assign : callable
        Returns the soft assignment Q of codes, shape (n_days, n_clusters).
    loss : callable
        Loss of a batch, or its terms by name, given the day indices and their rows of P.
    optimiser : callable
        Makes the optimiser.
    days : iterator of Tensor
        Batches, see :func:`methods.blocks.training.batches`.
    labels : ndarray of int, shape (n_days,)
        Labels to start from (k-means).
    update_interval, max_steps : int
        Steps between two looks, and in all. With 0 steps the labels are returned as they came.
    tol : float
        A look is quiet when a smaller fraction of the labels changed since the one before.
    progress : callable
        See :func:`methods.blocks.training.train`.
    quiet_looks : int
        Stop after so many quiet looks one after another.
    reset_momentum : bool
        Make a new optimiser at each look: DEC's Caffe code restarts its solver there.
    clip_norm, precision
        See :func:`methods.blocks.training.train`.
    """
    if max_steps == 0:
        return SelfTraining(labels, 0, "no clustering steps asked for")
    found = SelfTraining(labels, 0, "step limit reached", {"labels_changed": [], "embedding_norm": []})
    current, quiet = optimiser(), 0
    while True:
        with torch.no_grad():
            z = codes()
            q = assign(z)
        new = q.argmax(dim=1).cpu().numpy()
        changed = float(np.mean(new != found.labels))
        found.labels = new
        found.history["labels_changed"].append(changed)
        found.history["embedding_norm"].append(z.double().norm().item())
        quiet = quiet + 1 if found.steps > 0 and changed < tol else 0
        if quiet == quiet_looks:
            since = f"{quiet_looks} times {update_interval}" if quiet_looks > 1 else f"{update_interval}"
            found.stop_reason = f"{changed:.2%} of the labels changed in {since} steps, below {tol:g}"
            return found
        n_steps = min(update_interval, max_steps - found.steps)
        if n_steps == 0:
            return found
        target = target_distribution(q).to(torch.get_default_dtype())
        if reset_momentum:
            current = optimiser()
        losses = train(
            lambda batch, target=target: loss(batch, target[batch]),
            current,
            days,
            n_steps,
            name="clustering",
            progress=lambda name, done, total: None,
            clip_norm=clip_norm,
            precision=precision,
            log_every=update_interval,
        )
        for term, series in losses.items():
            found.history.setdefault(term, []).extend(series)
        found.steps += n_steps
        progress("clustering", found.steps, max_steps)
