"""The generator of A-DATSC in Keras (paper, section 5.1), with the layers that its authors name."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace

import keras
import numpy as np
import tensorflow as tf
from keras.initializers import GlorotUniform, Orthogonal
from keras.layers import (
    Conv2D,
    Conv2DTranspose,
    ConvLSTM2D,
    Dense,
    LayerNormalization,
    MaxPooling2D,
    UpSampling2D,
)

from methods.blocks.keras.recurrent import conv_lstm_2d
from methods.blocks.keras.runtime import seeds


class Generator:
    """Encoder, patches, graph attention, embedding, self-expression and decoder; frames (batch, time, y, x, variable).

    Parameters
    ----------
    shape : (int, int, int)
        Rows, columns and variables of a frame.
    p : SimpleNamespace
        The plugin's parameters.
    seed : int
        The run's seed.

    Attributes
    ----------
    variables : list
        All that is trained, in the order in which the network is built.
    """

    def __init__(self, shape: tuple[int, int, int], p: SimpleNamespace, seed: int) -> None:
        self.p, self.kernel = p, GlorotUniform(seeds(seed, "weights"))
        self.orthogonal = Orthogonal(seed=seeds(seed, "recurrent weights"))
        self.layers: list[keras.layers.Layer] = []
        filters, F, D = p.filters, p.filters[-1], p.latent
        self.stem = self._recurrent(filters[0])
        self.blocks = [self._block(below, above) for below, above in pairwise(filters)]
        self.grid = [side // 2 ** (len(filters) - 1) // size for side, size in zip(shape[:2], p.patch, strict=True)]
        self.tile = self._add(Conv2D(F, p.patch, strides=p.patch, kernel_initializer=self.kernel))
        self.W_q, self.W_kv = self._dense(2 * F, use_bias=False), self._dense(4 * F, use_bias=False)
        self.W_o, self.norm = self._dense(F), self._norm()
        self.embedding, self.embedding_norm = self._dense(D), self._norm()
        self.draw = self._dense(F * self.grid[0] * self.grid[1])
        self.untile = self._add(Conv2DTranspose(F, p.patch, strides=p.patch, kernel_initializer=self.kernel))
        self.ups = [self._recurrent(below) for below in filters[-2::-1]]
        self.norms = [self._norm() for _ in self.ups]
        self.output = self._add(Conv2D(shape[2], 1, kernel_initializer=self.kernel))
        self(tf.zeros((1, 2, *shape)))  # makes the weights
        self._forget(p.forget_bias)
        self.variables = [weight for layer in self.layers for weight in layer.trainable_variables]

    def __call__(self, x: tf.Tensor, alone: tf.Tensor | None = None) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Return Z (batch, time, D), C (batch, time, time) and frames, of Z alone in sequences that are ``alone``."""
        levels, Z = self._encode(x)
        C = expressed(Z, self.p)
        vectors = tf.concat([Z, _unless(alone, C @ compared(Z))], axis=2)
        drawn = _each(lambda v: tf.reshape(self.draw(v), (-1, *self.grid, self.p.filters[-1])), vectors)
        h = tf.tanh(_each(self.untile, drawn))
        for layer, norm, level in zip(self.ups, self.norms, levels[-2::-1], strict=True):
            up = _each(UpSampling2D(2), h)
            h = tf.nn.relu(norm(layer(tf.concat([up, _unless(alone, level)], axis=4))))
        return Z, C, tf.sigmoid(_each(self.output, h))

    def embed(self, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return Z and C alone."""
        Z = self._encode(x)[1]
        return Z, expressed(Z, self.p)

    def _encode(self, x: tf.Tensor) -> tuple[list[tf.Tensor], tf.Tensor]:
        """Return the levels and Z of frames, before and after which their first and last days are mirrored."""
        n, time = tf.minimum(self.p.halo, tf.shape(x)[1]), tf.shape(x)[1]
        levels = [self.stem(tf.concat([x[:, :n][:, ::-1], x, x[:, time - n :][:, ::-1]], axis=1))]
        for block in self.blocks:
            levels.append(block(_each(MaxPooling2D(2), levels[-1])))
        tiles = _each(
            lambda maps: tf.reshape(self.tile(maps), (-1, self.grid[0] * self.grid[1], maps.shape[3])), levels[-1]
        )
        nodes = self._attend(tiles)[:, n : n + time]
        Z = self.embedding_norm(_each(lambda h: self.embedding(tf.reshape(h, (-1, h.shape[1] * h.shape[2]))), nodes))
        return [level[:, n : n + time] for level in levels], Z

    def _attend(self, h: tf.Tensor) -> tf.Tensor:
        """Return nodes after Bi-TGAT (paper, Eq. 2 and 3)."""
        Q = tf.split(self.W_q(h), 2, axis=-1)
        K_next, K_before, V_next, V_before = tf.split(self.W_kv(h), 4, axis=-1)
        nothing = tf.zeros_like(h[:, :1])
        after = tf.concat([self._messages(Q[0][:, :-1], K_next[:, 1:], V_next[:, 1:]), nothing], axis=1)
        before = tf.concat([nothing, self._messages(Q[1][:, 1:], K_before[:, :-1], V_before[:, :-1])], axis=1)
        return self.norm(self.W_o(tf.concat([after, before], axis=-1)) + h)

    def _messages(self, q: tf.Tensor, k: tf.Tensor, v: tf.Tensor) -> tf.Tensor:
        size = q.shape[-1] // self.p.n_heads
        q, k, v = (_each(lambda h: tf.reshape(h, (-1, h.shape[1], self.p.n_heads, size)), part) for part in (q, k, v))
        alpha = tf.nn.softmax(tf.einsum("btihc,btjhc->bthij", q, k) / size**0.5, axis=-1)
        m = tf.einsum("bthij,btjhc->btihc", alpha, v)
        return _each(lambda h: tf.reshape(h, (-1, h.shape[1], self.p.n_heads * size)), m)

    def _block(self, n_in: int, n_out: int) -> object:
        """Return a residual temporal block (paper, Eq. 1)."""
        first, norm, second = self._recurrent(n_out), self._norm(), self._recurrent(n_out)
        project = self._add(Conv2D(n_out, 1, kernel_initializer=self.kernel)) if n_in != n_out else tf.identity
        return lambda x: second(norm(first(x))) + _each(project, x)

    def _recurrent(self, filters: int) -> keras.layers.Layer:
        start = {"kernel_initializer": self.kernel, "recurrent_initializer": self.orthogonal}
        # The seed is for dropout, of which there is none; without one Keras takes it from Python's own stream.
        return self._add(conv_lstm_2d(filters, return_sequences=True, seed=0, **start))

    def _forget(self, bias: float) -> None:
        """Start all forget gates at ``bias``."""
        for layer in self.layers:
            if isinstance(layer, ConvLSTM2D):
                i, _, c, o = tf.split(layer.cell.bias, 4)
                layer.cell.bias.assign(tf.concat([i, tf.fill(tf.shape(i), bias), c, o], axis=0))

    def _dense(self, units: int, **options: object) -> keras.layers.Layer:
        return self._add(Dense(units, kernel_initializer=self.kernel, **options))

    def _norm(self) -> keras.layers.Layer:
        return self._add(LayerNormalization())

    def _add(self, layer: keras.layers.Layer) -> keras.layers.Layer:
        self.layers.append(layer)
        return layer


def compared(Z: tf.Tensor, neighbours: float = 0.0) -> tf.Tensor:
    """Return how embeddings (batch, time, D) differ from the mean of their window, in units of their usual length.

    With ``neighbours``, a weight, the days before and after stand beside each day: (batch, time, 3 D).
    """
    X = Z - tf.reduce_mean(Z, axis=1, keepdims=True)
    if neighbours:
        last, days = tf.shape(X)[1] - 1, tf.range(tf.shape(X)[1])
        before = tf.minimum(tf.abs(days - 1), last)  # the one neighbour of an end stands on both sides
        after = last - tf.minimum(tf.abs(last - days - 1), last)
        X = tf.concat([neighbours * tf.gather(X, before, axis=1), X, neighbours * tf.gather(X, after, axis=1)], axis=2)
    squares = tf.reduce_mean(tf.reduce_sum(tf.square(X), axis=2), axis=1)
    return X / tf.sqrt(tf.maximum(squares, np.finfo(np.float32).eps))[:, None, None]


def expressed(Z: tf.Tensor, p: SimpleNamespace) -> tf.Tensor:
    """Return C (batch, time, time) of embeddings (batch, time, D) under the plugin's parameters."""
    return coefficients(compared(Z, p.neighbours), p.sparsity, p.ridge, p.expression_steps)


def coefficients(X: tf.Tensor, sparsity: float, ridge: float, steps: int) -> tf.Tensor:
    """Return the C (batch, time, time) with zero diagonal that makes L_SE least, by FISTA (paper, Eq. 5)."""
    X = tf.stop_gradient(X)
    gram = X @ tf.transpose(X, (0, 2, 1))
    rate = 1 / (tf.maximum(tf.linalg.eigvalsh(gram)[:, -1], np.finfo(np.float32).eps) + ridge)[:, None, None]
    others = 1 - tf.eye(tf.shape(X)[1])
    C = ahead = tf.zeros_like(gram)
    momentum = tf.constant(1.0)
    for _ in tf.range(steps):
        moved = ahead - rate * (ahead @ gram - gram + ridge * ahead)
        shrunk = tf.sign(moved) * tf.nn.relu(tf.abs(moved) - rate * sparsity / 2) * others
        faster = (1 + tf.sqrt(1 + 4 * momentum**2)) / 2
        ahead = shrunk + (momentum - 1) / faster * (shrunk - C)
        C, momentum = shrunk, faster
    return tf.stop_gradient(C)


def _unless(alone: tf.Tensor | None, x: tf.Tensor) -> tf.Tensor:
    """Return ``x`` (batch, ...), with 0 in sequences that are to do without."""
    if alone is None:
        return x
    return x * tf.reshape(1.0 - tf.cast(alone, tf.float32), (-1, *[1] * (len(x.shape) - 1)))


def _each(layer: object, x: tf.Tensor) -> tf.Tensor:
    """Apply a layer to each frame of (batch, time, ...)."""
    made = layer(tf.reshape(x, (-1, *x.shape[2:])))
    return tf.reshape(made, tf.concat([tf.shape(x)[:2], made.shape[1:]], axis=0))
