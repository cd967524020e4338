"""The compiled training loop of the Keras twins."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf

Progress = Callable[[str, int, int], None]
DAY_INDICES = tf.TensorSpec([None], tf.int32)
SEQUENCES = tf.TensorSpec([None, None], tf.int32)  # of days, (batch, time)


def batches(n_days: int, size: int, shuffle: np.random.Generator | None = None) -> Iterator[tf.Tensor]:
    """Yield day indices without end, pass after pass; the last batch of a pass may be smaller but is never empty.

    Parameters
    ----------
    n_days, size : int
        Days to share out, and days in a full batch.
    shuffle : numpy Generator, optional
        Draws a new order for each pass; calendar order without it.
    """
    order = np.arange(n_days, dtype=np.int32)
    calendar = [tf.constant(order[i : i + size]) for i in range(0, n_days, size)]
    while True:
        if shuffle is None:
            yield from calendar
        else:
            mixed = shuffle.permutation(order)
            yield from (tf.constant(mixed[i : i + size]) for i in range(0, n_days, size))


def sgd(rate: float, momentum: float, decay_steps: int | None = None) -> keras.optimizers.SGD:
    """Return stochastic gradient descent with momentum, its rate divided by 10 after each ``decay_steps``."""
    if decay_steps:
        rate = keras.optimizers.schedules.ExponentialDecay(rate, decay_steps, 0.1, staircase=True)
    return keras.optimizers.SGD(rate, momentum)


class Trainer:
    """A loss, an optimiser and the variables that it changes, compiled once and used for any number of steps.

    Parameters
    ----------
    loss : callable
        Terms of the loss by name, given the indices of a batch's days; their sum is minimised. It is traced into a
        graph: what changes between steps must be a ``tf.Variable``.
    optimiser : keras.optimizers.Optimizer
        Not yet used on other variables.
    variables : sequence of keras.Variable
        What is trained.
    clip_norm : float, optional
        Longest gradient, over all variables together; longer ones are shortened to it.
    days : TensorSpec
        What a batch is: days, or sequences of days.
    """

    def __init__(
        self,
        loss: Callable[[tf.Tensor], Mapping[str, tf.Tensor]],
        optimiser: keras.optimizers.Optimizer,
        variables: Sequence[keras.Variable],
        clip_norm: float | None = None,
        days: tf.TensorSpec = DAY_INDICES,
    ) -> None:
        optimiser.build(variables)
        self.optimiser = optimiser

        @tf.function(input_signature=[days])
        def step(days: tf.Tensor) -> Mapping[str, tf.Tensor]:
            with tf.GradientTape() as tape:
                terms = loss(days)
                total = tf.add_n(list(terms.values()))
            gradients = tape.gradient(total, [variable.value for variable in variables])
            if clip_norm is not None:
                gradients, _ = tf.clip_by_global_norm(gradients, clip_norm)
            optimiser.apply(gradients, variables)
            return terms

        self.step = step

    def reset_momentum(self) -> None:
        """Set the momentum of an SGD optimiser to zero."""
        for variable in self.optimiser.momentums:
            variable.assign(tf.zeros_like(variable.value))

    def run(
        self, days: Iterator[tf.Tensor], n_steps: int, *, name: str, progress: Progress, log_every: int = 50
    ) -> dict[str, list[float]]:
        """Take ``n_steps`` steps and return the mean of each term over each window of ``log_every`` steps.

        Parameters
        ----------
        days : iterator of Tensor
            Batches, see :func:`batches`.
        n_steps : int
            Number of updates.
        name : str
            What is trained, for progress and errors.
        progress : callable
            Called with (name, steps done, steps in all) after each window.
        log_every : int
            Steps per entry of the history; only then are losses brought to the host.

        Raises
        ------
        RuntimeError
            If the loss became infinite or NaN.
        """
        history: dict[str, list[float]] = {}
        window = []
        for step in range(1, n_steps + 1):
            window.append(self.step(next(days)))
            if step % log_every == 0 or step == n_steps:
                for term in window[0]:
                    mean = float(tf.reduce_mean(tf.stack([terms[term] for terms in window])))
                    if not np.isfinite(mean):
                        raise RuntimeError(
                            f"the loss of {term} became {mean} up to step {step}; lower the learning rate"
                        )
                    history.setdefault(term, []).append(mean)
                window = []
                progress(name, step, n_steps)
        return history
