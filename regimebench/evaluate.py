"""Stage 4, evaluate: score the labels of every run in one space, the [0, 1] input, so that clusterings are compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from regimebench.cube import read_cube
from regimebench.dataset import Cube, DataError
from regimebench.files import replacing
from regimebench.metrics import score_against_truth, score_partitions
from regimebench.records import DIAGNOSTICS, FIT, WITH_LABELS, InvalidRecord, load_labels, read_batch, seed_folder
from regimebench.shifted import score_shifted
from regimebench.stats.agreement import agreement

__all__ = ["RUN_COLUMNS", "SCORE_COLUMNS", "Outputs", "evaluate"]

SCORE_COLUMNS = ("address", "seed", "protocol", "metric", "value")
RUN_COLUMNS = (
    "address",
    "seed",
    "status",
    "message",
    "n_clusters",
    "clusters_found",
    "seconds",
    "cpu_seconds",
    "gpu_seconds",
    "startup_seconds",
    "startup_cpu_seconds",
    "cpu_joules",
    "gpu_joules",
    "peak_rss_mib",
    "peak_gpu_mib",
    "n_parameters",
    "epochs",
    "stop_reason",
    "reconstruction_rmse",
    "seeds_together",
    "device",
    "threads",
)
REFERENCES = ("truth", "oracle")


@dataclass(frozen=True)
class Outputs:
    """The files that evaluate writes; ``agreement`` and ``shifted`` may be None, and are then not computed.

    Parameters
    ----------
    scores : Path
        ``address, seed, protocol, metric, value``, sorted by address and seed, then in table order. Runs without labels
        have no rows.
    runs : Path
        One row per record, failed ones included, with the columns :data:`RUN_COLUMNS` and one column
        ``diagnostics.<name>`` for each diagnostic that any of the runs has, by name.
    agreement : Path
        Adjusted Rand index over the runs of each row that are ok and between rows,
        see :func:`regimebench.stats.agreement.agreement`.
    shifted : Path
        Scores of the labels when they are shifted in time, see :func:`regimebench.shifted.score_shifted`.
    """

    scores: Path
    runs: Path
    agreement: Path | None = None
    shifted: Path | None = None


def evaluate(cube: Path, batches: Sequence[Path], out: Outputs, truth: Path | None = None, shifts: int = 0) -> None:
    """Write the scores and the runs of one data set.

    Parameters
    ----------
    cube : Path
        The data set, see :mod:`regimebench.cube`.
    batches : sequence of Path
        Batch files of the fit stage, each in the folder of its method and variant.
    out : Outputs
        CSV files to write.
    truth : Path, optional
        CSV ``date, truth[, oracle]`` of a planted data set. Adds the protocol ``truth`` and the rows ``(truth)`` and
        ``(oracle)``, with seed 0, which are scored like any run.
    shifts : int
        Number of circular shifts of all labels to score.

    Raises
    ------
    InvalidRecord
        If a batch, record or labels file is missing, damaged, listed twice or made from other data.
    DataError
        If the cube or the truth cannot be used.
    """
    data = read_cube(cube)
    runs = _read_runs(batches, data, cube)
    references = {} if truth is None else _read_truth(truth, data)
    labels = {(f"({name})", 0): column for name, column in references.items()}
    labels |= {
        key: _read_labels(folder / FIT, data) for key, (run, folder) in runs.items() if run["status"] in WITH_LABELS
    }
    scores = _score(data, labels, references.get("truth"))
    _write_csv(scores, out.scores)
    _write_csv(_table([run for run, _ in runs.values()]), out.runs)
    fine = {key: labels[key] for key, (run, _) in runs.items() if run["status"] == "ok"}
    if out.agreement:
        _write_csv(agreement(fine), out.agreement)
    if out.shifted:
        _write_csv(score_shifted(lambda stack: _scored(data, stack), fine, shifts), out.shifted)


def _read_runs(
    batches: Sequence[Path], cube: Cube, cube_path: Path
) -> dict[tuple[str, int], tuple[dict[str, Any], Path]]:
    """Return (address, seed) -> (record, its folder), sorted."""
    runs = {}
    for batch in batches:
        for record in read_batch(batch):
            key = record["address"], record["seed"]
            folder = seed_folder(batch.parent, record["seed"])
            if key in runs:
                raise InvalidRecord(f"{batch} lists {key[0]} seed {key[1]} again; each seed must be in one batch")
            if record["hashes"]["data"] not in (None, cube.attrs["content_sha256"]):
                raise InvalidRecord(f"{folder} was fitted on other data than {cube_path}; run the fit stage again")
            runs[key] = record, folder
    return dict(sorted(runs.items()))


def _table(runs: list[dict[str, Any]]) -> pd.DataFrame:
    """Return one row per record."""
    rows = [run | {DIAGNOSTICS + name: x for name, x in (run.get("diagnostics") or {}).items()} for run in runs]
    names = sorted({name for row in rows for name in row if name.startswith(DIAGNOSTICS)})
    return pd.DataFrame(rows, columns=[*RUN_COLUMNS, *names])


def _read_labels(path: Path, cube: Cube) -> np.ndarray:
    labels = load_labels(path.parent)
    if labels.shape != (cube.n_days,):
        raise InvalidRecord(
            f"{path} has labels of shape {labels.shape}, but the cube has {cube.n_days} days; run the fit stage again"
        )
    return labels


def _read_truth(path: Path, cube: Cube) -> dict[str, np.ndarray]:
    """Return the planted labels and, if the data set has one, the oracle's, by name."""
    try:
        table = pd.read_csv(path, dtype={"date": str})
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error}); run the preprocess stage again") from error
    if not {"date", "truth"} <= set(table.columns):
        raise DataError(
            f"{path} has the columns {', '.join(table.columns)}; date, truth and perhaps oracle are required"
        )
    days = cube.time.astype("datetime64[D]").astype(str)
    if len(table) != len(days):
        raise DataError(f"{path} has {len(table)} days, but the cube has {len(days)}; run the preprocess stage again")
    wrong = np.flatnonzero(table["date"].to_numpy() != days)
    if wrong.size:
        row = int(wrong[0])
        raise DataError(
            f"{path}, row {row + 1}, is {table['date'][row]}, but day {row + 1} of the cube is {days[row]}; "
            "run the preprocess stage again"
        )
    found = {name: table[name] for name in REFERENCES if name in table}
    for name, column in found.items():
        if column.dtype.kind != "i":
            raise DataError(f"{path}, column {name}, has type {column.dtype}; one whole number per day is required")
    return {name: column.to_numpy() for name, column in found.items()}


