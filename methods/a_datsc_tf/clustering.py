"""Start, temperature, balance and redundancy of A-DATSC's clusters (paper, sections 5.1.3 and 5.3) in Keras."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from methods.blocks.keras.clustering import kmeans
from methods.blocks.spectral import cut, plain_affinity


def first_clusters(Z: np.ndarray, C: np.ndarray | None, k: int, seed: int, n_init: int) -> tuple[np.ndarray, ...]:
    """Return the labels with which clusters start, (n_days,), of C if it has k clusters, and their means (k, D)."""
    if C is not None:
        labels = cut(plain_affinity(C), k, seed)
        if len(np.unique(labels)) == k:
            return labels, np.stack([Z[labels == cluster].mean(axis=0) for cluster in range(k)])
    found = kmeans(Z, k, seed, n_init)
    return found.labels_, found.cluster_centers_


def tempered(q: tf.Tensor, temperature: tf.Tensor | float) -> tf.Tensor:
    """Return q^(1 / tau), rows divided by their sums."""
    return tf.nn.softmax(tf.math.log(q) / temperature, axis=1)


def annealed(temperature: Sequence[float], progress: tf.Tensor | float) -> tf.Tensor | float:
    """Return tau on its exponential way from the first to the second value."""
    return temperature[0] * (temperature[1] / temperature[0]) ** progress


def balance(q: tf.Tensor) -> tf.Tensor:
    """Return KL(mean of q over days || uniform)."""
    share = tf.reduce_mean(q, axis=0)
    return tf.reduce_sum(share * tf.math.log(share * share.shape[0]))


def redundancy(q: tf.Tensor) -> tf.Tensor:
    """Return the mean squared correlation of two clusters."""
    k = q.shape[1]
    centred = q - tf.reduce_mean(q, axis=0)
    unit = centred / tf.sqrt(tf.maximum(tf.reduce_sum(tf.square(centred), axis=0), keras.config.epsilon()))
    squares = tf.square(tf.transpose(unit) @ unit)
    return (tf.reduce_sum(squares) - tf.reduce_sum(tf.linalg.diag_part(squares))) / max(k * (k - 1), 1)
