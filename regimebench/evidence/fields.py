"""Days, grid, variables and single values of a cube beside what is printed of the authors' file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from regimebench.dataset import Cube
from regimebench.evidence.published import AGREES, DIFFERS, NEAR, OPEN, Printed, Published

__all__ = ["Fact", "Spot", "compare_facts", "compare_spots"]

NEXT = 1.5  # units of the last printed digit: what is closer rounds to the printed number or to the next one
SAME_PLACE = 0.01  # degrees: a cell further from the printed place than this is another one


@dataclass(frozen=True)
class Fact:
    """One property of the file."""

    name: str
    theirs: str
    ours: str
    status: str


@dataclass(frozen=True)
class Spot:
    """One printed value and ours in the same place; ``off_by`` counts units of the last printed digit."""

    place: str
    day: str
    variable: str
    printed: str
    ours: float | None
    off_by: float | None
    status: str
    note: str
    probable: bool  # the place was deduced
    accumulated: bool  # depends on which hours make a day

    @property
    def sentence(self) -> str:
        """What differs."""
        return (
            f"{self.variable} at {self.place} on {self.day} is {self.ours:.6g}, printed {self.printed} "
            f"({self.off_by:+.3g} units of the last digit)"
        )


def compare_facts(cube: Cube, published: Published) -> list[Fact]:
    """Return the layout of the cube beside that of the authors' file; nothing where it is not published."""
    facts = published.facts
    return [*_days_and_grid(cube.unpadded(), facts), *_variables(cube.unpadded(), facts)] if "days" in facts else []


def _days_and_grid(cube: Cube, facts: dict[str, Any]) -> Iterator[Fact]:
    first, last = (np.datetime64(day) for day in facts["days"])
    days = np.arange(first, last + 1)
    same = np.array_equal(cube.time.astype("datetime64[D]"), days)
    yield Fact("days", _days(days), _days(cube.time), _status(same))
    edges = [[float(edge) for edge in facts[axis]] for axis in ("lat", "lon")]
    theirs = [np.linspace(*ends, int(size)) for ends, size in zip(edges, facts["shape"], strict=True)]
    ours = [cube.lat, cube.lon if cube.lat.ndim > 1 else _west(cube.lon)]
    same = all(a.shape == b.shape and np.allclose(a, b, atol=SAME_PLACE) for a, b in zip(ours, theirs, strict=True))
    yield Fact("grid", _grid(*theirs), _grid(*ours), _status(same))


def _variables(cube: Cube, facts: dict[str, Any]) -> Iterator[Fact]:
    theirs, ours = facts["variables"], dict(zip(cube.variables, cube.units, strict=True))
    # No metric depends on the order of the variables, so another order is no other data.
    status = AGREES if list(theirs) == list(ours) else NEAR if set(theirs) == set(ours) else DIFFERS
    yield Fact("variables", ", ".join(theirs), ", ".join(ours), status)
    shared = [name for name in theirs if name in ours]
    other = [name for name in shared if ours[name] != theirs[name]]
    shown = other or shared
    if shown:
        units = (", ".join(f"{name} {units[name]}" for name in shown) for units in (theirs, ours))
        yield Fact("units", *units, NEAR if other else AGREES)
    counts = dict(zip(ours, (~cube.mask).sum(axis=(0, 1)), strict=True))
    gaps = [f"{name} ({count} cells)" for name, count in counts.items() if count]
    same = {name for name, count in counts.items() if count} == set(facts["missing"])
    yield Fact("cells without values", ", ".join(facts["missing"]), ", ".join(gaps) or "none", _status(same))


def compare_spots(cube: Cube, published: Published) -> list[Spot]:
    """Return every printed value beside ours, in physical units."""
    cube = cube.unpadded()
    facts = published.facts
    found = []
    for spot in facts.get("spots", []):
        lat, lon = float(spot["lat"]), float(spot["lon"])
        values, absent = _values_at(cube, lat, lon, np.datetime64(spot["day"]))
        probable = spot.get("place") == "probable"
        for name, text in spot["values"].items():
            note = absent or _unusable(cube, name, facts["variables"][name], values)
            ours = None if note else float(values[cube.variables.index(name)])
            place = _place(lat, lon) + (" (probably)" if probable else "")
            accumulated = name in facts.get("accumulated", ())
            found.append(Spot(place, spot["day"], name, text, ours, *_compare(text, ours), note, probable, accumulated))
    return found


def _compare(text: str, ours: float | None) -> tuple[float | None, str]:
    if ours is None:
        return None, OPEN
    printed = Printed(text)
    agrees, off_by = printed.digits_of(ours) == printed.n_digits, printed.off_by(ours)
    return off_by, AGREES if agrees else NEAR if abs(off_by) < NEXT else DIFFERS


def _values_at(cube: Cube, lat: float, lon: float, day: np.datetime64) -> tuple[np.ndarray, str]:
    """Return the values (variable,) of the cell in that place, or why there are none."""
    at = np.flatnonzero(cube.time == day)
    if not at.size:
        return np.array([]), "the cube has no such day"
    lats, lons = (cube.lat, cube.lon) if cube.lat.ndim > 1 else np.meshgrid(cube.lat, cube.lon, indexing="ij")
    distance = np.hypot(lats - lat, _west(lons - lon) * np.cos(np.radians(lat)))
    cell = np.unravel_index(np.argmin(distance), distance.shape)
    if distance[cell] > SAME_PLACE:
        nearest = _place(float(lats[cell]), float(_west(lons[cell])))
        return np.array([]), f"the cube has no such cell; the nearest, {nearest}, is {distance[cell]:.3g} degrees away"
    return cube.physical(cube.values[at[0]])[cell], ""


def _unusable(cube: Cube, name: str, unit: str, values: np.ndarray) -> str:
    """Return why a variable's value cannot be compared, or nothing."""
    if name not in cube.variables:
        return "the cube has no such variable"
    index = cube.variables.index(name)
    if cube.units[index] != unit:
        return f"the cube has it in {cube.units[index]}, printed in {unit}"
    return "" if np.isfinite(values[index]) else "the cube has no value in this cell"


def _status(same: bool) -> str:
    return AGREES if same else DIFFERS


def _west(lon: np.ndarray) -> np.ndarray:
    """Return longitudes in -180 to 180."""
    return (np.asarray(lon) + 180.0) % 360.0 - 180.0


def _place(lat: float, lon: float) -> str:
    return f"{abs(lat):.6g}{'N' if lat >= 0 else 'S'} {abs(lon):.6g}{'E' if lon >= 0 else 'W'}"


def _days(days: np.ndarray) -> str:
    return f"{len(days)} from {days[0]} to {days[-1]}"


def _grid(lat: np.ndarray, lon: np.ndarray) -> str:
    shape: Sequence[int] = lat.shape if lat.ndim > 1 else (lat.size, lon.size)
    corners = [_place(float(lat.flat[at]), float(_west(lon.flat[at]))) for at in (0, -1)]
    return f"{shape[0]} x {shape[1]}, {corners[0]} to {corners[1]}"
