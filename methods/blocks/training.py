"""The training loop that all networks here share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import isfinite

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import StepLR

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
    loss: Callable[[Tensor], Tensor],
    optimiser: Optimizer,
    days: Iterator[Tensor],
    n_steps: int,
    *,
    name: str,
    progress: Progress,
    decay_steps: int | None = None,
    log_every: int = 50,
) -> list[float]:
    """Take ``n_steps`` optimiser steps and return the mean loss of each window of ``log_every`` steps.

    Parameters
    ----------
    loss : callable
        Loss of the days of one batch, given their indices.
    optimiser : torch.optim.Optimizer
        Holds the parameters to train.
    days : iterator of Tensor
        Batches, see :func:`batches`.
    n_steps : int
        Number of updates.
    name : str
        What is trained, for progress and errors.
    progress : callable
        Called with (name, steps done, steps in all) after each window.
    decay_steps : int, optional
        Divide the learning rate by 10 after each so many steps.
    log_every : int
        Steps per entry of the history; the loss is looked at (and a GPU waited for) only then.

    Raises
    ------
    TrainingDivergedError
        If the loss became infinite or NaN.
    """
    schedule = StepLR(optimiser, decay_steps or n_steps + 1, gamma=0.1)
    history, window = [], []
    for step in range(1, n_steps + 1):
        optimiser.zero_grad()
        value = loss(next(days))
        value.backward()
        optimiser.step()
        schedule.step()
        window.append(value.detach())
        if step % log_every == 0 or step == n_steps:
            history.append(_mean(window, name, step, optimiser))
            window = []
            progress(name, step, n_steps)
    return history


def _mean(window: list[Tensor], name: str, step: int, optimiser: Optimizer) -> float:
    mean = torch.stack(window).mean().item()
    if not isfinite(mean):
        rate = optimiser.param_groups[0]["lr"]
        raise TrainingDivergedError(
            f"the loss of {name} became {mean} within the {len(window)} steps up to step {step}; "
            f"lower the learning rate (it was {rate:g}) or check the scale of the input"
        )
    return mean
