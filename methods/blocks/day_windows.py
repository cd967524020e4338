"""Windows of days: what a sequence model sees of the days around a day."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor


def trailing_windows(n_days: int, length: int) -> Tensor:
    """Return for each day the indices of the last ``length`` days up to it, the first day repeated before the start.

    Parameters
    ----------
    n_days, length : int
        Days of the record, and days of a window, both at least 1.

    Returns
    -------
    Tensor of int64, shape (n_days, length)
        In calendar order; the last column is the day itself.

    Raises
    ------
    ValueError
        If ``length`` is below 1.
    """
    return _windows(n_days, length, 1 - length)


def centred_windows(n_days: int, length: int) -> Tensor:
    """Return for each day the indices of ``length`` days around it, first and last day repeated beyond the ends.

    Windows of even length hold one day more before the day than after it. Otherwise as :func:`trailing_windows`; the
    day itself is column ``length // 2``.
    """
    return _windows(n_days, length, -(length // 2))


def _windows(n_days: int, length: int, first: int) -> Tensor:
    if length < 1:
        raise ValueError(f"a window of {length} days was asked for; it needs at least the day itself")
    offsets = torch.arange(first, first + length)
    return (torch.arange(n_days)[:, None] + offsets).clamp(0, n_days - 1)


def stretches(n_days: int, size: int, shuffle: torch.Generator, device: str | torch.device = "cpu") -> Iterator[Tensor]:
    """Yield batches of consecutive days without end, pass after pass, each pass in a new order and cut elsewhere.

    Windows of consecutive days share most of their days; those of random days share none.

    Parameters
    ----------
    n_days, size : int
        Days to share out, and days in a full batch. Each day comes once in a pass; the first and the last batch of the
        record may be smaller, but are never empty.
    shuffle : torch.Generator
        Draws the cuts and the order, on the CPU.
    device : str
        Where the indices are used.
    """
    while True:
        cut = int(torch.randint(min(size, n_days), (), generator=shuffle))
        days = torch.arange(n_days, device=device)
        parts = [part for part in (days[:cut], *days[cut:].split(size)) if len(part)]
        for i in torch.randperm(len(parts), generator=shuffle).tolist():
            yield parts[i]
