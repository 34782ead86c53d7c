"""Where the map of a layer lies on the image: a network sees a padded one, or less than that."""

import torch
from torch import nn

from mstool.nn.model import Segmenter


def layer_stride(segmenter: Segmenter, layer: str, n_rows: int, height: int) -> float:
    """Rows of an image that one row of a layer's map stands for.

    Parameters
    ----------
    segmenter : Segmenter
        The network.
    layer : str
        As `list_layers` names it.
    n_rows : int
        Of the map; columns are asked for likewise.
    height : int
        Of the image [px].

    Returns
    -------
    float
        Network stride [px].
    """
    if segmenter.margin:
        return segmenter.network.stride_of(layer)
    return segmenter.padded_size(height) / n_rows


def place_map(
    segmenter: Segmenter, layer: str, native: torch.Tensor, shape: tuple[int, int]
) -> torch.Tensor:
    """Enlarge maps of a layer, bilinearly, so that they lie on the image that was given.

    Without padding, convolutions eat up the border, the same on either side.

    Parameters
    ----------
    segmenter : Segmenter
        The network.
    layer : str
        As `list_layers` names it.
    native : Tensor, shape (N, h, w)
        Maps at the resolution of the layer.
    shape : tuple of int
        H and W of the image.

    Returns
    -------
    Tensor, shape (N, H, W)
        Each value at the pixels of the image that it is of.
    """
    seen = [
        round(n * layer_stride(segmenter, layer, n, size))
        for n, size in zip(native.shape[1:], shape, strict=True)
    ]
    larger = nn.functional.interpolate(native[:, None], seen, mode="bilinear", align_corners=False)
    top, left = (
        segmenter.margin - (segmenter.padded_size(size) - covered) // 2 if segmenter.margin else 0
        for size, covered in zip(shape, seen, strict=True)
    )
    return larger[:, 0, top : top + shape[0], left : left + shape[1]]
