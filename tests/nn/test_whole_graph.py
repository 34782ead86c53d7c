"""Networks as graphs that need nothing around them."""

import numpy as np
import pytest

from mstool.nn.engines import installed_engines
from mstool.nn.model import ModelSpec, build_segmenter
from mstool.nn.whole_graph import (
    probabilities_by_graph,
    probabilities_by_torch,
    to_graph_input,
    whole_graph,
)

pytestmark = pytest.mark.skipif(
    "onnxruntime" not in installed_engines(), reason="needs onnx, onnxscript and onnxruntime"
)

SIZE = 30  # no multiple of any network stride
SPECS = {
    "valid": ModelSpec("unet-plain", None, 3, 3, depth=2, width=4, padding="valid"),
    "pixel": ModelSpec("pixel-classifier", None, 1, 2, features="filters", width=4),
}


@pytest.mark.parametrize("name", ["valid", pytest.param("pixel", marks=pytest.mark.slow)])
def test_it_takes_stored_values_and_gives_the_probabilities_of_predict(name):
    spec = SPECS[name]
    n = spec.n_channels
    segmenter = build_segmenter(spec, [100.0] * n, [40.0] * n, 0).eval()
    segmenter.temperature = 1.7
    shape = (SIZE, SIZE) if n == 1 else (SIZE, SIZE, n)
    image = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    found = probabilities_by_graph(whole_graph(segmenter, SIZE), to_graph_input(image))
    expected = probabilities_by_torch(segmenter, image)
    assert found.shape == (1, spec.n_classes, SIZE, SIZE)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=0, atol=1e-5)
