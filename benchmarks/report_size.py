"""Size, time and memory of the report of a full protocol, made up: 3 data sets x 16 rows x 20 seeds.

``python -m benchmarks.report_size`` writes docs/report-size.md. Nothing is fitted: labels are drawn, and go through the
stages' own writers (tests/unit/fabricated_results.py). ``--sets 12 --rows 60`` is a large run.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

from regimebench.report import report
from tests.unit.fabricated_results import Row, fabricate, wanted

PAGE = Path(__file__).resolve().parents[1] / "docs" / "report-size.md"
SHAPE = (365, 41, 41, 7)
MIB = 2**20


def rows(count: int) -> tuple[Row, ...]:
    """Return controls, trained rows with their untrained selves, and a twin."""
    made = [Row("kmeans", "control", 0.1), Row("calendar", "control", 0.7, deterministic=True)]
    while len(made) < count - 1:
        name = f"method_{len(made)}"
        made += [Row(name, noise=0.2, history=300, failed={3: "timeout"}), Row(f"{name}/untrained", "control", 0.4)]
    return (*made[: count - 1], Row("method_2_twin", "twin", 0.2, history=300))


def main() -> None:
    """Make up results, write the page and the measurements."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--sets", type=int, default=3)
    options.add_argument("--rows", type=int, default=16)
    options.add_argument("--seeds", type=int, default=20)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        results, all_rows = Path(folder), rows(chosen.rows)
        shape = {"seeds": chosen.seeds, "k": 7, "shape": SHAPE, "embedding": 64, "planted": False, "shifts": 0}
        sets = [fabricate(results, f"set_{i}", f"Data set {i + 1}", rows=all_rows, **shape) for i in range(chosen.sets)]
        page = results / "report" / "index.html"
        wall, cpu = time.perf_counter(), time.process_time()
        report(wanted(results, *sets), page)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        size = page.stat().st_size / MIB
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    runs = sum(row["seeds"] for row in sets[0]["rows"]) * chosen.sets
    line = f"| {chosen.sets} | {chosen.rows} | {runs} | {size:.1f} | {cpu:.0f} | {wall:.0f} | {memory:.0f} |"
    print(line)
    head = "# Size of the report\n\nWritten by `python -m benchmarks.report_size`: made-up results at the papers' size "
    head += "(365 x 41 x 41 x 7, k = 7).\nMemory includes making the results up; seconds do not.\n\n"
    head += "| data sets | rows | runs | page, MiB | CPU seconds | wall seconds | peak memory, MiB |\n"
    head += "| --- | --- | --- | --- | --- | --- | --- |\n"
    known = PAGE.read_text().splitlines() if PAGE.is_file() else []
    others = [each for each in known if each[:1] == "|" and each[2:3].isdigit()]
    others = [each for each in others if each.split("|")[1:3] != line.split("|")[1:3]]
    PAGE.write_text(head + "\n".join(sorted([*others, line])) + "\n")


if __name__ == "__main__":
    main()
