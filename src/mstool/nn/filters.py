"""Classical filters of an image, as differentiable arithmetic on tensors."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext

import torch
from torch import nn

# Finest structure to coarse; neighbours differ by two, as those of scale space do.
SIGMAS_PX = (0.7, 1.4, 2.8, 5.6, 11.2)
_N_PER_SIGMA = 6
_TINY = 1e-8  # keeps the slope of square roots finite


def n_filters(n_channels: int) -> int:
    """Number of maps that `filter_bank` gives."""
    return n_channels * (1 + _N_PER_SIGMA * len(SIGMAS_PX))


def filter_bank(images: torch.Tensor, sigmas: Sequence[float] = SIGMAS_PX) -> torch.Tensor:
    """Grey level, edges, ridges, blobs and roughness around each pixel, at several scales.

    For each sigma: the Gaussian mean, the length of its gradient, its Laplacian, the eigenvalues
    of its Hessian, and the standard deviation under the Gaussian. Derivatives are multiplied by
    sigma to their order, so that scales can be compared [1]_. All but the first are those that
    trainable segmentation in ImageJ and ilastik begin with.

    Parameters
    ----------
    images : Tensor of float, shape (N, C, H, W)
        Normalised grey levels.
    sigmas : sequence of float
        Widths of the Gaussians [px].

    Returns
    -------
    Tensor of float, shape (N, C * (1 + 6 * len(sigmas)), H, W)
        The image itself comes first. In the precision of `images`, autocast or not.

    References
    ----------
    .. [1] Lindeberg, T. (1998). Int. J. Comput. Vision 30, 79-116.
    """
    maps = [images]
    with _unrounded(images.device.type):
        for sigma in sigmas:
            mean = gaussian_blur(images, sigma)
            variance = gaussian_blur(images**2, sigma) - mean**2
            maps += [mean, *_derivatives(mean, sigma), (variance.clamp(min=0) + _TINY).sqrt()]
    return torch.cat(maps, dim=1)


@contextmanager
def _unrounded(device_type: str) -> Iterator[None]:
    """Convolve without bfloat16 and TF32, in which differences of blurred squares are noise."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        is_rounding = torch.is_autocast_enabled(device_type)
        with torch.autocast(device_type, enabled=False) if is_rounding else nullcontext():
            yield  # an exported graph knows nothing of contexts
    finally:
        torch.backends.cudnn.allow_tf32 = before


def gaussian_blur(images: torch.Tensor, sigma: float) -> torch.Tensor:
    """Weighted mean of (N, C, H, W) under a Gaussian, with edges continued.

    Continued rather than mirrored edges take kernels wider than the image.
    """
    reach = math.ceil(3 * sigma)
    places = torch.arange(-reach, reach + 1, device=images.device, dtype=images.dtype)
    kernel = torch.exp(-(places**2) / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    planes = images.flatten(0, 1)[:, None]
    planes = nn.functional.pad(planes, (reach, reach, reach, reach), mode="replicate")
    planes = nn.functional.conv2d(planes, kernel.view(1, 1, 1, -1))
    return nn.functional.conv2d(planes, kernel.view(1, 1, -1, 1))[:, 0].unflatten(
        0, images.shape[:2]
    )


def _derivatives(mean: torch.Tensor, sigma: float) -> list[torch.Tensor]:
    down, across = _slope(mean, -2), _slope(mean, -1)
    down_down, down_across, across_across = _slope(down, -2), _slope(down, -1), _slope(across, -1)
    half_trace = (down_down + across_across) / 2
    spread = (((down_down - across_across) / 2) ** 2 + down_across**2 + _TINY).sqrt()
    gradient = (down**2 + across**2 + _TINY).sqrt()
    square = sigma**2
    return [
        sigma * gradient,
        square * 2 * half_trace,
        square * (half_trace + spread),
        square * (half_trace - spread),
    ]


def _slope(images: torch.Tensor, axis: int) -> torch.Tensor:
    """Central difference along an axis; half of it at edges, which are continued."""
    n = images.shape[axis]
    before = torch.cat([images.narrow(axis, 0, 1), images.narrow(axis, 0, n - 1)], axis)
    after = torch.cat([images.narrow(axis, 1, n - 1), images.narrow(axis, n - 1, 1)], axis)
    return (after - before) / 2
