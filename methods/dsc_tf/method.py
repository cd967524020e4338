"""Deep Spatiotemporal Clustering (Faruque et al., 2023) and its ablations in TensorFlow/Keras."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import keras
import numpy as np
import tensorflow as tf

from methods.blocks.keras.clustering import ClusteringLayer, kmeans, self_train
from methods.blocks.keras.convolutional import POOL, Networks
from methods.blocks.keras.runtime import apply_in_batches, n_weights, start
from methods.blocks.keras.training import DAY_INDICES, Trainer, batches, sgd
from methods.blocks.streams import sub_seed
from regimebench.method import Cube, Fit, Method

DAYS_AT_ONCE = 64  # where nothing is trained


class Plugin(Method):
    """CNN-LSTM auto-encoder, k-means on its codes, then reconstruction and KL self-training together."""

    def fit(self, cube: Cube) -> Fit:
        """Cluster the days of ``cube``."""
        start()
        p = SimpleNamespace(**self.params)
        model = Model(cube.unpadded(), p, self.seed)
        history = self._pretrain(model)
        first = kmeans(model.codes(), self.n_clusters, self.seed, p.n_init, p.init)
        head = ClusteringLayer(first.cluster_centers_)
        target = tf.Variable(tf.zeros((cube.n_days, self.n_clusters)), trainable=False)
        divergence = keras.losses.KLDivergence()

        def loss(days: tf.Tensor) -> dict[str, tf.Tensor]:
            code = model.encode(days, training=True)
            return {**model.reconstruction(code, days), "kl": divergence(tf.gather(target, days), head(code))}

        found = self_train(
            model.codes,
            head,
            Trainer(loss, sgd(p.learning_rate, p.momentum), model.variables + head.trainable_variables, p.clip_norm),
            target,
            batches(cube.n_days, p.batch_size),
            first.labels_,
            update_interval=p.update_interval,
            max_steps=p.max_steps,
            tol=p.tol,
            quiet_looks=p.quiet_looks,
            progress=self.progress,
        )
        codes = model.codes()
        return Fit(
            labels=found.labels,
            embedding=codes,
            reconstruction=model.decoded(codes, cube) if model.decoder else None,
            history={**history, **found.history},
            n_parameters=n_weights(*model.parts, head),
            epochs=round((p.pretrain_steps + found.steps) * min(p.batch_size / cube.n_days, 1)),
            stop_reason=found.stop_reason,
        )

    def _pretrain(self, model: Model) -> dict[str, list[float]]:
        """Train for reconstruction alone, so that codes of different days differ before they are clustered."""
        p = SimpleNamespace(**self.params)
        if p.pretrain_steps == 0:
            return {}

        def loss(days: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"autoencoder": model.reconstruction(model.encode(days, training=True), days)["reconstruction"]}

        order = np.random.default_rng(sub_seed(self.seed, "order of days"))
        days = stretches(len(model.x), p.batch_size, order)
        trainer = Trainer(loss, keras.optimizers.Adam(p.pretrain_lr), model.variables, p.clip_norm)
        return trainer.run(days, p.pretrain_steps, name="autoencoder", progress=self.progress)


class Model:
    """The networks, and the days whose trailing windows they encode.

    Parameters
    ----------
    cube : Cube
        Days, not padded.
    p : SimpleNamespace
        Parameters of the method.
    seed : int
        The run's seed.
    """

    def __init__(self, cube: Cube, p: SimpleNamespace, seed: int) -> None:
        values, mask = padded(cube, p.pad_to, least=2 ** p.filters.count(POOL))
        self.x, self.windows = tf.constant(values), trailing_windows(cube.n_days, p.sequence_days)
        self.counted = tf.constant((mask | p.count_padding).astype(np.float32))
        self.share = float(tf.size(self.counted)) / max(1.0, float(tf.reduce_sum(self.counted)))
        self.broadcast_loss = p.broadcast_loss
        make = Networks(values.shape[1:], seed, p.dropout)
        self.maps = make.convolutions(p.filters, p.pooling)
        shape = self.maps.output_shape[1:]
        self.n_features = int(np.prod(shape))
        head = make.recurrent_head if p.recurrent else make.dense_head
        self.head = head(self.n_features, p.sequence_days, p.units, p.code)
        self.decoder = make.decoder(shape, p.code, p.decoder, p.dense_output) if p.decoder else None
        self.parts = [part for part in (self.maps, self.head, self.decoder) if part]
        self.variables = [weight for part in self.parts for weight in part.trainable_variables]
        self._encode = tf.function(self.encode, input_signature=[DAY_INDICES])

    def encode(self, days: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Return the codes of some days, each day of their windows convolved once."""
        windows = tf.gather(self.windows, days)
        rows, place = tf.unique(tf.reshape(windows, [-1]))
        maps = self.maps(tf.gather(self.x, rows), training=training)
        features = tf.gather(tf.reshape(maps, [-1, self.n_features]), place)
        sequences = tf.reshape(features, [-1, self.windows.shape[1], self.n_features])
        return self.head(sequences, training=training)

    def reconstruction(self, codes: tf.Tensor, days: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return the reconstruction loss of some days by its name; nothing without a decoder."""
        if self.decoder is None:
            return {}
        x, output = tf.gather(self.x, days) * self.counted, self.decoder(codes) * self.counted
        loss = every_pair_loss(x, output) if self.broadcast_loss else tf.reduce_mean(tf.square(x - output))
        return {"reconstruction": loss * self.share}

    def codes(self) -> np.ndarray:
        """Return the codes of all days without dropout, shape (day, code)."""
        return apply_in_batches(self._encode, len(self.x), DAYS_AT_ONCE)

    def decoded(self, codes: np.ndarray, cube: Cube) -> np.ndarray:
        """Return the reconstruction on the grid of ``cube``, 0 in padded cells."""
        height, width = cube.unpadded().mask.shape[:2]
        days = np.zeros_like(cube.values)
        for i in range(0, len(codes), DAYS_AT_ONCE):
            part = self.decoder(tf.constant(codes[i : i + DAYS_AT_ONCE]))
            days[i : i + DAYS_AT_ONCE, :height, :width] = part[:, :height, :width]
        return days


def padded(cube: Cube, multiple: int, least: int) -> tuple[np.ndarray, np.ndarray]:
    """Return values and mask with zeros at the high ends of y and x, up to a multiple of ``multiple`` >= ``least``."""
    to = [max(least, -(-size // multiple) * multiple) for size in cube.mask.shape[:2]]
    missing = [(0, wanted - size) for wanted, size in zip(to, cube.mask.shape[:2], strict=True)]
    return np.pad(cube.values, [(0, 0), *missing, (0, 0)]), np.pad(cube.mask, [*missing, (0, 0)])


def trailing_windows(n_days: int, length: int) -> tf.Tensor:
    """Return the indices of the last ``length`` days up to each day, the first day repeated before the start."""
    days = np.arange(n_days)[:, None] + np.arange(1 - length, 1)
    return tf.constant(np.maximum(days, 0), tf.int32)


def stretches(n_days: int, size: int, rng: np.random.Generator) -> Iterator[tf.Tensor]:
    """Yield batches of consecutive days, whose windows overlap, without end; each pass is cut and ordered anew."""
    days = np.arange(n_days, dtype=np.int32)
    while True:
        first = rng.integers(min(size, n_days))
        parts = [part for part in np.split(days, range(first, n_days, size)) if part.size]
        for i in rng.permutation(len(parts)):
            yield tf.constant(parts[i])


def every_pair_loss(x: tf.Tensor, output: tf.Tensor) -> tf.Tensor:
    """Return the mean squared difference between each reconstruction and each day of the batch.

    That is what the official code's shapes (b, 1, ...) and (b, ...) broadcast to; written with the mean day, so that
    no pair has to be formed.
    """
    mean = tf.reduce_mean(x, axis=0, keepdims=True)
    return tf.reduce_mean(tf.square(output - mean)) + tf.reduce_mean(tf.square(x - mean))
