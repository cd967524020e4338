"""DEC's clustering in Keras: k-means on the code, then learning from one's own assignments (DEC paper, section 3.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import keras
import numpy as np
import tensorflow as tf
from sklearn.cluster import KMeans

from methods.blocks.keras.training import Progress, Trainer
from methods.blocks.streams import sub_seed


class ClusteringLayer(keras.layers.Layer):
    """Student-t soft assignment of codes to trainable centres (DEC paper, Eq. 1), alpha = 1.

    Parameters
    ----------
    centres : ndarray, shape (n_clusters, d)
        Initial centres.
    """

    def __init__(self, centres: np.ndarray) -> None:
        super().__init__(name="clustering")
        start = keras.initializers.Constant(centres.astype(np.float32))
        self.centres = self.add_weight(shape=centres.shape, initializer=start, name="centres")

    def call(self, z: tf.Tensor) -> tf.Tensor:
        """Return q of codes of shape (n_days, d): (n_days, n_clusters), rows that sum to 1."""
        distance2 = tf.reduce_sum(tf.square(z[:, None, :] - self.centres[None]), axis=2)
        kernel = 1 / (1 + distance2)
        return kernel / tf.reduce_sum(kernel, axis=1, keepdims=True)


def soft_assignment(z: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Return q in double precision: codes of an untrained network differ by less than single precision resolves."""
    z = z.astype(np.float64)
    distance2 = np.stack([np.square(z - centre).sum(axis=1) for centre in centres], axis=1)
    kernel = 1 / (1 + distance2)
    return kernel / kernel.sum(axis=1, keepdims=True)


def target_distribution(q: tf.Tensor | np.ndarray) -> tf.Tensor:
    """Return p, q squared over the size of each cluster, rows that sum to 1 (DEC paper, Eq. 3)."""
    weight = tf.square(q) / tf.reduce_sum(q, axis=0)
    return weight / tf.reduce_sum(weight, axis=1, keepdims=True)


def kmeans(z: np.ndarray, n_clusters: int, seed: int, n_init: int, init: str = "k-means++") -> KMeans:
    """Return scikit-learn's k-means, fitted to codes of shape (n_days, d) in double precision."""
    model = KMeans(n_clusters, init=init, n_init=n_init, random_state=sub_seed(seed, "kmeans"))
    return model.fit(z.astype(np.float64))


@dataclass
class SelfTraining:
    """What :func:`self_train` found."""

    labels: np.ndarray
    steps: int
    stop_reason: str
    history: dict[str, list[float]] = field(default_factory=dict)


def self_train(
    codes: Callable[[], np.ndarray],
    head: ClusteringLayer,
    trainer: Trainer,
    target: tf.Variable,
    days: Iterator[tf.Tensor],
    labels: np.ndarray,
    *,
    update_interval: int,
    max_steps: int,
    tol: float,
    progress: Progress,
    quiet_looks: int = 1,
    reset_momentum: bool = False,
) -> SelfTraining:
    """Alternate between a fixed target P and ``update_interval`` steps towards it, until the labels stay.

    As in the DEC code for Keras, labels are looked at before each block of steps, and the second look is the first one
    that may stop.

    Parameters
    ----------
    codes : callable
        Returns the codes of all days, shape (n_days, d).
    head : ClusteringLayer
        Holds the centres.
    trainer : Trainer
        Takes the steps; its loss reads ``target``.
    target : tf.Variable, shape (n_days, n_clusters)
        Receives P at each look.
    days : iterator of Tensor
        Batches.
    labels : ndarray of int, shape (n_days,)
        Labels to start from (k-means).
    update_interval, max_steps : int
        Steps between two looks, and in all. With 0 steps the labels are returned as they came.
    tol : float
        A look is quiet when a smaller fraction of the labels changed since the one before.
    progress : callable
        Called with (name, steps done, steps in all).
    quiet_looks : int
        Stop after so many quiet looks one after another.
    reset_momentum : bool
        Forget the momentum at each look: DEC's Caffe code restarts its solver there.
    """
    if max_steps == 0:
        return SelfTraining(labels, 0, "no clustering steps asked for")
    found = SelfTraining(labels, 0, "step limit reached", {"labels_changed": [], "embedding_norm": []})
    quiet = 0
    while True:
        z = codes()
        q = soft_assignment(z, head.centres.numpy().astype(np.float64))
        changed = float(np.mean(q.argmax(axis=1) != found.labels))
        found.labels = q.argmax(axis=1)
        found.history["labels_changed"].append(changed)
        found.history["embedding_norm"].append(float(np.linalg.norm(z.astype(np.float64))))
        quiet = quiet + 1 if found.steps > 0 and changed < tol else 0
        if quiet == quiet_looks:
            since = f"{quiet_looks} times {update_interval}" if quiet_looks > 1 else f"{update_interval}"
            found.stop_reason = f"{changed:.2%} of the labels changed in {since} steps, below {tol:g}"
            return found
        n_steps = min(update_interval, max_steps - found.steps)
        if n_steps == 0:
            return found
        target.assign(tf.cast(target_distribution(q), target.dtype))
        if reset_momentum:
            trainer.reset_momentum()
        losses = trainer.run(days, n_steps, name="clustering", progress=lambda *_: None, log_every=update_interval)
        for term, series in losses.items():
            found.history.setdefault(term, []).extend(series)
        found.steps += n_steps
        progress("clustering", found.steps, max_steps)
