"""The papers' data sets from request to cube without a network: ``python -m benchmarks.rehearsal`` (prints Markdown).

Loopback services answer in the layout of the real ones, at the papers' size (CARRA on 300 x 280 cells instead of
1269 x 1069), to the real clients, which a real run of Snakemake drives. What the fields hold is made up; how long the
stages take, what they ask for and what they leave behind is not. The services' own queues are not rehearsed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from regimebench import provenance, registry
from regimebench.cube import read_cube
from tests.servers.carra import Carra
from tests.servers.cds import CdsServer
from tests.servers.era5 import answer as era5
from tests.servers.psl import Psl

ROOT = Path(__file__).resolve().parents[1]
CARRA = Carra(nx=300, ny=280)
DATASETS = {
    "era5": {"published": "era5", "preprocess": "paper"},
    "era5_hourly": {"plugin": "era5", "preprocess": "paper", "params": {"product": "hourly", "flux_day": "paper"}},
    "carra": {"preprocess": "paper"},
    "ncar": {"preprocess": "paper"},
}
MIB = 2**20


def answer(collection: str, request: dict) -> tuple[bytes, str, str]:
    """Return what the Climate Data Store sends."""
    return (CARRA if "carra" in collection else era5)(collection, request)


def run(arguments: list[str], environment: dict[str, str]) -> float:
    """Run a command and return its seconds."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, env=environment, check=True, capture_output=True)
    return time.perf_counter() - start


def main() -> None:
    """Print a row for each data set."""
    print(", ".join(f"{key} {value}" for key, value in provenance.machine().items()), end="\n\n")
    print("| data set | requests | fetched, MiB | kept, MiB | download, s | preprocess, s | again, s | cube |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |")
    variables = registry.dataset("ncar").parameters["variables"]
    with tempfile.TemporaryDirectory() as name, CdsServer(answer) as cds, Psl(variables) as psl:
        folder = Path(name)
        DATASETS["ncar"]["params"] = {"base_url": psl.base_url}
        environment = cds.environment(folder) | {"REGIMEBENCH_PATIENCE": "0.5"}
        config = folder / "config.yaml"
        settings = {"results": f"{folder}/results", "datasets": DATASETS, "methods": ["kmeans"]}
        config.write_text(yaml.safe_dump(settings))
        for dataset in DATASETS:
            raw, cube = folder / "results" / dataset / "raw" / "manifest.json", folder / "results" / dataset / "cube.nc"
            with_config = ["--cores", "2", "--configfile", str(config)]
            download, preprocess = (run(["snakemake", str(it), *with_config], environment) for it in (raw, cube))
            again = run(["snakemake", str(raw), "--forcerun", "download", *with_config], environment)
            parts = json.loads(raw.read_text())["provenance"]
            fetched = sum(part["received"].get("bytes", part["bytes"]) for part in parts) / MIB
            kept = sum(part["bytes"] for part in parts) / MIB
            shape = " x ".join(map(str, read_cube(cube).values.shape))
            print(f"| {dataset} | {len(parts)} | {fetched:.1f} | {kept:.1f} | {download:.0f} | {preprocess:.0f} "
                  f"| {again:.0f} | {shape} |", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
