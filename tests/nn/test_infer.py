"""Probabilities of an image do not depend on how many are computed at a time."""

import numpy as np
import pytest
import torch

from mstool.nn.device import Compute, choose_compute
from mstool.nn.engines import OTHERS, TORCH, least_batch
from mstool.nn.infer import predict_images
from mstool.nn.model import ModelSpec, build_segmenter


@pytest.fixture(scope="module")
def segmenter():
    torch.manual_seed(0)
    spec = ModelSpec("unet", "resnet18", 1, 2)
    return build_segmenter(spec, [120.0], [50.0]).eval()


@pytest.mark.parametrize(("batch_size", "n_images"), [(4, 5), (4, 6), (16, 17)])
def test_the_rest_of_a_division_is_computed_as_whole_batches_are(segmenter, batch_size, n_images):
    compute = choose_compute("cpu", "fp32")
    tiles = np.random.default_rng(0).integers(0, 255, (n_images, 64, 64), np.uint8)
    rest = tiles[batch_size:]
    among_others = predict_images([segmenter], [*rest, *tiles][:batch_size], compute)
    least = least_batch(TORCH, compute, batch_size)
    found = predict_images([segmenter], rest, compute, "none", least)
    np.testing.assert_array_equal(found, among_others[: len(rest)])


def test_batches_are_filled_up_where_torch_computes_few_in_another_way(monkeypatch):
    cpu, gpu = Compute(torch.device("cpu"), torch.float32), Compute(torch.device("meta"), None)
    sizes = (1, 2, 4, 15, 16, 64)
    for n_threads, expected in ((1, [1, 2, 2, 2, 16, 16]), (4, [1, 2, 2, 2, 2, 2])):
        monkeypatch.setattr(torch, "get_num_threads", lambda n=n_threads: n)
        assert [least_batch(TORCH, cpu, size) for size in sizes] == expected
    assert {least_batch(TORCH, gpu, size) for size in sizes} == {1}
    assert {least_batch(name, cpu, size) for name in OTHERS for size in sizes} == {1}
