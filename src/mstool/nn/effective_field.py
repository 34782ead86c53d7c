"""How far a network looks in fact, as trained."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mstool.nn.device import Compute
from mstool.nn.layers import evaluating
from mstool.nn.model import Segmenter

_SHARES = (0.50, 0.68, 0.95)


@dataclass(frozen=True)
class EffectiveField:
    """Where the pixels are that a logit depends on, on average.

    Attributes
    ----------
    gradient : ndarray of float64, shape (S, S)
        Share of the gradient per pixel [1], summing to 1; S is odd and the output pixel is the
        middle. All NaN where `n` is 0.
    r50_px, r68_px, r95_px : float
        Radius that holds this percentage of the gradient [px].
    sigma_px : float
        Standard deviation along one axis [px], as of a round Gaussian: root of half the second
        moment.
    n : int
        Output pixels in the mean.
    """

    gradient: np.ndarray
    r50_px: float
    r68_px: float
    r95_px: float
    sigma_px: float
    n: int


def effective_receptive_field(
    segmenter: Segmenter,
    images: np.ndarray,
    centres: Sequence[tuple[int, int]],
    class_index: int,
    compute: Compute,
) -> EffectiveField:
    """Mean size of the gradient of a logit around its pixel [1]_.

    Each map is divided by its sum before the mean, so that a steep image counts as one of many.
    Gradients are computed in float32, in evaluation mode; flags and gradients of the network stay
    as they are.

    Parameters
    ----------
    segmenter : Segmenter
        On the device of `compute`.
    images : ndarray of float32, shape (N, H, W, C)
        Stored pixel values.
    centres : sequence of (int, int), length N
        Row and column of the output pixel looked at in each image [px]; repeat an image to look
        at more than one.
    class_index : int
        Whose logit.
    compute : Compute
        Device.

    Returns
    -------
    EffectiveField
        Its map reaches to the image border that is furthest from its centre; of images in which
        it would reach further, nothing is known there, and it counts as zero. Images without any
        gradient are left out.

    Raises
    ------
    ValueError
        If there is not one centre per image, or one lies outside.

    References
    ----------
    .. [1] Luo, W., Li, Y., Urtasun, R., Zemel, R. (2016). Advances in Neural Information
       Processing Systems 29, 4898-4906.
    """
    height, width = images.shape[1:3]
    if len(centres) != len(images):
        raise ValueError(f"{len(centres)} centres for {len(images)} images; one each is needed")
    if any(not (0 <= row < height and 0 <= col < width) for row, col in centres):
        raise ValueError(f"a centre lies outside the images of {height} x {width} pixels")
    radius = max(
        (max(row, col, height - 1 - row, width - 1 - col) for row, col in centres), default=0
    )
    total, n = np.zeros((2 * radius + 1, 2 * radius + 1)), 0
    with evaluating(segmenter):
        for image, (row, col) in zip(images, centres, strict=True):
            sizes = _gradient_sizes(segmenter, image, row, col, class_index, compute)
            mass = sizes.sum()
            if mass > 0:
                top, left = radius - row, radius - col
                total[top : top + height, left : left + width] += sizes / mass
                n += 1
    gradient = total / n if n else np.full_like(total, np.nan)
    return EffectiveField(gradient, *radial_quantiles(gradient), _sigma(gradient), n)


def radial_quantiles(gradient: np.ndarray) -> tuple[float, float, float]:
    """Radii around the middle of a map that hold half, 68 % and 95 % of its sum.

    Parameters
    ----------
    gradient : ndarray of float, shape (S, S)
        Values >= 0; S is odd.

    Returns
    -------
    tuple of float
        Distance of the pixel with which the share is reached [px]; NaN if the sum is 0 or NaN.

    Examples
    --------
    >>> radial_quantiles(np.full((3, 3), 1 / 9))
    (1.0, 1.4142135623730951, 1.4142135623730951)
    """
    # squared distances are integers, so pixels equally far away are counted together
    mass = np.bincount(_squared_distances(gradient).ravel(), weights=gradient.ravel())
    cumulated = mass.cumsum()
    if not cumulated[-1] > 0:
        return (np.nan, np.nan, np.nan)
    slack = 1e-12  # so that rounding of the sum does not add a ring
    r50, r68, r95 = (
        float(np.sqrt(np.argmax(cumulated >= (share - slack) * cumulated[-1]))) for share in _SHARES
    )
    return r50, r68, r95


def _gradient_sizes(
    segmenter: Segmenter,
    image: np.ndarray,
    row: int,
    col: int,
    class_index: int,
    compute: Compute,
) -> np.ndarray:
    """Absolute gradient of one logit, summed over channels, (H, W)."""
    with torch.enable_grad():
        pixels = compute.place_images(image).requires_grad_(True)
        logit = segmenter(pixels)[0, class_index, row, col]
        (gradient,) = torch.autograd.grad(logit, pixels)
    return gradient[0].abs().sum(dim=0).cpu().numpy().astype(np.float64)


def _sigma(gradient: np.ndarray) -> float:
    mass = gradient.sum()
    if not mass > 0:
        return np.nan
    return float(np.sqrt((gradient * _squared_distances(gradient)).sum() / mass / 2))


def _squared_distances(gradient: np.ndarray) -> np.ndarray:
    rows, cols = (np.arange(size) - size // 2 for size in gradient.shape)
    return np.add.outer(rows**2, cols**2)