def _score(cube: Cube, labels: dict[tuple[str, int], np.ndarray], truth: np.ndarray | None) -> pd.DataFrame:
    """Return the scores of labelled runs, in the order given."""
    partitions = np.array(list(labels.values()), dtype=np.int64).reshape(-1, cube.n_days)
    parts = [_scored(cube, partitions)]
    if truth is not None:
        found = pd.DataFrame(score_against_truth(truth, partitions)).rename_axis(index="partition")
        parts.append(found.melt(var_name="metric", ignore_index=False).reset_index().assign(protocol="truth"))
    scores = pd.concat(parts).sort_values("partition", kind="stable", ignore_index=True)
    keys = pd.DataFrame(list(labels), columns=["address", "seed"]).loc[scores["partition"]].reset_index(drop=True)
    return pd.concat([keys, scores.drop(columns="partition")], axis=1)[list(SCORE_COLUMNS)]


def _scored(cube: Cube, partitions: np.ndarray) -> pd.DataFrame:
    """Return the scores of partitions (P, n) without a truth."""
    return score_partitions(cube.values.reshape(cube.n_days, -1), partitions, mask_columns=_on_the_grid(cube))


def _on_the_grid(cube: Cube) -> np.ndarray:
    """Return which columns of the flattened ``cube.values`` are cells of the grid and not padding."""
    inside = np.zeros(cube.mask.shape, dtype=bool)
    rows, columns = cube.padding
    inside[: inside.shape[0] - rows, : inside.shape[1] - columns] = True
    return inside.ravel()


def _write_csv(table: pd.DataFrame, path: Path) -> None:
    """Write in one step, NaN as an empty field; ten digits hide the order of summation inside a library."""
    with replacing(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.10g", lineterminator="\n")
