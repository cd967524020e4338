"""Recurrent cells: LSTM, the GRU of TensorFlow 1, and the convolutional LSTM in both directions of time."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("subject", ["LSTM", "GRU", "ConvLSTM"])
def test_torch_and_keras_agree(subject, agree):
    agree(subject)


def test_gates_of_the_convolutional_lstm_are_those_of_keras_2(parity):
    """Keras 3 changed its default and its hard sigmoid, so the same layer without our gates differs."""
    import keras

    from benchmarks import pairs
    from methods.blocks.convlstm import ConvLSTM2d

    shape = (2, 4, 5, 6, 3)
    for gates in ("sigmoid", "hard_sigmoid"):
        theirs = keras.layers.ConvLSTM2D(4, 3, padding="same", return_sequences=True, recurrent_activation=gates)
        assert parity.compare(pairs.layer(theirs, ConvLSTM2d(3, 4), shape)).output > 0.01


def test_default_gru_of_keras_is_another_function(parity):
    import keras

    from benchmarks import pairs
    from methods.blocks.gru import GRU

    with pytest.raises(ValueError, match="a weight has shape"):
        parity.compare(pairs.layer(keras.layers.GRU(6, return_sequences=True), GRU(4, 6), (3, 5, 4)))
