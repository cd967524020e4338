"""TensorFlow set up for a fit: threads, deterministic kernels, and seeds for all that Keras draws."""

from __future__ import annotations

import os
from collections.abc import Callable
from math import prod

import keras
import numpy as np
import tensorflow as tf
from keras.initializers import GlorotUniform, Initializer, RandomNormal, VarianceScaling

from methods.blocks.streams import sub_seed

Seed = int | keras.random.SeedGenerator

INITIALISERS: dict[str, Callable[[Seed], Initializer]] = {
    "normal": lambda seed: RandomNormal(stddev=0.01, seed=seed),
    "glorot_uniform": lambda seed: GlorotUniform(seed=seed),
    "variance_scaling": lambda seed: VarianceScaling(1 / 3, "fan_in", "uniform", seed=seed),
}


def start() -> None:
    """Ask for deterministic kernels and for as many threads as ``OMP_NUM_THREADS`` says (unset: one per core).

    TensorFlow reads the number of threads once, at its first operation; where that is past, the number stays.
    """
    tf.config.experimental.enable_op_determinism()
    threads = int(os.environ.get("OMP_NUM_THREADS", "0"))
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    except RuntimeError:  # TensorFlow has started: an earlier fit in this process has set the same number
        return


def seeds(seed: int, purpose: str) -> keras.random.SeedGenerator:
    """Return a source of seeds for one purpose, another one at each draw, for initialisers that several layers share.

    An initialiser that is given a plain integer instead repeats its values: weights of equal shape start equal.
    """
    return keras.random.SeedGenerator(sub_seed(seed, purpose))


def n_weights(*owners: keras.Model | keras.Layer) -> int:
    """Return the number of trainable parameters."""
    return sum(prod(weight.shape) for owner in owners for weight in owner.trainable_variables)


def apply_in_batches(function: Callable[[tf.Tensor], tf.Tensor], n_days: int, batch_size: int) -> np.ndarray:
    """Return the rows that ``function`` gives for each day, asked for ``batch_size`` day indices at a time."""
    days = np.arange(n_days, dtype=np.int32)
    parts = [function(tf.constant(days[i : i + batch_size])) for i in range(0, n_days, batch_size)]
    return np.concatenate([part.numpy() for part in parts])
