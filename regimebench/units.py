"""Unit texts as ECMWF, NOAA and older tools write them, turned into the spelling that CF and UDUNITS use."""

from __future__ import annotations

import re

__all__ = ["cf_units"]

# Whole texts (lower case) that no rule below can turn into UDUNITS.
KNOWN = {
    "": "1",
    "-": "1",
    "~": "1",
    "0-1": "1",
    "(0 - 1)": "1",
    "code table (4.2)": "1",
    "dimensionless": "1",
    "fraction": "1",
    "proportion": "1",
    "none": "1",
    "percent": "%",
    "degk": "K",
    "deg k": "K",
    "kelvin": "K",
    "degrees_celsius": "degC",
    "celsius": "degC",
    "deg c": "degC",
    "mb": "hPa",
    "mbar": "hPa",
    "millibar": "hPa",
    "millibars": "hPa",
    "pascal": "Pa",
    "pascals": "Pa",
    "gpm": "m",
    "m of water equivalent": "m",
}
UNIT_NAMES = {"Kg": "kg", "grams": "g", "gram": "g", "degK": "K", "sec": "s"}
FACTOR = re.compile(r"([A-Za-z%]+)(?:\*\*|\^)?([+-]?\d+)?$")


def cf_units(text: str | None) -> str:
    """Return a unit text in CF spelling, unchanged where it is not understood; the quantity never changes.

    Examples
    --------
    >>> cf_units("m s**-1"), cf_units("J m**-2"), cf_units("degK"), cf_units("Kg/m^2/s"), cf_units("millibar")
    ('m s-1', 'J m-2', 'K', 'kg m-2 s-1', 'hPa')
    """
    text = (text or "").strip()
    if text.lower() in KNOWN:
        return KNOWN[text.lower()]
    factors = []
    for place, group in enumerate(text.split("/")):
        for word in group.split():
            match = FACTOR.match(word)
            if match is None:
                return text
            power = int(match[2] or 1) * (-1 if place else 1)
            name = UNIT_NAMES.get(match[1], match[1])
            factors.append(name if power == 1 else f"{name}{power}")
    return " ".join(factors)
