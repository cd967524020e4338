"""Time and memory of the stages after the fits for 60 methods x 20 seeds x 10 data sets (12,000 records).

    python -m benchmarks.many_records [--methods 60] [--seeds 20] [--datasets 10] [--page docs/scale.md]

Cubes have the papers' size; records and labels are fabricated (benchmarks/fabricated.py) in the real formats, with
curves and an embedding in every fit. Scores, tables and report are then made by the real stages, as
`python -m regimebench rebuild` runs them.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from benchmarks.fabricated import fabricate
from regimebench.config import make_plan
from regimebench.provenance import machine

ROOT = Path(__file__).resolve().parents[1]
SHAPE = (365, 41, 41, 7)


def plugins(folder: Path, count: int) -> list[str]:
    """Make so many methods and return their names: copies of one that is small."""
    names = [f"method_{number:02d}" for number in range(count)]
    for name in names:
        shutil.copytree(ROOT / "methods" / "kmeans", folder / "methods" / name, dirs_exist_ok=True)
        path = folder / "methods" / name / "method.yaml"
        text = path.read_text()
        path.write_text(re.sub(r"(?ms)^variants:.*?(?=^\S|\Z)", "", text))
    os.environ["REGIMEBENCH_PLUGINS"] = str(folder)
    return names


def configuration(folder: Path, methods: list[str], seeds: int, datasets: int) -> Path:
    """Write the configuration of the fabricated run."""
    synthetic = {"plugin": "synthetic", "params": {"n_days": SHAPE[0]}}
    settings = {
        "results": str(folder / "results"),
        "seeds": seeds,
        "datasets": {f"data_{number:02d}": {**synthetic, "title": f"Data set {number}"} for number in range(datasets)},
        "methods": methods,
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(settings, sort_keys=False))
    return path


Stage = tuple[str, int, float, float, float, float]


def stages(results: Path) -> list[Stage]:
    """Return each stage's jobs, wall and CPU seconds of all, wall seconds of the longest, and largest memory (MiB)."""
    found = []
    for folder in sorted((results / "benchmarks").iterdir()):
        files = [folder] if folder.is_file() else sorted(folder.glob("**/*.jsonl"))
        rows = [json.loads(line) for file in files for line in file.read_text().splitlines()]
        columns = [[float(row[key] or 0) for row in rows] for key in ("s", "cpu_time", "max_rss")]
        wall, cpu, memory = columns
        found.append((folder.name.removesuffix(".jsonl"), len(rows), sum(wall), sum(cpu), max(wall), max(memory)))
    return found


def main() -> int:
    """Run the command line."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--methods", type=int, default=60)
    options.add_argument("--seeds", type=int, default=20)
    options.add_argument("--datasets", type=int, default=10)
    options.add_argument("--cores", type=int, default=os.cpu_count())
    options.add_argument("--folder", type=Path, help="keep the results here, or use those that are here")
    options.add_argument("--page", type=Path, help="Markdown file to write")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        methods = plugins(folder / "plugins", given.methods)
        config = configuration(folder, methods, given.seeds, given.datasets)
        plan = make_plan(yaml.safe_load(config.read_text()))
        if not plan.results.is_dir():
            begun = time.perf_counter()
            fabricate(plan, SHAPE)
            print(f"{plan.n_fits()} records fabricated in {time.perf_counter() - begun:.0f} s", flush=True)
        shutil.rmtree(plan.results / "benchmarks", ignore_errors=True)
        begun, started = time.perf_counter(), time.time()
        command = [sys.executable, "-m", "regimebench", "rebuild", str(plan.results), "--config", str(config)]
        done = subprocess.run([*command, "--cores", str(given.cores)], cwd=ROOT)
        wall = time.perf_counter() - begun
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        if done.returncode:
            return done.returncode
        rows = stages(plan.results)
        page = (plan.results / "report" / "index.html").stat()
        text = _page(given, plan.n_fits(), rows, (page.st_mtime - started, wall), peak, page.st_size)
    print(text)
    if given.page:
        given.page.write_text(text)
    return 0


def _page(
    given: argparse.Namespace, fits: int, rows: list[Stage], wall: tuple[float, float], peak: float, size: int
) -> str:
    here = machine()
    what = f"{given.methods} methods x {given.seeds} seeds x {given.datasets} data sets"
    lines = [
        f"| {name} | {jobs} | {total:.0f} | {cpu:.0f} | {most:.1f} | {memory:.0f} |"
        for name, jobs, total, cpu, most, memory in rows
    ]
    return f"""# Many records

Written by `python -m benchmarks.many_records --cores {given.cores} --page docs/scale.md`: {what} of
{" x ".join(map(str, SHAPE))} values, {fits:,} records, fabricated in the real formats. Scores, tables and report are
made by the real stages on {given.cores} of {here["cores"]} cores ({here["processor"]}, {here["memory_gib"]} GiB), load
{os.getloadavg()[2]:.0f}.

| stage | jobs | seconds, all jobs | CPU seconds, all jobs | seconds, longest job | largest memory, MiB |
|---|--:|--:|--:|--:|--:|
{chr(10).join(lines)}

With Snakemake and the start of every job, tables and report were there after {wall[0]:.0f} s, and the static figures
for papers (PNG and PDF, made after the tables) after {wall[1]:.0f} s. The largest process took {peak:.0f} MiB, and the
page has {size / 2**20:.1f} MiB. The fits before, and the curves over k, which belong to the data, are no part of it.
"""


if __name__ == "__main__":
    sys.exit(main())
