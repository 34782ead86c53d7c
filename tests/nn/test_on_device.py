"""What a GPU is asked to do, seen without one: it is not waited for, and nothing lies elsewhere."""

import re
from pathlib import Path

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from mstool.nn import augment
from mstool.nn.augment import PRESETS, change_grey_levels, cut_crop
from mstool.nn.device import Compute
from mstool.nn.infer import predict_probabilities
from mstool.nn.losses import build_loss
from mstool.nn.model import ModelSpec, build_segmenter
from mstool.nn.tensors import to_float64

# on tiles in memory, and under torchrun, which knows no MPS
ON_CPU = ("dataset.py", "shared_norm.py")


def labels_of(n_classes):
    labels = torch.randint(0, n_classes, (2, 64, 64)).to(torch.uint8)
    labels[:, :9] = 255
    return labels


@pytest.mark.parametrize("encoder", [None, "efficientnet-lite0"])
@pytest.mark.parametrize(
    ("loss", "weights"),
    [("ce+dice", None), ("focal+jaccard", None), ("ce", [1.0, 2.0, 3.0])],
)
def test_network_and_loss_are_not_waited_for(waits, encoder, loss, weights):
    spec = ModelSpec("unet" if encoder else "unet-plain", encoder, 1, 3, 2, 4)
    segmenter = build_segmenter(spec, [0.0], [1.0]).train()
    images, labels, judge = torch.rand(2, 1, 64, 64), labels_of(3), build_loss(loss, weights)
    with waits:
        judge(*segmenter.answer(images, labels)).backward()
    assert waits.found == []


def test_what_would_be_waited_for_is_seen(waits):
    labels = labels_of(3)
    with waits:
        _ = labels[labels == 1], float(labels[0, 0, 0]), (labels == 1).nonzero()
    assert len(waits.found) >= 3


def test_crops_are_cut_and_changed_where_the_tile_lies(monkeypatch):
    monkeypatch.setattr(augment, "_uniform", lambda _: 0.4)  # a number, which the fakes lack
    generator = torch.Generator()
    with FakeTensorMode():
        image = torch.empty(1, 96, 96, device="cuda")
        labels = torch.empty(96, 96, dtype=torch.uint8, device="cuda")
        image, labels = cut_crop(image, labels, 64, PRESETS["default"], generator)
        image = change_grey_levels(image, PRESETS["default"], (0.0, 255.0), 40.0, generator)
    assert (image.device.type, labels.device.type) == ("cuda", "cuda")
    assert (image.shape, labels.shape) == ((1, 64, 64), (64, 64))


def test_tiles_are_sent_once_for_all_views(monkeypatch):
    sent, place = [], Compute.place_batch
    monkeypatch.setattr(
        Compute, "place_batch", lambda self, images: sent.append(1) or place(self, images)
    )
    segmenter = build_segmenter(ModelSpec("unet-plain", None, 1, 3, 2, 4), [0.0], [1.0]).eval()
    compute = Compute(torch.device("cpu"), torch.float32)
    predict_probabilities([segmenter, segmenter], torch.rand(1, 1, 32, 32), compute, "d4")
    assert len(sent) == 1


@pytest.mark.parametrize(("device", "wanted"), [("mps", "cpu"), ("cuda", "cuda"), ("cpu", "cpu")])
def test_float64_leaves_the_one_device_that_has_none(device, wanted):
    with FakeTensorMode():
        found = to_float64(torch.empty(3, device=device))
    assert (found.device.type, found.dtype) == (wanted, torch.float64)


def test_float64_is_asked_of_no_other_way():
    folder = Path(augment.__file__).parent
    ways = [
        f"{path.name}: {line.strip()}"
        for path in folder.glob("*.py")
        for line in path.read_text().splitlines()
        if re.search(r"(?<!\.cpu\(\))\.double\(\)", line) and path.name not in ON_CPU
    ]
    assert len(ways) == 1
    assert ways[0].startswith("tensors.py: ")
