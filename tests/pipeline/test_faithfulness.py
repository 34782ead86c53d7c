"""Maps that are right foretell what perturbations do, and are found to."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from mstool.explanations.regions import draw_regions
from mstool.nn.model import Segmenter
from mstool.nn.target import at_rest
from mstool.pipeline.explain.faithfulness import _sensitivity, check_faithfulness

MEAN = 128.0


def roughness_detector():
    """Class 1 where greys are far from their mean, by the mean of ``|x - mean|`` over 5 x 5 px."""
    network = nn.Sequential(
        nn.Conv2d(1, 2, 1, bias=False), nn.ReLU(), nn.Conv2d(2, 2, 5, padding=2)
    )
    with torch.no_grad():
        network[0].weight[:] = torch.tensor([1.0, -1.0]).view(2, 1, 1, 1)
        network[2].weight.zero_()
        network[2].weight[1] = 5 / 25
        network[2].bias[:] = torch.tensor([0.0, -2.0])
    return Segmenter(network, 1, 0, [MEAN], [30.0]).eval()


def brightness_detector():
    """Class 1 where it is bright: as linear as can be."""
    network = nn.Conv2d(1, 2, 5, padding=2)
    with torch.no_grad():
        network.weight.zero_()
        network.weight[1] = 1 / 25
        network.bias.zero_()
    return Segmenter(network, 1, 0, [MEAN], [30.0]).eval()


def rough_disc(seed):
    """Disc that is rough in a smooth matrix of the same mean, and where it is."""
    rows, cols = np.ogrid[:56, :56]
    inside = (rows - 28) ** 2 + (cols - 28) ** 2 <= 12**2
    noise = np.random.default_rng(seed).normal(size=(56, 56))
    return (MEAN + np.where(inside, 30, 6) * noise).astype(np.float32)[..., None], inside


def check(ask, segmenter, methods, **changes):
    images, regions = zip(*(rough_disc(seed) for seed in range(6)), strict=True)
    question = ask(segmenter, images, regions, methods, **changes)
    drawn = draw_regions(question.fields, 6, 56, 0)
    with at_rest(segmenter):
        return check_faithfulness(
            question, drawn, lambda number: question.explain(question.ask_region(drawn[number]))
        )


def test_shares_foretell_a_detector_of_roughness_whose_decision_they_add_up_to(ask):
    found = check(ask, roughness_detector(), ["integrated-gradients"])
    own = found.methods["integrated-gradients"]
    assert own.infidelity_ratio < 0.05
    assert own.verdict == "pass"
    assert found.controls["random"].infidelity_ratio > 0.1


def test_gradients_foretell_a_linear_network(ask):
    found = check(ask, brightness_detector(), ["guided-backprop"], contrast="none")
    assert found.methods["guided-backprop"].infidelity_ratio == pytest.approx(0, abs=1e-6)


def test_sensitivity_is_the_largest_change_and_not_any_other():
    sizes = iter([1.0, 1.1, 1.4, 0.8, 1.2])  # of the map itself, and under noise
    question = SimpleNamespace(
        methods=[SimpleNamespace(label="a")],
        in_time=lambda name, regions, left_out: enumerate(regions),
        rng=lambda *key: np.random.default_rng(key),
        ask_region=lambda region: None,
        ask=lambda image, inside: None,
        explain=lambda subject, effort: {"a": np.full((4, 4), next(sizes))},
    )
    region = SimpleNamespace(image=np.zeros((4, 4, 1), np.float32), inside=None)
    assert _sensitivity(question, [region], []) == {"a": pytest.approx(0.4)}
