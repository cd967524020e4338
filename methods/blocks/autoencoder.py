"""The fully connected auto-encoder of DEC and its descendants."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss
from torch.nn.utils import skip_init


def mlp(sizes: Sequence[int]) -> nn.Sequential:
    """Return linear layers ``sizes[0] -> ... -> sizes[-1]``, ReLU between them, weights not yet initialised."""
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(sizes):
        layers += [skip_init(nn.Linear, n_in, n_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class MLPAutoencoder(nn.Module):
    """Encoder d-h1-...-code and its mirror image; ReLU but for the code and the output (DEC paper, section 3.2).

    Parameters
    ----------
    n_inputs : int
        Columns d of the input.
    sizes : sequence of int
        Widths of the hidden layers and, last, of the code.

    Attributes
    ----------
    n_columns : int
        Columns that the reconstruction error is averaged over: d, also after :func:`project`.
    """

    def __init__(self, n_inputs: int, sizes: Sequence[int]) -> None:
        super().__init__()
        self.n_columns = n_inputs
        self.encoder = mlp([n_inputs, *sizes])
        self.decoder = mlp([*sizes[::-1], n_inputs])

    def forward(self, x: Tensor) -> Tensor:
        """Return the reconstruction of ``x``, shape (batch, d)."""
        return self.decoder(self.encoder(x))


def reconstruction_loss(output: Tensor, target: Tensor, n_columns: int | None = None) -> Tensor:
    """Return the squared error, mean over all elements; both must have the same shape, (batch, ...).

    Parameters
    ----------
    output, target : Tensor
        Reconstruction and what it should be.
    n_columns : int, optional
        Average over so many elements per day, where they are not those stored (see :func:`project`).

    Raises
    ------
    ValueError
        If the shapes differ: broadcasting would silently compare every day with every other.
    """
    if output.shape != target.shape:
        raise ValueError(f"the reconstruction has shape {tuple(output.shape)}, its target {tuple(target.shape)}")
    return mse_loss(output, target, reduction="sum") / (len(target) * (n_columns or target[0].numel()))


def project(autoencoder: MLPAutoencoder, x: Tensor) -> tuple[MLPAutoencoder, Tensor]:
    """Change the basis of the input so that gradient descent does the same work on fewer columns.

    All rows of ``x`` and all columns of the last layer lie in a space of at most r = n_days + width + 1 dimensions.
    Gradient descent (with momentum or not) never leaves it, and squared errors do not change under rotation. So an
    auto-encoder in an orthonormal basis of that space, with the same hidden layers, learns exactly what the full one
    would, d / r times faster. This needs an input that is not corrupted and an optimiser that is rotation-equivariant
    (SGD, not Adam).

    Parameters
    ----------
    autoencoder : MLPAutoencoder
        Initialised network on d columns, on the CPU.
    x : Tensor, shape (n_days, d)
        Input, on the CPU.

    Returns
    -------
    autoencoder, x
        In r columns, or as they came where r >= d. ``autoencoder.n_columns`` stays d.
    """
    first, last = autoencoder.encoder[0], autoencoder.decoder[-1]
    if x.shape[0] + last.in_features + 1 >= x.shape[1]:
        return autoencoder, x
    with torch.no_grad():
        spanning = torch.cat([x.T, last.weight, last.bias[:, None]], dim=1)
        basis = torch.linalg.qr(spanning.double()).Q
        smaller = MLPAutoencoder(basis.shape[1], [layer.out_features for layer in linear_layers(autoencoder.encoder)])
        smaller.n_columns = autoencoder.n_columns
        weights = autoencoder.state_dict()
        weights["encoder.0.weight"] = first.weight.double() @ basis
        key = f"decoder.{len(autoencoder.decoder) - 1}"
        weights[f"{key}.weight"] = basis.T @ last.weight.double()
        weights[f"{key}.bias"] = basis.T @ last.bias.double()
        smaller.load_state_dict(weights)
        return smaller, (x.double() @ basis).to(x.dtype)


def linear_layers(network: nn.Sequential) -> list[nn.Linear]:
    """Return the linear layers of a network in order."""
    return [layer for layer in network if isinstance(layer, nn.Linear)]
