"""How long planning takes: ``python -m benchmarks.dry_run`` (prints Markdown).

Plans the papers' protocol (three data sets, k = 7, 20 seeds) with as many rows as the suite is built for, by copies
of a small method in a temporary plugin folder, without batching: one job per fit.
"""

from __future__ import annotations

import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
ROWS, REPEATS = 30, 3


def main() -> None:
    """Print the time of the dry run, with spread."""
    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    with tempfile.TemporaryDirectory() as folder:
        names = [f"copy_{number}" for number in range(ROWS)]
        for name in names:
            shutil.copytree(ROOT / "methods" / "random", Path(folder) / "methods" / name)
        config |= {"methods": names, "results": f"{folder}/results"}
        rows = []
        for seeds_per_job in (1, 5):
            path = Path(folder) / "config.yaml"
            path.write_text(yaml.safe_dump(config | {"seeds_per_job": seeds_per_job}))
            times = [seconds(path, folder) for _ in range(REPEATS)]
            jobs = ROWS * len(config["datasets"]) * config["seeds"] // seeds_per_job
            rows.append(f"| {jobs} | {statistics.median(times):.1f} | {min(times):.1f} to {max(times):.1f} |")
    print(f"`snakemake -n`, {ROWS} rows x {len(config['datasets'])} data sets x {config['seeds']} seeds, "
          f"{os.cpu_count()} cores, Python {platform.python_version()}, {REPEATS} repeats\n")  # fmt: skip
    print("| fit jobs | median, s | range, s |\n| ---: | ---: | ---: |")
    print("\n".join(rows))


def seconds(config: Path, plugins: str) -> float:
    """Return the wall time of one dry run."""
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "snakemake", "-n", "--quiet", "--cores", "2", "--configfile", str(config)],
        cwd=ROOT, env={**os.environ, "REGIMEBENCH_PLUGINS": plugins}, check=True, capture_output=True,
    )  # fmt: skip
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
