"""Planted weather regimes: synthetic ERA5-like days whose regimes are known."""

from __future__ import annotations

import hashlib
import json
import os
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from datasets.synthetic.physical import from_physical, to_physical
from datasets.synthetic.planting import Planting
from datasets.synthetic.settings import planting, setting_problems
from regimebench.dataset import DataError, Dataset

__all__ = ["Plugin"]


class Plugin(Dataset):
    """Days in regimes of known mechanism, size and order; parameters are described in ``dataset.yaml``.

    ``download`` generates the fields into ``fields.nc`` and the truth into the folder ``truth``, which is the only
    place where it is kept: nothing in ``fields.nc`` tells the regimes, the family or the seed.
    """

    def problems(self, folder: Path) -> list[str]:
        """Return what is wrong with the parameters, one sentence each."""
        return setting_problems(self.params)

    def shape(self) -> tuple[int, int, int, int]:
        """Return the shape (time, lat, lon, variable) of the cube."""
        days, rows, columns, variables = (self.params[key] for key in ("n_days", "height", "width", "n_variables"))
        return days, rows, columns, variables

    @cached_property
    def planting(self) -> Planting:
        """The planted data set.

        Raises
        ------
        DataError
            If the parameters describe none; the message lists everything that is wrong.
        """
        problems = setting_problems(self.params)
        if problems:
            raise DataError("\n".join(problems))
        return planting(self.params)

    def _settings(self) -> dict[str, Any]:
        """Return what the generated files depend on: the parameters and the generator's own code."""
        code = b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
        params = json.loads(json.dumps(self.params, default=str))
        return {"parameters": params, "generator": hashlib.sha256(code).hexdigest()}

    def download(self, folder: Path) -> None:
        """Generate ``fields.nc``, ``truth/truth.csv`` and ``truth/settings.json``, unless these settings are there."""
        folder = Path(folder)
        settings = folder / "truth" / "settings.json"
        wanted = self._settings()
        if (folder / "fields.nc").exists() and settings.exists() and json.loads(settings.read_text()) == wanted:
            return
        plan = self.planting
        settings.parent.mkdir(parents=True, exist_ok=True)
        settings.unlink(missing_ok=True)
        fields = to_physical(plan.anomalies() / np.float32(plan.rms), plan.days, plan.land())
        encoding: dict[str, dict[str, Any]] = {name: {"zlib": True, "complevel": 1} for name in fields}
        encoding["time"] = {"units": "days since 1970-01-01", "dtype": "int64"}
        part = folder / "fields.nc.part"
        fields.to_netcdf(part, engine="netcdf4", encoding=encoding)
        os.replace(part, folder / "fields.nc")
        truth = pd.DataFrame({"date": plan.days.astype(str), "truth": plan.labels})
        truth.to_csv(folder / "truth" / "truth.csv", index=False)
        settings.write_text(json.dumps(wanted, indent=2) + "\n")

    def open(self, folder: Path) -> xr.Dataset:
        """Return the fields in physical units, dims (time, lat, lon), sea surface temperature NaN over land."""
        path = self._existing(Path(folder) / "fields.nc")
        with xr.open_dataset(path, engine="netcdf4") as fields:
            return fields.load()

    def truth(self, folder: Path) -> np.ndarray:
        """Return the planted regime of each day, int64, shape (time,)."""
        path = self._existing(Path(folder) / "truth" / "truth.csv")
        return pd.read_csv(path)["truth"].to_numpy(dtype=np.int64)

    def oracle(self, folder: Path) -> np.ndarray | None:
        """Return the labels of the family's oracle, int64, shape (time,); None where there are too many days for it.

        The oracle sees the fields and what made them (patterns, for example), never the truth.
        """
        from datasets.synthetic.oracles import ORACLES  # loads scikit-learn: seconds, and few starts need it

        anomalies = from_physical(self.open(folder)) * np.float32(self.planting.rms)
        labels = ORACLES[self.planting.family](self.planting, anomalies)
        return None if labels is None else labels.astype(np.int64)

    @staticmethod
    def _existing(path: Path) -> Path:
        """Return ``path`` if it is there."""
        if not path.exists():
            raise DataError(f"synthetic: {path} is missing; generate it first with download.")
        return path
