"""Etched boundaries, and what too long an etch does to the picture."""

from dataclasses import dataclass

import numpy as np

from mstool.phantoms.laths import bell
from mstool.phantoms.smooth_noise import smooth_noise

BOUNDARY_DARKENING = 0.34  # grey lost on a grain boundary at dose 1 [1]
EDGE_DARKENING = 0.14  # grey lost on a lath edge at dose 1 [1]
STAIN_DARKENING = 0.22  # grey lost in the middle of a stain at dose 1 [1]
DRIFT = 0.07  # rms change of grey across the image at dose 1 [1]
WIDENING = 2.2  # boundaries are 1 + 2.2 times as wide at dose 1 [1]
FADING = 0.9  # contrast in laths is 1 / (1 + 0.9) at dose 1 [1]


@dataclass(frozen=True)
class EtchFields:
    """How an image answers to over-etching, float64 (H, W) each: drawn once, scaled by the dose."""

    stain: np.ndarray  # blotches [1], 0 (clean) to 1
    drift: np.ndarray  # slow change of brightness, mean 0 and rms 1


def etch_boundaries(cells, width_px, variation):
    """How strongly each pixel is etched as a boundary, at the nominal dose.

    Boundaries between grains, and around regions, are etched fully; those between packets of the
    same region are low-angle and are etched faintly.

    Parameters
    ----------
    width_px : float
        Full width of a boundary at half depth [px].
    variation : ndarray of float64, shape (H, W)
        Strength of the etch along the boundaries [1], about 1.

    Returns
    -------
    ndarray of float64, shape (H, W)
        Depth [1], 0 away from boundaries, about 1 on them.
    """
    region = cells.cell_region
    is_inner = (region[cells.cell] >= 0) & (region[cells.cell] == region[cells.neighbour])
    strength = np.where(is_inner, 0.3, 1.0) * variation
    return strength * bell(cells.boundary_distance_px, width_px)


def draw_etch_fields(shape, stain_size_px, rng) -> EtchFields:
    """Stains, typically of `stain_size_px` [px], and drift of one image at unit dose."""
    blotch = smooth_noise(shape, stain_size_px, rng) + 0.3 * smooth_noise(
        shape, stain_size_px / 4, rng
    )
    stain = 1.0 / (1.0 + np.exp(-4.0 * (blotch - 0.7)))
    return EtchFields(stain, smooth_noise(shape, max(shape) / 2, rng))


def over_etch(nominal, labels, cell, boundary, edge, fields, dose):
    """Image after too long an etch.

    Every part changes steadily with the dose: boundaries and lath edges widen and darken, the
    contrast inside laths and lamellae fades towards the mean of the packet, stains darken,
    brightness drifts.

    Parameters
    ----------
    nominal : ndarray of float64, shape (H, W)
        Image at dose 0 [1].
    boundary, edge : callable
        Take a widening factor [1], give the etch depth of grain boundaries and of lath edges,
        shape (H, W) [1].
    fields : EtchFields
        Stains and drift.
    dose : float
        0 nominal, 1 clearly over-etched [1].

    Returns
    -------
    ndarray of float64, shape (H, W)
        Image [1], exactly `nominal` at dose 0; not clipped.
    """
    if dose == 0:
        return nominal
    widening = 1.0 + WIDENING * dose
    fade = (labels > 0) * (1.0 - 1.0 / (1.0 + FADING * dose)) * np.clip(1.0 - boundary(1.0), 0, 1)
    image = nominal + fade * (mean_of_cells(nominal, cell) - nominal)
    darkening = BOUNDARY_DARKENING * boundary(widening) + EDGE_DARKENING * edge(widening)
    return image + dose * (DRIFT * fields.drift - STAIN_DARKENING * fields.stain - darkening)


def mean_of_cells(image, cell):
    """Image, float64 (H, W), with each pixel replaced by the mean of its cell.

    Examples
    --------
    >>> mean_of_cells(np.array([[1.0, 3.0, 7.0]]), np.array([[2, 2, 0]]))
    array([[2., 2., 7.]])
    """
    n_px = np.bincount(cell.ravel())
    total = np.bincount(cell.ravel(), weights=image.ravel())
    return (total / np.maximum(n_px, 1))[cell]
