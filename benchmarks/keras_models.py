"""Keras models of methods that have no TensorFlow plugin: the other side of parity tests and speed comparisons."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf
from keras.layers import (
    LSTM,
    Bidirectional,
    Conv1D,
    Conv1DTranspose,
    Dense,
    GlobalAveragePooling1D,
    GRUCell,
    LeakyReLU,
    MaxPooling1D,
    Softmax,
    UpSampling1D,
)

from methods.blocks.keras.recurrent import gru


def dtc_autoencoder(
    n_steps: int, n_variables: int, pool: int = 8, filters: int = 50, kernel: int = 10, units: Sequence[int] = (50, 1)
) -> tuple[keras.Sequential, keras.Sequential]:
    """Return DTC's temporal encoder, (n_steps, n_variables) to (n_steps / pool, units[-1]), and its decoder.

    As FlorentF9's Keras code has them (TAE.py): bidirectional LSTM layers that add both directions, LeakyReLU of slope
    0.3 throughout, and a decoder that is one transposed convolution.

    Parameters
    ----------
    n_steps, n_variables : int
        A series; ``pool`` must divide its length.
    pool, filters, kernel : int
        Pooling width, channels and width of the convolution.
    units : sequence of int
        Of the LSTM layers; the last is the number of channels of the code.
    """
    recurrent = [
        layer
        for width in units
        for layer in (Bidirectional(LSTM(width, return_sequences=True), merge_mode="sum"), LeakyReLU(0.3))
    ]
    encoder = keras.Sequential(
        [
            keras.Input((n_steps, n_variables)),
            Conv1D(filters, kernel, padding="same"),
            LeakyReLU(0.3),
            MaxPooling1D(pool),
            *recurrent,
        ]
    )
    decoder = keras.Sequential(
        [
            keras.Input((n_steps // pool, units[-1])),
            UpSampling1D(pool),
            Conv1DTranspose(n_variables, kernel, padding="same"),
        ]
    )
    return encoder, decoder


def dtc_heatmap(n_steps: int, n_channels: int, n_clusters: int, pool: int = 8, kernel: int = 10) -> keras.Sequential:
    """Return DTC's heat-map branch, from latent series (n_steps, n_channels) to probabilities of the clusters."""
    return keras.Sequential(
        [
            keras.Input((n_steps, n_channels)),
            UpSampling1D(pool),
            Conv1DTranspose(n_clusters, kernel, padding="same"),
            GlobalAveragePooling1D(),
            Softmax(),
        ]
    )


def euclidean(z: tf.Tensor, w: tf.Tensor) -> tf.Tensor:
    """Return the Euclidean distance, sums over channels of z (n, 1, T, C) and w (k, T, C): (n, k)."""
    return tf.reduce_sum(tf.norm(z - w, axis=2), axis=2)


def cid(z: tf.Tensor, w: tf.Tensor) -> tf.Tensor:
    """Return the complexity-invariant distance (Batista et al. 2011)."""
    ce_z, ce_w = (tf.norm(x[..., 1:, :] - x[..., :-1, :], axis=-2) for x in (z, w))
    factor = tf.maximum(ce_z, ce_w) / tf.minimum(ce_z, ce_w)
    return tf.reduce_sum(tf.norm(z - w, axis=2) * factor, axis=2)


def cor(z: tf.Tensor, w: tf.Tensor) -> tf.Tensor:
    """Return the correlation distance sqrt(2 (1 - rho)), rho being Pearson's coefficient."""
    z, w = (x - tf.reduce_mean(x, axis=-2, keepdims=True) for x in (z, w))
    rho = tf.reduce_sum(z * w, axis=2) / (tf.norm(z, axis=-2) * tf.norm(w, axis=-2))
    return tf.reduce_sum(tf.sqrt(2 * (1 - rho)), axis=2)


def acf(z: tf.Tensor, w: tf.Tensor) -> tf.Tensor:
    """Return the weighted Euclidean distance of autocorrelations at lags 1 .. T - 1, weights 1 - lag / T."""
    n_steps = z.shape[-2]

    def autocorrelations(x: tf.Tensor) -> tf.Tensor:
        x = x - tf.reduce_mean(x, axis=-2, keepdims=True)
        products = [tf.reduce_sum(x[..., lag:, :] * x[..., :-lag, :], axis=-2) for lag in range(1, n_steps)]
        return tf.stack(products, axis=-2) / tf.reduce_sum(tf.square(x), axis=-2, keepdims=True)

    weight = tf.constant(1 - np.arange(1, n_steps) / n_steps, z.dtype)[:, None]
    difference = autocorrelations(z) - autocorrelations(w)
    return tf.reduce_sum(tf.sqrt(tf.reduce_sum(weight * tf.square(difference), axis=2)), axis=2)


