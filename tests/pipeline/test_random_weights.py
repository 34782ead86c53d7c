"""Random weights are made as they were asked for, in every part of an explanation."""

import numpy as np
import pytest

from mstool.explanations.regions import draw_regions
from mstool.nn.model import ModelSpec, build_segmenter
from mstool.pipeline.explain import sanity


@pytest.mark.parametrize("reinit", ["he", "shuffle"])
def test_boundary_compares_with_the_random_weights_that_were_asked_for(ask, reinit, monkeypatch):
    segmenter = build_segmenter(ModelSpec("unet-plain", None, 1, 2, 2, 2), [0.0], [1.0], 0).eval()
    image = np.random.default_rng(0).normal(size=(32, 32, 1)).astype(np.float32)
    question = ask(segmenter, [image], [np.ones((32, 32), bool)], reinit=reinit, window=32)
    made, weights = sanity.randomised, []

    def watch(*given):
        other = made(*given)
        weights.append(other.network.segmentation_head.weight.detach().ravel().numpy())
        return other

    monkeypatch.setattr(sanity, "randomised", watch)
    sanity.random_maps(question, draw_regions(question.fields, 1, 32, 0), 900)
    own = segmenter.network.segmentation_head.weight.detach().ravel().numpy()
    (random,) = weights
    assert np.array_equal(np.sort(own), np.sort(random)) == (reinit == "shuffle")
