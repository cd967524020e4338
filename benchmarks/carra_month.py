"""What one month of CARRA costs: a full-size answer checked and averaged over blocks, by the plugin's own code.

The answers are made here: 31 days on the 1,069 x 1,269 cells of the west domain (1,356,561 cells, the size given by
CARRA's user guide), in GRIB2 with 16 bits per value; temperature, and both components of the wind, turned towards east
and north. Each is averaged in a process of its own, whose peak memory is what the table shows.

Run ``python -m benchmarks.carra_month`` from the project's root; it prints Markdown.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import eccodes
import numpy as np
import yaml

from datasets.blocks.parts import Part
from datasets.carra import plan
from datasets.carra.coarse import Coarsen

ROOT = Path(__file__).resolve().parents[1]
NX, NY = 1069, 1269
# Discipline, category, number, height in metres, mean, spread
FIELDS = {
    "2m_temperature": (0, 0, 0, 2, 265.0, 8.0),
    "10m_u_component_of_wind": (0, 2, 2, 10, 4.0, 3.0),
    "10m_v_component_of_wind": (0, 2, 3, 10, -2.0, 3.0),
}
GRID = {
    "gridType": "lambert", "shapeOfTheEarth": 6, "Nx": NX, "Ny": NY, "DxInMetres": 2500, "DyInMetres": 2500,
    "latitudeOfFirstGridPointInDegrees": 55.81, "longitudeOfFirstGridPointInDegrees": 302.903, "LaDInDegrees": 72.0,
    "Latin1InDegrees": 72.0, "Latin2InDegrees": 72.0, "LoVInDegrees": 324.0, "jScansPositively": 1,
    "uvRelativeToGrid": 1, "bitsPerValue": 16,
}  # fmt: skip


def main() -> None:
    """Print seconds and peak memory of one variable-month and of one month of the wind."""
    params = {key: spec["value"] for key, spec in _declared()["parameters"].items()} | {"variables": list(FIELDS)}
    print(f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, one process\n")
    print("| answer | size, MB | seconds | peak memory, MB |\n| --- | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder:
        for months in plan.parts(params).values():
            part, received = months[0], Path(folder) / "answer.grib"
            write(received, part)
            size = received.stat().st_size / 1e6
            done = json.loads(_measured(received, part))
            names = " and ".join(part.request["variable"])
            print(f"| {names}, 31 days | {size:.0f} | {done['seconds']:.1f} | {done['peak']:.0f} |")


def _declared() -> dict:
    return yaml.safe_load((ROOT / "datasets" / "carra" / "dataset.yaml").read_text())


def write(path: Path, part: Part) -> None:
    """Write an answer to the request of ``part``: for every day and variable a wave and noise."""
    rng = np.random.default_rng(0)
    wave = np.sin(np.linspace(0, 7, NX)) * np.cos(np.linspace(0, 5, NY))[:, None]
    month = part.request["year"][0] + part.request["month"][0]
    with open(path, "wb") as file:
        for day in part.request["day"]:
            for name in part.request["variable"]:
                discipline, category, number, height, mean, spread = FIELDS[name]
                keys = {"discipline": discipline, "parameterCategory": category, "parameterNumber": number,
                        "typeOfLevel": "heightAboveGround", "level": height, "dataDate": int(month + day),
                        "dataTime": 0}  # fmt: skip
                handle = eccodes.codes_grib_new_from_samples("GRIB2")
                for key, value in {**GRID, **keys}.items():
                    eccodes.codes_set(handle, key, value)
                noise = rng.standard_normal((NY, NX), dtype=np.float32)
                eccodes.codes_set_values(handle, (mean + spread * (wave * rng.standard_normal() + 0.1 * noise)).ravel())
                eccodes.codes_write(handle, file)
                eccodes.codes_release(handle)


def _measured(received: Path, part: Part) -> str:
    """Return what a process prints that averages one answer and nothing else."""
    told = json.dumps([str(received), part.stem, part.request])
    command = [sys.executable, "-m", "benchmarks.carra_month", told]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def average(received: str, stem: str, request: dict) -> None:
    """Average one answer as the download stage does and print seconds and peak memory (MB)."""
    part = Part(stem, ".nc", plan.SOURCE, request)
    start = time.perf_counter()
    Coarsen(margin=16, block=64, wind="rotated", keep=False)(Path(received), part.file(Path(received).parent), part)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6
    print(json.dumps({"seconds": seconds, "peak": peak}))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        average(*json.loads(sys.argv[1]))
    else:
        main()
