"""What was measured, as a table: from the records and job times of a results folder, and from the shipped file.

``measured_cost.csv`` is written by ``python -m benchmarks.measured_cost`` and by nothing else.
"""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from statistics import median
from typing import Any

from regimebench.cost import SPACE, STARTS, TIMES, Cost, Key, Size, Table
from regimebench.records import RECORD, InvalidRecord, load, read_batch

SHIPPED = Path(__file__).with_name("measured_cost.csv")
COMPLETE = ("ok", "degenerate", "timeout")  # a fit that ran into its deadline has cost just that
STAGES = ("download", "preprocess", "verify", "evaluate", "aggregate")


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
    return {**table, **_stages(Path(results))}


def _stages(results: Path) -> Table:
    """Return what Snakemake measured of jobs that are no fits, and what a fit's job takes besides its fits.

    The size of a job is that of its data, times the runs where all of them are looked at.
    """
    table: Table = defaultdict(dict)
    for cube in sorted(results.glob("*/cube.nc")):
        size, name = Size.of_cube(cube), cube.parent.name
        runs = len(list(cube.parent.glob(f"*/*/seed-*/{RECORD}")))
        for stage in STAGES if size and runs else ():
            work = size if stage in ("download", "preprocess", "verify") else size.times(runs)
            if cost := _job(results / "benchmarks" / stage / f"{name}.jsonl"):
                table[Key(f"({stage})", "", "cpu")][work] = cost
    if table and (cost := _job(results / "benchmarks" / "report.jsonl")):
        (work, *_), *_ = [list(sizes) for key, sizes in table.items() if key.address == "(evaluate)"] or [[Size(1, 1)]]
        table[Key("(report)", "", "cpu")][work] = cost
    if besides := list(_besides(results)):
        cost = Cost(*(median(column) for column in zip(*besides, strict=True)))
        table[Key("(fit)", "", "cpu")][Size(1, 1)] = cost
    return dict(table)


def _job(path: Path) -> Cost | None:
    """Return what the last line of a job's benchmark file says."""
    try:
        line = json.loads(path.read_text().splitlines()[-1])
        return Cost(float(line["s"]), float(line["cpu_time"]))
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _besides(results: Path) -> Iterator[tuple[float, float]]:
    """Yield wall and CPU time of each job of the fit stage without its worker's start and its fits."""
    for path in sorted(results.glob("*/*/*/batch-*.json")):
        dataset, method, variant = path.parts[-4:-1]
        number = path.stem.removeprefix("batch-")
        cost = _job(results / "benchmarks" / "fit" / f"{dataset}.{method}.{variant}.{number}.jsonl")
        try:
            records = read_batch(path)
        except InvalidRecord:
            continue
        inside = [sum((r[name] or 0) + r.get(f"startup_{name}", 0) for r in records) for name in TIMES]
        if cost and all(each.get("startup_seconds") is not None for each in records) and cost.seconds > inside[0]:
            yield cost.seconds - inside[0], max(0.0, cost.cpu_seconds - inside[1])


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
