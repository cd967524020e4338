"""Time and memory of preprocessing as the record grows: ``python -m benchmarks.preprocess_scale``.

Files as the Climate Data Store's daily statistics come are made once: one per variable and year, seven variables of
41 x 41 cells, sea temperature missing over land. The data set ``local`` then takes 1 to 40 years of them to a written
cube, each time in a process of its own: opening, checking, scaling, hashing and compressing are all counted, the start
of Python and its imports are not. The files are in the page cache.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import netCDF4
import numpy as np
import xarray as xr

from regimebench import provenance, registry
from regimebench.preprocess import VARIANTS, prepare

FIRST_YEAR = 1981
CELLS = 41
# Name: mean, standard deviation over time, units.
VARIABLES = {
    "sst": (290, 2, "K"),
    "t2m": (288, 4, "K"),
    "sp": (101_500, 900, "Pa"),
    "sshf": (-5e4, 1e5, "J m**-2"),
    "slhf": (-4e5, 3e5, "J m**-2"),
    "u10": (-1, 5, "m s**-1"),
    "v10": (0, 5, "m s**-1"),
}


def make_file(path: Path, name: str, year: int) -> None:
    """Write one variable and year in the layout of the Climate Data Store."""
    start = np.datetime64(f"{year}-01-01")
    days = np.arange(start, np.datetime64(f"{year + 1}-01-01"))
    mean, deviation, units = VARIABLES[name]
    rng = np.random.default_rng([year, *name.encode()])
    values = rng.normal(mean, deviation, (days.size, CELLS, CELLS)).astype(np.float32)
    if name == "sst":
        values[:, 30:, 30:] = np.nan
    with netCDF4.Dataset(path, "w") as file:
        for dim, size in (("valid_time", days.size), ("latitude", CELLS), ("longitude", CELLS)):
            file.createDimension(dim, size)
        clock = file.createVariable("valid_time", "i8", ("valid_time",))
        clock.setncatts({"units": "days since 1970-01-01", "calendar": "proleptic_gregorian", "standard_name": "time"})
        clock[:] = days.astype(int)
        file.createVariable("number", "i8", ())[:] = 0
        for dim, first, step in (("latitude", 43.0, -0.25), ("longitude", -33.0, 0.25)):
            axis = file.createVariable(dim, "f8", (dim,))
            axis.setncatts({"standard_name": dim})
            axis[:] = first + step * np.arange(CELLS)
        options = {"compression": "zlib", "complevel": 1, "shuffle": True, "fill_value": np.float32(np.nan)}
        data = file.createVariable(name, "f4", ("valid_time", "latitude", "longitude"), **options)
        data.setncatts({"units": units, "coordinates": "number valid_time latitude longitude"})
        data[:] = values


def run_once(folder: Path, years: int, variant: str) -> None:
    """Preprocess the first years in this process and print what it took as JSON."""
    spec = registry.dataset("local")
    period = [FIRST_YEAR, FIRST_YEAR + years - 1]
    files = [str(folder / f"*_{year}.nc") for year in range(period[0], period[1] + 1)]
    data = registry.load(spec)(**{**spec.parameters, "files": files, "variables": list(VARIABLES)})
    begin, busy = time.perf_counter(), time.process_time()
    cube = prepare(data, "scale", folder / "raw", variant, folder / "cube.nc", None)
    took = {"seconds": time.perf_counter() - begin, "busy": time.process_time() - busy}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"days": cube.n_days, **took, "peak": peak, "values": cube.values.nbytes / 2**20}))


def measured(folder: Path, years: int, variant: str) -> dict[str, float]:
    """Return what one run in a process of its own took."""
    command = [sys.executable, "-m", "benchmarks.preprocess_scale", "--run", str(folder), str(years), variant]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """Print the report as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--years", type=int, nargs="+", default=[1, 5, 10, 20, 40])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--run", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.run:
        run_once(Path(given.run[0]), int(given.run[1]), given.run[2])
        return
    about = provenance.machine() | {module.__name__: module.__version__ for module in (np, xr, netCDF4)}
    print("# Preprocess: time and memory\n")
    print("\n".join(f"- {name}: {value}" for name, value in about.items()))
    print(f"\nMedian [least, largest] of {given.repeats} runs; peak: the largest of them.\n")
    print(
        "| variant | years | days | seconds | seconds per year | CPU s per year | cube's array, MiB | peak RSS, MiB |"
    )
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for year in range(FIRST_YEAR, FIRST_YEAR + max(given.years)):
            for name in VARIABLES:
                make_file(folder / f"{name}_{year}.nc", name, year)
        for variant in VARIANTS:
            for years in given.years:
                runs = [measured(folder, years, variant) for _ in range(given.repeats)]
                seconds = [run["seconds"] for run in runs]
                middle = statistics.median(seconds)
                busy = statistics.median(run["busy"] for run in runs)
                print(
                    f"| {variant} | {years} | {runs[0]['days']:,} | {middle:.1f} [{min(seconds):.1f}, "
                    f"{max(seconds):.1f}] | {middle / years:.2f} | {busy / years:.2f} | {runs[0]['values']:,.0f} | "
                    f"{max(run['peak'] for run in runs):,.0f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
