"""What was measured, as a table: from the records of a results folder, and from the shipped file.

``measured_cost.csv`` is written by ``python -m benchmarks.measured_cost`` and by nothing else.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from statistics import median
from typing import Any

from regimebench.cost import SPACE, STARTS, TIMES, Cost, Key, Size, Table
from regimebench.records import RECORD, InvalidRecord, load

SHIPPED = Path(__file__).with_name("measured_cost.csv")
COMPLETE = ("ok", "degenerate", "timeout")  # a fit that ran into its deadline has cost just that


def collect(results: Path) -> Table:
    """Return what the records of a results folder measured: from the complete fits of each row and size."""
    runs: dict[tuple[Key, Size], list[dict[str, Any]]] = defaultdict(list)
    for cube in sorted(Path(results).glob("*/cube.nc")):
        size = Size.of_cube(cube)
        for record in _records(cube.parent) if size else ():
            if record["status"] in COMPLETE and record["seconds"] is not None:
                runs[Key.of(record["address"], record["parameters"], record["device"]), size].append(record)
    table: Table = defaultdict(dict)
    for (key, size), found in runs.items():
        table[key][size] = _medians(found)
    return dict(table)


def _records(folder: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(folder.glob(f"*/*/seed-*/{RECORD}")):
        try:
            size = sum(file.stat().st_size for file in path.parent.iterdir())
            yield {**load(path), "disk_mib": size / 2**20}
        except InvalidRecord:  # made again by the next run
            continue


def _medians(found: list[dict[str, Any]]) -> Cost:
    """Return the cost of a fit that is not its worker's first one, and a start-up that holds what the first took more.

    The first fit of a worker loads what its framework loads late. Zero is what later seeds have as start-up; a timeout
    has no CPU time, and its wall time stands for it.
    """
    found = [{**each, "cpu_seconds": each["cpu_seconds"] or each["seconds"]} for each in found]
    first = [each for each in found if each.get("startup_seconds")]
    later = [each for each in found if not each.get("startup_seconds")] or found
    cost = {name: median(each[name] for each in later) for name in TIMES}
    for name in TIMES if first else ():
        more = max(0.0, median(each[name] for each in first) - cost[name])
        cost[f"startup_{name}"] = median(each[f"startup_{name}"] for each in first) + more
    for name in SPACE:
        numbers = [each[name] for each in found if each[name]]
        cost[name] = max(numbers) if numbers else None
    return Cost(**cost)


def read(path: Path) -> Table:
    """Return the costs in a CSV file written by :func:`rows`; nothing if there is no such file."""
    table: Table = defaultdict(dict)
    if path.is_file():
        with open(path, newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                key = Key(*(row[field.name] for field in fields(Key)))
                size = Size(int(row["values"]), int(row["days"]))
                table[key][size] = Cost(
                    **{name: float(row[name]) if row[name] else None for name in (*TIMES, *STARTS, *SPACE)}
                )
    return dict(table)


def rows(table: Table) -> list[dict[str, Any]]:
    """Return a table as rows of a CSV file, sorted."""
    return [
        {
            **{field.name: getattr(key, field.name) for field in fields(Key)},
            "values": size.values,
            "days": size.days,
            **{name: _text(getattr(cost, name)) for name in (*TIMES, *STARTS, *SPACE)},
        }
        for key, sizes in sorted(table.items(), key=lambda item: (item[0].address, item[0].device, item[0].parameters))
        for size, cost in sorted(sizes.items())
    ]


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
