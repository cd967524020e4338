"""What a fit costs: measured seconds, start-up and memory by method, size of the data and device.

Records of a results folder come first, then the table shipped with the suite (``measured_cost.csv``, written by
``python -m benchmarks.measured_cost``). The rule by which a measurement speaks for data of another size stands in
:meth:`Costs.of`; docs/cost.md tells it to users.
"""

from __future__ import annotations

import csv
import json
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from regimebench.records import RECORD, InvalidRecord, load, sha256_json

if TYPE_CHECKING:
    from regimebench.registry import MethodSpec

SHIPPED = Path(__file__).with_name("measured_cost.csv")
COMPLETE = ("ok", "degenerate", "timeout")  # a fit that ran into its deadline has cost just that
MEASURES = ("seconds", "cpu_seconds", "startup_seconds", "startup_cpu_seconds", "peak_rss_mib", "peak_gpu_mib")
COMMON = 3  # rows measured both here and in the shipped table that a comparison of machines needs


@dataclass(frozen=True, order=True)
class Size:
    """Size of a cube: number of values, and of days."""

    values: int
    days: int

    @classmethod
    def of(cls, shape: Iterable[int]) -> Size:
        """Return the size of a cube of this shape (time, y, x, variable)."""
        shape = tuple(int(length) for length in shape)
        return cls(math.prod(shape), shape[0])

    @classmethod
    def of_cube(cls, path: Path) -> Size | None:
        """Return the size of the cube in a file, from its header; None if there is none that can be read."""
        import netCDF4

        try:
            with netCDF4.Dataset(path) as file:
                return cls.of(file["data"].shape)
        except (OSError, LookupError):
            return None


@dataclass(frozen=True)
class Key:
    """What is measured: one row with its parameters, on one class of device."""

    address: str
    parameters: str
    device: str

    @classmethod
    def of(cls, address: str, parameters: Mapping[str, Any], device: str) -> Key:
        """Return the key of a row; parameters enter as a hash."""
        return cls(address, sha256_json(json.loads(json.dumps(parameters, default=str)))[:12], device)


@dataclass(frozen=True)
class Cost:
    """Cost of one fit.

    Parameters
    ----------
    seconds, cpu_seconds : float
        Wall and CPU time of the fit itself.
    startup_seconds, startup_cpu_seconds : float or None
        Of the worker that makes it, to be paid once per worker.
    peak_rss_mib, peak_gpu_mib : float or None
        Largest memory.
    source : str
        Where the numbers come from, as a part of a sentence.
    known : bool
        False: nothing was measured, and ``seconds`` is the deadline, which is the most it can take.
    """

    seconds: float
    cpu_seconds: float
    startup_seconds: float | None = None
    startup_cpu_seconds: float | None = None
    peak_rss_mib: float | None = None
    peak_gpu_mib: float | None = None
    source: str = "measured"
    known: bool = True


Table = dict[Key, dict[Size, Cost]]


@dataclass(frozen=True)
class Costs:
    """Everything that was measured: ``here`` in this results folder, ``shipped`` with the suite."""

    here: Table
    shipped: Table

    @classmethod
    def load(cls, results: Path | None = None, shipped: Path = SHIPPED) -> Costs:
        """Return what a results folder and the shipped table know; both may be missing."""
        return cls(collect(results) if results else {}, read(shipped))

    @cached_property
    def speed(self) -> float:
        """CPU time of this results folder's fits over that of the shipped ones, 1 if too few can be compared."""
        common = [
            cost.cpu_seconds / self.shipped[key][size].cpu_seconds
            for key, sizes in self.here.items()
            for size, cost in sizes.items()
            if size in self.shipped.get(key, {}) and self.shipped[key][size].cpu_seconds > 0
        ]
        return median(common) if len(common) >= COMMON else 1.0

    def of(self, spec: MethodSpec, parameters: Mapping[str, Any], size: Size | None, device: str = "cpu") -> Cost:
        """Return the cost of one fit.

        The same address, parameters and device must have been measured. At another size than those measured: between
        two of them, interpolated on logarithmic axes in the number of values; below the smallest, as there; above the
        largest, in proportion to the values, and for a method of quadratic memory to the days besides. What the
        shipped table knows is multiplied by :attr:`speed`. Memory follows the same rule as time.
        """
        key = Key.of(spec.address, parameters, device)
        if size is not None and self.here.get(key):
            return self._started(at(self.here[key], size, spec, "in this results folder"), key, spec)
        if size is not None and self.shipped.get(key):
            found = at(self.shipped[key], size, spec, "in the shipped table")
            faster = {name: getattr(found, name) * self.speed for name in ("seconds", "cpu_seconds")}
            return self._started(replace(found, **faster), key, spec)
        deadline = 60.0 * spec.resources["deadline_minutes"]
        why = "the size of the data is not known" if size is None else "it was not measured with these parameters"
        return self._started(Cost(deadline, deadline, source=why, known=False), key, spec)

    def _started(self, cost: Cost, key: Key, spec: MethodSpec) -> Cost:
        """Return a cost with the start-up of a worker: its own, else the median of its plugin, else of its framework."""
        if cost.startup_seconds is not None:
            return cost
        for same in (
            lambda k: k.address == key.address,
            lambda k: k.address.split("/")[0] == spec.id,
            _framework(spec),
        ):
            for table, factor in ((self.here, 1.0), (self.shipped, self.speed)):
                found = [c for k, sizes in table.items() if k.device == key.device and same(k) for c in sizes.values()]
                found = [c for c in found if c.startup_seconds is not None]
                if found:
                    wall, cpu = (median(getattr(c, name) for c in found) * factor for name in MEASURES[2:4])
                    return replace(cost, startup_seconds=wall, startup_cpu_seconds=cpu)
        return cost


