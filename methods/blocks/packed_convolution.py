"""Convolutions by one kernel again and again: its reordering for the CPU is done once."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import conv2d

Convolution = Callable[[Tensor], Tensor]


def repeated(kernel: Tensor, shape: torch.Size) -> Convolution:
    """Return a function that convolves inputs with a kernel, "same" padding, without gradient.

    A convolution on the CPU brings its kernel into an order of its own at every call. Where maps are small and
    channels many, as in the upper levels of a recurrent network, that takes as long as the products and longer. The two
    operations are internal to torch, so its version is pinned and a test compares them with a plain convolution.

    Parameters
    ----------
    kernel : Tensor, shape (n_out, n_in, k, k)
        Odd k. It must not change while the function is in use.
    shape : torch.Size
        Of the inputs, (n, n_in, y, x).
    """
    padding = [kernel.shape[-1] // 2] * 2
    if kernel.device.type != "cpu" or not _can_reorder(kernel.dtype):
        return lambda x: conv2d(x, kernel, padding=padding)
    one, dense = [1, 1], kernel.detach().contiguous()
    reordered = torch._C._nn.mkldnn_reorder_conv2d_weight(dense.to_mkldnn(), padding, one, one, 1, list(shape))
    return lambda x: torch.ops.mkldnn._convolution_pointwise(x, reordered, None, padding, one, one, 1, "none", [], "")


def _can_reorder(dtype: torch.dtype) -> bool:
    if not torch.backends.mkldnn.is_available():
        return False
    return dtype == torch.float32 or (dtype == torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported())
