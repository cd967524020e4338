"""Which trainings the speed tables show: every torch method that trains, in each phase or batch size that matters."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from benchmarks.training_time import WARM_UP
from regimebench import registry

MANY = 10**6
"""Steps without end, so that a measurement and not the method decides when to stop."""

SELF_TRAINING = {"update_interval": MANY, "max_steps": MANY, "tol": 0.0, "n_init": 1}
CODE_OF_DEC = {"layer_steps": 0, "joint_steps": 0, **SELF_TRAINING}
DSC = {"pretrain_steps": 0, **SELF_TRAINING}
DTC = {"pretrain_epochs": 0, "epochs": MANY, "tol": 0.0, "n_init": 1}
DTCR = {"max_iter": MANY}
EXPRESSION_OF_DASC = {"pretrain_steps": 0, "express_steps": MANY, "batch_size": MANY}


A_DATSC_YEAR = {"warmup_epochs": MANY, "warmup_days": None, "warmup_batch": 1, "recompute": True}


@dataclass(frozen=True)
class Row:
    """One training.

    Parameters
    ----------
    address : str
        ``method`` or ``method/variant``.
    what : str
        Phase of the training.
    parameters : dict
        Values that skip earlier phases, and make this one last.
    keras : str or None
        See :class:`benchmarks.training_time.Task`; None where nobody has written the Keras model.
    least : int
        Steps to time at least.
    shape : (int, int, int, int), optional
        Days, rows, columns and variables, if they are not those of the papers.
    warm_up : int
        Steps that are not timed; none where a step takes minutes.
    """

    address: str
    what: str
    parameters: dict[str, Any] = field(default_factory=dict)
    keras: str | None = None
    least: int = 3
    shape: tuple[int, int, int, int] | None = None
    warm_up: int = WARM_UP


def _dsc(address: str, **parameters: Any) -> Row:
    return Row(address, "clustering", {**DSC, **parameters}, address.replace("dsc", "dsc_tf", 1))


def _a_datsc(windows: int) -> Row:
    """Return the warm-up of A-DATSC, which is most of its work, on short windows of the papers' grid."""
    parameters = {"warmup_epochs": MANY, "warmup_days": 24, "warmup_batch": windows, "halo": 0, "patch": [1, 1]}
    what = f"auto-encoder, {windows} x 24 days of 40 x 40"
    return Row("a_datsc", what, parameters, "a_datsc_tf", shape=(24 * windows, 40, 40, 7))


ROWS = (
    Row("dec", "auto-encoder", {"layer_steps": 0, "joint_steps": MANY}, "dec_tf"),
    Row("dec", "clustering", CODE_OF_DEC, "dec_tf"),
    Row("dec/idec", "clustering", CODE_OF_DEC, "dec_tf/idec"),
    Row("dec/published_code", "clustering", CODE_OF_DEC, "dec_tf/published_code"),
    Row("dtc", "clustering", DTC, "dtc"),
    Row("dtc/published_code", "clustering", DTC, "dtc", least=1),
    Row("dtcr", "training", DTCR, "dtcr"),
    Row("dtcr/published_code", "training", DTCR, "dtcr"),
    _dsc("dsc"),
    _dsc("dsc/published_code", batch_size=8),
    _dsc("dsc/published_code", batch_size=64),
    _dsc("dsc/cnn_encoder"),
    _dsc("dsc/cnn_autoencoder"),
    _dsc("dsc/cnn_lstm_encoder"),
    Row("dsc_net", "auto-encoder", {"pretrain_steps": MANY}),
    Row("dsc_net", "self-expression", {"pretrain_steps": 0, "fine_tune_steps": MANY}),
    Row("dasc", "auto-encoder", {"pretrain_steps": MANY}),
    Row("dasc", "self-expression", EXPRESSION_OF_DASC),
    Row("dsc_dag", "self-expression", EXPRESSION_OF_DASC),
    Row("edesc", "auto-encoder", {"pretrain_steps": MANY}),
    Row("edesc", "clustering", {"pretrain_steps": 0, "epochs": MANY, "n_init": 1}),
    Row("pro_dsc", "joint", {"warm_up": 0, "epochs": MANY}),
    Row("senet", "training", {"steps": MANY}),
    Row("clustergan", "game", {"steps": MANY}, least=12),
    Row("clustergan/conv", "game", {"steps": MANY}, least=12),
    Row("infogan", "game", {"steps": MANY}, least=4),
    Row("infogan/conv", "game", {"steps": MANY}, least=4),
    Row("infogan/published_code", "game", {"steps": MANY}, least=4),
    _a_datsc(1),
    _a_datsc(4),
    Row("a_datsc", "auto-encoder", {"warmup_epochs": MANY}, least=1),
    Row("a_datsc", "auto-encoder, the year in one step, gates computed again", A_DATSC_YEAR, least=1, warm_up=0),
    Row("a_datsc/cnn_lstm", "auto-encoder", {"warmup_epochs": MANY}, least=1),
    Row("a_datsc/tabular", "auto-encoder", {"warmup_epochs": MANY}),
)


ALIKE = {
    "dtc/cid",
    "dtc/cor",
    "dtc/acf",
    "dtc/heatmap",
    "dtc/days",
    "dtcr/days",
    "dsc_net/l1",
    "dasc/paper",
    "dasc/code_score",
    "edesc/linear",
    "edesc/published_code",
    "pro_dsc/hidden_layer",
    "senet/published_graph",
    "clustergan/argmax",
    "clustergan/published_code",
    *(
        f"a_datsc/{name}"
        for name in ("faithful", "sel", "gat", "spectral", "no_adversary", "no_balance", "transformer")
    ),
    *(f"a_datsc/{name}" for name in ("no_skips", "messages", "mean_pooling", "held_target", "printed_expression")),
    *(f"a_datsc/{name}" for name in ("window_73", "window_30", "dec", "edesc")),
}
"""Variants whose steps are those of a row but for a small part, or for shorter series."""


def trained_addresses() -> list[str]:
    """Return every torch method and variant that is ranked: those that train, controls left out."""
    specs = (registry.method(address) for address in registry.addresses())
    return [spec.address for spec in specs if spec.framework == "torch" and spec.kind == "method"]