SIMILARITIES: dict[str, Callable[[tf.Tensor, tf.Tensor], tf.Tensor]] = {
    "eucl": euclidean,
    "cid": cid,
    "cor": cor,
    "acf": acf,
}


class SeriesClustering(keras.layers.Layer):
    """DTC's soft assignment of series (n, T, C) to trainable centres (k, T, C), by a distance of ``SIMILARITIES``.

    Parameters
    ----------
    n_clusters : int
        Number of centres.
    similarity : str
        Name of the distance d; q is proportional to 1 / (1 + d^2), as in FlorentF9's code (TSClusteringLayer.py).
    """

    def __init__(self, n_clusters: int, similarity: str) -> None:
        super().__init__()
        self.n_clusters, self.distance = n_clusters, SIMILARITIES[similarity]

    def build(self, input_shape: tuple[int, ...]) -> None:
        """Make the centres."""
        self.centres = self.add_weight(shape=(self.n_clusters, *input_shape[1:]), name="centres")

    def call(self, z: tf.Tensor) -> tf.Tensor:
        """Return q, shape (n, k)."""
        kernel = 1 / (1 + tf.square(self.distance(z[:, None], self.centres.value)))
        return kernel / tf.reduce_sum(kernel, axis=1, keepdims=True)


class DilatedGRU(keras.layers.Layer):
    """Stack of dilated GRU layers that returns the last state of each, all steps of all layers being computed.

    As in DTCR's released code: a series is padded with zeros at its end, its s sub-series of a layer of dilation s run
    as rows of the batch, and the state at the last real step counts.

    Parameters
    ----------
    units, dilations : sequence of int
        Size and dilation of each layer.
    """

    def __init__(self, units: Sequence[int], dilations: Sequence[int]) -> None:
        super().__init__()
        self.dilations = list(dilations)
        self.layers = [gru(width, return_sequences=True) for width in units]

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Map (batch, time, variable) to (batch, sum of units)."""
        n_steps, last = x.shape[1], []
        for layer, s in zip(self.layers, self.dilations, strict=True):
            length = -(-n_steps // s)
            padded = tf.pad(x, [(0, 0), (0, length * s - n_steps), (0, 0)])
            rows = tf.reshape(padded, (-1, length, s, x.shape[2]))
            rows = tf.reshape(tf.transpose(rows, (0, 2, 1, 3)), (-1, length, x.shape[2]))
            states = tf.reshape(layer(rows), (-1, s, length, layer.units))
            x = tf.reshape(tf.transpose(states, (0, 2, 1, 3)), (-1, length * s, layer.units))[:, :n_steps]
            last.append(x[:, -1])
        return tf.concat(last, axis=1)


class DTCR(keras.Model):
    """DTCR's encoder of both directions, its decoder, and the classifier of real and fake series.

    Parameters
    ----------
    n_variables : int
        Columns of a series at each step.
    units, dilations : sequence of int
        Layers of the encoder, in each direction.
    classifier_units : int
        Hidden layer of the classifier.
    """

    def __init__(self, n_variables: int, units: Sequence[int], dilations: Sequence[int], classifier_units: int) -> None:
        super().__init__()
        self.forwards, self.backwards = DilatedGRU(units, dilations), DilatedGRU(units, dilations)
        self.cell = GRUCell(2 * sum(units), reset_after=False)
        self.step_output = Dense(n_variables)
        self.hidden, self.logits = Dense(classifier_units, "relu"), Dense(2)

    def encode(self, x: tf.Tensor) -> tf.Tensor:
        """Return codes (batch, 2 * sum of units) of series (batch, time, variable)."""
        return tf.concat([self.forwards(x), self.backwards(tf.reverse(x, [1]))], axis=1)

    def decode(self, h: tf.Tensor, first: tf.Tensor, n_steps: int) -> tf.Tensor:
        """Return ``n_steps`` outputs from codes ``h``; the decoder reads ``first`` and then its own output."""
        step, outputs = first, []
        for _ in range(n_steps):
            _, h = self.cell(step, h)
            step = self.step_output(h)
            outputs.append(step)
        return tf.stack(outputs, axis=1)

    def classify(self, h: tf.Tensor) -> tf.Tensor:
        """Return the logits of real and fake, (batch, 2)."""
        return self.logits(self.hidden(h))
