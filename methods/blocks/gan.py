"""What adversarial networks share: the game, the gradient penalty, and whether the generator covers the days.

The penalty and the schedule are those of Gulrajani et al. (2017, arXiv 1704.00028), as ClusterGAN's code has them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer

from methods.blocks.training import Progress, window_mean

COMPARED_DAYS = 1000  # at most, in nearest_generated: more cost time with their square and change a median little


@dataclass(frozen=True)
class Player:
    """One side of the game.

    Parameters
    ----------
    loss : callable
        Draws fresh days and noise at each call, and returns loss terms by name, whose sum is minimised.
    optimiser : torch.optim.Optimizer
        Holds this player's parameters: no others get a gradient, whatever the loss runs through.
    steps : int
        Updates in each round.
    clip_norm : float, optional
        Longest gradient, over all parameters together; longer ones are shortened to it.
    after : callable, optional
        Called after each update, such as to bring weights back to where they are allowed.
    """

    loss: Callable[[], Mapping[str, Tensor]]
    optimiser: Optimizer
    steps: int = 1
    clip_norm: float | None = None
    after: Callable[[], None] | None = None

    def step(self) -> dict[str, Tensor]:
        """Take one step and return the loss terms."""
        own = [weight for group in self.optimiser.param_groups for weight in group["params"]]
        terms = self.loss()
        for weight, gradient in zip(own, torch.autograd.grad(sum(terms.values()), own), strict=True):
            weight.grad = gradient
        if self.clip_norm is not None:
            clip_grad_norm_(own, self.clip_norm)
        self.optimiser.step()
        if self.after is not None:
            self.after()
        return {name: term.detach() for name, term in terms.items()}


def alternate(
    players: Sequence[Player], n_rounds: int, *, name: str, progress: Progress, log_every: int = 50
) -> dict[str, list[float]]:
    """Let the players move in turn and return the mean of each loss term over each window of ``log_every`` rounds.

    Parameters
    ----------
    players : sequence of Player
        In the order in which they move; their loss terms have different names.
    n_rounds : int
        In one round each player takes all its steps.
    name : str
        What is trained, for progress and errors.
    progress : callable
        Called with (name, rounds done, rounds in all) after each window.
    log_every : int
        Rounds per entry of the history; the losses are looked at (and a GPU waited for) only then.

    Raises
    ------
    TrainingDivergedError
        If a loss term became infinite or NaN.
    """
    history: dict[str, list[float]] = {}
    windows: list[dict[str, list[Tensor]]] = [{} for _ in players]
    for n in range(1, n_rounds + 1):
        for player, window in zip(players, windows, strict=True):
            for _ in range(player.steps):
                for term, value in player.step().items():
                    window.setdefault(term, []).append(value)
        if n % log_every == 0 or n == n_rounds:
            for player, window in zip(players, windows, strict=True):
                for term, values in window.items():
                    history.setdefault(term, []).append(window_mean(values, name, term, n, player.optimiser))
                window.clear()
            progress(name, n, n_rounds)
    return history


def gradient_penalty(
    critic: Callable[[Tensor], Tensor],
    real: Tensor,
    fake: Tensor,
    noise: torch.Generator,
    per_sample: bool = False,
) -> Tensor:
    """Return the mean of (||gradient of the critic|| - 1)^2 between real and generated days, to be differentiated.

    Parameters
    ----------
    critic : callable
        Maps (n, ...) to one score per row.
    real, fake : Tensor, shape (n, ...)
        Ends of the lines on which the gradient is taken; constants here.
    noise : torch.Generator
        Draws the place on the line, uniform in [0, 1), on the device of ``real``.
    per_sample : bool
        One place for each row (Gulrajani et al., Algorithm 1), or one for the batch (official code of ClusterGAN).
    """
    shape = (len(real) if per_sample else 1, *[1] * (real.ndim - 1))
    epsilon = torch.rand(shape, generator=noise, device=real.device)
    between = (epsilon * real + (1 - epsilon) * fake).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    # The gradient of this norm is 0 where a plain square root has none (a critic that is constant somewhere).
    return (torch.linalg.vector_norm(gradient.flatten(1), dim=1) - 1).square().mean()


def random_days(n_days: int, size: int, draw: torch.Generator) -> Iterator[Tensor]:
    """Yield batches of day indices without end, drawn with replacement."""
    while True:
        yield torch.randint(n_days, (size,), generator=draw, device=draw.device)


def full_batches(n_days: int, size: int, shuffle: torch.Generator) -> Iterator[Tensor]:
    """Yield day indices without end in a new order each pass, leaving out what does not fill a batch.

    Batch normalisation needs more than the one day that a pass may leave over. Fewer days than ``size`` are one batch.
    """
    size = min(size, n_days)
    while True:
        order = torch.randperm(n_days, generator=shuffle, device=shuffle.device)
        yield from order[: n_days - n_days % size].split(size)


@torch.no_grad()
def collect(generate: Callable[[], Tensor], n: int) -> Tensor:
    """Return ``n`` rows of as many batches of ``generate()`` as that takes."""
    rows: list[Tensor] = []
    while sum(map(len, rows)) < n:
        rows.append(generate())
    return torch.cat(rows)[:n]


@torch.no_grad()
def nearest_generated(real: Tensor, generate: Callable[[], Tensor]) -> dict[str, float]:
    """Return how far real days are from generated ones, in units of their distance from each other.

    Parameters
    ----------
    real : Tensor, shape (n, d)
        All days; of more than 1000, as many spread evenly are compared, so that the time stays linear in days.
    generate : callable
        Returns a batch of generated days.

    Returns
    -------
    dict
        ``nearest_generated``: median distance of a day to the nearest of as many generated days, over the median
        distance to the nearest other day. A generator of the days' distribution has about 1, one of the mean day as
        much as days differ from their mean. Empty where the median day has a copy among the others.
    """
    n = min(len(real), COMPARED_DAYS)
    days = real[torch.linspace(0, len(real) - 1, n, device=real.device).round().long()]
    mean = days.mean(dim=0)  # smaller numbers leave smaller rounding errors in squared distances
    days, generated = days - mean, collect(generate, n) - mean
    between_days = torch.cdist(days, days).fill_diagonal_(torch.inf).amin(dim=1).median()
    if not 0 < between_days < torch.inf:
        return {}
    return {"nearest_generated": (torch.cdist(days, generated).amin(dim=1).median() / between_days).item()}


def code_occupancy(categories: Tensor) -> float:
    """Return how many different categories the days have."""
    return float(len(categories.unique()))
