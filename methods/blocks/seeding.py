"""One place that turns a run's ``seed`` into every random stream, without touching the global ones."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from methods.blocks.streams import sub_seed

__all__ = ["generator", "reproducible", "sub_seed"]


def generator(seed: int, purpose: str, device: str | torch.device = "cpu") -> torch.Generator:
    """Return a torch generator for one purpose (see :func:`methods.blocks.streams.sub_seed`)."""
    return torch.Generator(device).manual_seed(sub_seed(seed, purpose))


@contextmanager
def reproducible(seed: int, device: str | torch.device = "cpu") -> Iterator[None]:
    """Run deterministic kernels on seeded global streams, and give both back as they were found.

    The blocks here draw from explicit generators; the seeded global stream is for layers that offer no choice
    (``nn.Dropout``, the default initialisation of ``nn.Linear``).
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic only with a fixed workspace
    devices = [torch.cuda.current_device()] if torch.device(device).type == "cuda" else []
    filled = torch.utils.deterministic
    before = torch.get_deterministic_debug_mode(), torch.backends.cudnn.benchmark, filled.fill_uninitialized_memory
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(sub_seed(seed, "torch"))
        torch.set_deterministic_debug_mode("error")  # use_deterministic_algorithms is the same, but 2 s slower to start
        torch.backends.cudnn.benchmark = False
        filled.fill_uninitialized_memory = False  # finds programs that read what was never written; costs each array
        try:
            yield
        finally:
            torch.set_deterministic_debug_mode(before[0])
            torch.backends.cudnn.benchmark = before[1]
            filled.fill_uninitialized_memory = before[2]
