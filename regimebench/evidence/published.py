"""Published facts, with numbers as the texts that were printed: their last digit says how exactly they are known."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from regimebench.dataset import DataError
from regimebench.sources import ROOT

__all__ = ["AGREES", "DIFFERS", "FOLDER", "NEAR", "OPEN", "Printed", "Published"]

FOLDER = ROOT / "published"
AGREES, NEAR, DIFFERS, OPEN = "agrees", "near", "differs", "not comparable"
HALF_UNIT = Decimal("0.501")  # a hair above one half, because a cube holds single precision


@dataclass(frozen=True)
class Printed:
    """One printed number.

    Parameters
    ----------
    text : str
        As printed, such as ``7.00`` or ``-5.477e4``.
    """

    text: str

    @cached_property
    def exact(self) -> Decimal:
        """The number in base ten."""
        return Decimal(self.text)

    @property
    def value(self) -> float:
        """The number."""
        return float(self.exact)

    @property
    def n_digits(self) -> int:
        """Significant digits."""
        return len(self.exact.as_tuple().digits)

    @property
    def unit(self) -> Decimal:
        """One unit of the last printed digit."""
        return Decimal(1).scaleb(self.exact.as_tuple().exponent)

    @property
    def interval(self) -> tuple[float, float]:
        """What the number was before it was printed: a unit to each side, because some tables round and others cut."""
        return float(self.exact - self.unit), float(self.exact + self.unit)

    def off_by(self, ours: float) -> float:
        """Return ours minus printed, in units of the last printed digit."""
        return float((Decimal(ours) - self.exact) / self.unit) if np.isfinite(ours) else np.nan

    def digits_of(self, ours: float) -> int:
        """Return how many of the leading printed digits ``ours`` has when it is rounded there; 0 for none."""
        if not np.isfinite(ours):
            return 0
        error, first = abs(Decimal(ours) - self.exact), self.exact.adjusted()
        fits = [count for count in range(1, self.n_digits + 1) if error <= HALF_UNIT.scaleb(first + 1 - count)]
        return max(fits, default=0)

    def holds(self, ours: float) -> bool:
        """Say whether ``ours`` gives every printed digit, rounded or cut there."""
        return self.made_from(ours) != "no"

    def made_from(self, value: float) -> str:
        """Return how ``value`` becomes the printed number: ``rounded``, ``cut``, or ``no`` where it does not."""
        if self.digits_of(value) == self.n_digits:
            return "rounded"
        return "cut" if self.is_cut_from(value) else "no"

    def is_cut_from(self, ours: float) -> bool:
        """Say whether the printed digits are those of ``ours``, the rest left out."""
        if not np.isfinite(ours) or Decimal(ours) * self.exact < 0:
            return False
        return 0 <= abs(Decimal(ours)) - abs(self.exact) < self.unit


class Published:
    """What is published about one data set.

    Parameters
    ----------
    name : str
        Key in ``data.yaml`` and in ``tables.yaml``.
    folder : Path
        Folder of the published facts.
    """

    def __init__(self, name: str, folder: Path = FOLDER) -> None:
        self.name = name
        self.folder = folder
        self.facts: dict[str, Any] = _texts(folder / "data.yaml").get(name) or {}
        self.all_tables: list[dict[str, Any]] = _texts(folder / "tables.yaml")
        self.tables = [table for table in self.all_tables if table["dataset"] == name]

    @property
    def known(self) -> list[str]:
        """Return the data sets that something is published about."""
        return sorted({*_texts(self.folder / "data.yaml"), *(table["dataset"] for table in self.all_tables)})

    @cached_property
    def notebook(self) -> dict[str, dict[str, str]]:
        """Metrics printed at full precision, by method."""
        return _texts(self.folder / self.facts["metrics"]) if "metrics" in self.facts else {}

    @cached_property
    def labels(self) -> pd.DataFrame | None:
        """Label vectors, one column each, by day; None where none is published."""
        if "labels" not in self.facts:
            return None
        return pd.read_csv(self.folder / self.facts["labels"], index_col="date", parse_dates=True)


def _texts(path: Path) -> Any:
    """Return a YAML file with every number as the text it is written with."""
    try:
        return _parsed(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise DataError(f"{path} cannot be read ({error}); it belongs to the project, restore it") from error


@cache  # the same few files are asked for again and again, and take a good part of a second each
def _parsed(text: str) -> Any:
    return yaml.load(text, Loader=yaml.BaseLoader)
