"""Energy of a fit, where the machine tells: RAPL for processors, NVML for GPUs; nothing is estimated.

RAPL counts whole processors. A fit is given the part of their energy that it has of the CPU time all processes used
meanwhile; so what an idle machine draws is shared in the same proportion. A GPU's energy is divided among the fits that
hold a slot on it when the fit ends.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

POWERCAP = Path("/sys/class/powercap")
STAT = Path("/proc/stat")
IDLE = (3, 4)  # columns of /proc/stat that are no work: idle and iowait


class Meter:
    """The energy since the meter was made.

    Parameters
    ----------
    device : str
        GPU that the fit may use, as ``CUDA_VISIBLE_DEVICES`` names it; empty for none.
    """

    def __init__(self, device: str = "") -> None:
        self.device = device
        self.packages, self.busy, self.gpu = _packages(), _busy_seconds(), _gpu_joules(device)

    def joules(self, cpu_seconds: float | None, sharing: Callable[[], int] = lambda: 1) -> dict[str, float | None]:
        """Return the fit's part of both energies, None where the machine does not tell.

        Parameters
        ----------
        cpu_seconds : float or None
            What the fit used.
        sharing : callable
            Returns how many fits are on its GPU.
        """
        return {"cpu_joules": self._cpu(cpu_seconds), "gpu_joules": self._gpu(sharing)}

    def _cpu(self, cpu_seconds: float | None) -> float | None:
        now = _packages()
        busy = _busy_seconds() - self.busy
        if not self.packages or now.keys() != self.packages.keys() or not cpu_seconds or busy <= 0:
            return None
        spent = sum((now[path][0] - before) % (now[path][1] + 1) for path, (before, _) in self.packages.items())
        return round(spent / 1e6 * min(1.0, cpu_seconds / busy), 3)

    def _gpu(self, sharing: Callable[[], int]) -> float | None:
        now = _gpu_joules(self.device) if self.gpu is not None else None
        return None if now is None else round((now - self.gpu) / max(1, sharing()), 3)


def _packages() -> dict[str, tuple[int, int]]:
    """Return the counter of each processor in microjoules, and where it begins again at 0."""
    try:
        return {
            str(path): (int((path / "energy_uj").read_text()), int((path / "max_energy_range_uj").read_text()))
            for path in _zones(str(POWERCAP))
        }
    except (OSError, ValueError):  # only root may read them, on most systems
        return {}


@cache
def _zones(folder: str) -> tuple[Path, ...]:
    return tuple(path for path in sorted(Path(folder).glob("intel-rapl:*")) if path.name.count(":") == 1)


def _busy_seconds() -> float:
    """Return the CPU time that all processes have used since the machine started."""
    try:
        ticks = [int(word) for word in STAT.read_text().split("\n", 1)[0].split()[1:9]]
    except (OSError, ValueError):
        return 0.0
    return sum(count for column, count in enumerate(ticks) if column not in IDLE) / os.sysconf("SC_CLK_TCK")


def _gpu_joules(device: str) -> float | None:
    """Return what a GPU has used since its driver was loaded."""
    library = _nvml() if device and "," not in device else None
    if library is None:
        return None
    handle, millijoules = ctypes.c_void_p(), ctypes.c_ulonglong()
    if device.isdigit():
        failed = library.nvmlDeviceGetHandleByIndex_v2(ctypes.c_uint(int(device)), ctypes.byref(handle))
    else:
        failed = library.nvmlDeviceGetHandleByUUID(device.encode(), ctypes.byref(handle))
    if failed or library.nvmlDeviceGetTotalEnergyConsumption(handle, ctypes.byref(millijoules)):
        return None
    return millijoules.value / 1000


@cache
def _nvml() -> Any:
    """Return NVIDIA's management library, started; None if there is none."""
    try:
        library = ctypes.CDLL("libnvidia-ml.so.1")
        return None if library.nvmlInit_v2() else library
    except (OSError, AttributeError):
        return None
