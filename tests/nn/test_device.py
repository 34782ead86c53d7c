import pytest
import torch

from mstool.nn.device import choose_compute


@pytest.mark.parametrize(("has_tiles", "precision"), [(True, "bf16"), (False, "fp32")])
def test_bfloat16_is_chosen_on_a_cpu_with_matrix_tiles_alone(monkeypatch, has_tiles, precision):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: has_tiles)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    assert choose_compute("cpu").precision == precision
    assert choose_compute("cpu", "bf16").precision == "bf16"
