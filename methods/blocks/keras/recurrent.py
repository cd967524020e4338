"""Recurrent layers with the defaults of Keras 2 and TensorFlow 1, which Keras 3 changed in part."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from keras.layers import GRU, ConvLSTM2D


def hard_sigmoid(x: tf.Tensor) -> tf.Tensor:
    """Return clip(0.2 x + 0.5, 0, 1), the ``hard_sigmoid`` of Keras 2; that of Keras 3 is relu6(x + 3) / 6."""
    return tf.clip_by_value(0.2 * x + 0.5, 0.0, 1.0)


def conv_lstm_2d(filters: int, kernel_size: int = 3, **options: Any) -> ConvLSTM2D:
    """Return Keras 2's ``ConvLSTM2D`` with "same" padding: its gates are hard sigmoids, those of Keras 3 are not.

    What else differs from an LSTM's defaults is the same in both: tanh, Glorot-uniform kernel, orthogonal recurrent
    kernel, bias 1 for the forget gate.

    Parameters
    ----------
    filters, kernel_size : int
        Channels of the state, and width of both kernels.
    **options
        Passed on: ``return_sequences``, ``go_backwards``, initialisers with their seeds.
    """
    return ConvLSTM2D(filters, kernel_size, padding="same", recurrent_activation=hard_sigmoid, **options)


def gru(units: int, **options: Any) -> GRU:
    """Return the GRU of TensorFlow 1: the reset gate acts before the recurrent product, which Keras 2 and 3 reverse.

    TensorFlow 1 starts the biases of both gates at 1; Keras has no option for that, so they have to be assigned.

    Parameters
    ----------
    units : int
        Size of the state.
    **options
        Passed on.
    """
    return GRU(units, reset_after=False, **options)
