"""The Lambert conformal conic projection of a sphere, degrees to metres and back (Snyder 1987, pages 106 to 107)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from regimebench.dataset import DataError

SAME_PARALLEL = 1e-9  # degrees


@dataclass(frozen=True)
class Lambert:
    """One projection; angles in degrees, lengths in metres.

    Parameters
    ----------
    parallels : tuple of 2 floats
        The standard parallels, equal where the cone touches the earth in one.
    latitude, longitude : float
        Where x and y are 0: latitude of origin and central meridian.
    radius : float
        Of the earth.
    """

    parallels: tuple[float, float]
    latitude: float
    longitude: float
    radius: float

    @property
    def tangent(self) -> bool:
        """Whether the cone touches the earth in one parallel."""
        return abs(self.parallels[0] - self.parallels[1]) < SAME_PARALLEL

    @cached_property
    def cone(self) -> float:
        """The cone constant: degrees by which the map turns per degree of longitude; sin(parallel) if there is one."""
        first, second = self.parallels
        if self.tangent:
            return float(np.sin(np.radians(first)))
        narrowing = np.log(np.cos(np.radians(first)) / np.cos(np.radians(second)))
        return float(narrowing / np.log(_colatitude(first) / _colatitude(second)))

    @cached_property
    def _scale(self) -> float:
        first = self.parallels[0]
        return float(self.radius * np.cos(np.radians(first)) / (self.cone * _colatitude(first) ** self.cone))

    def _to_apex(self, lat: np.ndarray | float) -> np.ndarray | float:
        """Return the distance from the apex of the cone, negative on a cone around the south pole."""
        return self._scale * _colatitude(lat) ** self.cone

    def forward(self, lat: np.ndarray | float, lon: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
        """Return x and y of places in degrees."""
        angle, distance = np.radians(self.convergence(lon)), self._to_apex(lat)
        return distance * np.sin(angle), self._to_apex(self.latitude) - distance * np.cos(angle)

    def inverse(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return latitude and longitude (-180 to 180) of places on the map."""
        sign = np.sign(self.cone)
        down = sign * (self._to_apex(self.latitude) - y)
        colatitude = (sign * np.hypot(x, down) / self._scale) ** (1 / self.cone)
        lat = 90 - 2 * np.degrees(np.arctan(colatitude))
        return lat, _wrapped(self.longitude + np.degrees(np.arctan2(sign * x, down)) / self.cone)

    def convergence(self, lon: np.ndarray | float) -> np.ndarray:
        """Return the angle in degrees by which true north lies left of the map's +y: ``cone * (lon - lon_0)``.

        With ``u``, ``v`` along the axes of the map, ``east = u * cos + v * sin`` and ``north = v * cos - u * sin``.
        """
        return self.cone * _wrapped(np.asarray(lon, dtype=np.float64) - self.longitude)

    def attributes(self) -> dict[str, Any]:
        """Return the attributes of a CF grid mapping variable."""
        return {
            "grid_mapping_name": "lambert_conformal_conic",
            "standard_parallel": self.parallels[0] if self.tangent else list(self.parallels),
            "longitude_of_central_meridian": float(_wrapped(self.longitude)),
            "latitude_of_projection_origin": self.latitude,
            "false_easting": 0.0,
            "false_northing": 0.0,
            "earth_radius": self.radius,
        }


def positions(mapping: Mapping[str, Any], y: np.ndarray, x: np.ndarray, where: str) -> tuple[np.ndarray, np.ndarray]:
    """Return latitude and longitude, (y, x) both, of a map whose file gives only metres.

    Parameters
    ----------
    mapping : mapping
        The attributes of the file's grid mapping variable, as the CF conventions name them.
    y, x : ndarray
        Projected coordinates in metres.
    where : str
        The file, for the error.

    Raises
    ------
    DataError
        If it is another projection, or attributes are missing.
    """
    start = f"{where}: no latitude or longitude found, and its"
    name = mapping["grid_mapping_name"]
    if name != "lambert_conformal_conic":
        raise DataError(f"{start} map ({name}) is not a Lambert map; write the positions into the file")
    if float(mapping.get("inverse_flattening", 0.0)):
        raise DataError(f"{start} map is that of an ellipsoid, not a sphere; write the positions into the file")
    try:
        parallels = np.broadcast_to(np.ravel(mapping["standard_parallel"]), 2)
        projection = Lambert(
            (float(parallels[0]), float(parallels[1])),
            float(mapping["latitude_of_projection_origin"]),
            float(mapping["longitude_of_central_meridian"]),
            float(mapping["semi_major_axis"] if "semi_major_axis" in mapping else mapping["earth_radius"]),
        )
    except KeyError as error:
        raise DataError(f"{start} grid mapping has no {error.args[0]}; write the positions into the file") from error
    east, north = (float(mapping.get(key, 0.0)) for key in ("false_easting", "false_northing"))
    return projection.inverse(*np.meshgrid(np.asarray(x, float) - east, np.asarray(y, float) - north))


def _colatitude(lat: np.ndarray | float) -> np.ndarray | float:
    """Return the tangent of half the distance from the north pole."""
    return np.tan(np.radians(90.0 - np.asarray(lat, dtype=np.float64)) / 2)


def _wrapped(lon: np.ndarray | float) -> np.ndarray:
    """Return angles between -180 and 180."""
    return np.mod(np.asarray(lon, dtype=np.float64) + 180.0, 360.0) - 180.0
