"""Say in one line what the data are.

The class must be called ``Plugin``. Import only ``regimebench.dataset``, this folder's own modules and third-party
libraries.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from regimebench.dataset import DataError, Dataset


class Plugin(Dataset):
    """A smooth random field with an annual cycle: replace it by your data.

    Parameters
    ----------
    n_days : int
        Days from 1 January 2021.
    seed : int
        Seed of the random field.
    """

    def problems(self, folder: Path) -> list[str]:
        """Return what is missing before any job can run: credentials, files. One sentence each, with what to do."""
        return []

    def download(self, folder: Path) -> None:
        """Fetch into ``folder``; what is already there has been made with these parameters and this code."""
        if (folder / "fields.nc").exists():
            return
        rng = np.random.default_rng(self.params["seed"])
        days = np.arange(self.params["n_days"])
        lat, lon = 43.0 - np.arange(8), -33.0 + np.arange(10)
        cycle = 8 * np.sin(2 * np.pi * days / 365)[:, None, None]
        weather = rng.standard_normal((len(days), 1, 1)) * np.cos(lat / 5)[:, None] * np.sin(lon / 5)
        air = xr.DataArray(
            (285 + cycle + 3 * weather).astype("float32"),
            dims=("time", "lat", "lon"),
            coords={"time": np.datetime64("2021-01-01", "ns") + days * np.timedelta64(1, "D"), "lat": lat, "lon": lon},
            attrs={"units": "K", "long_name": "air temperature"},
        )
        air.to_dataset(name="t2m").to_netcdf(folder / "fields.nc.part", engine="netcdf4")
        (folder / "fields.nc.part").rename(folder / "fields.nc")

    def open(self, folder: Path) -> xr.Dataset:
        """Return the daily fields in physical units, dims (time, lat, lon), each with ``units``."""
        path = folder / "fields.nc"
        if not path.is_file():
            raise DataError(f"{path} is missing; run the download stage again")
        with xr.open_dataset(path) as fields:
            return fields.load()
