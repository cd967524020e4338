"""Pre-training of fully connected auto-encoders (DEC paper, section 3.2)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import relu
from torch.optim import Optimizer

from methods.blocks.autoencoder import MLPAutoencoder, linear_layers, reconstruction_loss
from methods.blocks.training import Progress, batches, train


def dropout(x: Tensor, rate: float, generator: torch.Generator) -> Tensor:
    """Set each element to zero with probability ``rate`` and scale up the others, so that the mean is kept."""
    if rate == 0:
        return x
    kept = torch.rand(x.shape, generator=generator, device=x.device) >= rate
    return x * kept / (1 - rate)


def pretrain_layers(
    autoencoder: MLPAutoencoder,
    x: Tensor,
    *,
    n_steps: int,
    optimiser: Callable[[list[nn.Parameter]], Optimizer],
    decay_steps: int | None,
    batch_size: int,
    corruption: float,
    input_corruption: float,
    shuffle: torch.Generator,
    noise: torch.Generator,
    progress: Progress,
) -> dict[str, list[float]]:
    """Train each encoder layer with its decoder layer as a denoising auto-encoder of the layer below, in place.

    Dropout corrupts the input of each pair and its hidden layer, but not the code (DEC paper, Eq. 4-7; where it is
    left out follows the authors' Caffe code, ``dec/pretrain.py``). All parts are ReLU but for the code and the output.

    Parameters
    ----------
    autoencoder : MLPAutoencoder
        Network to train.
    x : Tensor, shape (n_days, d)
        Input.
    n_steps : int
        Updates per pair.
    optimiser : callable
        Makes an optimiser for a list of parameters.
    decay_steps, batch_size : int
        See :func:`methods.blocks.training.train`.
    corruption, input_corruption : float
        Dropout rate, and that of the data themselves.
    shuffle, noise : torch.Generator
        Draw the order of the days and the corruption.
    progress : callable
        See :func:`methods.blocks.training.train`.

    Returns
    -------
    dict of str to list of float
        The loss of each pair, ``layer_1`` and so on.
    """
    encoders, decoders = linear_layers(autoencoder.encoder), linear_layers(autoencoder.decoder)[::-1]
    code = encoders[-1]
    history: dict[str, list[float]] = {}

    def pair_loss(days: Tensor, data: Tensor, encode: nn.Linear, decode: nn.Linear) -> Tensor:
        is_input = encode is encoders[0]
        clean = data[days]
        hidden = encode(dropout(clean, input_corruption if is_input else corruption, noise))
        if encode is not code:
            hidden = dropout(relu(hidden), corruption, noise)
        if is_input:
            return reconstruction_loss(decode(hidden), clean, autoencoder.n_columns)
        return reconstruction_loss(relu(decode(hidden)), clean)

    for level, (encode, decode) in enumerate(zip(encoders, decoders, strict=True), start=1):
        name = f"layer_{level}"
        history |= train(
            partial(pair_loss, data=x, encode=encode, decode=decode),
            optimiser([*encode.parameters(), *decode.parameters()]),
            batches(len(x), batch_size, shuffle, x.device),
            n_steps,
            name=name,
            progress=progress,
            decay_steps=decay_steps,
        )
        with torch.no_grad():
            x = relu(encode(x))
    return history
