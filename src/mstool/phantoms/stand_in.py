"""Images that stand in for micrographs where a network is tried without one."""

from collections.abc import Sequence

import numpy as np

from mstool.phantoms.smooth_noise import smooth_noise, standardise

_COARSEST = 4  # hills of the largest scale along an edge
_SHARED, _OWN = 0.8, 0.6  # of what channels show; together of rms 1


def make_stand_in(
    shape: tuple[int, int], mean: Sequence[float], std: Sequence[float], dtype: str, seed: int = 0
) -> np.ndarray:
    """Image with structure of every size, and the grey levels of a training set.

    Parameters
    ----------
    shape : (int, int)
        Height and width [px].
    mean, std : sequence of float, length C
        Of the stored values, one a channel.
    dtype : str
        Type of the stored values; integers are rounded, and cut at their limits.
    seed : int
        Source of all chance.

    Returns
    -------
    ndarray of `dtype`, shape (H, W), or (H, W, C) with several channels
    """
    rng = np.random.default_rng(seed)
    shared = _texture(shape, rng)
    channels = [shared] if len(mean) == 1 else []
    while len(channels) < len(mean):
        channels.append(_SHARED * shared + _OWN * _texture(shape, rng))
    values = np.stack(channels, axis=-1) * np.asarray(std) + np.asarray(mean)
    if np.issubdtype(dtype, np.integer):
        limits = np.iinfo(dtype)
        values = np.rint(values).clip(limits.min, limits.max)
    return values.astype(dtype)[..., 0] if len(mean) == 1 else values.astype(dtype)


def _texture(shape, rng):
    """Random field (H, W) with mean 0 and rms 1, of as many hills of each size as have room."""
    total = rng.standard_normal(shape)
    scale = max(shape) / _COARSEST
    while scale >= 2:
        total = total + smooth_noise(shape, scale, rng)
        scale /= 2
    return standardise(total)
