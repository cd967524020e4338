"""ClustPy's DEC and IDEC, set up as the plugin of this project (see ``benchmarks/clustpy_dec.py``)."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import numpy as np
import torch

ABSENT = re.compile("operator torchvision::([a-z_]+) does not exist")


def load() -> None:
    """Import ClustPy, which imports torchvision and, for DEC, uses nothing of it.

    torchvision from PyPI is built for torch with CUDA. Beside torch for the CPU its operators cannot be loaded, and its
    import ends at each that it wants to describe; those are declared here, without a function behind them.
    """
    while True:
        try:
            import_module("clustpy.deep")
            return
        except RuntimeError as error:
            absent = ABSENT.search(str(error))
            if not absent or absent[1] in {name for name, _ in DECLARED}:
                raise
            library = torch.library.Library("torchvision", "FRAGMENT")
            library.define(f"{absent[1]}(Tensor x) -> Tensor")
            DECLARED.append((absent[1], library))


DECLARED: list[tuple[str, torch.library.Library]] = []
"""Operators that :func:`load` declared; they vanish with their library object, so it is kept."""


def fit(
    method: str,
    x: np.ndarray,
    k: int,
    p: Mapping[str, Any],
    sizes: list[int],
    batch: int,
    seed: int,
    pretraining: int,
    clustering: int,
) -> np.ndarray:
    """Return the labels of ClustPy's class ``method`` after so many passes, with the plugin's parameters ``p``."""
    from clustpy import deep
    from clustpy.deep.neural_networks import FeedforwardAutoencoder

    torch.manual_seed(seed)
    network = FeedforwardAutoencoder(sizes, activation_fn=torch.nn.ReLU, random_state=seed)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim == 1:
                parameter.zero_()
    weights = {"clustering_loss_weight": p["gamma"]}
    if p["keep_decoder"]:
        weights["ssl_loss_weight"] = 1.0
    model = getattr(deep, method)(
        n_clusters=k,
        batch_size=batch,
        optimizer_class=torch.optim.SGD,
        pretrain_optimizer_params={"lr": p["pretrain_lr"], "momentum": p["momentum"]},
        clustering_optimizer_params={"lr": p["cluster_lr"], "momentum": p["cluster_momentum"]},
        pretrain_epochs=pretraining,
        clustering_epochs=clustering,
        ssl_loss_fn=torch.nn.MSELoss(),
        neural_network=network,
        embedding_size=sizes[-1],
        initial_clustering_params={"n_init": p["n_init"]},
        device="cpu",
        random_state=seed,
        **weights,
    )
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return model.fit(x).dec_labels_
