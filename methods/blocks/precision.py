"""Mixed precision where the hardware has it: networks in bfloat16, weights, losses and distances in float32."""

from __future__ import annotations

import torch

PRECISIONS = ("auto", "float32", "bfloat16")


def multiplies_bfloat16(device: str | torch.device) -> bool:
    """Say whether a device multiplies bfloat16 faster than float32: by its own instructions, not emulated."""
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def autocast(precision: str, device: str | torch.device) -> torch.autocast:
    """Return the context in which a network's forward pass runs.

    Parameters
    ----------
    precision : str
        ``float32``; ``bfloat16``; or ``auto``, which is ``bfloat16`` where :func:`multiplies_bfloat16`.
    device : str or torch.device
        Where the network is.

    Raises
    ------
    ValueError
        If ``precision`` is none of these.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision is {precision!r}; allowed are {', '.join(PRECISIONS)}")
    mixed = precision == "bfloat16" or (precision == "auto" and multiplies_bfloat16(device))
    return torch.autocast(torch.device(device).type, torch.bfloat16, enabled=mixed)
