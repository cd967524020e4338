"""The networks of DSC and its three ablations in Keras (DSC paper, section 4.1; layers from the authors' notebooks)."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import keras
from keras.initializers import GlorotUniform, Orthogonal
from keras.layers import LSTM, Conv2D, Cropping2D, Dense, Dropout, Flatten, MaxPooling2D, Reshape, UpSampling2D

from methods.blocks.keras.runtime import seeds
from methods.blocks.streams import sub_seed

POOL, DROP = "P", "D"
UNROLLED = 8  # steps of a sequence up to which no loop is built: quicker to compile and to run


class Networks:
    """Makes the parts of a network, all from one seed.

    Parameters
    ----------
    shape : (int, int, int)
        Rows, columns and variables of a day.
    seed : int
        The run's seed; each weight and each dropout layer has a stream of its own.
    dropout : float
        Rate of ``D`` layers, and of input and recurrent dropout in the LSTM.
    """

    def __init__(self, shape: tuple[int, int, int], seed: int, dropout: float = 0.0) -> None:
        self.shape, self.dropout = shape, dropout
        self.kernel = GlorotUniform(seeds(seed, "weights"))
        self.recurrent_kernel = Orthogonal(seed=seeds(seed, "recurrent weights"))
        self.noise = (sub_seed(seed, f"dropout {layer}") for layer in range(1000))

    def convolutions(self, layers: Sequence[int | str], pooling: str) -> keras.Sequential:
        """Return the convolutions that turn days into feature maps.

        Parameters
        ----------
        layers : sequence
            Layer by layer: output channels of a 3x3 convolution, ``P`` for pooling, ``D`` for dropout.
        pooling : str
            ``same`` rounds halves up, ``valid`` down.
        """
        network = keras.Sequential([keras.Input(self.shape)])
        for layer in layers:
            if layer == POOL:
                network.add(MaxPooling2D(2, padding=pooling))
            elif layer == DROP:
                network.add(Dropout(self.dropout, seed=next(self.noise)))
            else:
                network.add(self._convolution(layer))
        return network

    def recurrent_head(self, n_features: int, length: int, units: Sequence[int], code: int) -> keras.Sequential:
        """Return LSTM layers, the last output of the last one becoming the code; input (batch, length, features)."""
        layers = [
            LSTM(
                width,
                return_sequences=layer < len(units),
                kernel_initializer=self.kernel,
                recurrent_initializer=self.recurrent_kernel,
                dropout=self.dropout,
                recurrent_dropout=self.dropout,
                seed=next(self.noise),
                unroll=length <= UNROLLED,
            )
            for layer, width in enumerate(units, start=1)
        ]
        return keras.Sequential([keras.Input((length, n_features)), *layers, self._dense(code, "sigmoid")])

    def dense_head(self, n_features: int, length: int, units: Sequence[int], code: int) -> keras.Model:
        """Return dense sigmoid layers on the last day of sequences (batch, length, features)."""
        days = keras.Input((length, n_features))
        x = days[:, -1]
        for width in [*units, code]:
            x = self._dense(width, "sigmoid")(x)
        return keras.Model(days, x)

    def decoder(
        self, maps: tuple[int, int, int], code: int, channels: Sequence[int], dense_output: bool
    ) -> keras.Sequential:
        """Return the decoder from codes to days.

        Parameters
        ----------
        maps : (int, int, int)
            Rows, columns and channels of the feature maps, which a dense layer makes of a code.
        code : int
            Width of the code.
        channels : sequence of int
            Of the convolutions, each after upsampling by two.
        dense_output : bool
            End in a dense sigmoid layer over the whole map, not in a map cut at its high ends.
        """
        network = keras.Sequential([keras.Input((code,)), self._dense(prod(maps)), Reshape(maps)])
        for width in channels:
            network.add(UpSampling2D(2))
            network.add(self._convolution(width))
        network.add(self._convolution(self.shape[2]))
        if dense_output:
            network.add(Flatten())
            network.add(self._dense(prod(self.shape), "sigmoid"))
            network.add(Reshape(self.shape))
            return network
        larger = (size * 2 ** len(channels) - wanted for size, wanted in zip(maps, self.shape[:2], strict=False))
        network.add(Cropping2D([(0, excess) for excess in larger]))
        return network

    def _convolution(self, n_out: int) -> Conv2D:
        return Conv2D(n_out, 3, padding="same", activation="tanh", kernel_initializer=self.kernel)

    def _dense(self, n_out: int, activation: str = "linear") -> Dense:
        return Dense(n_out, activation, kernel_initializer=self.kernel)
