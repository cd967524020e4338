"""A record of days as sequences of frames for A-DATSC in Keras: windows, padding to a grid that halves, stretches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import cycle
from types import SimpleNamespace
from typing import Any

import numpy as np
import tensorflow as tf

from methods.a_datsc_tf.network import Generator
from methods.blocks.keras.training import SEQUENCES
from regimebench.method import Cube


class Days:
    """Frames (day, y, x, variable), cut into windows one after another, of which the last may be shorter.

    Parameters
    ----------
    cube : Cube
        Its own padding is taken off first.
    p : SimpleNamespace
        Parameters of the method.
    """

    def __init__(self, cube: Cube, p: SimpleNamespace) -> None:
        days = cube.unpadded()
        self.size = days.mask.shape[:2]
        edges = [
            (0, -size % (2 ** (len(p.filters) - 1) * patch)) for size, patch in zip(self.size, p.patch, strict=True)
        ]
        self.frames = tf.constant(np.pad(days.values, [(0, 0), *edges, (0, 0)]))
        counted = np.ones_like(days.mask) if p.count_padding else days.mask
        seen = np.pad(counted, [*edges, (0, 0)], constant_values=p.count_padding)
        self.seen = tf.constant(seen.astype(np.float32))
        window = min(p.window or cube.n_days, cube.n_days)
        windows = np.split(np.arange(cube.n_days, dtype=np.int32), range(window, cube.n_days, window))
        whole = [each for each in windows if len(each) == window]
        groups = [whole[i : i + p.windows_per_batch] for i in range(0, len(whole), p.windows_per_batch)]
        groups += [[each] for each in windows if len(each) < window]
        self.groups = [tf.constant(np.stack(group)) for group in groups]

    def batches(self) -> Iterator[tf.Tensor]:
        """Yield days, (batch, time), in calendar order without end."""
        return cycle(self.groups)

    def stretches(self, size: int, together: int, shuffle: np.random.Generator) -> Iterator[tf.Tensor]:
        """Yield the days of some stretches that cover the record, (stretch, day), each pass cut elsewhere."""
        n_days = len(self.frames)
        while True:
            cut = shuffle.integers(size)
            starts = np.unique(np.arange(cut - size, n_days, size).clip(0, n_days - size))
            order = shuffle.permutation(starts)
            for some in np.split(order, range(together, len(order), together)):
                yield tf.constant(some[:, None] + np.arange(size), SEQUENCES.dtype)

    def error(self, found: tf.Tensor, frames: tf.Tensor) -> tf.Tensor:
        """Return the mean squared error over cells with data."""
        squares = tf.reduce_sum(tf.square(found - frames) * self.seen)
        return squares / (tf.reduce_sum(self.seen) * tf.cast(tf.reduce_prod(tf.shape(frames)[:2]), tf.float32))

    def embedded_by(self, G: Generator) -> Callable[[], tuple[np.ndarray, np.ndarray | None]]:
        """Return a call that gives Z, (day, D), of all days, and C, (day, day), if one window holds them all."""
        embed = self._compiled(G.embed)

        def found() -> tuple[np.ndarray, np.ndarray | None]:
            made = [embed(window[None]) for group in self.groups for window in group]
            return np.concatenate([Z[0] for Z, _ in made]), made[0][1][0].numpy() if len(made) == 1 else None

        return found

    def reconstructed_by(self, G: Generator, cube: Cube) -> np.ndarray:
        """Return what G makes of the days, in the shape of ``cube``; 0 in cells that pad it."""
        generate = self._compiled(lambda x: G(x)[2])
        made = np.concatenate([generate(window[None])[0] for group in self.groups for window in group])
        found = np.zeros_like(cube.values)
        height, width = self.size
        found[:, :height, :width] = made[:, :height, :width]
        return found

    def _compiled(self, of_frames: Callable[[tf.Tensor], Any]) -> Callable[[tf.Tensor], Any]:
        return tf.function(lambda days: of_frames(tf.gather(self.frames, days)), input_signature=[SEQUENCES])


def day_after_day(x: tf.Tensor) -> tf.Tensor:
    """Return (batch, time, ...) as (day, ...)."""
    return tf.reshape(x, (-1, *x.shape[2:]))
