"""Smooth random fields: the raw material of warps, waviness, stains and drift."""

import numpy as np
from scipy import ndimage


def smooth_noise(shape, scale_px, rng):
    """Smooth random field, float64 (H, W), with mean 0 and rms 1 over the image.

    White noise on a coarse grid, interpolated by cubic splines: a larger scale costs no more.

    Parameters
    ----------
    scale_px : float
        Grid spacing, about half the distance between neighbouring hills [px].
    """
    coarse_shape = [max(3, int(np.ceil(length / scale_px)) + 1) for length in shape]
    coarse = rng.standard_normal(coarse_shape)
    factors = [fine / grid for fine, grid in zip(shape, coarse_shape, strict=True)]
    return standardise(ndimage.zoom(coarse, factors, order=3, mode="grid-mirror", grid_mode=True))


def mottle_noise(shape, period_px, rng):
    """Isotropic random field, float64 (H, W), with mean 0 and rms 1, band-limited around a period.

    Parameters
    ----------
    period_px : float
        Period of the strongest waves [px].
    """
    white = rng.standard_normal(shape)
    fine, middle, coarse = (
        ndimage.gaussian_filter(white, period_px / part, mode="wrap") for part in (9.0, 5.0, 2.0)
    )
    return standardise(standardise(fine) + standardise(middle) - standardise(coarse))


def standardise(values):
    """Values shifted and scaled to mean 0 and standard deviation 1; all 0 if they are constant."""
    centred = values - np.mean(values)
    spread = np.std(centred)
    return centred / spread if spread > 0 else centred
