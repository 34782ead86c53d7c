"""Other programs than torch that run networks on the CPU."""

import numpy as np
import pytest
import torch

from mstool.errors import UnavailableError
from mstool.nn import engines
from mstool.nn.engines import OTHERS, convert, graph_of, installed_engines
from mstool.nn.model import ModelSpec, build_segmenter

SIZE = 32
SPECS = {
    "plain": ModelSpec("unet-plain", None, 1, 3, depth=2, width=4),
    "valid": ModelSpec("unet-plain", None, 1, 3, depth=2, width=4, padding="valid"),
    "colour": ModelSpec("unet", "efficientnet-lite0", 3, 2),
}

engine = pytest.mark.parametrize("name", OTHERS)


@pytest.fixture(autouse=True)
def need(request):
    name = request.getfixturevalue("name") if "name" in request.fixturenames else None
    if name and name not in installed_engines():
        pytest.skip(f"{name} is not installed")


@pytest.fixture(scope="module", params=SPECS)
def segmenter(request):
    spec = SPECS[request.param]
    channels = range(spec.n_channels)
    made = build_segmenter(spec, [100.0 + c for c in channels], [40.0 + c for c in channels], 0)
    made.temperature = 1.7
    return made.eval()


@pytest.fixture(scope="module")
def graph(segmenter):
    return graph_of(segmenter, SIZE)


def tiles(segmenter, n, size=SIZE):
    generator = torch.Generator().manual_seed(1)
    n_channels = segmenter.mean.shape[1]
    return torch.randint(0, 256, (n, n_channels, size, size), generator=generator).float()


@engine
def test_it_gives_what_torch_gives(segmenter, graph, name):
    converted = convert(segmenter, SIZE, graph, name)
    images = tiles(segmenter, 3)
    with torch.inference_mode():
        found, expected = converted(images), segmenter(images)
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-4)


@engine
def test_an_image_does_not_depend_on_those_beside_it(segmenter, graph, name):
    converted = convert(segmenter, SIZE, graph, name)
    images = tiles(segmenter, 3)
    with torch.inference_mode():
        assert torch.equal(converted(images)[1:2], converted(images[1:2]))


@engine
def test_images_of_another_shape_are_left_to_torch(segmenter, graph, name):
    converted = convert(segmenter, SIZE, graph, name)
    images = tiles(segmenter, 1, size=48)
    with torch.inference_mode():
        assert torch.equal(converted(images), segmenter(images))


@engine
def test_it_is_the_other_program_that_runs(segmenter, graph, name, monkeypatch):
    converted = convert(segmenter, SIZE, graph, name)
    monkeypatch.setattr(segmenter.network, "forward", None)
    with torch.inference_mode():
        assert converted(tiles(segmenter, 1)).std() > 0


def test_what_is_not_installed_is_refused(monkeypatch):
    monkeypatch.setattr(engines, "installed_engines", lambda: ())
    with pytest.raises(UnavailableError, match=r"--engine openvino: not installed; pip install"):
        engines.check_installed("openvino")
    engines.check_installed("torch")
