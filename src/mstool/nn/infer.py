"""Class probabilities of tiles."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch

from mstool.errors import InputError
from mstool.nn.device import Compute
from mstool.nn.model import Segmenter
from mstool.nn.tensors import to_tensor

Augmentations = Literal["none", "flips", "d4"]

# (quarter turns, mirrored) of each view; all of them are the symmetries of a square.
_VIEWS = {
    "none": ((0, False),),
    "flips": ((0, False), (0, True), (2, False), (2, True)),
    "d4": tuple((turns, mirrored) for turns in range(4) for mirrored in (False, True)),
}


def predict_images(
    segmenters: Sequence[Segmenter],
    images: Sequence[np.ndarray],
    compute: Compute,
    tta: Augmentations = "none",
) -> np.ndarray:
    """Class probabilities of arrays; see `predict_probabilities`.

    Parameters
    ----------
    segmenters, compute, tta
        As for `predict_probabilities`.
    images : sequence of ndarray, shape (H, W) or (H, W, C)
        Stored pixel values, all of one size.

    Returns
    -------
    ndarray of float32, shape (N, K, H, W)
        Summing to 1 over classes.
    """
    batch = torch.stack([to_tensor(image) for image in images])
    return predict_probabilities(segmenters, batch, compute, tta).numpy()


def predict_probabilities(
    segmenters: Sequence[Segmenter],
    images: torch.Tensor,
    compute: Compute,
    tta: Augmentations = "none",
) -> torch.Tensor:
    """Mean class probabilities over models and views.

    Parameters
    ----------
    segmenters : sequence of Segmenter
        On the device, in evaluation mode; several are an ensemble.
    images : Tensor of float32, shape (N, C, H, W)
        Stored pixel values.
    compute : Compute
        Device and number format.
    tta : {"none", "flips", "d4"}
        Views to average over: the tile itself, its mirror images too, or turned by right angles
        as well (test-time augmentation).

    Returns
    -------
    Tensor of float32, shape (N, K, H, W)
        On the CPU; sums to 1 over classes.

    Raises
    ------
    InputError
        If they are not numbers.
    """
    views = _VIEWS[tta]
    placed = compute.place_batch(images)  # once, and not for each view and model
    total = None
    with torch.inference_mode(), compute.autocast():
        for segmenter in segmenters:
            for turns, mirrored in views:
                logits = segmenter(_view(placed, turns, mirrored))
                probabilities = _unview(logits.float().softmax(dim=1), turns, mirrored)
                total = probabilities if total is None else total + probabilities
    mean = (total / (len(segmenters) * len(views))).cpu()
    if not bool(mean.isfinite().all()):
        raise InputError("the model gives no numbers for a tile; train it again with a lower --lr")
    return mean


def image_probabilities(segmenter: Segmenter, image: np.ndarray, compute: Compute) -> np.ndarray:
    """Class probabilities of one image of any size.

    Parameters
    ----------
    segmenter : Segmenter
        On the device, in evaluation mode.
    image : ndarray of float32, shape (H, W, C)
        Stored pixel values.
    compute : Compute
        Device and number format.

    Returns
    -------
    ndarray of float32, shape (K, H, W)
        Sums to 1 over classes.
    """
    return predict_probabilities([segmenter], compute.place_images(image), compute)[0].numpy()


def _view(images: torch.Tensor, turns: int, mirrored: bool) -> torch.Tensor:
    images = images.flip(-1) if mirrored else images
    return images.rot90(turns, (-2, -1))


def _unview(images: torch.Tensor, turns: int, mirrored: bool) -> torch.Tensor:
    images = images.rot90(-turns, (-2, -1))
    return images.flip(-1) if mirrored else images
