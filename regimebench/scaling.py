"""Scale daily fields to [0, 1], one variable at a time, straight into the cube's single-precision array."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from regimebench.dataset import DataError

__all__ = ["OverallMean", "Scaling"]

# Below this range a column counts as constant (the rule of scikit-learn's MinMaxScaler, which the authors use).
CONSTANT = 10 * np.finfo(np.float64).eps
BLOCK_VALUES = 2**21  # values held in double precision at a time, 16 MiB


class OverallMean:
    """The mean over all variables, days and cells, the padded zeros included (DSC, published notebook)."""

    def __init__(self, padding: tuple[int, int]) -> None:
        self.padding = padding
        self.total, self.count = 0.0, 0

    def add(self, array: np.ndarray) -> None:
        """Take in one variable, (time, y, x) with NaN where missing."""
        days, rows, columns = array.shape
        self.total += float(np.nansum(array, dtype=np.float64))
        self.count += int(np.count_nonzero(~np.isnan(array)))
        self.count += days * ((rows + self.padding[0]) * (columns + self.padding[1]) - rows * columns)

    def value(self) -> float:
        """Return the mean of what was taken in."""
        return self.total / self.count


class Scaling:
    """The arrays of a cube while they are filled, variable by variable.

    Parameters
    ----------
    shape : tuple of 3 ints
        Days, rows and columns of the fields.
    padding : tuple of 2 ints
        Rows and columns of zeros appended to the grid.
    variables : sequence of str
        Names, for messages.
    """

    def __init__(self, shape: tuple[int, int, int], padding: tuple[int, int], variables: Sequence[str]) -> None:
        days, self.rows, self.columns = shape
        cells = (self.rows + padding[0], self.columns + padding[1], len(variables))
        self.variables = variables
        self.values = np.zeros((days, *cells), dtype=np.float32)
        self.mask = np.zeros(cells, dtype=bool)
        self.minimum, self.scale = np.zeros(cells), np.zeros(cells)
        self.filled_columns = 0

    @property
    def constant_columns(self) -> int:
        """Number of columns with values that do not change in time."""
        return int((self.mask & (self.scale == 0)).sum())

    def put(self, index: int, array: np.ndarray, gaps: str, fill: float | None) -> None:
        """Fill and scale one variable.

        Parameters
        ----------
        index : int
            Its place along the last axis.
        array : ndarray, shape (time, y, x)
            Physical units, NaN where missing.
        gaps : {"error", "mask", "mean"}
            What becomes of cells that miss some days, without ``fill``.
        fill : float or None
            What replaces every missing value.
        """
        missing = np.isnan(array)
        some = missing.any(axis=0)
        present = ~some if gaps == "mask" and fill is None else ~missing.all(axis=0)
        if not present.any():
            raise DataError(
                f"variable {self.variables[index]} has no cell with a value on every day, so gaps: mask leaves "
                "nothing of it; set gaps to mean, or leave the variable out"
            )
        self.filled_columns += int((some & present).sum())
        filler = _filler(array, missing, gaps, fill)
        low, high = np.fmin.reduce(array), np.fmax.reduce(array)
        low = np.where(some, np.fmin(low, filler), low).astype(np.float64)
        high = np.where(some, np.fmax(high, filler), high).astype(np.float64)
        span = np.where(high - low < CONSTANT, 0.0, high - low)
        used = present & (span > 0)
        inside = (slice(self.rows), slice(self.columns), index)
        for block in _blocks(array.shape):
            column = np.where(missing[block], filler, array[block].astype(np.float64))
            scaled = (column - low) / np.where(span > 0, span, 1.0)
            self.values[block, *inside] = np.where(used, np.clip(scaled, 0, 1), 0)
        self.mask[inside] = present
        self.minimum[inside], self.scale[inside] = np.where(present, low, 0), np.where(present, span, 0)


def _filler(array: np.ndarray, missing: np.ndarray, gaps: str, fill: float | None) -> np.ndarray:
    """Return what replaces missing values: the overall mean, each cell's own mean, or 0 for cells left out."""
    if fill is not None:
        return np.full(array.shape[1:], fill)
    if gaps != "mean" or not missing.any():
        return np.zeros(array.shape[1:])
    known = np.maximum((~missing).sum(axis=0), 1)
    return np.where(missing, 0, array).astype(np.float64).sum(axis=0) / known


def _blocks(shape: tuple[int, int, int]) -> Iterator[slice]:
    """Yield days in blocks of a bounded number of values."""
    size = max(1, BLOCK_VALUES // max(1, shape[1] * shape[2]))
    return (slice(start, start + size) for start in range(0, shape[0], size))
