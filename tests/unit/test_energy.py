"""Energy of a fit, from counters that a machine may have."""

import ctypes
import types

import pytest

from regimebench import energy


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Return a function that sets the processors' counters, in microjoules, and the seconds used by everybody."""
    monkeypatch.setattr(energy, "POWERCAP", tmp_path)
    monkeypatch.setattr(energy, "STAT", tmp_path / "stat")
    monkeypatch.setattr("os.sysconf", lambda name: 100)
    energy._zones.cache_clear()

    def set_to(counters, busy):
        for number, counter in enumerate(counters):
            for name in (f"intel-rapl:{number}", f"intel-rapl:{number}:0"):  # the second is a part of the first
                (tmp_path / name).mkdir(exist_ok=True)
                (tmp_path / name / "energy_uj").write_text(str(counter))
                (tmp_path / name / "max_energy_range_uj").write_text("999999999")
        (tmp_path / "stat").write_text(f"cpu  {100 * busy} 0 0 777 888 0 0 0 0 0\ncpu0 1 1 1\n")

    yield set_to
    energy._zones.cache_clear()


def test_a_fit_has_the_share_of_energy_that_it_has_of_cpu_time(machine):
    machine([5_000_000, 999_000_000], 100)
    meter = energy.Meter()
    machine([25_000_000, 19_000_000], 120)  # the second began again at 0
    assert meter.joules(10.0) == {"cpu_joules": 20.0, "gpu_joules": None}
    assert meter.joules(1000.0)["cpu_joules"] == 40.0
    assert meter.joules(None)["cpu_joules"] is None


def test_a_machine_that_tells_nothing_gives_nothing(machine, monkeypatch):
    assert energy.Meter().joules(10.0) == {"cpu_joules": None, "gpu_joules": None}
    monkeypatch.setattr(energy, "STAT", energy.POWERCAP / "missing")
    assert energy.Meter("0").joules(10.0) == {"cpu_joules": None, "gpu_joules": None}


def library(millijoules):
    """Return NVML as far as it is asked."""

    def energy_of(handle, value):
        ctypes.cast(value, ctypes.POINTER(ctypes.c_ulonglong)).contents.value = millijoules[0]
        return 0

    return types.SimpleNamespace(
        nvmlDeviceGetHandleByIndex_v2=lambda index, handle: int(index.value > 1),
        nvmlDeviceGetHandleByUUID=lambda uuid, handle: int(uuid != b"GPU-aaaa"),
        nvmlDeviceGetTotalEnergyConsumption=energy_of,
    )


@pytest.mark.parametrize(
    ("device", "joules"), [("1", 2.0), ("GPU-aaaa", 2.0), ("7", None), ("GPU-x", None), ("", None)]
)
def test_a_gpu_is_shared_by_the_fits_on_it(machine, monkeypatch, device, joules):
    counter = [1000]
    monkeypatch.setattr(energy, "_nvml", lambda: library(counter))
    meter = energy.Meter(device)
    counter[0] = 7000
    assert meter.joules(1.0, lambda: 3)["gpu_joules"] == joules
