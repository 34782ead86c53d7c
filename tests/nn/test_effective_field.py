import numpy as np
import pytest
import torch
from torch import nn

from mstool.nn.device import choose_compute
from mstool.nn.effective_field import effective_receptive_field, radial_quantiles
from mstool.nn.model import ModelSpec, Segmenter, build_segmenter

CPU = choose_compute("cpu", "fp32")


def box_segmenter(n_channels=1, factor=1.0):
    """One 5 x 5 box convolution."""
    network = nn.Conv2d(n_channels, 2, 5, padding=2)
    nn.init.constant_(network.weight, factor)
    return Segmenter(network, 1, 0, [120.0] * n_channels, [50.0] * n_channels).eval()


def images(n, n_channels=1, size=21):
    return np.random.default_rng(0).uniform(0, 255, (n, size, size, n_channels)).astype(np.float32)


@pytest.mark.parametrize("n_channels", [1, 3])
def test_box_convolution_has_the_closed_form(n_channels):
    # rings of 1, 4, 4, 4, 8, 4 pixels at squared distances 0, 1, 2, 4, 5, 8
    field = effective_receptive_field(
        box_segmenter(n_channels), images(3, n_channels), [(10, 10), (4, 7), (15, 12)], 1, CPU
    )
    size = len(field.gradient)
    box = np.zeros((size, size))
    box[size // 2 - 2 : size // 2 + 3, size // 2 - 2 : size // 2 + 3] = 1 / 25
    assert np.allclose(field.gradient, box, atol=1e-7)  # float32
    assert (field.r50_px, field.r68_px, field.r95_px) == (2, 5**0.5, 8**0.5)
    assert field.sigma_px == pytest.approx(2**0.5)
    assert field.n == 3


def test_field_at_the_corner_is_cut_and_still_sums_to_one():
    field = effective_receptive_field(box_segmenter(), images(1), [(0, 0)], 0, CPU)
    assert field.gradient.shape == (41, 41)
    assert field.gradient.sum() == pytest.approx(1)
    assert (field.gradient[20:23, 20:23] > 0.1).all()
    assert field.gradient[:20].sum() == 0


def test_network_without_gradient_gives_nan():
    field = effective_receptive_field(box_segmenter(factor=0.0), images(2), [(9, 9)] * 2, 0, CPU)
    assert field.n == 0
    assert np.isnan([field.r50_px, field.r95_px, field.sigma_px]).all()
    assert np.isnan(field.gradient).all()


def test_field_of_a_network_lies_within_its_theoretical_one_and_leaves_it_alone():
    torch.manual_seed(0)
    spec = ModelSpec("unet-plain", None, 1, 2, depth=2, width=2)
    segmenter = build_segmenter(spec, [120.0], [50.0]).train()
    segmenter.network.encoder[0].eval()
    segmenter.network.segmentation_head.weight.requires_grad_(False)
    flags = [part.training for part in segmenter.modules()]
    wants = [parameter.requires_grad for parameter in segmenter.parameters()]
    state = {name: value.clone() for name, value in segmenter.state_dict().items()}
    with torch.inference_mode(False), torch.no_grad():
        field = effective_receptive_field(
            segmenter, images(2, size=80), [(40, 40), (38, 41)], 1, CPU
        )
    assert field.r50_px <= field.r68_px <= field.r95_px < 44 * 2**0.5
    assert flags == [part.training for part in segmenter.modules()]
    assert wants == [parameter.requires_grad for parameter in segmenter.parameters()]
    assert all(parameter.grad is None for parameter in segmenter.parameters())
    assert all(torch.equal(value, state[name]) for name, value in segmenter.state_dict().items())


@pytest.mark.parametrize("centres", [[(1, 1)], [(1, 1), (21, 0)], [(1, 1), (0, -1)]])
def test_wrong_centres_are_refused(centres):
    with pytest.raises(ValueError, match="centre"):
        effective_receptive_field(box_segmenter(), images(2), centres, 0, CPU)


def test_one_pixel_has_no_radius():
    point = np.zeros((5, 5))
    point[2, 2] = 0.3
    assert radial_quantiles(point) == (0, 0, 0)
    assert np.isnan(radial_quantiles(np.zeros((3, 3)))).all()
