"""DEC's fully connected auto-encoder in Keras."""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras.initializers import Initializer
from keras.layers import Dense, Dropout


def mlp(sizes: Sequence[int], initialiser: Initializer) -> keras.Sequential:
    """Return dense layers ``sizes[0] -> ... -> sizes[-1]``, all ReLU but the last, biases zero."""
    activations = ["relu"] * (len(sizes) - 2) + ["linear"]
    layers = [
        Dense(size, activation, kernel_initializer=initialiser)
        for size, activation in zip(sizes[1:], activations, strict=True)
    ]
    return keras.Sequential([keras.Input((sizes[0],)), *layers])


def autoencoder(
    n_inputs: int, sizes: Sequence[int], initialiser: Initializer
) -> tuple[keras.Sequential, keras.Sequential]:
    """Return encoder d-h1-...-code and its mirror image (DEC paper, section 3.2).

    Parameters
    ----------
    n_inputs : int
        Columns d of the input.
    sizes : sequence of int
        Widths of the hidden layers and, last, of the code.
    initialiser : Initializer
        Shared by all layers.
    """
    return mlp([n_inputs, *sizes], initialiser), mlp([*sizes[::-1], n_inputs], initialiser)


def denoising_pairs(
    encoder: keras.Sequential, decoder: keras.Sequential, corruption: float, input_corruption: float, seed: int
) -> list[tuple[Dense, keras.Sequential]]:
    """Return each encoder layer, and it with its decoder layer as a denoising auto-encoder (DEC paper, Eq. 4-7).

    Dropout corrupts the input of each pair and its hidden layer, but not the code, as in the authors' Caffe code.

    Parameters
    ----------
    encoder, decoder : keras.Sequential
        See :func:`autoencoder`; the pairs share their weights.
    corruption, input_corruption : float
        Dropout rate, and that of the data themselves.
    seed : int
        Of the corruption.
    """
    pairs = []
    depth = len(encoder.layers)
    layers = zip(encoder.layers, reversed(decoder.layers), strict=True)
    for level, (encode, decode) in enumerate(layers):
        before = Dropout(corruption if level else input_corruption, seed=seed + 2 * level)
        inside = Dropout(corruption if level < depth - 1 else 0.0, seed=seed + 2 * level + 1)
        pairs.append((encode, keras.Sequential([before, encode, inside, decode])))
    return pairs
