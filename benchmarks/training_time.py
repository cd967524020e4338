"""Seconds per epoch and peak memory of one method's training, measured from outside in the process that runs it.

``python -m benchmarks.training_time '{...}'`` fits one method, or the Keras model beside it, to days of noise, takes
the time of its training steps, ends the fit when enough are timed, and prints a JSON object. The end of a step is seen
by hooks on torch's optimisers and on the training loop of the Keras twins: no method knows that it is measured.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from regimebench import registry
from regimebench.method import Cube
from regimebench.seeds import Meter

N_CLUSTERS = 7
WARM_UP = 2
"""Steps not counted: the first compiles (Keras) or chooses kernels (oneDNN), the second meets the memory they freed."""

TORCH_ONLY = {"precision"}
"""Parameters that a twin need not have."""

KERAS_ONLY = ("dtc", "dtcr")
"""Names of functions of ``benchmarks/keras_training.py``."""


class Timed(Exception):
    """Enough steps were timed."""


@dataclass(frozen=True)
class Task:
    """What to measure.

    Parameters
    ----------
    address : str
        ``method`` or ``method/variant``.
    parameters : dict
        Values that differ from the method's own, such as those that skip earlier phases of its training.
    keras : str, optional
        Measure a Keras model instead: the address of a twin, or a function of ``benchmarks/keras_training.py``.
    shape : (int, int, int, int)
        Days, rows, columns, variables.
    seconds : float
        Time steps for at least so long.
    least : int
        Time at least so many steps.
    smoke : bool
        Start from the method's smoke parameters.
    device : str
        Where torch trains.
    warm_up : int
        Steps not counted. Without any, the time of the first step begins when torch's network first gets days.
    """

    address: str
    parameters: dict[str, Any] = field(default_factory=dict)
    keras: str | None = None
    shape: tuple[int, int, int, int] = (365, 41, 41, 7)
    seconds: float = 4.0
    least: int = 3
    smoke: bool = False
    device: str = "cpu"
    warm_up: int = WARM_UP

    @property
    def chosen(self) -> dict[str, Any]:
        """Every parameter with its value."""
        spec = registry.method(self.address)
        unknown = sorted(set(self.parameters) - set(spec.parameters))
        if unknown:
            raise ValueError(f"{self.address} has no parameters {unknown}")
        return {**spec.parameters, **(spec.smoke if self.smoke else {}), **self.parameters}

    @property
    def batch_size(self) -> int:
        """Days per step; all days where the method has no batches. A-DATSC has batches of stretches of days."""
        chosen, n_days = self.chosen, self.shape[0]
        size = chosen.get("batch_size") or (chosen.get("warmup_days") or n_days) * chosen.get("warmup_batch", 1)
        return min(size, n_days)


class StepClock:
    """Takes the time between the end of the warm-up and the last step.

    Parameters
    ----------
    n_days, batch_size : int
        What a pass over the data consists of: full batches, the last one smaller.
    seconds : float
        Time steps for at least so long.
    least : int
        Time at least so many steps.
    warm_up : int
        Steps not counted; if none, :meth:`start` begins.
    """

    def __init__(self, n_days: int, batch_size: int, seconds: float, least: int, warm_up: int = WARM_UP) -> None:
        self.sizes = [min(batch_size, n_days - first) for first in range(0, n_days, batch_size)]
        self.seconds, self.least, self.warm_up = seconds, least, warm_up
        self.done, self.meter = 0, None

    def start(self, *_: Any) -> None:
        """Begin to take the time, if that has not begun yet and no step is left out."""
        if self.meter is None and self.done >= self.warm_up:
            self.meter = Meter()
            self.meter.start()
            self.begun = time.perf_counter()

    def step(self, *_: Any) -> None:
        """Count a step that has just ended.

        Raises
        ------
        Timed
            When enough steps are timed.
        """
        self.done += 1
        if self.meter is None:
            self.start()
        elif self.done >= self.warm_up + self.least and time.perf_counter() - self.begun >= self.seconds:
            self.meter.stop()
            raise Timed

    @property
    def epochs(self) -> float:
        """Share of the data that the timed steps have gone through; more than 1 if more than once."""
        days = sum(self.sizes[step % len(self.sizes)] for step in range(self.warm_up, self.done))
        return days / sum(self.sizes)

    def result(self) -> dict[str, Any]:
        """Return seconds per epoch and peak memory.

        Raises
        ------
        ValueError
            If training ended before enough steps were timed.
        """
        if self.done < self.warm_up + self.least:
            raise ValueError(f"training ended after {self.done} steps; {self.warm_up + self.least} are needed")
        cost = self.meter.shares(1)
        return {
            "seconds_per_epoch": cost["seconds"] / self.epochs,
            "cpu_share": cost["cpu_seconds"] / cost["seconds"],
            "peak_rss_mib": cost["peak_rss_mib"],
            "peak_gpu_mib": cost["peak_gpu_mib"],
            "steps": self.done - self.warm_up,
            "epochs": self.epochs,
        }


def days_of_noise(shape: tuple[int, int, int, int]) -> Cube:
    """Return a cube of numbers in [0, 1]; what they are does not change how long a step takes."""
    n_days, height, width, n_variables = shape
    return Cube(
        values=np.random.default_rng(0).random(shape, dtype=np.float32),
        mask=np.ones(shape[1:], dtype=bool),
        time=np.datetime64("2021-01-01") + np.arange(n_days),
        lat=np.linspace(43, 33, height),
        lon=np.linspace(-33, -23, width),
        variables=tuple(f"v{i}" for i in range(n_variables)),
        units=("1",) * n_variables,
        minimum=np.zeros(shape[1:]),
        scale=np.ones(shape[1:]),
    )


@contextmanager
def listening_to_torch(clock: StepClock) -> Iterator[None]:
    """Tell the clock when a network begins to work, and after each step of any torch optimiser."""
    from torch.nn.modules.module import register_module_forward_pre_hook
    from torch.optim.optimizer import register_optimizer_step_post_hook

    handles = [register_optimizer_step_post_hook(clock.step)]
    if clock.warm_up == 0:
        handles.append(register_module_forward_pre_hook(clock.start))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def listening_to_keras(clock: StepClock) -> Iterator[None]:
    """Tell the clock after each step of the Keras training loop."""
    from methods.blocks.keras.training import Trainer

    make = Trainer.__init__

    def made(self: Trainer, *arguments: Any, **options: Any) -> None:
        make(self, *arguments, **options)
        step = self.step

        def timed(days: Any) -> Any:
            terms = step(days)
            clock.step()
            return terms

        self.step = timed

    Trainer.__init__ = made
    try:
        yield
    finally:
        Trainer.__init__ = make


def train(task: Task) -> None:
    """Run the training that is measured, until :class:`Timed`.

    Raises
    ------
    ValueError
        If a twin lacks parameters, so that it would train something else.
    """
    cube, values = days_of_noise(task.shape), task.chosen
    if task.keras in KERAS_ONLY:
        from benchmarks import keras_training

        getattr(keras_training, task.keras)(cube, values, N_CLUSTERS)
        return
    spec = registry.method(task.keras or task.address)
    if lacking := sorted(set(values) - set(spec.parameters) - TORCH_ONLY):
        raise ValueError(f"{spec.address} has no parameters {lacking}, which {task.address} has")
    values = {name: value for name, value in values.items() if name in spec.parameters}
    registry.load(spec)(n_clusters=N_CLUSTERS, seed=0, device=task.device, **values).fit(cube)


def measure(task: Task) -> dict[str, Any]:
    """Return seconds per epoch and peak memory of a task, in this process."""
    clock = StepClock(task.shape[0], task.batch_size, task.seconds, task.least, task.warm_up)
    listening = listening_to_keras if task.keras else listening_to_torch
    with listening(clock), suppress(Timed):
        train(task)
    return clock.result()  # or what is wrong, if training ended before the clock did


def as_json(task: Task) -> str:
    """Return the argument of this module's command line."""
    return json.dumps(asdict(task))


def from_json(text: str) -> Task:
    """Return the task that :func:`as_json` wrote."""
    fields = json.loads(text)
    return Task(**{**fields, "shape": tuple(fields["shape"])})


if __name__ == "__main__":
    print(json.dumps(measure(from_json(sys.argv[1]))))
