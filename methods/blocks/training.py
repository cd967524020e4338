"""The training loop that all networks here share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from math import isfinite

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer
from torch.optim.lr_scheduler import StepLR

from methods.blocks.precision import autocast

Progress = Callable[[str, int, int], None]


class TrainingDivergedError(RuntimeError):
    """The loss is no longer a number; the message says which, when, and what to try."""


def batches(
    n_days: int, size: int, shuffle: torch.Generator | None = None, device: str | torch.device = "cpu"
) -> Iterator[Tensor]:
    """Yield day indices without end, pass after pass; the last batch of a pass may be smaller but is never empty.

    Parameters
    ----------
    n_days, size : int
        Days to share out, and days in a full batch.
    shuffle : torch.Generator, optional
        Draws a new order for each pass, on the CPU; calendar order without it.
    device : str
        Where the indices are used.
    """
    order = torch.arange(n_days)
    while True:
        if shuffle is not None:
            order = torch.randperm(n_days, generator=shuffle)
        yield from order.to(device).split(size)


def train(
    loss: Callable[[Tensor], Tensor | Mapping[str, Tensor]],
    optimiser: Optimizer,
    days: Iterator[Tensor],
    n_steps: int,
    *,
    name: str,
    progress: Progress,
    decay_steps: int | None = None,
    clip_norm: float | None = None,
    precision: str = "float32",
    log_every: int = 50,
) -> dict[str, list[float]]:
    """Take ``n_steps`` optimiser steps and return the mean of each loss term over each window of ``log_every`` steps.

    Parameters
    ----------
    loss : callable
        Loss of the days of one batch, given their indices; or its terms by name, whose sum is the loss.
    optimiser : torch.optim.Optimizer
        Holds the parameters to train.
    days : iterator of Tensor
        Batches, see :func:`batches`.
    n_steps : int
        Number of updates.
    name : str
        What is trained, for progress and errors; also the name of a loss without terms.
    progress : callable
        Called with (name, steps done, steps in all) after each window.
    decay_steps : int, optional
        Divide the learning rate by 10 after each so many steps.
    clip_norm : float, optional
        Longest gradient, over all parameters together; longer ones are shortened to it.
    precision : str
        Of the forward pass, see :func:`methods.blocks.precision.autocast`.
    log_every : int
        Steps per entry of the history; the loss is looked at (and a GPU waited for) only then.

    Raises
    ------
    TrainingDivergedError
        If the loss became infinite or NaN.
    """
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    forward = autocast(precision, parameters[0].device)
    schedule = StepLR(optimiser, decay_steps or n_steps + 1, gamma=0.1)
    history: dict[str, list[float]] = {}
    window: list[Mapping[str, Tensor]] = []
    for step in range(1, n_steps + 1):
        optimiser.zero_grad()
        with forward:
            value = loss(next(days))
        terms = value if isinstance(value, Mapping) else {name: value}
        sum(terms.values()).backward()
        if clip_norm is not None:
            clip_grad_norm_(parameters, clip_norm)
        optimiser.step()
        schedule.step()
        window.append({term: part.detach() for term, part in terms.items()})
        if step % log_every == 0 or step == n_steps:
            for term in terms:
                mean = window_mean([parts[term] for parts in window], name, term, step, optimiser)
                history.setdefault(term, []).append(mean)
            window = []
            progress(name, step, n_steps)
    return history


def window_mean(window: list[Tensor], name: str, term: str, step: int, optimiser: Optimizer) -> float:
    """Return the mean of one loss term over the steps up to ``step``, for the history.

    Raises
    ------
    TrainingDivergedError
        If it is infinite or NaN.
    """
    mean = torch.stack(window).mean().item()
    if not isfinite(mean):
        rate = optimiser.param_groups[0]["lr"]
        part = name if term == name else f"{name} ({term})"
        raise TrainingDivergedError(
            f"the loss of {part} became {mean} within the {len(window)} steps up to step {step}; "
            f"lower the learning rate (it was {rate:g}) or check the scale of the input"
        )
    return mean
