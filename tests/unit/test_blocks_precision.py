"""Where networks run in bfloat16, and how far that moves what they compute."""

import pytest
import torch
from torch import nn

from methods.blocks.precision import autocast, multiplies_bfloat16


def cpu_with(monkeypatch, avx512_bf16: bool, amx: bool) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512_bf16)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)


def enabled(precision: str) -> bool:
    with autocast(precision, "cpu"):
        return torch.is_autocast_enabled("cpu")


@pytest.mark.parametrize(
    ("avx512_bf16", "amx", "fast"),
    [(False, False, False), (True, False, True), (False, True, True), (True, True, True)],
)
def test_auto_is_bfloat16_where_the_processor_has_instructions_for_it(monkeypatch, avx512_bf16, amx, fast):
    cpu_with(monkeypatch, avx512_bf16, amx)
    assert multiplies_bfloat16("cpu") is fast
    assert enabled("auto") is fast


@pytest.mark.parametrize("instructions", [False, True])
def test_a_named_precision_does_not_depend_on_the_processor(monkeypatch, instructions):
    cpu_with(monkeypatch, instructions, instructions)
    assert enabled("bfloat16")
    assert not enabled("float32")


@pytest.mark.parametrize(("capability", "fast"), [((7, 0), False), ((7, 5), False), ((8, 0), True), ((9, 0), True)])
def test_gpus_have_bfloat16_from_ampere_on(monkeypatch, capability, fast):
    cpu_with(monkeypatch, not fast, not fast)  # the processor has no say
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert multiplies_bfloat16("cuda") is fast
    assert multiplies_bfloat16(torch.device("cuda", 0)) is fast


def test_the_processor_is_asked_as_linux_reports_it():
    try:
        with open("/proc/cpuinfo") as file:
            flags = next(line for line in file if line.startswith("flags")).split()
    except (OSError, StopIteration):
        pytest.skip("no flags in /proc/cpuinfo")
    assert multiplies_bfloat16("cpu") is ("avx512_bf16" in flags or "amx_tile" in flags)


def test_a_wrong_precision_is_named_with_those_allowed():
    with pytest.raises(ValueError, match="'half'; allowed are auto, float32, bfloat16"):
        autocast("half", "cpu")


def network() -> nn.Module:
    layers = nn.Conv2d(2, 8, 3, padding=1), nn.Tanh(), nn.Flatten(), nn.Linear(8 * 36, 4)
    return nn.Sequential(*layers)


def gradients(precision: str) -> tuple[torch.Tensor, list[torch.Tensor]]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net, x = network(), torch.randn(5, 2, 6, 6)
    with autocast(precision, "cpu"):
        output = net(x)
    output.float().square().mean().backward()
    assert all(weight.dtype == torch.float32 for weight in net.parameters())
    return output, [weight.grad for weight in net.parameters()]


def test_bfloat16_gives_what_float32_gives_but_for_rounding():
    exact, exact_gradients = gradients("float32")
    mixed, mixed_gradients = gradients("bfloat16")
    assert exact.dtype == torch.float32
    assert mixed.dtype == torch.bfloat16
    rounding = 2.0**-8  # of one number in bfloat16
    assert 0 < (mixed.float() - exact).norm() < 2 * rounding * exact.norm()
    for ours, reference in zip(mixed_gradients, exact_gradients, strict=True):
        assert ours.dtype == torch.float32
        assert (ours - reference).norm() < 4 * rounding * reference.norm()
