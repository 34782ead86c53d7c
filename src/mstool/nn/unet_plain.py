"""The U-Net of 2015, from scratch, with padded or unpadded convolutions."""

from typing import Literal

import torch
from torch import nn

from mstool.errors import UsageError

Padding = Literal["same", "valid"]


class UNetPlain(nn.Module):
    """U-Net as first published [1]_, with batch normalisation.

    Parameters
    ----------
    n_channels, n_classes : int
        Image channels in, classes out.
    depth : int, 2..5
        Number of levels, the bottom included minus one: poolings.
    width : int
        Channels of the first level; doubled at each level.
    padding : {"same", "valid"}
        ``same`` pads with zeros and keeps the size; ``valid`` pads nothing, so that the output is
        smaller than the input by `margin` on every side and rests on real pixels only.

    References
    ----------
    .. [1] Ronneberger, O., Fischer, P., Brox, T. (2015). MICCAI, LNCS 9351, 234-241.
    """

    def __init__(
        self, n_channels: int, n_classes: int, depth: int, width: int, padding: Padding = "same"
    ):
        super().__init__()
        pad = 1 if padding == "same" else 0
        widths = [width * 2**level for level in range(depth + 1)]
        self.depth, self.padding = depth, padding
        self.encoder = nn.ModuleList(
            _double_convolution(n_in, n_out, pad)
            for n_in, n_out in zip([n_channels, *widths], widths, strict=False)
        )
        self.ups = nn.ModuleList(
            nn.ConvTranspose2d(widths[level + 1], widths[level], 2, stride=2)
            for level in reversed(range(depth))
        )
        self.decoder = nn.ModuleList(
            _double_convolution(2 * widths[level], widths[level], pad)
            for level in reversed(range(depth))
        )
        self.segmentation_head = nn.Conv2d(width, n_classes, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (N, K, h, w) of images (N, C, H, W); h = H - 2 `margin`."""
        skips = []
        for level, block in enumerate(self.encoder):
            images = block(images if level == 0 else nn.functional.max_pool2d(images, 2))
            skips.append(images)
        features = skips.pop()
        for up, block in zip(self.ups, self.decoder, strict=True):
            features = up(features)
            skip = _crop_centre(skips.pop(), features.shape[-2:])
            features = block(torch.cat([skip, features], dim=1))
        return self.segmentation_head(features)

    def stride_of(self, layer: str) -> int:
        """Network stride of one of its modules, by its name such as ``encoder.2.0`` [px]."""
        part, *numbers = layer.split(".")
        if part == "segmentation_head":
            return 1
        place = int(numbers[0])
        return 2 ** (place if part == "encoder" else self.depth - 1 - place)


def valid_margin(depth: int) -> int:
    """Pixels that unpadded convolutions take from each side of the input: output edge to input.

    Each level has two 3 x 3 convolutions down and, but for the bottom, two up.
    """
    margin = 4 * 2**depth // 2  # bottom: two convolutions, both sides halved
    for level in range(depth):
        margin += 4 * 2**level
    return margin


def valid_input_sizes(depth: int, most: int) -> list[int]:
    """Input edges up to `most` for which every pooling divides evenly [px], in increasing order."""
    return [size for size in range(1, most + 1) if _output_size(size, depth) is not None]


def check_depth(depth: int) -> None:
    """Refuse a depth that the original network does not have.

    Raises
    ------
    UsageError
        If `depth` is not 2..5.
    """
    if not 2 <= depth <= 5:
        raise UsageError(f"--depth {depth}: must be 2, 3, 4 or 5")


def _output_size(size: int, depth: int) -> int | None:
    for _ in range(depth):
        size -= 4
        if size <= 0 or size % 2:
            return None
        size //= 2
    size -= 4
    for _ in range(depth):
        size = size * 2 - 4
    return size if size > 0 else None


def _double_convolution(n_in: int, n_out: int, padding: int) -> nn.Sequential:
    def convolution(n_from: int) -> list[nn.Module]:
        return [
            nn.Conv2d(n_from, n_out, 3, padding=padding, bias=False),
            nn.BatchNorm2d(n_out),
            nn.ReLU(inplace=True),
        ]

    return nn.Sequential(*convolution(n_in), *convolution(n_out))


def _crop_centre(features: torch.Tensor, size: torch.Size) -> torch.Tensor:
    top = (features.shape[-2] - size[0]) // 2
    left = (features.shape[-1] - size[1]) // 2
    return features[..., top : top + size[0], left : left + size[1]]
