"""Networks as graphs that other programs run."""

import importlib.util
import sys

import numpy as np
import pytest
import torch
from torch import nn

from mstool.errors import UnavailableError, UsageError
from mstool.nn.graph import to_onnx
from mstool.nn.model import ModelSpec, build_segmenter

NAMES = ("image", "logits")
needs_onnx = pytest.mark.skipif(
    importlib.util.find_spec("onnxscript") is None, reason="onnxscript is not installed"
)


@pytest.fixture(scope="module")
def segmenter():
    return build_segmenter(
        ModelSpec("unet-plain", None, 1, 3, depth=2, width=4), [0], [1], 0
    ).eval()


@needs_onnx
def test_another_program_computes_the_same(segmenter):
    runtime = pytest.importorskip("onnxruntime")
    images = torch.rand(1, 1, 16, 24, generator=torch.Generator().manual_seed(0))
    graph = to_onnx(segmenter, images, NAMES)
    session = runtime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    (found,) = session.run(["logits"], {"image": images.numpy()})
    expected = segmenter(images).detach().numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


@needs_onnx
def test_the_same_network_gives_the_same_bytes_that_tell_no_paths(segmenter):
    example = torch.zeros(1, 1, 16, 16)
    graph = to_onnx(segmenter, example, NAMES)
    assert graph == to_onnx(segmenter, example, NAMES)
    assert b"site-packages" not in graph
    assert b"mstool" not in graph


@needs_onnx
def test_what_has_no_graph_is_refused_in_one_line():
    class Odd(nn.Module):
        def forward(self, images):
            return images if images.sum() > 0 else -images

    with pytest.raises(UsageError, match=r"cannot be written as an ONNX graph \(.+\)$"):
        to_onnx(Odd().eval(), torch.zeros(1, 1, 4, 4), NAMES)


def test_without_the_library_it_says_what_to_install(segmenter, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(UnavailableError, match=r"pip install 'mstool\[fast\]'"):
        to_onnx(segmenter, torch.zeros(1, 1, 16, 16), NAMES)
