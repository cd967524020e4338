"""Initial weights as Keras and Caffe draw them; torch's own defaults differ in scale and in the bias."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

import torch
from torch import Tensor, nn

Initialiser = Callable[[Tensor, torch.Generator], Tensor]


def _fans(weight: Tensor) -> tuple[int, int]:
    """Return fan-in and fan-out of a weight of shape (out, in, *kernel)."""
    receptive = weight[0, 0].numel()
    return weight.shape[1] * receptive, weight.shape[0] * receptive


def normal(weight: Tensor, generator: torch.Generator) -> Tensor:
    """Fill with N(0, 0.01^2) (DEC paper, section 4.3)."""
    return nn.init.normal_(weight, 0.0, 0.01, generator)


def glorot_uniform(weight: Tensor, generator: torch.Generator) -> Tensor:
    """Fill with U(-a, a), a = sqrt(6 / (fan_in + fan_out)): the default of Keras' dense and convolution layers."""
    bound = sqrt(6 / sum(_fans(weight)))
    return nn.init.uniform_(weight, -bound, bound, generator)


def variance_scaling(weight: Tensor, generator: torch.Generator) -> Tensor:
    """Fill with U(-a, a), a = 1 / sqrt(fan_in): Keras' ``VarianceScaling(1/3, 'fan_in', 'uniform')``."""
    bound = 1 / sqrt(_fans(weight)[0])
    return nn.init.uniform_(weight, -bound, bound, generator)


INITIALISERS: dict[str, Initialiser] = {
    "normal": normal,
    "glorot_uniform": glorot_uniform,
    "variance_scaling": variance_scaling,
}


def initialise(module: nn.Module, fill: Initialiser, generator: torch.Generator, shared: bool = False) -> None:
    """Fill all weights (two and more axes) of ``module`` in order, and set all biases to zero.

    A part with a method ``initialise(generator)``, such as a recurrent layer, fills its own weights with that instead;
    layer norms start with scale 1 and offset 0.

    Parameters
    ----------
    module : nn.Module
        Network on the CPU, so that every device starts from the same weights.
    fill : callable
        One of :data:`INITIALISERS`.
    generator : torch.Generator
        Source of the numbers.
    shared : bool
        Start each layer from the same state of the generator, as one unseeded Keras initialiser object does that
        several layers share: layers of equal shape start with equal weights.
    """
    start = generator.get_state()

    def visit(part: nn.Module) -> None:
        if part is not module and hasattr(part, "initialise"):
            part.initialise(generator)
            return
        if isinstance(part, nn.LayerNorm):
            part.reset_parameters()
            return
        for parameter in part.parameters(recurse=False):
            if parameter.ndim < 2:
                parameter.zero_()
                continue
            if shared:
                generator.set_state(start)
            fill(parameter, generator)
        for child in part.children():
            visit(child)

    with torch.no_grad():
        visit(module)
