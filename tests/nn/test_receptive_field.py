import numpy as np
import pytest
import segmentation_models_pytorch as smp
import torch
from torch import nn

from mstool.nn.receptive_field import (
    field_width,
    receptive_intervals,
    theoretical_receptive_field,
)
from mstool.nn.unet_plain import UNetPlain

PERIOD = 32


class Reach:
    """First and last input column of each column of a tensor; the closed form, by hand."""

    def __init__(self, first, last):
        self.first, self.last = first, last

    @classmethod
    def image(cls, width):
        return cls(np.arange(width), np.arange(width))

    def convolve(self, times):
        """3-wide convolutions, padded by one."""
        first, last = self.first, self.last
        for _ in range(times):
            first = np.minimum.reduce([first, np.r_[first[:1], first[:-1]]])
            last = np.maximum.reduce([last, np.r_[last[1:], last[-1:]]])
        return Reach(first, last)

    def pool(self):
        """2-wide pooling of stride 2."""
        return Reach(self.first[::2], self.last[1::2])

    def double(self):
        """Nearest upsampling, or a 2-wide transposed convolution of stride 2."""
        return Reach(self.first.repeat(2), self.last.repeat(2))

    def join(self, skip):
        return Reach(np.minimum(self.first, skip.first), np.maximum(self.last, skip.last))

    def middle(self):
        """Of one period in the middle, in its own frame."""
        start = len(self.first) // 2
        columns = slice(start, start + PERIOD)
        return list(zip(self.first[columns] - start, self.last[columns] - start, strict=True))


def unet_plain_by_hand(depth):
    reach, skips = Reach.image(4096), []
    for level in range(depth + 1):
        reach = (reach.pool() if level else reach).convolve(2)
        skips.append(reach)
    reach = skips.pop()
    while skips:
        reach = reach.double().join(skips.pop()).convolve(2)
    return reach.middle()


def vgg16_unet_by_hand():
    reach, skips = Reach.image(4096), []
    for n_convolutions in (2, 2, 3, 3, 3):
        reach = reach.convolve(n_convolutions)
        skips.append(reach)
        reach = reach.pool()
    reach = reach.convolve(2)  # the block in the centre
    for level in reversed(range(5)):
        reach = reach.double()
        reach = (reach.join(skips[level]) if level else reach).convolve(2)
    return reach.convolve(1).middle()


@pytest.mark.parametrize("depth", [2, 3, 4, 5])
def test_every_column_of_unet_plain_sees_the_closed_form(depth):
    torch.manual_seed(depth)
    network = UNetPlain(1, 2, depth, 2).eval()
    expected = unet_plain_by_hand(depth)
    assert receptive_intervals(network, 1) == expected
    assert theoretical_receptive_field(network, 1) == 1 + max(
        last - first for first, last in expected
    )


def test_every_column_of_a_vgg_unet_sees_the_closed_form():
    torch.manual_seed(0)
    network = smp.Unet("vgg16_bn", encoder_weights=None, in_channels=1, classes=2).eval()
    assert receptive_intervals(network, 1) == vgg16_unet_by_hand()


@pytest.mark.parametrize(
    ("encoder", "options"),
    [
        ("tu-efficientnet_b0", {}),  # squeeze and excitation
        ("resnet18", {"decoder_attention_type": "scse"}),
    ],
)
def test_squeeze_and_excitation_looks_everywhere(encoder, options):
    torch.manual_seed(0)
    network = smp.Unet(encoder, encoder_weights=None, in_channels=1, classes=2, **options).eval()
    assert theoretical_receptive_field(network, 1) is None
    assert np.isposinf(field_width(network, 1))


@pytest.mark.parametrize("depth", [2, 3])
def test_without_padding_the_field_is_that_with_padding(depth):
    torch.manual_seed(0)
    same, valid = (UNetPlain(1, 2, depth, 2, padding).eval() for padding in ("same", "valid"))
    assert theoretical_receptive_field(valid, 1) == theoretical_receptive_field(same, 1)


def test_dilated_convolution_has_holes_and_is_as_wide_as_its_ends():
    assert theoretical_receptive_field(nn.Conv2d(1, 1, 3, padding=8, dilation=8), 1) == 17


def test_columns_that_a_stride_skips_are_not_seen():
    network = nn.Sequential(nn.Conv2d(1, 1, 1, stride=2), nn.Upsample(scale_factor=2))
    assert receptive_intervals(network, 1) == [(place - place % 2,) * 2 for place in range(PERIOD)]


def test_network_that_ignores_its_input_has_no_field():
    class Constant(nn.Module):
        def forward(self, images):
            return torch.zeros_like(images)

    assert theoretical_receptive_field(Constant(), 1) is None
    assert np.isnan(field_width(Constant(), 1))
