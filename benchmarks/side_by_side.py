"""By how much a torch network and a Keras model of the same thing differ that have the same weights.

The Keras model gets random weights, which are copied to torch; both see the same float32 input. A difference is
max |a - b| / max |b| over a tensor, b being Keras'. Compared are the output, the loss, the gradients with respect to
each weight and to the input, and the weights after three steps of gradient descent with momentum.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf
import torch
from torch import nn

from methods.blocks.gru import GRU
from methods.blocks.keras.training import sgd
from methods.blocks.lstm import LSTM
from methods.blocks.student_t import ClusterHead

TOLERANCE = 1e-4
MOMENTUM, STEPS = 0.9, 3
LARGEST_MOVE = 0.05  # of any weight in the first step, relative to the largest of its tensor
LAID_OUT_AS_IN_KERAS = (LSTM, GRU, ClusterHead)

ToOutputAndLoss = Callable[..., tuple]


@dataclass
class Pair:
    """One thing in both frameworks.

    Parameters
    ----------
    weights : sequence of keras.Variable
        All that is trained, in the order of torch's parameters.
    parts : sequence of nn.Module
        The torch modules, whose trainable parameters receive the weights.
    in_keras, in_torch : callable
        Turn the inputs into output and loss.
    inputs : sequence of ndarray
        Arrays that both receive. Gradients are taken with respect to the first.
    """

    weights: Sequence[keras.Variable]
    parts: Sequence[nn.Module]
    in_keras: ToOutputAndLoss
    in_torch: ToOutputAndLoss
    inputs: Sequence[np.ndarray]


@dataclass
class Difference:
    """Largest relative differences, and the largest relative change of a weight in the steps."""

    output: float
    loss: float
    gradient: float
    weights: float
    moved: float

    @property
    def largest(self) -> float:
        """The largest of all differences."""
        return max(self.output, self.loss, self.gradient, self.weights)


def relative(ours: np.ndarray, reference: np.ndarray) -> float:
    """Return max |a - b| / max |b|; 0 where both are zero throughout.

    Raises
    ------
    ValueError
        If shapes differ or a number is not finite.
    """
    if np.shape(ours) != np.shape(reference):
        raise ValueError(f"torch has shape {np.shape(ours)}, Keras {np.shape(reference)}")
    if not (np.isfinite(ours).all() and np.isfinite(reference).all()):
        raise ValueError("NaN or infinity")
    difference, scale = np.abs(ours - reference).max(), np.abs(reference).max()
    if difference == 0:
        return 0.0
    return float(difference / scale) if scale else np.inf


def compare(pair: Pair, seed: int = 0) -> Difference:
    """Give both sides of a pair the same weights and measure how far they are apart."""
    rng = np.random.default_rng(seed)
    for weight in pair.weights:  # in the range of the model's own, but biases too, which would all be equal
        scale = weight.numpy().std() if len(weight.shape) > 1 else 0.05
        weight.assign(scale * rng.standard_normal(weight.shape))
    before = [weight.numpy() for weight in pair.weights]
    parameters = copied(before, pair.parts)
    run = _with_gradients(pair)
    output, loss, gradients = run(*map(tf.constant, pair.inputs))
    gradients = [gradient.numpy() for gradient in gradients]
    other_output, other_loss, other_gradients = _torch_side(pair, parameters)
    rate = LARGEST_MOVE / max(np.abs(g).max() / np.abs(w).max() for g, w in zip(gradients[1:], before, strict=True))
    after = _keras_steps(pair, run, float(rate))
    other_after = _torch_steps(pair, parameters, float(rate))
    return Difference(
        output=relative(other_output, output.numpy()),
        loss=relative(other_loss, loss.numpy()),
        gradient=max(map(relative, other_gradients, gradients)),
        weights=max(map(relative, other_after, after)),
        moved=max(map(relative, after, before)),
    )


def copied(weights: Sequence[np.ndarray], parts: Sequence[nn.Module]) -> list[tuple[nn.Parameter, bool]]:
    """Put Keras weights into torch modules; return the parameters, each with "its axes are in another order".

    Keras has (*kernel, in, out) where torch has (out, in, *kernel).

    Raises
    ------
    ValueError
        If the numbers or shapes of the weights differ.
    """
    parameters = [
        (parameter, parameter.ndim > 1 and not isinstance(owner, LAID_OUT_AS_IN_KERAS))
        for part in parts
        for owner in part.modules()
        for parameter in owner.parameters(recurse=False)
        if parameter.requires_grad
    ]
    for (parameter, turned), weight in zip(parameters, weights, strict=True):
        value = np.moveaxis(weight, (-1, -2), (0, 1)) if turned else weight
        if value.shape != parameter.shape:
            raise ValueError(f"a weight has shape {value.shape} in Keras, {tuple(parameter.shape)} in torch")
        parameter.data = torch.tensor(value)
    return parameters


def _as_in_keras(value: torch.Tensor, turned: bool) -> np.ndarray:
    array = value.detach().numpy()
    return np.moveaxis(array, (0, 1), (-1, -2)) if turned else array.copy()


def _with_gradients(pair: Pair) -> Callable:
    """Return a compiled function from the inputs to output, loss, and gradients by the first input and the weights."""

    @tf.function
    def run(first: tf.Tensor, *rest: tf.Tensor) -> tuple:
        with tf.GradientTape() as tape:
            tape.watch(first)
            output, loss = pair.in_keras(first, *rest)
        gradients = tape.gradient(loss, [first, *(weight.value for weight in pair.weights)])
        return output, loss, [tf.convert_to_tensor(gradient) for gradient in gradients]

    return run


def _torch_side(pair: Pair, parameters: list) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    first, *rest = (torch.tensor(array) for array in pair.inputs)
    first.requires_grad_()
    output, loss = pair.in_torch(first, *rest)
    found = torch.autograd.grad(loss, [first, *(parameter for parameter, _ in parameters)], materialize_grads=True)
    turned = [False, *(turned for _, turned in parameters)]
    return output.detach().numpy(), loss.detach().numpy(), list(map(_as_in_keras, found, turned))


def _keras_steps(pair: Pair, run: Callable, rate: float) -> list[np.ndarray]:
    optimiser = sgd(rate, MOMENTUM)
    for _ in range(STEPS):
        _, _, (_, *gradients) = run(*map(tf.constant, pair.inputs))
        optimiser.apply(gradients, pair.weights)
    return [weight.numpy() for weight in pair.weights]


def _torch_steps(pair: Pair, parameters: list, rate: float) -> list[np.ndarray]:
    optimiser = torch.optim.SGD([parameter for parameter, _ in parameters], rate, MOMENTUM)
    inputs = [torch.tensor(array) for array in pair.inputs]
    for _ in range(STEPS):
        optimiser.zero_grad()
        pair.in_torch(*inputs)[1].backward()
        optimiser.step()
    return [_as_in_keras(parameter, turned) for parameter, turned in parameters]
