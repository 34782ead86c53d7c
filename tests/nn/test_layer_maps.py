import numpy as np
import pytest
import torch

from mstool.nn import attack
from mstool.nn.attribution import Method, attribute
from mstool.nn.cams import cam_mass
from mstool.nn.device import choose_compute
from mstool.nn.layers import list_layers
from mstool.nn.model import ModelSpec, build_segmenter
from mstool.nn.target import Subject, Target, at_rest

CPU = choose_compute("cpu", "fp32")
VALID = ModelSpec("unet-plain", None, 1, 2, 2, 4, "valid")
SAME = ModelSpec("unet-plain", None, 1, 2, 5, 2, "same")


def subject_of(spec, shape, spot):
    """A random network, asked about 5 x 5 pixels of noise."""
    segmenter = build_segmenter(spec, [128.0], [40.0], 0).eval()
    image = np.random.default_rng(0).uniform(0, 255, (*shape, 1)).astype(np.float32)
    region = np.zeros(shape, bool)
    region[spot[0] - 2 : spot[0] + 3, spot[1] - 2 : spot[1] + 3] = True
    return Subject(segmenter, image, Target(1, region), CPU)


@pytest.mark.parametrize(
    ("spec", "shape", "spot", "layer", "stride"),
    [
        (VALID, (90, 70), (15, 60), "encoder.0", 1),
        (VALID, (90, 70), (15, 60), "encoder.1", 2),
        (VALID, (90, 70), (80, 12), "decoder.1", 1),
        (SAME, (70, 40), (60, 30), "encoder.0", 1),  # padded to 96 x 64
        (SAME, (70, 40), (60, 30), "encoder.1", 2),
    ],
)
def test_maps_of_layers_lie_where_the_question_is(spec, shape, spot, layer, stride):
    subject = subject_of(spec, shape, spot)
    with at_rest(subject.segmenter):
        found = attribute(subject, [Method("hirescam", layer)])[f"hirescam@{layer}"]
    size = np.abs(found.values)
    assert size.shape == shape
    centre = [float((size * places).sum() / size.sum()) for places in np.indices(shape)]
    assert centre == pytest.approx(spot, abs=5)
    assert found.stride == stride


def test_strides_of_an_unpadded_network_are_those_of_its_tensors():
    segmenter = build_segmenter(VALID, [128.0], [40.0], 0)
    for layer in list_layers(segmenter, 1):
        assert segmenter.network.stride_of(layer.name) == layer.stride


@pytest.mark.parametrize(("spec", "row"), [(VALID, 12 + 20 - 2), (SAME, 12)])
def test_patch_hides_where_the_map_lies_on_the_image(spec, row, monkeypatch):
    subject = subject_of(spec, (60, 60), (30, 30))
    inside = torch.zeros(60, 60, dtype=torch.bool)
    inside[12] = True
    changed = subject.place(subject.image).requires_grad_()

    def show_that_row(*asked):
        values, score = cam_mass(*asked)
        shown = torch.zeros_like(values)
        shown[:, row] = 1.0
        return shown, score

    monkeypatch.setattr(attack, "cam_mass", show_that_row)
    with at_rest(subject.segmenter):
        loss = attack._loss(subject, changed, inside, ("hirescam", "encoder.0"))
        score = subject.score(changed).sum()
    assert float((loss - score).detach()) == pytest.approx(attack.HIDING, rel=1e-4)
