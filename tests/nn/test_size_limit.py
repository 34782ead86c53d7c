"""Networks of any size that a description asks for, and of any address."""

import json
import socket
import struct
import time

import pytest
import torch

from mstool.errors import InputError, UsageError
from mstool.nn.checkpoint import load_checkpoint
from mstool.nn.model import ModelSpec, build_network
from mstool.nn.size_limit import _SLACK, no_larger_than


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Fail at any connection, whoever asks for it."""

    def refuse(*arguments, **options):
        raise AssertionError(f"asked the network for {arguments}")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


def rewrite(path, **spec):
    """Change the description of a network in its file."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    description = json.loads(header["__metadata__"]["mstool"])
    description["spec"] |= spec
    header["__metadata__"]["mstool"] = json.dumps(description)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])


@pytest.mark.parametrize(
    "spec",
    [
        {"width": 2048, "depth": 5},
        {"width": 4096, "depth": 3},
        {"arch": "unet", "encoder": "resnet18", "decoder_channels": [4096] * 5},
        {"arch": "pixel-classifier", "features": "filters", "width": 10**9},
    ],
    ids=str,
)
def test_network_larger_than_its_file_is_refused_soon(study, spec):
    rewrite(study / "model/model.safetensors", **spec)
    began = time.process_time()
    with pytest.raises(InputError, match=r"^model/model\.safetensors: .*; train it again"):
        load_checkpoint(study.relative_to(study) / "model")
    assert time.process_time() - began < 10


@pytest.mark.parametrize(
    "encoder",
    ["tu-hf-hub:a/b", "tu-hf_hub:a/b", "tu-timm/resnet18", "smp-hub:a/b", "tu-local-dir:/"],
)
@pytest.mark.parametrize("arch", ["unet", "dpt", "pixel-classifier"])
def test_encoder_that_is_an_address_is_refused(study, arch, encoder):
    rewrite(study / "model/model.safetensors", arch=arch, encoder=encoder, features="encoder")
    with pytest.raises(InputError, match=r"model\.safetensors: .*--encoder .*: unknown"):
        load_checkpoint(study / "model")
    with pytest.raises(UsageError, match="unknown; give a name of"):
        build_network(ModelSpec(arch, encoder, 1, 2, features="encoder"))


@pytest.mark.parametrize(
    ("arch", "encoder"),
    [("unet", "resnet18"), ("unet", "vgg11_bn"), ("fpn", "timm-mobilenetv3_small_075")],
)
def test_honest_network_is_built_within_the_limit(arch, encoder):
    spec = ModelSpec(arch, encoder, 1, 2)
    n_weights = sum(tensor.numel() for tensor in build_network(spec).state_dict().values())
    with no_larger_than(n_weights):
        build_network(spec)


@pytest.mark.parametrize(
    "make",
    [
        lambda n: torch.empty(n, device="meta"),
        lambda n: torch.zeros(n // 3, 3, device="meta"),
        lambda n: torch.ones([n // 3, 3], device="meta"),
        lambda n: torch.full(size=(n,), fill_value=0.5, device="meta"),
        lambda n: torch.full((n,), 0.5, device="meta"),
    ],
    ids=["number", "numbers", "list", "by name", "full"],
)
def test_numbers_are_counted_however_a_tensor_is_asked_for(make):
    most = 2 * 1_000_000 + _SLACK
    with no_larger_than(1_000_000):
        make(most - most % 3)
    with pytest.raises(InputError, match=f"more than {most} weights"), no_larger_than(1_000_000):
        make(most + 3)


def test_numbers_of_all_tensors_count_together():
    with no_larger_than(1_000_000):
        torch.empty(_SLACK, device="meta")
        with pytest.raises(InputError, match="more than"):
            torch.empty(2_000_001, device="meta")
