"""What a fit costs: measured seconds, start-up and memory by method, size of the data and device.

Records of a results folder come first, then the table shipped with the suite; :mod:`regimebench.measured` reads both.
The rule by which a measurement speaks for data of another size stands in :meth:`Costs.of`, and in docs/cost.md.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from regimebench.records import sha256_json

if TYPE_CHECKING:
    from regimebench.registry import MethodSpec

TIMES, STARTS = ("seconds", "cpu_seconds"), ("startup_seconds", "startup_cpu_seconds")
SPACE = ("peak_rss_mib", "peak_gpu_mib", "disk_mib")
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

    def times(self, factor: int) -> Size:
        """Return the size of so many such cubes."""
        return Size(self.values * factor, self.days)

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
        To be paid once per worker: its start, and what its first fit takes longer than the others.
    peak_rss_mib, peak_gpu_mib : float or None
        Largest memory.
    disk_mib : float or None
        Size of the record and its arrays.
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
    disk_mib: float | None = None
    source: str = "measured"
    known: bool = True


Table = dict[Key, dict[Size, Cost]]


@dataclass(frozen=True)
class Costs:
    """Everything that was measured: ``here`` in this results folder, ``shipped`` with the suite."""

    here: Table
    shipped: Table

    @classmethod
    def load(cls, results: Path | None = None) -> Costs:
        """Return what a results folder, which may be missing, and the shipped table know."""
        from regimebench.measured import SHIPPED, collect, read

        return cls(collect(results) if results else {}, read(SHIPPED))

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
        shipped table knows is multiplied by :attr:`speed`. Memory and disk follow the same rule as time.
        """
        key = Key.of(spec.address, parameters, device)
        if size is not None and self.here.get(key):
            return self._started(at(self.here[key], size, spec, "in this results folder"), key, spec)
        if size is not None and self.shipped.get(key):
            found = at(self.shipped[key], size, spec, "in the shipped table")
            faster = {name: getattr(found, name) * self.speed for name in TIMES}
            return self._started(replace(found, **faster), key, spec)
        deadline = 60.0 * spec.resources["deadline_minutes"]
        why = "the size of the data is not known" if size is None else "it was not measured with these parameters"
        return self._started(Cost(deadline, deadline, source=why, known=False), key, spec)

    def stage(self, name: str, size: Size) -> Cost | None:
        """Return the cost of a job of another stage, such as ``evaluate``; None if none was measured for the table.

        A constant part and one in proportion to ``size``, read off the smallest and the largest size measured: such a
        job loads libraries for seconds, whatever its data, which the rule of fits would take for work.
        """
        key = Key(f"({name})", "", "cpu")
        sizes = self.shipped.get(key)
        return _along(sizes, size) if sizes else None

    def _started(self, cost: Cost, key: Key, spec: MethodSpec) -> Cost:
        """Return a cost with a start-up: measured, else the median of its plugin, else of its framework."""
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
                    wall, cpu = (median(getattr(each, name) for each in found) * factor for name in STARTS)
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
        scaled = {name: _times(getattr(low, name), growth) for name in (*TIMES, *SPACE)}
        return replace(low, **scaled, source=f"measured {where} at 1/{growth:.3g} of the size")
    share = math.log(size.values / smaller.values) / math.log(larger.values / smaller.values)
    between = {name: _between(getattr(low, name), getattr(sizes[larger], name), share) for name in (*TIMES, *SPACE)}
    return replace(low, **between, source=f"measured {where} at a smaller and a larger size")


def _along(sizes: Mapping[Size, Cost], size: Size) -> Cost:
    low, high = min(sizes), max(sizes)
    found = {}
    for name in TIMES:
        least, most = getattr(sizes[low], name), getattr(sizes[high], name)
        slope = max(0.0, most - least) / (high.values - low.values) if high.values > low.values else 0.0
        found[name] = least + slope * max(0, size.values - low.values)
    return replace(sizes[low], **found)


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _between(low: float | None, high: float | None, share: float) -> float | None:
    if low is None or high is None or low <= 0 or high <= 0:
        return high
    return low ** (1 - share) * high**share
