"""Patches are causes that micrographs could hold, and what they shift is what is said."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from mstool.explanations.regions import draw_regions
from mstool.nn.model import Segmenter
from mstool.nn.target import at_rest
from mstool.pipeline.explain.explanation import _grey_limits
from mstool.pipeline.explain.patch import check_patch


class Undecided(nn.Module):
    """Logits that rise together where it is bright around a pixel: nothing is decided by that."""

    def forward(self, images):
        near = nn.functional.avg_pool2d(images, 21, stride=1, padding=10)
        return torch.cat([near, near + 1], dim=1)


@pytest.mark.parametrize("contrast", ["rest", "none"])
def test_a_patch_shifts_the_margin_to_the_rest_whatever_maps_are_asked_for(ask, contrast):
    segmenter = Segmenter(Undecided(), 1, 0, [0.0], [20.0]).eval()
    image = np.random.default_rng(0).uniform(100, 200, (48, 48, 1)).astype(np.float32)
    region = np.zeros((48, 48), bool)
    region[20:30, 20:30] = True
    question = ask(segmenter, [image], [region], contrast=contrast, window=48)
    with at_rest(segmenter):
        found = check_patch(question, draw_regions(question.fields, 1, 48, 0))
    assert found.margin_shift == (pytest.approx(0, abs=1e-4),)
    assert not found.is_attackable


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_patches_have_greys_that_the_network_knows(dtype):
    def model(greys):
        return SimpleNamespace(checkpoint=SimpleNamespace(dtype=dtype, greys=greys))

    images = [np.full((4, 4, 1), 100.0), np.full((4, 4, 1), 150.0)]
    assert _grey_limits(model((90.0, 120.0, 170.0)), images) == (90.0, 170.0)
    assert _grey_limits(model(()), images) == (100.0, 150.0)