def _framework(spec: MethodSpec) -> Any:
    from regimebench import registry

    known = registry.folders("methods")
    of = {name: registry.method(name).framework for name in known}
    return lambda key: of.get(key.address.split("/")[0]) == spec.framework


def at(sizes: Mapping[Size, Cost], size: Size, spec: MethodSpec, where: str) -> Cost:
    """Return the cost at one size from those measured, by the rule of :meth:`Costs.of`."""
    if size in sizes:
        return replace(sizes[size], source=f"measured {where}")
    smaller = max((each for each in sizes if each <= size), default=None)
    larger = min((each for each in sizes if each > size), default=None)
    if smaller is None:
        return replace(sizes[larger], source=f"measured {where} at a larger size")
    low = sizes[smaller]
    if larger is None:
        growth = size.values / smaller.values
        if spec.resources.get("memory") == "quadratic":
            growth *= max(1.0, size.days / smaller.days)
        scaled = {name: _times(getattr(low, name), growth) for name in ("seconds", "cpu_seconds", *MEASURES[4:])}
        return replace(low, **scaled, source=f"measured {where} at 1/{growth:.3g} of the size")
    share = math.log(size.values / smaller.values) / math.log(larger.values / smaller.values)
    between = {
        name: _between(getattr(low, name), getattr(sizes[larger], name), share)
        for name in ("seconds", "cpu_seconds", *MEASURES[4:])
    }
    return replace(low, **between, source=f"measured {where} at a smaller and a larger size")


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _between(low: float | None, high: float | None, share: float) -> float | None:
    if low is None or high is None or low <= 0 or high <= 0:
        return high
    return low ** (1 - share) * high**share


def collect(results: Path) -> Table:
    """Return what the records of a results folder measured: medians over the complete fits of each row and size."""
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
            yield load(path)
        except InvalidRecord:  # made again by the next run
            continue


def _medians(found: list[dict[str, Any]]) -> Cost:
    # Zero is what a worker's later seeds have as start-up, and a timeout has no CPU time: its wall time stands for it.
    values = {name: [each[name] for each in found if each.get(name)] for name in MEASURES}
    medians = {name: median(numbers) if numbers else None for name, numbers in values.items()}
    seconds = median(each["seconds"] for each in found)
    return Cost(**{**medians, "seconds": seconds, "cpu_seconds": medians["cpu_seconds"] or seconds})


def read(path: Path) -> Table:
    """Return the costs in a CSV file written by :func:`rows`; nothing if there is no such file."""
    table: Table = defaultdict(dict)
    if path.is_file():
        with open(path, newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                key = Key(*(row[field.name] for field in fields(Key)))
                size = Size(int(row["values"]), int(row["days"]))
                table[key][size] = Cost(**{name: float(row[name]) if row[name] else None for name in MEASURES})
    return dict(table)


def rows(table: Table) -> list[dict[str, Any]]:
    """Return a table as rows of a CSV file, sorted."""
    return [
        {
            **{field.name: getattr(key, field.name) for field in fields(Key)},
            "values": size.values,
            "days": size.days,
            **{name: _text(getattr(cost, name)) for name in MEASURES},
        }
        for key, sizes in sorted(table.items(), key=lambda item: (item[0].address, item[0].device, item[0].parameters))
        for size, cost in sorted(sizes.items())
    ]


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
