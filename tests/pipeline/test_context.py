"""The effective field does not depend on the windows of the checks."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from mstool.explanations.regions import draw_regions
from mstool.nn.model import Segmenter
from mstool.nn.target import at_rest
from mstool.pipeline.explain.context import check_context

CHECKPOINT = SimpleNamespace(spec=SimpleNamespace(n_channels=1), tile_size=96)


def box_detector(edge=41):
    """Logits that are the mean of a box: a field that is known."""
    network = nn.Conv2d(1, 2, edge, padding=edge // 2)
    nn.init.constant_(network.weight, 1.0)
    with torch.no_grad():
        network.bias[:] = torch.tensor([0.0, 1.0])
    return Segmenter(network, 1, 0, [0.0], [1.0]).eval()


@pytest.mark.parametrize(
    ("side", "window", "r95", "is_cut"),
    [(96, 24, 24.4, False), (96, 64, 24.4, False), (30, 24, 20.0, True)],
)
def test_the_field_is_measured_whole_where_there_is_room(ask, side, window, r95, is_cut):
    segmenter = box_detector()
    image = np.random.default_rng(0).uniform(0, 1, (side, side, 1)).astype(np.float32)
    question = ask(segmenter, [image], [np.ones((side, side), bool)], window=window)
    regions = draw_regions(question.fields, 4, window, 0)
    with at_rest(segmenter):
        found = check_context(question, regions, CHECKPOINT)
    assert (found.theoretical_px, found.effective.is_lower_bound) == (41, is_cut)
    assert any("larger --size would tell" in line for line in found.advice) == is_cut
    if is_cut:
        assert (found.window_px, found.effective.r95_px < 23) == (side, True)
    else:
        assert found.window_px >= 42
        assert found.effective.r95_px == pytest.approx(r95, abs=0.5)
