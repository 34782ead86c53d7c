import platform
import subprocess
import sys

import pytest
import torch

from mstool.nn.device import Compute, choose_compute, make_deterministic


@pytest.mark.parametrize(("has_tiles", "precision"), [(True, "bf16"), (False, "fp32")])
def test_bfloat16_is_chosen_on_a_cpu_with_matrix_tiles_alone(monkeypatch, has_tiles, precision):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: has_tiles)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    assert choose_compute("cpu").precision == precision
    assert choose_compute("cpu", "bf16").precision == "bf16"


FAULTS = """
import resource, sys, torch
from mstool.nn.device import reuse_freed_memory
n_faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
kept = sys.argv[1] == "kept" and reuse_freed_memory()
for number in range(30):
    if number == 20:  # by then the heap is large enough
        before = n_faults()
    torch.ones(12 * 2**20)  # 48 MiB
print(kept, n_faults() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is of glibc")
def test_memory_of_large_tensors_is_used_again():
    """Tensors touch new pages, unless they get those of earlier ones."""
    faults = {}
    for name in ("kept", "given back"):
        command = [sys.executable, "-c", FAULTS, name]
        words = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        assert words[0] == str(name == "kept")
        faults[name] = int(words[1])
    assert faults["kept"] < faults["given back"] / 10


@pytest.mark.parametrize(
    ("device", "n_cores", "n_workers"),
    [("cpu", 16, 0), ("cuda", 1, 1), ("cuda", 4, 3), ("mps", 16, 8)],
)
def test_workers_leave_the_cores_to_a_network_that_needs_them(
    monkeypatch, device, n_cores, n_workers
):
    monkeypatch.setattr("mstool.nn.device.available_cores", lambda: n_cores)
    assert Compute(torch.device(device), torch.float32).usual_workers == n_workers


def test_operations_are_made_deterministic(monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")
    before = torch.get_deterministic_debug_mode()
    try:
        make_deterministic()
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.is_deterministic_algorithms_warn_only_enabled()
    finally:
        torch.set_deterministic_debug_mode(before)
